"""The slow, obvious reference: one sample at a time, unpadded, plain float64 autograd through the whole model.

Nothing of the engine is used here: blocks are named by the caller, objectives are written out again.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from paramscope.result.layer import LayerResult
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.tables import Tables, build_tables
from tests.reference import reduce_layer

Objective = Callable[[torch.Tensor, "Case"], torch.Tensor]
"""From the logits ``[T, V]`` of a sample to D."""


@dataclass(frozen=True)
class Case:
    """One sample: the text's tokens, and those of an answer and of another one."""

    ids: tuple[int, ...]
    target: tuple[int, ...] = ()
    foil: tuple[int, ...] = ()


def max_logit(logits: torch.Tensor, case: Case) -> torch.Tensor:
    """The largest logit at the last position."""
    return logits[len(case.ids) - 1].max()


def target_logprob(logits: torch.Tensor, case: Case) -> torch.Tensor:
    """Sum over the target's tokens of their log-probability after all tokens before them."""
    total = torch.zeros((), dtype=torch.float64)
    for place, token in enumerate(case.target):
        weights = logits[len(case.ids) - 1 + place].exp()
        total = total + (weights[token] / weights.sum()).log()
    return total


def mean_logprob(logits: torch.Tensor, case: Case) -> torch.Tensor:
    """Mean over the text's tokens but the first of their log-probability."""
    values = [
        (logits[place].exp()[token] / logits[place].exp().sum()).log() for place, token in enumerate(case.ids[1:])
    ]
    return torch.stack(values).mean()


def logit_difference(logits: torch.Tensor, case: Case) -> torch.Tensor:
    """Logit of the target's first token minus that of the foil's, at the text's last position."""
    last = logits[len(case.ids) - 1]
    return last[case.target[0]] - last[case.foil[0]]


OBJECTIVES: dict[str, Objective] = {
    "max-logit": max_logit,
    "target-logprob": target_logprob,
    "mean-logprob": mean_logprob,
    "logit-difference": logit_difference,
}


@dataclass(frozen=True)
class Reference:
    """Activations ``[N, rows, columns]`` of all samples, by layer and module, and D ``[N]``."""

    layers: list[dict[str, NDArray[np.float64]]]
    values: list[float]

    def results(self, sizes: Sequence[int], thresholds: Sequence[float] = (PAPER_THRESHOLD,)) -> list[LayerResult]:
        """What the engine should make of them."""
        return [reduce_layer(layer, a, sizes, thresholds) for layer, a in enumerate(self.layers)]

    def mean(self, layer: int, samples: slice) -> NDArray[np.float64]:
        """All mean activations of a layer over some samples, as one vector."""
        return np.concatenate([a[samples].mean(0).ravel() for a in self.layers[layer].values()])


def reference(
    model: Any,
    blocks: str,
    cases: Sequence[Case],
    objective: str = "max-logit",
    bare: Mapping[str, bool] | None = None,
) -> Reference:
    """Measure every sample by itself on a float64 copy of the model.

    Args:
        model: any causal language model.
        blocks: dotted path of its list of blocks.
        cases: the samples.
        objective: by name.
        bare: see ``linear_weights``.

    Returns:
        All activations.
    """
    own = copy.deepcopy(model).double().eval()
    if hasattr(own, "config"):
        own.config.use_cache = False
    layers: list[dict[str, list[NDArray[np.float64]]]] = []
    values = []
    weights = [linear_weights(block, bare) for block in own.get_submodule(blocks)]
    for case in cases:
        own.zero_grad(set_to_none=True)
        ids = case.ids + (case.target if objective == "target-logprob" else ())
        value = OBJECTIVES[objective](own(input_ids=torch.tensor([ids])).logits[0], case)
        value.backward()
        values.append(value.item())
        layers = layers or [{name: [] for name in block} for block in weights]
        for layer, block in zip(layers, weights, strict=True):
            for name, (weight, transposed) in block.items():
                layer[name].append(_activation(weight, transposed))
    return Reference([{name: np.stack(a) for name, a in layer.items()} for layer in layers], values)


