"""The cheap path: many variants of a text in one forward are what zeroing one weight at a time gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from paramscope.causal.double import InDouble
from paramscope.causal.single import check_singles
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.engine.replay import Replay, SingleCut
from paramscope.models.blocks import Structure, find_structure
from paramscope.models.running import evaluation_mode
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.custom import Block, Changed, Model

NAMES = ["llama", "gpt2", "opt", "bloom", "gemma3n", "mamba", "falcon-h1", "qwen3-next", "mixtral", "gpt-oss", "rwkv"]
READINGS = [Reading(tuple(ids), (len(ids) - 1,)) for ids in random_ids([7, 7, 4])]


def last_logits(model: nn.Module, reading: Reading) -> torch.Tensor:
    """``[V]`` at the last position, by the model as it stands and nothing else."""
    with torch.no_grad(), InDouble():
        found: torch.Tensor = model(input_ids=torch.tensor([reading.input_ids]), use_cache=False).logits[0, -1]
    return found


def without(model: nn.Module, parameter: nn.Parameter, place: tuple[int, ...], reading: Reading) -> torch.Tensor:
    """The same without one weight, which is zeroed in place."""
    kept = parameter.data[place].clone()
    parameter.data[place] = 0
    try:
        return last_logits(model, reading)
    finally:
        parameter.data[place] = kept


def some_cuts(structure: Structure, layer: int, replay: Replay, count: int = 3) -> list[SingleCut]:
    generator = torch.Generator().manual_seed(layer)
    cuts = []
    for weight in structure.blocks[layer].weights:
        if replay.takes_variants(weight):
            for place in torch.randint(weight.size, (count,), generator=generator).tolist():
                cuts.append(SingleCut(weight, *divmod(place, weight.columns)))
    return cuts


def placed(cut: SingleCut) -> tuple[int, ...]:
    """Where the parameter holds the weight."""
    return (cut.column, cut.row) if cut.weight.transposed else (cut.row, cut.column)


@pytest.mark.parametrize("name", NAMES)
def test_variants_together_are_what_zeroing_each_weight_gives(name: str) -> None:
    model = tiny_model(name)
    structure = find_structure(model)
    readings = READINGS[:1] if structure.routes else READINGS[:2]
    tried = 0
    with evaluation_mode(model), InDouble():
        replay = Replay(model, structure.blocks, readings)
        for layer in range(len(structure.blocks)):
            cuts = some_cuts(structure, layer, replay)
            found = replay.without(layer, cuts)[:, 0].view(len(cuts), len(readings), -1)
            for cut, logits in zip(cuts, found, strict=True):
                for reading, ours in zip(readings, logits, strict=True):
                    expected = without(model, cut.weight.parameter, placed(cut), reading)
                    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
                    tried += 1
    assert tried >= 3 * len(structure.blocks)


@pytest.mark.parametrize("name", [*NAMES, "opt-projected", "gemma4", "minimax"])
def test_a_replay_from_any_block_is_the_whole_model(name: str) -> None:
    model = tiny_model(name)
    structure = find_structure(model)
    readings = READINGS[:1] if structure.routes else READINGS
    with evaluation_mode(model), InDouble():
        replay = Replay(model, structure.blocks, readings)
        for reading, ours in zip(readings, replay.logits, strict=True):
            torch.testing.assert_close(ours[0], last_logits(model, reading), rtol=1e-9, atol=1e-9)
        for first in range(len(structure.blocks) + 1):
            torch.testing.assert_close(replay.from_block(first), replay.logits, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3n", "mamba", "mixtral"])
def test_a_replay_sees_the_weights_of_its_block_and_of_those_behind_as_they_are_now(name: str) -> None:
    model = tiny_model(name)
    structure = find_structure(model)
    with evaluation_mode(model), InDouble():
        replay = Replay(model, structure.blocks, READINGS[:1])
        for first, block in enumerate(structure.blocks):
            parameter = block.weights[-1].parameter
            kept = parameter.data.clone()
            parameter.data *= 0.5
            expected = last_logits(model, READINGS[0])
            torch.testing.assert_close(replay.from_block(first)[0, 0], expected, rtol=1e-9, atol=1e-9)
            assert not torch.allclose(replay.logits[0, 0], expected)
            parameter.data[:] = kept


@pytest.mark.parametrize("objective", ["max-logit", "mean-logprob"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "gpt-oss", "mamba", "llama4", "gemma3n", "gemma4"])
def test_changes_of_drawn_weights_are_those_of_zeroing_them(name: str, objective: str) -> None:
    # Weights of experts too, which are zeroed in place, and those that a recurrence multiplies from the left.
    model = tiny_model(name)
    structure = find_structure(model)
    ids = READINGS[0].input_ids
    reading = READINGS[0] if objective == "max-logit" else Reading(ids[:-1], tuple(range(len(ids) - 1)), ids[1:])
    with InDouble():
        cells = sum(len(block.weights) for block in structure.blocks)
        table = check_singles(model, structure.blocks, OBJECTIVES[objective], [("a", 0, reading)], cells=cells, seed=0)
    assert len(table) == cells
    token = int(last_logits(model, READINGS[0]).argmax())

    def value() -> tuple[float, float]:
        with torch.no_grad(), InDouble(), evaluation_mode(model):
            logits = model(input_ids=torch.tensor([ids])).logits[0]
        if objective == "max-logit":
            return float(logits[-1, token]), float(logits[-1].max())
        chances = logits.log_softmax(-1)
        told = float(torch.stack([chances[i, t] for i, t in enumerate(ids[1:])]).mean())
        return told, told

    plain = value()
    weights = {(layer, w.name): w for layer, block in enumerate(structure.blocks) for w in block.weights}
    for row in table.to_dict("records"):
        weight = weights[row["layer"], row["module"]]
        stack, place = divmod(row["row"], weight.rows // weight.stack)
        held = weight.matrices[stack, place]
        kept = held[row["column"]].clone()
        held[row["column"]] = 0
        changed = value()
        held[row["column"]] = kept
        assert row["change"] == pytest.approx(changed[0] - plain[0], rel=1e-7, abs=1e-10), row
        assert row["change_free"] == pytest.approx(changed[1] - plain[1], rel=1e-7, abs=1e-10), row


@pytest.mark.parametrize("how", ["of the next block", "between the blocks"])
def test_a_hidden_state_that_is_changed_in_place_is_kept_as_it_was(how: str) -> None:
    def careless(block: Any, hidden: torch.Tensor) -> torch.Tensor:
        given = hidden.clone()
        hidden.mul_(0.5).add_(1)
        return block.plain(given)

    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        for block in blocks:
            hidden = block(hidden)
            hidden += 1
        return hidden

    if how == "of the next block":
        model = Model([Block(), Changed(careless), Block()])
    else:
        model = Model([Block(), Block(), Block()], wire)
    structure = find_structure(model)
    with evaluation_mode(model):
        with torch.no_grad():
            expected = model(torch.tensor([READINGS[0].input_ids]) % 31).logits[:, -1]
        reading = Reading(tuple(i % 31 for i in READINGS[0].input_ids), READINGS[0].positions)
        replay = Replay(model, structure.blocks, [reading])
        torch.testing.assert_close(replay.logits[:, 0], expected)
        for first in (3, 2, 1, 0, 3, 2):
            torch.testing.assert_close(replay.from_block(first)[:, 0], expected)


def test_nudged_variants_differ_by_noise_only() -> None:
    model = tiny_model("llama")
    structure = find_structure(model)
    with evaluation_mode(model), InDouble():
        replay = Replay(model, structure.blocks, READINGS[:1])
        one, other = (replay.without(1, [], nudged=True) - replay.logits[:, :1])[:, 0]
    assert one.abs().max() > 0
    assert (one + other).abs().max() < 1e-6 * one.abs().max()
