"""Sets of weights are the largest by their criterion, as a plain sort of all weights gives them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

import paramscope
from paramscope.causal.selection import MAGNITUDE, OWN_CRITERIA, LayerScores, Selection, score_layers
from paramscope.causal.zeroing import zeroed
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.errors import RunError
from paramscope.models.blocks import Block, find_structure
from paramscope.models.open import adopt
from paramscope.models.weights import LinearWeight
from tests.engine.architectures import ARCHITECTURES, random_ids, tiny_model
from tests.engine.autograd import Case, reference

SHAPES = (("up", (4, 3)), ("stack", (2, 3, 2)), ("down", (3, 5)))
SHIFT = 40
TINY = float(np.finfo(np.float32).tiny)


def made_blocks(layers: int, seed: int) -> list[Block]:
    generator = torch.Generator().manual_seed(seed)
    blocks = []
    for layer in range(layers):
        module = nn.Module()
        weights = []
        for name, shape in SHAPES:
            setattr(module, name, nn.Parameter(torch.randn(shape, generator=generator)))
            weights.append(LinearWeight(name, module, name, transposed=name == "down"))
        blocks.append(Block(f"blocks.{layer}", module, tuple(weights)))
    return blocks


def made_scores(blocks: list[Block], domains: int, seed: int, *, ties: bool) -> list[LayerScores]:
    rng = np.random.default_rng(seed)
    found = []
    for layer, block in enumerate(blocks):
        means, norms = {}, {}
        for weight in block.weights:
            shape = (domains, weight.rows, weight.columns)
            values = rng.integers(0, 4, shape) if ties else rng.lognormal(size=shape)
            means[weight.name] = torch.tensor(values, dtype=torch.float32)
            norms[weight.name] = torch.tensor(rng.lognormal(size=(domains, weight.stack, weight.columns))).float()
        found.append(LayerScores(layer, means, norms))
    return found[::-1]  # from the last to the first, as the engine gives them


def slow(
    blocks: list[Block], layers: list[int], scores: list[LayerScores], criterion: str, domain: int
) -> dict[int, float]:
    """The value of every weight of a band, by its code."""
    by_layer = {one.layer: one for one in scores}
    values: dict[int, float] = {}
    number = 0
    for layer, block in enumerate(blocks):
        for weight in block.weights:
            means = by_layer[layer].means[weight.name].numpy()
            norms = by_layer[layer].norms[weight.name].numpy()
            matrices = weight.matrices.numpy()
            rows_each = weight.rows // weight.stack
            median = np.sort(means[domain].ravel())[(means[domain].size - 1) // 2]
            for row in range(weight.rows if layer in layers else 0):
                for column in range(weight.columns):
                    own = float(means[domain, row, column])
                    others = np.delete(means[:, row, column], domain)
                    other = np.float32(others.sum() / max(len(others), 1))
                    size = abs(matrices[row // rows_each, row % rows_each, column])
                    if criterion == "ratio" and own <= median:
                        continue
                    values[(number << SHIFT) + row * weight.columns + column] = {
                        "activation": own,
                        "input-norm": size * norms[domain, row // rows_each, column],
                        "difference": own - other,
                        "ratio": own / max(float(other), TINY),
                        "lowest": -own,
                        "magnitude": size,
                    }[criterion]
            number += 1
    return values


def made(
    domains: int, seed: int, *, ties: bool, shares: tuple[float, ...]
) -> tuple[list[Block], list[LayerScores], Selection]:
    blocks = made_blocks(4, seed)
    selection = Selection(blocks, {"shallow": [0, 1], "deep": [3]}, shares, domains)
    scores = made_scores(blocks, domains, seed, ties=ties)
    for one in scores:
        selection.add(one)
    return blocks, scores, selection


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(0, 999), st.booleans(), st.floats(0.001, 1))
def test_sets_are_the_first_of_all_weights_of_a_band_sorted(domains: int, seed: int, ties: bool, share: float) -> None:
    blocks, scores, selection = made(domains, seed, ties=ties, shares=(share / 3, share))
    for band, layers in selection.bands.items():
        size = max(1, round(share * sum(blocks[layer].parameters for layer in layers)))
        for criterion in (*OWN_CRITERIA, MAGNITUDE):
            if criterion == "ratio" and domains == 1:
                continue  # there are no others
            for domain in range(domains if criterion != MAGNITUDE else 1):
                expected = slow(blocks, layers, scores, criterion, domain)
                codes = selection.chosen(band, criterion, domain, share).tolist()
                order = sorted(expected, key=lambda code: (-expected[code], code))[:size]
                assert len(codes) == len(set(codes)) == len(order)
                found = [expected[code] for code in codes]
                np.testing.assert_allclose(found, [expected[code] for code in order], rtol=1e-5, atol=1e-6)
                if not ties and criterion != "difference":
                    assert codes == order
                few = selection.chosen(band, criterion, domain, share / 3).tolist()
                assert few == codes[: len(few)]


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_equal_values_are_taken_from_all_layers_alike(share: float) -> None:
    module = nn.Module()
    module.flat = nn.Parameter(torch.ones(200, 200))
    blocks = [Block(f"blocks.{layer}", module, (LinearWeight("flat", module, "flat"),)) for layer in range(4)]
    selection = Selection(blocks, {"all": [0, 1, 2, 3]}, (share,), 1)
    for layer in (3, 2, 1, 0):
        selection.add(LayerScores(layer, {"flat": torch.zeros(1, 200, 200)}, {"flat": torch.ones(1, 1, 200)}))
    for criterion in ("activation", "lowest", MAGNITUDE):
        codes = selection.chosen("all", criterion, 0, share)
        found = np.bincount(codes >> SHIFT, minlength=4)
        assert found.sum() == round(share * 160_000)
        assert np.abs(found - found.mean()).max() < 5 * np.sqrt(found.mean())
        rows = np.bincount((codes & ((1 << SHIFT) - 1)) // 200, minlength=200)
        assert np.abs(rows - rows.mean()).max() < 5 * np.sqrt(rows.mean())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_no_numbers_are_refused(value: float) -> None:
    blocks = made_blocks(1, 0)
    (scores,) = made_scores(blocks, 2, 0, ties=False)
    scores.means["down"][1, 2, 1] = value
    with pytest.raises(RunError, match="activations of down in layer 0 are no numbers"):
        Selection(blocks, {"all": [0]}, (0.5,), 2).add(scores)


def counts(selection: Selection, codes: np.ndarray) -> dict[str, int]:
    """How many weights of a set each module has, by layer and name."""
    numbers, found = np.unique(codes >> SHIFT, return_counts=True)
    modules = [selection._modules[number] for number in numbers.tolist()]
    return {f"{layer}/{weight.name}": count for (layer, weight), count in zip(modules, found.tolist(), strict=True)}


@settings(max_examples=25)
@given(st.integers(0, 999), st.floats(0.01, 1))
def test_random_sets_take_as_many_of_each_module_and_no_weight_twice(seed: int, share: float) -> None:
    blocks, _, selection = made(2, seed, ties=False, shares=(share,))
    like = selection.chosen("shallow", "activation", 0, share)
    found = selection.random(like, np.random.default_rng(seed))
    assert len(set(found.tolist())) == len(found)
    assert counts(selection, found) == counts(selection, like)
    assert sum(counts(selection, found).values()) == len(like)
    for name in counts(selection, found):
        assert int(name.split("/")[0]) in (0, 1)
    with zeroed(selection.cuts(found)):
        zeros = sum(int((weight.parameter == 0).sum()) for block in blocks for weight in block.weights)
    assert zeros == len(found)


def test_random_sets_take_every_weight_of_a_module_as_often_as_any_other() -> None:
    _, _, selection = made(1, 0, ties=False, shares=(0.2,))
    like = selection.chosen("deep", "activation", 0, 0.2)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([selection.random(like, rng) for _ in range(2000)])
    for number, count in zip(*np.unique(like >> SHIFT, return_counts=True), strict=True):
        places = drawn[drawn >> SHIFT == number] & ((1 << SHIFT) - 1)
        weight = selection._modules[number][1]
        expected = 2000 * count / weight.size
        assert np.abs(np.bincount(places, minlength=weight.size) - expected).max() < 5 * np.sqrt(expected)


def test_cuts_zero_the_weights_of_a_set_and_no_others() -> None:
    blocks, _, selection = made(2, 3, ties=False, shares=(0.3,))
    for criterion in OWN_CRITERIA:
        codes = selection.chosen("shallow", criterion, 1, 0.3)
        expected = {int(code) for code in codes}
        with zeroed(selection.cuts(codes)):
            found = set()
            for number, (_, weight) in enumerate((k, w) for k, block in enumerate(blocks) for w in block.weights):
                places = (weight.matrices.reshape(-1) == 0).nonzero()[:, 0].tolist()
                found |= {(number << SHIFT) + place for place in places}
        assert found == expected


@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_largest_single_weights_are_the_domains_in_turn(count: int) -> None:
    blocks, scores, selection = made(2, 5, ties=False, shares=(0.5,))
    orders = []
    for domain in range(2):
        values = slow(blocks, [0, 1, 3], scores, "activation", domain)
        orders.append(sorted(values, key=lambda code: -values[code]))
    turns = list(dict.fromkeys(code for turn in zip(*orders, strict=True) for code in turn))
    found = selection.largest(count)
    assert len(found) == count
    names = [weight.name for block in blocks for weight in block.weights]
    for (layer, name, cut), code in zip(found, turns, strict=False):
        place, columns = code & ((1 << SHIFT) - 1), cut.weight.columns
        assert layer == (code >> SHIFT) // len(SHAPES)
        assert name == f"{names[code >> SHIFT]} [{place // columns}, {place % columns}]"
        with zeroed([cut]):
            assert (cut.weight.matrices.reshape(-1) == 0).nonzero()[:, 0].tolist() == [place]


LENGTHS = {"a": [9, 3, 6], "b": [4, 8]}


@pytest.mark.parametrize("objective", ["max-logit", "mean-logprob"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "gemma3n", "mixtral", "gpt-oss"])
def test_means_and_input_norms_are_those_of_plain_autograd_and_a_plain_hook(name: str, objective: str) -> None:
    model = tiny_model(name)
    structure = find_structure(model)
    given_ids = {domain: random_ids(lengths, seed=len(domain)) for domain, lengths in LENGTHS.items()}
    readings = [
        [
            Reading(tuple(ids), (len(ids) - 1,))
            if objective == "max-logit"
            else Reading(tuple(ids[:-1]), tuple(range(len(ids) - 1)), tuple(ids[1:]))
            for ids in several
        ]
        for several in given_ids.values()
    ]
    cases = [Case(tuple(ids)) for several in given_ids.values() for ids in several]
    architecture = ARCHITECTURES[name]
    expected = reference(model, architecture.blocks, cases, objective, architecture.bare)
    sizes = [len(lengths) for lengths in LENGTHS.values()]
    seen = list(range(len(structure.blocks)))[::-1]
    # While they are told, the model is in the engine's hands.
    told = [copy.deepcopy(one) for one in score_layers(adopt(model), structure, OBJECTIVES[objective], readings)]
    for scores, layer in zip(told, seen, strict=True):
        assert scores.layer == layer
        for weight in structure.blocks[layer].weights:
            activation = expected.layers[layer][weight.name]
            for domain, part in enumerate(np.split(activation, np.cumsum(sizes)[:-1])):
                mean = part.mean(0)
                np.testing.assert_allclose(
                    scores.means[weight.name][domain], mean, rtol=1e-5, atol=1e-6 * mean.max(), err_msg=weight.name
                )
            if isinstance(weight.owner, nn.Linear) or type(weight.owner).__name__ == "Conv1D":
                for domain, several in enumerate(readings):
                    norms = input_norms(model, weight, [one.input_ids for one in several])
                    np.testing.assert_allclose(scores.norms[weight.name][domain, 0], norms, rtol=1e-5)


def input_norms(model: nn.Module, weight: LinearWeight, texts: list[tuple[int, ...]]) -> NDArray[np.float64]:
    squares = torch.zeros(weight.columns, dtype=torch.float64)

    def look(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        squares.add_(inputs[0].detach().reshape(-1, weight.columns).square().sum(0))

    handle = weight.owner.register_forward_pre_hook(look)
    with torch.no_grad():
        for ids in texts:
            model(input_ids=torch.tensor([ids]), use_cache=False)
    handle.remove()
    return squares.sqrt().numpy()


def test_means_are_the_scores_that_a_run_saves(tiny_model: Path, tmp_path: Path) -> None:
    given_ids = {"a": random_ids([9, 3, 6]), "b": random_ids([4, 8], seed=1)}
    paramscope.profile(tiny_model, given_ids, output=tmp_path / "run", save_scores=True, held_out=0)
    profile = paramscope.Profile.load(tmp_path / "run")
    from paramscope.causal.texts import objective_of, profiled_samples
    from paramscope.models.open import load, locate

    opened = load(locate(str(tiny_model)), device="cpu")
    objective = objective_of(profile)
    readings = [[objective.read(sample) for sample in several] for several in profiled_samples(profile).values()]
    for scores in score_layers(opened, find_structure(opened.model), objective, readings):
        (path,) = (tmp_path / "run" / "scores").glob(f"layer-*{scores.layer}.safetensors")
        saved = load_file(path)
        assert saved
        for name, values in scores.means.items():
            np.testing.assert_allclose(saved[name], values, rtol=1e-5, atol=1e-9, err_msg=name)
