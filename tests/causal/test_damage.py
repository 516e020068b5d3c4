"""Damage of sets and parts: what a plain run of the zeroed model loses on each text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import paramscope
from paramscope.causal.damage import HeldOut, first_block
from paramscope.causal.parts import NEURON_SHARE, check_parts, list_parts
from paramscope.causal.zeroing import Cut, zeroed
from paramscope.engine.objectives import Reading
from paramscope.models.blocks import find_structure
from paramscope.models.running import evaluation_mode
from tests.engine.architectures import random_ids, tiny_model

TEXTS = {"a": random_ids([9, 3, 12, 2]), "b": random_ids([7, 5], seed=1), "c": random_ids([4, 8, 6], seed=2)}
NAMES = ["llama", "gpt2", "opt", "gemma3n", "mixtral", "mamba", "falcon"]


def held_out(model: nn.Module) -> HeldOut:
    readings = {
        domain: [Reading(tuple(ids[:-1]), tuple(range(len(ids) - 1)), tuple(ids[1:])) for ids in given]
        for domain, given in TEXTS.items()
    }
    return HeldOut(model, find_structure(model), readings)


def plain_losses(model: nn.Module) -> list[float]:
    """Nats per token of every text, one at a time."""
    found = []
    for ids in [ids for given in TEXTS.values() for ids in given]:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1]
        found.append(float(nn.functional.cross_entropy(logits.float(), torch.tensor(ids[1:]))))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_damages_are_those_of_plain_runs(name: str) -> None:
    model = tiny_model(name)
    blocks = find_structure(model).blocks
    with evaluation_mode(model):
        held = held_out(model)
        assert held.owner.tolist() == [0] * 4 + [1] * 2 + [2] * 3
        plain = plain_losses(model)
        np.testing.assert_allclose(held.losses, plain, rtol=1e-5)
        np.testing.assert_array_equal(held.damage([], len(blocks)), np.zeros(9))
        for number, block in enumerate(blocks):
            cuts = [Cut.columns(weight, slice(0, weight.columns // 2)) for weight in block.weights]
            assert first_block(blocks, cuts) == number
            found = held.damage(cuts, number)
            with zeroed(cuts):
                expected = np.array(plain_losses(model)) - plain
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
            assert np.abs(found).max() > 1e-3
        np.testing.assert_allclose(held.damage([], 0), 0, atol=1e-6)


def test_first_block_is_the_first_that_has_a_weight_of_the_cuts() -> None:
    blocks = find_structure(tiny_model("llama")).blocks
    cuts = [Cut.whole(blocks[2].weights[0]), Cut.whole(blocks[1].weights[3])]
    assert first_block(blocks, cuts) == 1
    assert first_block(blocks, []) == len(blocks)


def test_an_answer_that_is_no_number_is_an_infinite_damage() -> None:
    model = tiny_model("llama", dtype=torch.float32)
    with evaluation_mode(model):
        held = held_out(model)
        blocks = find_structure(model).blocks

        def spoil(module: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor | None:
            return output if module.weight.any() else output * torch.nan

        handle = blocks[1].module.mlp.up_proj.register_forward_hook(spoil)
        cuts = [Cut.whole(weight) for weight in blocks[1].weights if weight.name == "mlp.up_proj"]
        assert np.isposinf(held.damage(cuts, 1)).all()
        handle.remove()


@pytest.mark.parametrize(
    ("name", "attention", "mlp"),
    [
        ("llama", "self_attn.o_proj", "mlp.down_proj"),
        ("gpt2", "attn.c_proj", "mlp.c_proj"),
        ("opt", "self_attn.out_proj", "fc2"),
        ("qwen3", "self_attn.o_proj", "mlp.down_proj"),
        ("falcon", "self_attention.dense", "mlp.dense_4h_to_h"),
        ("gpt-neox", "attention.dense", "mlp.dense_4h_to_h"),
        ("phi3", "self_attn.o_proj", "mlp.down_proj"),
        ("gemma2", "self_attn.o_proj", "mlp.down_proj"),
    ],
)
def test_writers_are_found_without_their_names(name: str, attention: str, mlp: str) -> None:
    model = tiny_model(name)
    for writer in find_structure(model).writers:
        assert writer.attention
        assert writer.mlp
        assert (writer.attention.name, writer.mlp.name, writer.heads) == (attention, mlp, 4)


def test_a_recurrent_model_has_no_heads() -> None:
    model = tiny_model("mamba")
    for writer in find_structure(model).writers:
        assert (writer.attention, writer.heads) == (None, 0)


def every_part(seed: int = 0) -> tuple[nn.Module, list, paramscope.Profile]:
    model = tiny_model("llama", intermediate_size=48)
    profile = paramscope.profile(model, TEXTS, samples=9, held_out=0)
    blocks = find_structure(model).blocks
    return model, list_parts(profile, blocks, find_structure(model).writers, most={}, seed=seed), profile


def test_parts_are_whole_layers_heads_and_groups_of_neurons_with_their_sums() -> None:
    model, parts, profile = every_part()
    blocks = find_structure(model).blocks
    kinds = pd.Series([part.kind for part in parts]).value_counts().to_dict()
    assert kinds == {"layer": 3, "head": 12, "neurons": 3, "random neurons": 3}
    sums = profile.tables.sums
    neurons: dict[tuple[str, int], set[int]] = {}
    for part in parts:
        weights = {weight.name: weight for weight in blocks[part.layer].weights}
        before = {name: weight.matrices.clone() for name, weight in weights.items()}
        with zeroed(part.cuts):
            gone = {name: (weight.matrices == 0) & (before[name] != 0) for name, weight in weights.items()}
        touched = {name: mask for name, mask in gone.items() if mask.any()}
        if part.kind == "layer":
            assert all(mask.all() for mask in gone.values())
            expected = sum(sums[f"{part.layer}/{name}/columns"].sum(1) for name in weights)
        else:
            name = "self_attn.o_proj" if part.kind == "head" else "mlp.down_proj"
            assert list(touched) == [name]
            columns = touched[name][0].all(0).nonzero()[:, 0].tolist()
            assert touched[name].sum() == len(columns) * 16
            expected = sums[f"{part.layer}/{name}/columns"][:, columns].sum(1)
            if part.kind == "head":
                head = int(part.name.removeprefix("head "))
                assert columns == list(range(4 * head, 4 * head + 4))
            else:
                assert len(columns) == 48 // NEURON_SHARE
                neurons[part.kind, part.layer] = set(columns)
        np.testing.assert_allclose(part.predicted, expected, rtol=1e-5)
    for layer in range(3):
        sizes = sums[f"{layer}/mlp.down_proj/columns"].sum(0)
        assert neurons["neurons", layer] == set(np.argsort(-sizes)[:3].tolist())
        assert not neurons["neurons", layer] & neurons["random neurons", layer]


def test_as_many_parts_of_a_kind_as_were_asked_for_are_drawn_by_the_seed() -> None:
    model, _, profile = every_part()
    blocks = find_structure(model).blocks
    most = {"layer": 2, "head": 5, "neurons": 0, "random neurons": 1}

    def drawn(seed: int) -> list[tuple[str, int, str]]:
        parts = list_parts(profile, blocks, find_structure(model).writers, most=most, seed=seed)
        return [(part.kind, part.layer, part.name) for part in parts]

    assert drawn(0) == drawn(0)
    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1
    assert pd.Series([kind for kind, _, _ in drawn(0)]).value_counts().to_dict() == {
        kind: count for kind, count in most.items() if count
    }


def test_damages_of_parts_are_put_to_their_texts() -> None:
    model, parts, profile = every_part()
    with evaluation_mode(model):
        held = held_out(model)
        steps: list[int] = []
        table = check_parts(held, parts[:4], profile.domains, steps.append)
        assert sum(steps) == 4
        assert len(table) == 4 * 9
        for number, part in enumerate(parts[:4]):
            rows = table.iloc[9 * number : 9 * number + 9]
            np.testing.assert_array_equal(rows["damage"], held.damage(part.cuts, part.layer))
            assert rows["domain"].tolist() == ["a"] * 4 + ["b"] * 2 + ["c"] * 3
            assert rows["sample"].tolist() == [0, 1, 2, 3, 0, 1, 0, 1, 2]
            assert rows["predicted"].tolist() == pytest.approx(part.predicted[held.owner].tolist())
