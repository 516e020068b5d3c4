"""One thread a process, fewer draws than users get, and checks of a size that no clock decides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from paramscope import verifying
from paramscope.causal.design import Sizes, plan_sizes
from paramscope.causal.sets import SetPlan
from tests.cli.conftest import call, refused  # noqa: F401 - fixtures

Resize = Callable[..., None]

SMALL: dict[str, Any] = {
    "scored": 4,
    "texts": 4,
    "cells": 6,
    "held_out": 4,
    "tokens": 16,
    "sets": SetPlan(("shallow", "middle", "deep"), (1e-2,), ("activation", "ratio"), True, 1),
    "parts": {"layer": 4, "head": 3, "neurons": 2, "random neurons": 2, "weight": 3},
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def resize(monkeypatch: pytest.MonkeyPatch) -> Resize:
    """Replace the sizes that follow from the run's timings by given ones; never more than there is."""

    def give(**sizes: Any) -> None:
        def plan(profile: Any, blocks: Any, *, held_out: dict[str, list[int]], **rest: Any) -> Sizes:
            planned = plan_sizes(profile, blocks, held_out=held_out, **rest)
            wanted = SMALL | sizes
            wanted["scored"] = min(wanted["scored"], *(domain.samples for domain in profile.manifest.domains))
            wanted["held_out"] = min(wanted["held_out"], *map(len, held_out.values()))
            return dataclasses.replace(planned, **wanted)

        monkeypatch.setattr(verifying, "plan_sizes", plan)

    return give


@pytest.fixture
def small(resize: Resize, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that take a moment."""
    resize()
    monkeypatch.setattr("paramscope.measures.ranks.DRAWS", 20)
    monkeypatch.setattr("paramscope.measures.specificity.PERMUTATIONS", 59)