def linear_weights(block: nn.Module, bare: Mapping[str, bool] | None = None) -> dict[str, tuple[nn.Parameter, bool]]:
    """The linear weights of a block, and whether each is kept as ``[..., in, out]``.

    Args:
        block: of the model.
        bare: weights that no linear module holds, by the end of their names; whether they are transposed.

    Returns:
        In the order of the module tree.
    """
    found: dict[str, tuple[nn.Parameter, bool]] = {}
    for path, module in block.named_modules():
        for attribute, parameter in module.named_parameters(recurse=False):
            name = f"{path}.{attribute}".lstrip(".")
            conv = type(module).__name__ == "Conv1D"
            ends = [end for end in bare or {} if name == end or name.endswith("." + end)]
            if attribute == "weight" and (isinstance(module, nn.Linear) or conv):
                found[path] = (parameter, conv)
            elif ends:
                found[name.removesuffix(".weight")] = (parameter, (bare or {})[ends[0]])
    return found


def _activation(weight: nn.Parameter, transposed: bool) -> NDArray[np.float64]:
    """``|w g|`` as ``[rows, columns]``; the maps of a stack one below the other."""
    gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
    activation = (weight * gradient).abs().detach().numpy()
    activation = np.swapaxes(activation, -1, -2) if transposed else activation
    return activation.reshape(-1, activation.shape[-1])


def drawn(profile: Profile, given: Mapping[str, Sequence[Sequence[int]]]) -> list[Case]:
    """The samples of a profile in its own order, from the token ids that were given."""
    places = [int(origin.removeprefix("sample ")) - 1 for origin in profile.samples["origin"]]
    return [Case(tuple(given[domain][place])) for domain, place in zip(profile.samples["domain"], places, strict=True)]


def expected_tables(profile: Profile, found: Reference) -> Tables:
    """The tables that a profile should have."""
    sizes = [domain.samples for domain in profile.manifest.domains]
    layers = found.results(sizes, profile.manifest.thresholds.exact)
    return build_tables(profile.samples, profile.tables.held_out, profile.domains, layers)


def assert_tables_equal(found: Tables, expected: Tables, tolerance: float, *, counts: bool = True) -> None:
    """Compare all numbers of two profiles.

    Args:
        found: by the engine.
        expected: the reference.
        tolerance: of a sum, relative; of a vector or matrix, relative to its norm.
        counts: also compare counts, which rounding may change only where a value lies at an edge.
    """
    assert found.modules[["layer", "module", "rows", "columns"]].equals(
        expected.modules[["layer", "module", "rows", "columns"]]
    )
    for column in ("total", "squares", "largest"):
        np.testing.assert_allclose(found.activation[column], expected.activation[column], rtol=tolerance)
    for name, sums in expected.sums.items():
        _assert_near(found.sums[name], sums, tolerance, name)
    for layer, gram in enumerate(expected.gram):
        _assert_near(found.gram[layer], gram, tolerance, f"gram of layer {layer}")
        np.testing.assert_array_equal(found.gram[layer], found.gram[layer].T)
    if not counts:
        return
    np.testing.assert_array_equal(found.activation["zeros"], expected.activation["zeros"])
    np.testing.assert_array_equal(found.activation["above"].tolist(), expected.activation["above"].tolist())
    keys = ["layer", "module", "domain", "group", "weights", "first_bin"]
    assert found.histograms[keys].equals(expected.histograms[keys])
    for ours, theirs in zip(found.histograms["counts"], expected.histograms["counts"], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def assert_same_tables(ours: Tables, theirs: Tables) -> None:
    """Two profiles are the same, bit for bit."""
    for name in ("modules", "samples"):
        assert getattr(ours, name).equals(getattr(theirs, name)), name
    for name in ("activation", "histograms"):
        left, right = getattr(ours, name), getattr(theirs, name)
        lists = "above" if name == "activation" else "counts"
        assert left.drop(columns=lists).equals(right.drop(columns=lists)), name
        assert all(map(np.array_equal, left[lists], right[lists])), name
    np.testing.assert_array_equal(ours.gram, theirs.gram)
    assert sorted(ours.sums) == sorted(theirs.sums)
    assert all(np.array_equal(ours.sums[key], theirs.sums[key]) for key in ours.sums)


def _assert_near(found: Any, expected: NDArray[np.float64], tolerance: float, name: str) -> None:
    rows = zip(np.atleast_2d(found).astype(np.float64), np.atleast_2d(expected), itertools.repeat(name))
    for ours, theirs, place in rows:
        assert np.linalg.norm(ours - theirs) <= tolerance * np.linalg.norm(theirs), place
