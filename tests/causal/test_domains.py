"""Planted specialists are found, and none where all domains are one source."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import paramscope
from paramscope.causal.sets import SetPlan
from paramscope.causal.verdicts import SPECIFIC_CRITERIA
from paramscope.verifying import Checks
from tests.causal.conftest import Resize
from tests.causal.models import Model, Saturated, domain_texts, specialist_model

PLAN = SetPlan(("shallow", "middle", "deep"), (2e-2,), (*SPECIFIC_CRITERIA,), True, 1)


def status(checks: Checks) -> dict[str, str]:
    return {verdict.claim: verdict.status for verdict in checks.result.verdicts}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("domains", [2, 3])
def test_planted_specialists_are_found(domains: int, resize: Resize) -> None:
    resize(scored=12, held_out=10, sets=PLAN)
    model = specialist_model(domains)
    given = {f"d{i}": domain_texts(i, domains, 22) for i in range(domains)}
    profile = paramscope.profile(model, given, samples=12, held_out=10, objective="mean-logprob")
    checks = paramscope.verify(profile, model)
    found = status(checks)
    assert found["specific-activation"] == found["specific-ratio"] == "supported", checks.result.verdicts
    assert found["activation-beats-random"] == "supported"
    for criterion in ("activation", "ratio"):
        bands = [matrix.damage for matrix in checks.result.matrices if matrix.criterion == criterion]
        damage = np.mean(np.array(bands, dtype=float), axis=0)
        assert (damage.argmax(0) == np.arange(domains)).all(), damage
        assert (damage.argmax(1) == np.arange(domains)).all(), damage


@pytest.mark.usefixtures("small")
def test_domains_of_one_source_are_called_specific_no_more_often_than_the_level_allows(resize: Resize) -> None:
    resize(
        scored=6,
        held_out=6,
        texts=1,
        cells=1,
        sets=PLAN,
        parts=dict.fromkeys(("layer", "head", "neurons", "random neurons", "weight"), 1),
    )
    seeds, called = 16, dict.fromkeys([f"specific-{criterion}" for criterion in SPECIFIC_CRITERIA], 0)
    model = Model([Saturated() for _ in range(3)], std=0.6)
    for seed in range(seeds):
        texts = domain_texts(0, 1, 36, seed=seed)
        given = {"a": texts[::3], "b": texts[1::3], "c": texts[2::3]}
        profile = paramscope.profile(model, given, samples=6, held_out=6, objective="mean-logprob")
        found = status(paramscope.verify(profile, model, seed=seed))
        for claim in called:
            called[claim] += found[claim] == "supported"
    assert max(called.values()) <= stats.binom.ppf(0.99, seeds, 0.05), called
