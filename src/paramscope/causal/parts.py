"""Parts of a model zeroed: layers, attention heads and groups of neurons, beside what the profile says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from paramscope.causal.damage import HeldOut
from paramscope.causal.zeroing import Cut
from paramscope.models.blocks import TRIAL, Block
from paramscope.models.products import Product, ProductWatch
from paramscope.models.running import evaluation_mode, vocabulary
from paramscope.models.weights import LinearWeight
from paramscope.result.profile import Profile

NEURON_SHARE = 16
"""A group of neurons is one in so many of its layer's."""


@dataclass(frozen=True)
class Part:
    """A part of one layer.

    Attributes:
        kind: ``layer``, ``head``, ``neurons`` (those with the largest activation) or ``random neurons``.
        layer: its number.
        name: in the layer; empty for a whole layer.
        cuts: its weights; of a head and of neurons those that carry what it says back to the hidden state.
        predicted: ``[D]``, sum of the mean activations of the cuts.
    """

    kind: str
    layer: int
    name: str
    cuts: tuple[Cut, ...]
    predicted: NDArray[np.float64]


@dataclass(frozen=True)
class Writers:
    """The weights of a block that write to the hidden state.

    Attributes:
        attention: whose input is the attention heads side by side; None where there is none such.
        heads: of it.
        mlp: whose input is the MLP's neurons; None where there is none such.
    """

    attention: LinearWeight | None
    heads: int
    mlp: LinearWeight | None


def find_writers(model: nn.Module, blocks: Sequence[Block]) -> list[Writers]:
    """Find, in one short run, what writes to the hidden state in each block.

    It makes as many features as the hidden state has, of an input that no other weight reads. Of these the first whose
    input splits into the attention heads of the configuration belongs to them, the last other one to the MLP.

    Args:
        model: a causal language model.
        blocks: of the model.

    Returns:
        By block.
    """
    config: Any = getattr(model, "config", None)
    config = getattr(config, "text_config", None) or config
    heads = int(getattr(config, "num_attention_heads", 0) or 0)
    head_size = getattr(config, "head_dim", None)
    used: list[list[tuple[LinearWeight, torch.Tensor]]] = [[] for _ in blocks]
    owners = {id(w.parameter): (number, w) for number, block in enumerate(blocks) for w in block.weights}

    def tell(product: Product, output: torch.Tensor) -> torch.Tensor:
        number, weight = owners[id(product.parameter)]
        used[number].append((weight, product.inputs))  # kept, so that no other takes its place in memory
        return output

    ids = torch.randint(vocabulary(model) or 6, TRIAL, generator=torch.Generator().manual_seed(0))
    parameters = [weight.parameter for block in blocks for weight in block.weights]
    with torch.no_grad(), evaluation_mode(model), ProductWatch(parameters, tell):
        model(input_ids=ids.to(next(model.parameters()).device))
    hidden = getattr(config, "hidden_size", None)
    found = []
    for uses in used:
        readers: dict[int, int] = {}
        for _, inputs in uses:
            readers[inputs.data_ptr()] = readers.get(inputs.data_ptr(), 0) + 1
        alone = [w for w, inputs in uses if readers[inputs.data_ptr()] == 1 and w.rows // w.stack == hidden]
        width = heads * head_size if head_size else None
        attention = next(
            (w for w in alone if heads and (w.columns == width or not width) and not w.columns % heads), None
        )
        rest = [w for w in alone if w is not attention]
        found.append(Writers(attention, heads if attention else 0, rest[-1] if rest else None))
    return found


def list_parts(
    profile: Profile, blocks: Sequence[Block], writers: Sequence[Writers], *, most: dict[str, int], seed: int
) -> list[Part]:
    """The parts to try; where not all can be, which is drawn at random.

    Args:
        profile: that says what each part does.
        blocks: of the model.
        writers: from ``find_writers``.
        most: parts of each kind.
        seed: of the draw.

    Returns:
        The parts, by kind and layer.
    """
    rng = np.random.default_rng(seed)
    totals = profile.tables.activation.groupby(["layer", "domain"])["total"].sum().unstack("domain")[profile.domains]
    kinds: dict[str, list[Part]] = {"layer": [], "head": [], "neurons": [], "random neurons": []}
    for layer, (block, writer) in enumerate(zip(blocks, writers, strict=True)):
        whole = tuple(Cut.whole(weight) for weight in block.weights)
        kinds["layer"].append(Part("layer", layer, "", whole, totals.loc[layer].to_numpy()))
        if writer.attention:
            sums, size = _columns(profile, layer, writer.attention), writer.attention.columns // writer.heads
            for head in range(writer.heads):
                columns = slice(head * size, (head + 1) * size)
                cut = Cut.columns(writer.attention, columns)
                kinds["head"].append(Part("head", layer, f"head {head}", (cut,), sums[:, columns].sum(1)))
        if writer.mlp and writer.mlp.columns >= 2 * NEURON_SHARE:
            sums, count = _columns(profile, layer, writer.mlp), writer.mlp.columns // NEURON_SHARE
            top = np.argsort(-sums.sum(0), kind="stable")[:count]
            others = rng.choice(np.setdiff1d(np.arange(writer.mlp.columns), top), count, replace=False)
            for kind, chosen in (("neurons", top), ("random neurons", others)):
                cut = Cut.columns(writer.mlp, torch.from_numpy(np.sort(chosen)))
                kinds[kind].append(Part(kind, layer, f"{count} neurons", (cut,), sums[:, chosen].sum(1)))
    parts = []
    for kind, there in kinds.items():
        count = min(len(there), most.get(kind, len(there)))
        parts += [there[i] for i in sorted(rng.choice(len(there), count, replace=False).tolist())]
    return parts


def _columns(profile: Profile, layer: int, weight: LinearWeight) -> NDArray[np.float64]:
    """``[D, columns]`` sums of the mean activations over a module's rows."""
    return np.asarray(profile.tables.sums[f"{layer}/{weight.name}/columns"], dtype=np.float64)


def check_parts(
    held: HeldOut, parts: Sequence[Part], domains: Sequence[str], progress: Callable[[int], object] = lambda _: None
) -> pd.DataFrame:
    """Zero parts, one after the other.

    Args:
        held: held-out texts.
        parts: to zero.
        domains: names.
        progress: told how many parts more are done.

    Returns:
        A row a part and held-out text: kind, layer, name, predicted, domain, sample, damage (nats per token).
    """
    tables = []
    for part in parts:
        damage = held.damage(part.cuts, part.layer)
        predicted = part.predicted[held.owner]
        columns = {"kind": part.kind, "layer": part.layer, "name": part.name, "predicted": predicted}
        tables.append(held.table(damage, domains, **columns))
        progress(1)
    return pd.concat(tables, ignore_index=True)
