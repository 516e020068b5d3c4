"""Weighted ranks, quantiles and slopes, and the bootstrap, against obvious references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from paramscope.measures.ranks import bootstrap, log_slope, mean_interval, rank_correlation, weighted_quantile

Array = NDArray[np.float64]

# Few different values, so that there are ties.
rows = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 5)), min_size=1, max_size=20)


def columns(given_rows: list[tuple[int, int, int]]) -> tuple[Array, Array, NDArray[np.int64]]:
    table = np.array(given_rows)
    return table[:, 0].astype(float), table[:, 1].astype(float), table[:, 2]


@given(rows)
def test_rank_correlation_is_spearmans_of_each_observation_as_often_as_its_weight(
    given_rows: list[tuple[int, int, int]],
) -> None:
    one, other, weights = columns(given_rows)
    repeated = [np.repeat(values, weights) for values in (one, other)]
    found = rank_correlation(one, other, weights.astype(float))
    if any(len(set(values.tolist())) < 2 for values in repeated):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(*repeated).statistic, abs=1e-12)


@given(rows)
def test_rank_correlation_without_weights_is_spearmans(given_rows: list[tuple[int, int, int]]) -> None:
    one, other, _ = columns(given_rows)
    assume(len(set(one.tolist())) > 1 and len(set(other.tolist())) > 1)
    assert rank_correlation(one, other) == pytest.approx(stats.spearmanr(one, other).statistic, abs=1e-12)
    assert rank_correlation(one, other) == pytest.approx(rank_correlation(one, other, np.full(len(one), 0.3)))


@given(rows, st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95, 1.0]))
def test_quantile_is_that_of_each_value_as_often_as_its_weight(
    given_rows: list[tuple[int, int, int]], share: float
) -> None:
    values, _, weights = columns(given_rows)
    repeated = np.sort(np.repeat(values, weights))
    found = weighted_quantile(values, weights.astype(float), share)
    if not len(repeated):
        assert math.isnan(found)
        return
    at_or_below = np.array([(repeated <= value).sum() for value in repeated])
    assert found == repeated[np.argmax(at_or_below >= share * len(repeated))]


def test_slope_is_that_of_numpys_fit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        one = rng.lognormal(size=30)
        other = one**0.7 * rng.lognormal(sigma=0.5, size=30)
        weights = rng.uniform(0.1, 5, size=30)
        expected = np.polyfit(np.log(one), np.log(other), 1, w=np.sqrt(weights))[0]
        assert log_slope(one, other, weights) == pytest.approx(expected, rel=1e-9)


def test_what_does_not_vary_has_neither_correlation_nor_slope() -> None:
    same, other = np.full(5, 2.0), np.arange(1.0, 6)
    assert math.isnan(rank_correlation(same, other))
    assert math.isnan(rank_correlation(other, same))
    assert math.isnan(log_slope(same, other, np.ones(5)))
    assert log_slope(other, same, np.ones(5)) == pytest.approx(0)
    for count in (0, 1):
        assert math.isnan(rank_correlation(other[:count], other[:count]))
        assert math.isnan(log_slope(other[:count], other[:count], np.ones(count)))


def test_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered, groups = 0, np.repeat([0, 1], 20)
    for seed in range(60):
        values = rng.normal(size=40) + 10 * groups
        found = bootstrap(lambda i, values=values: float(values[i].mean()), groups, seed=seed)  # type: ignore[misc]
        assert found.value == values.mean()
        assert found.low < found.value < found.high
        covered += found.low <= 5 <= found.high
    assert 0.85 <= covered / 60 <= 1


@pytest.mark.parametrize("groups", [[0] * 12, [0] * 8 + [1] * 8, [0, 0, 1, 1, 1, 2], [0, 1, 2, 3, 4]])
def test_interval_of_a_mean_at_once_is_that_of_single_draws(groups: list[int]) -> None:
    owner = np.array(groups)
    values = np.random.default_rng(1).normal(size=len(groups)) + 5 * owner
    one, many = (mean_interval(values, owner, seed=seed) for seed in (0, 1))
    slow = bootstrap(lambda i: float(values[i].mean()), owner, seed=0)
    assert one.value == many.value == slow.value
    assert one != many
    width = slow.high - slow.low
    for found in (one, many):
        assert found.low == pytest.approx(slow.low, abs=0.12 * width)
        assert found.high == pytest.approx(slow.high, abs=0.12 * width)


def test_groups_are_no_chance() -> None:
    # Within each group there is nothing to draw, so nothing varies.
    groups = np.repeat([3, 5], 10)
    values = groups.astype(float)
    found = bootstrap(lambda i: float(values[i].mean()), groups, seed=0)
    assert found.low == found.value == found.high == 4


def test_interval_follows_from_the_seed() -> None:
    values = np.random.default_rng(0).normal(size=12)
    one, same, other = (
        bootstrap(lambda i: float(values[i].mean()), np.zeros(12, dtype=np.int64), seed=s) for s in (0, 0, 1)
    )
    assert one == same != other


@pytest.mark.parametrize("count", [0, 1])
def test_interval_of_less_than_two_observations_is_none(count: int) -> None:
    found = bootstrap(lambda i: float(len(i)), np.zeros(count, dtype=np.int64), seed=0)
    assert found.value == count
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_interval_of_a_statistic_that_mostly_fails_is_none() -> None:
    groups = np.zeros(10, dtype=np.int64)
    found = bootstrap(lambda i: 1.0 if 0 in i and 1 in i and 2 in i else math.nan, groups, seed=0)
    assert found.value == 1
    assert math.isnan(found.low)


def test_an_interval_stays_within_what_the_statistic_can_be() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=9)
    other = one + 0.3 * rng.normal(size=9)

    def told(i: NDArray[np.int64]) -> float:
        return rank_correlation(one[i], other[i])

    groups = np.zeros(9, dtype=np.int64)
    assert bootstrap(told, groups, seed=0).high > 1
    assert bootstrap(told, groups, seed=0, bounds=(-1, 1)).high == 1


def test_observations_of_a_cluster_do_not_count_as_many() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(8), 40)
    values = rng.normal(size=8)[clusters] + 0.01 * rng.normal(size=320)

    def mean(i: NDArray[np.int64]) -> float:
        return float(values[i].mean())

    groups = np.zeros(320, dtype=np.int64)
    alone, together = bootstrap(mean, groups, seed=0), bootstrap(mean, groups, seed=0, clusters=clusters)
    # The mean of eight numbers, not of 320.
    assert 4 < (together.high - together.low) / (alone.high - alone.low) < 9


def test_a_single_observation_of_a_group_has_no_interval_of_its_own() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0])

    def mean(i: NDArray[np.int64]) -> float:
        return float(values[i].mean())

    found = bootstrap(mean, np.arange(4), seed=0)
    assert found.low < found.value < found.high
