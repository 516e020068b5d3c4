"""Runs with other batches, padding, tiles or threads than a user can ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from torch import nn

from paramscope.domains.spec import DomainSpec
from paramscope.engine.batches import plan_batches
from paramscope.planning import Plan, make_plan
from paramscope.profiling import check_plan, run_plan
from paramscope.result.profile import Profile
from paramscope.settings import Settings


def plan_of(model: nn.Module, given: Mapping[str, Sequence[Any]], tokenizer: Any = None, **settings: Any) -> Plan:
    """The plan of a run, with samples together in float64 too: tiny models compute in the weights' own type."""
    specs = [DomainSpec(name, source) for name, source in given.items()]
    plan = make_plan(model, specs, Settings(**settings), tokenizer=tokenizer)
    membership = [place for place, domain in enumerate(plan.domains) for _ in domain.samples]
    batches, _ = plan_batches(
        plan.readings, membership, batch_size=plan.settings.batch_size, tokens=4096, logit_rows=4096
    )
    return dataclasses.replace(plan, batches=batches)


def run(plan: Plan, *, padding: Literal["right", "left"] | None = None, tile_bytes: int | None = None) -> Profile:
    """Run a plan, changed."""
    if padding:
        batches = [dataclasses.replace(batch, padding=padding) for batch in plan.batches]
        plan = dataclasses.replace(plan, batches=batches)
    if tile_bytes:
        plan = dataclasses.replace(plan, reduction=dataclasses.replace(plan.reduction, tile_bytes=tile_bytes))
    return run_plan(plan, check_plan(plan))


def assert_close(ours: Profile, theirs: Profile, tolerance: float) -> None:
    """All sums of two profiles of the same samples, and their densities at many thresholds."""
    for column in ("total", "squares", "largest"):
        np.testing.assert_allclose(
            ours.tables.activation[column], theirs.tables.activation[column], rtol=tolerance, err_msg=column
        )
    for name, sums in theirs.tables.sums.items():
        np.testing.assert_allclose(ours.tables.sums[name], sums, rtol=tolerance, atol=tolerance * sums.max())
    for layer, gram in enumerate(theirs.tables.gram):
        np.testing.assert_allclose(ours.tables.gram[layer], gram, rtol=tolerance, atol=tolerance * gram.max())
    for threshold in (1e-4, 1e-3, 1e-2, 0.1):
        np.testing.assert_allclose(ours.density(threshold), theirs.density(threshold), atol=1e-3)
    columns = ["domain", "index", "tokens", "token", "origin"]
    assert ours.samples[columns].equals(theirs.samples[columns])
    np.testing.assert_allclose(ours.samples["objective"], theirs.samples["objective"], rtol=tolerance)
