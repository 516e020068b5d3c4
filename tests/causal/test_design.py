"""Sizes of the checks fit into the budget and the memory, and follow from nothing but the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

import paramscope
from paramscope.causal.design import Sizes, plan_sizes
from paramscope.causal.selection import Selection, selection_memory
from paramscope.errors import RunError
from paramscope.measures.bands import thirds
from paramscope.models.blocks import Block, find_structure
from paramscope.models.open import load, locate
from paramscope.result.profile import Profile
from tests.conftest import made_texts

HELD_OUT = {"a": [60] * 16, "b": [200] * 16}


@pytest.fixture(scope="module")
def measured(tiny_model: Path) -> tuple[Profile, list[Block]]:
    """A run that took 100 seconds to measure, and the blocks of its model."""
    given = {"a": made_texts(8), "b": made_texts(8, start=40)}
    profile = paramscope.profile(tiny_model, given, samples=8, held_out=0)
    profile.manifest.timings = {"opening": 2.0, "forward": 10.0, "measuring": 100.0, "self_check": 5.0}
    return profile, list(find_structure(load(locate(str(tiny_model)), device="cpu").model).blocks)


def sizes_of(measured: tuple[Profile, list[Block]], budget: float, **rest: Any) -> Sizes:
    given: dict[str, Any] = {"held_out": HELD_OUT, "vocabulary_weights": 1000, "double": True, "steps": 0}
    return plan_sizes(*measured, budget=budget, **{"memory": None, **given, **rest})


@pytest.mark.parametrize("steps", [0, 4, 32])
@pytest.mark.parametrize("budget", [600.0, 3600.0])
def test_checks_are_expected_to_end_within_a_budget_that_is_enough(
    measured: tuple[Profile, list[Block]], budget: float, steps: int
) -> None:
    assert sizes_of(measured, budget, steps=steps).seconds <= budget


def test_a_larger_budget_tries_no_less(measured: tuple[Profile, list[Block]]) -> None:
    before = sizes_of(measured, 30)
    for budget in (60, 120, 300, 1200, 7200):
        sizes = sizes_of(measured, budget)
        assert sizes.scored >= before.scored
        assert sizes.texts * sizes.cells >= before.texts * before.cells
        assert sizes.sets.trials(2) >= before.sets.trials(2)
        assert sum(sizes.parts.values()) >= min(sum(before.parts.values()), sum(sizes.parts.values()))
        before = sizes


def test_paths_of_the_integrated_activation_are_paid_for_by_fewer_texts(measured: tuple[Profile, list[Block]]) -> None:
    plain, integrated = (sizes_of(measured, 300, steps=steps) for steps in (0, 16))
    assert 1 <= integrated.texts < plain.texts
    assert integrated.cells * integrated.texts >= len(measured[1])


def test_memory_decides_which_sets_can_be_chosen(measured: tuple[Profile, list[Block]]) -> None:
    bands = thirds(len(measured[1]))
    rich = sizes_of(measured, 7200)
    needed = selection_memory(measured[1], bands, rich.sets.shares, 2, len(rich.sets.criteria))
    assert sizes_of(measured, 7200, memory=needed) == rich
    lean = sizes_of(measured, 7200, memory=needed - 1)
    assert len(lean.sets.criteria) < len(rich.sets.criteria)
    with pytest.raises(RunError, match=r"for 2 domains takes .* of memory, and 1 MiB may be used"):
        sizes_of(measured, 7200, memory=10)


def test_memory_of_a_selection_is_that_of_its_largest_sets(measured: tuple[Profile, list[Block]]) -> None:
    blocks = measured[1]
    bands = thirds(len(blocks))
    selection = Selection(blocks, bands, (0.01, 0.1), 2, ("activation", "ratio"))
    weights = sum(selection.size(band, 0.1) for band in bands)
    assert selection_memory(blocks, bands, (0.01, 0.1), 2, 2) == 2 * weights * (4 + 8) * 5


def test_sizes_follow_from_the_run_and_the_budget(measured: tuple[Profile, list[Block]]) -> None:
    assert sizes_of(measured, 500) == sizes_of(measured, 500)
    assert dataclasses.asdict(sizes_of(measured, 500)) != dataclasses.asdict(sizes_of(measured, 5000))
