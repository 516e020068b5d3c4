"""The permutation test of sets chosen for domains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from paramscope.measures import specificity
from paramscope.measures.specificity import own_excess, own_excess_p_value


@pytest.fixture(autouse=True)
def _fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specificity, "PERMUTATIONS", 199)


def made(seed: int, domains: int, texts: int, effect: float = 0.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Damages ``[D, N]`` in which texts and sets differ, and a set may cost its own domain more."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(domains), texts)
    common = rng.normal(size=len(owner)) + rng.normal(size=(domains, 1))
    damage = common + 0.5 * rng.normal(size=(domains, len(owner)))
    damage[owner, np.arange(len(owner))] += effect
    return damage, owner


def test_excess_is_the_own_damage_less_the_mean_of_the_others() -> None:
    damage, owner = made(0, 3, 4, 0.3)
    slow = [
        damage[own, n] - np.mean([damage[other, n] for other in range(3) if other != own])
        for n, own in enumerate(owner)
    ]
    assert own_excess(damage, owner) == pytest.approx(np.mean(slow))


@pytest.mark.parametrize("domains", [2, 4])
def test_p_value_is_even_where_the_domains_are_one(domains: int) -> None:
    found = [own_excess_p_value(*made(seed, domains, 8), seed=seed) for seed in range(200)]
    assert sum(p < 0.05 for p in found) <= stats.binom.ppf(0.999, 200, 0.05)
    assert stats.kstest(found, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("domains", [2, 4])
def test_p_value_is_small_where_the_sets_are_their_domains_own(domains: int) -> None:
    assert all(own_excess_p_value(*made(seed, domains, 12, 1.0), seed=seed) < 0.02 for seed in range(20))


def test_a_domain_that_loses_more_by_every_set_has_no_set_of_its_own() -> None:
    damage, owner = made(0, 3, 8)
    assert own_excess_p_value(damage + 5 * owner, owner, seed=0) == pytest.approx(
        own_excess_p_value(damage, owner, seed=0)
    )
    assert own_excess_p_value(np.zeros((3, 24)), owner, seed=0) == 1


def test_p_value_follows_from_the_seed() -> None:
    damage, owner = made(1, 3, 5, 0.1)
    assert own_excess_p_value(damage, owner, seed=1) == own_excess_p_value(damage, owner, seed=1)
    assert own_excess_p_value(damage, owner, seed=1) != own_excess_p_value(damage, owner, seed=2)


def test_a_damage_without_bound_has_no_p_value() -> None:
    damage, owner = made(0, 2, 4)
    damage[1, 0] = np.inf
    assert math.isnan(own_excess_p_value(damage, owner, seed=0))
