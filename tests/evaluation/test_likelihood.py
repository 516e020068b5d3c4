"""Log-likelihoods equal those of one row at a time in float64, whatever the batches."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paramscope.errors import UsageError
from paramscope.evaluation.likelihood import continuation_losses
from paramscope.models.open import load, locate, sketch
from tests.conftest import save_tiny_model
from tests.engine.architectures import ARCHITECTURES, random_ids, tiny_model
from tests.evaluation.models import Unigram, one_at_a_time

Rows = list[tuple[list[int], list[int]]]


def made_rows(lengths: list[tuple[int, int]], seed: int = 0) -> Rows:
    contexts = random_ids([context for context, _ in lengths], seed=seed)
    continuations = random_ids([count for _, count in lengths], seed=seed + 1)
    return list(zip(contexts, continuations, strict=True))


ROWS = made_rows([(1, 1), (9, 3), (4, 7), (12, 1), (2, 2), (1, 11), (7, 5), (3, 1)])


def assert_as_one_at_a_time(model: Any, rows: Rows, tolerance: float, **options: Any) -> None:
    found = continuation_losses(model, rows, **options)
    assert len(found) == len(rows)
    for (context, continuation), scored in zip(rows, found, strict=True):
        assert scored.losses.dtype == np.float64
        expected = one_at_a_time(model, context, continuation)
        np.testing.assert_allclose(scored.losses, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma2", "gemma3n", "bloom", "opt", "mixtral", "mamba", "phi"])
@pytest.mark.parametrize("batch_tokens", [1, 30, 10_000])
def test_losses_are_those_of_one_row_at_a_time_in_float64(name: str, batch_tokens: int) -> None:
    # Some models compute parts in float32 whatever their type, and round otherwise beside other rows.
    tolerance = 1e-5 if ARCHITECTURES[name].alone else 1e-10
    assert_as_one_at_a_time(tiny_model(name), ROWS, tolerance, batch_tokens=batch_tokens)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=9),
    seed=st.integers(0, 1000),
    batch_tokens=st.integers(1, 120),
)
def test_any_rows_in_any_batches(lengths: list[tuple[int, int]], seed: int, batch_tokens: int) -> None:
    assert_as_one_at_a_time(LLAMA, made_rows(lengths, seed), 1e-10, batch_tokens=batch_tokens)


LLAMA = tiny_model("llama")


def test_order_of_rows_changes_nothing_but_the_order() -> None:
    shuffled = list(range(len(ROWS)))
    random.Random(3).shuffle(shuffled)
    found = continuation_losses(LLAMA, ROWS, batch_tokens=40)
    again = continuation_losses(LLAMA, [ROWS[place] for place in shuffled], batch_tokens=40)
    for number, place in enumerate(shuffled):
        np.testing.assert_allclose(again[number].losses, found[place].losses, rtol=1e-12)


def test_float32_is_close_to_float64() -> None:
    found = continuation_losses(tiny_model("llama", dtype=torch.float32), ROWS)
    for row, scored in zip(ROWS, found, strict=True):
        np.testing.assert_allclose(scored.losses, one_at_a_time(LLAMA, *row), rtol=1e-4)


def test_greedy_says_whether_every_token_is_the_most_likely() -> None:
    context = ROWS[1][0]
    ids = list(context)
    for _ in range(4):
        with torch.no_grad():
            ids.append(int(LLAMA(torch.tensor([ids])).logits[0, -1].argmax()))
    right = ids[len(context) :]
    wrong = [*right[:2], (right[2] + 1) % 61, right[3]]
    found = continuation_losses(LLAMA, [(context, right), (context, wrong), (context, wrong[:2])])
    assert [scored.greedy for scored in found] == [True, False, True]


def test_rows_with_the_same_input_are_run_once() -> None:
    forwards: list[int] = []
    handle = LLAMA.register_forward_pre_hook(
        lambda _, args, kwargs: forwards.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    context = ROWS[3][0]
    told: list[int] = []
    rows: Rows = [(context, [token]) for token in (5, 6, 7, 8)] + [(context, [5, 9])]
    found = continuation_losses(LLAMA, rows, progress=told.append)
    handle.remove()
    assert sum(forwards) == 2
    assert sum(told) == 5
    assert len({float(scored.losses[0]) for scored in found[:4]}) == 4


def test_only_positions_that_are_read_go_through_the_head() -> None:
    seen: list[tuple[int, ...]] = []
    handle = LLAMA.lm_head.register_forward_hook(lambda _, args, out: seen.append(tuple(out.shape)))
    continuation_losses(LLAMA, made_rows([(50, 2)] * 16))
    handle.remove()
    assert seen == [(16, 2, 61)]


def test_model_is_given_back_unchanged() -> None:
    model = tiny_model("llama", dtype=torch.float32)
    model.train()
    model.config.use_cache = True
    model.model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wanting = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    continuation_losses(model, ROWS)
    assert all(module.training for module in model.modules())
    assert model.config.use_cache is True
    assert {name: parameter.requires_grad for name, parameter in model.named_parameters()} == wanting
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_without_a_named_head_is_read_at_the_same_positions() -> None:
    model = Unigram([0.5, 0.25, 0.125, 0.125])
    found = continuation_losses(model, [([0], [1, 0, 3]), ([2, 2, 2], [0])])
    np.testing.assert_allclose(found[0].losses, np.log([4, 2, 8]), rtol=1e-6)
    np.testing.assert_allclose(found[1].losses, np.log([2]), rtol=1e-6)
    assert [scored.greedy for scored in found] == [False, True]


def test_a_token_without_a_number_has_an_infinite_loss() -> None:
    model = Unigram([0.5, 0.5, 0.0])
    assert continuation_losses(model, [([0], [2, 1])])[0].losses[0] == math.inf
    with torch.no_grad():
        model.logits[:] = math.nan
    assert continuation_losses(model, [([0], [1])])[0].losses.tolist() == [math.inf]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (([], [3]), "row 1 has no context; give one token or more"),
        (([3], []), "row 1 has no continuation; give one token or more"),
        (([3], [61]), "row 1: token id 61 is beyond the model's vocabulary of 61; use the model's own tokenizer"),
    ],
)
def test_rows_that_cannot_be_scored_are_named(row: tuple[list[int], list[int]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        continuation_losses(LLAMA, [([3], [4]), row])


def test_no_rows_give_no_results() -> None:
    assert continuation_losses(LLAMA, []) == []


@pytest.mark.parametrize("name", ["llama", "mixtral", "gemma3n"])
def test_weights_that_stay_on_the_disk_give_the_same_bits(tmp_path: Path, name: str) -> None:
    folder = save_tiny_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    tiny_model(name, dtype=torch.float32).save_pretrained(folder)
    located = locate(str(folder))
    opened = load(located, streamed=sketch(located))
    assert opened.weights
    with opened.running():
        found = continuation_losses(opened.model, ROWS, batch_tokens=30)
    expected = continuation_losses(load(located).model, ROWS, batch_tokens=30)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.losses, other.losses)
