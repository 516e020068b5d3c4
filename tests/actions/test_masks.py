"""Masks: exact counts everywhere, and the weights that a slow, obvious choice would take."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies
from torch import nn

from paramscope.actions.pruning import masks
from paramscope.actions.pruning.masks import Pattern
from paramscope.errors import UsageError
from paramscope.models.blocks import Block
from paramscope.models.weights import LinearWeight

SEEDS = strategies.integers(0, 10_000)
SHAPES = strategies.tuples(strategies.integers(1, 9), strategies.integers(1, 24))


def random_scores(shape: tuple[int, int], seed: int, *, tied: bool) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if tied:
        return torch.randint(0, 3, shape, generator=generator).float()
    return torch.rand(shape, generator=generator)


@given(SHAPES, SEEDS, strategies.booleans())
def test_each_row_loses_its_own_number_of_lowest_scores(shape: tuple[int, int], seed: int, tied: bool) -> None:
    scores = random_scores(shape, seed, tied=tied)
    zeros = np.random.default_rng(seed).integers(0, shape[1] + 1, shape[0])
    mask = masks.lowest_of_rows(scores, zeros)
    np.testing.assert_array_equal(mask.sum(1).numpy(), zeros)
    for row, gone in zip(scores, mask, strict=True):
        if gone.any() and not gone.all():
            assert row[gone].max() <= row[~gone].min()


@given(SHAPES, SEEDS, strategies.booleans())
def test_a_module_loses_exactly_its_number_of_lowest_scores(shape: tuple[int, int], seed: int, tied: bool) -> None:
    scores = random_scores(shape, seed, tied=tied)
    zeros = int(np.random.default_rng(seed).integers(0, scores.numel() + 1))
    mask = masks.lowest(scores, zeros)
    assert mask.shape == scores.shape
    assert int(mask.sum()) == zeros
    if 0 < zeros < scores.numel():
        assert scores[mask].max() <= scores[~mask].min()


@pytest.mark.parametrize("pattern", masks.PATTERNS)
@given(rows=strategies.integers(1, 6), groups=strategies.integers(1, 5), seed=SEEDS, tied=strategies.booleans())
def test_every_group_keeps_exactly_its_number_of_highest_scores(
    pattern: str, rows: int, groups: int, seed: int, tied: bool
) -> None:
    wanted = Pattern.parse(pattern)
    scores = random_scores((rows, groups * wanted.groups), seed, tied=tied)
    mask = masks.lowest_of_groups(scores, wanted)
    kept = (~mask).view(-1, wanted.groups)
    assert (kept.sum(1) == wanted.kept).all()
    for group, stays in zip(scores.view(-1, wanted.groups), kept, strict=True):
        assert group[~stays].max() <= group[stays].min()


def test_ties_go_by_lot_and_not_by_place() -> None:
    gone = masks.lowest_of_rows(torch.zeros(1, 4000), np.array([2000]))[0].nonzero()[:, 0]
    assert 800 < int((gone < 2000).sum()) < 1200
    gone = masks.lowest(torch.zeros(40, 100), 2000).flatten().nonzero()[:, 0]
    assert 800 < int((gone < 2000).sum()) < 1200
    assert torch.equal(masks.lowest(torch.zeros(40, 100), 2000), masks.lowest(torch.zeros(40, 100), 2000))


def test_rows_are_sorted_in_pieces_to_the_same_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, zeros = random_scores((50, 16), 3, tied=True), np.arange(50) % 17
    whole = masks.lowest_of_rows(scores, zeros)
    monkeypatch.setattr(masks, "_CHUNK", 40)
    assert torch.equal(masks.lowest_of_rows(scores, zeros), whole)


def test_inputs_that_cannot_be_cut_into_groups_are_refused_by_name() -> None:
    linear = nn.Linear(10, 8)
    block = Block("model.layers.3", linear, (LinearWeight("mlp.down_proj", linear),))
    with pytest.raises(UsageError, match=r"model\.layers\.3\.mlp\.down_proj has 10 inputs, which is no multiple of 4"):
        Pattern.parse("2:4").check([block])


def test_the_inputs_count_also_where_a_weight_is_kept_transposed() -> None:
    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(8, 10))

    held = Held()
    transposed = Block("h.0", held, (LinearWeight("c_fc", held, transposed=True),))
    Pattern.parse("4:8").check([transposed])
    with pytest.raises(UsageError, match=r"h\.0\.c_fc has 10 inputs"):
        Pattern.parse("4:8").check([Block("h.0", held, (LinearWeight("c_fc", held),))])


@pytest.mark.parametrize("text", ["1:4", "2:3", "4:2", "2-4", ""])
def test_other_patterns_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give 2:4 or 4:8"):
        Pattern.parse(text)
    assert Pattern.parse("2:4").sparsity == Pattern.parse("4:8").sparsity == 0.5
