"""The jackknife and the bootstrap's draws."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from paramscope.measures.intervals import (
    GROUPS,
    bootstrap_draws,
    jackknife_margin,
    jackknife_stride,
    sample_groups,
)


def busing(values: NDArray[np.float64], groups: NDArray[np.int64]) -> float:
    """Margin of a mean by the delete-m_j jackknife of Busing, Meijer and van der Leeden (1999), step by step."""
    n, g = len(values), int(groups.max()) + 1
    estimate = values.mean()
    m = [int((groups == j).sum()) for j in range(g)]
    deleted = [values[groups != j].mean() for j in range(g)]
    jackknife = g * estimate - sum((1 - m[j] / n) * deleted[j] for j in range(g))
    variance = 0.0
    for j in range(g):
        h = n / m[j]
        pseudo = h * estimate - (h - 1) * deleted[j]
        variance += (pseudo - jackknife) ** 2 / (h - 1) / g
    return float(stats.t.ppf(0.975, g - 1) * np.sqrt(variance))


def margin_of_mean(values: NDArray[np.float64]) -> float:
    groups = sample_groups(len(values))
    deleted = np.array([values[groups != j].mean() for j in range(groups.max() + 1)])
    return float(jackknife_margin(deleted, np.bincount(groups).astype(float)))


@pytest.mark.parametrize("samples", [2, 3, 7, 8, 9, 13, 16, 61])
def test_margin_of_a_mean_is_that_of_the_published_formula(samples: int) -> None:
    values = np.random.default_rng(samples).lognormal(size=samples)
    assert margin_of_mean(values) == pytest.approx(busing(values, sample_groups(samples)), rel=1e-12)


def test_margin_of_groups_of_one_is_the_students_interval() -> None:
    values = np.random.default_rng(1).normal(size=GROUPS)
    half = stats.t.ppf(0.975, GROUPS - 1) * values.std(ddof=1) / np.sqrt(GROUPS)
    assert margin_of_mean(values) == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize("samples", [5, 12, 40])
def test_interval_of_a_share_covers_the_truth_about_as_often_as_it_says(samples: int) -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        values = rng.normal(size=samples)
        covered += abs(values.mean()) <= margin_of_mean(values)
    assert 0.92 <= covered / 400 <= 0.98


def test_a_constant_has_no_error_and_leading_axes_stay() -> None:
    deleted = np.full((3, 2, GROUPS), 0.4)
    margin = jackknife_margin(deleted, np.ones(GROUPS))
    np.testing.assert_allclose(margin, np.zeros((3, 2)), atol=1e-15)


def test_a_single_group_has_no_interval() -> None:
    assert np.isnan(jackknife_margin(np.zeros((4, 1)), np.array([1.0]))).all()


@pytest.mark.parametrize("samples", [1, 2, 7, 8, 9, 64, 65])
def test_groups_are_dealt_evenly_and_none_is_empty(samples: int) -> None:
    sizes = np.bincount(sample_groups(samples))
    assert len(sizes) == min(samples, GROUPS)
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(("rows", "stride"), [(1, 1), (64, 1), (127, 1), (128, 2), (576, 9), (1024, 16), (49152, 16)])
def test_jackknife_reads_64_rows_or_one_in_sixteen(rows: int, stride: int) -> None:
    assert jackknife_stride(rows) == stride
    assert len(range(0, rows, stride)) >= min(rows, 64)


def test_every_draw_takes_as_many_samples_of_each_domain_as_it_has() -> None:
    draws = bootstrap_draws((4, 1, 6), 200, seed=5)
    for part, size in ((draws[:, :4], 4), (draws[:, 4:5], 1), (draws[:, 5:], 6)):
        np.testing.assert_array_equal(part.sum(1), np.full(200, size))
    np.testing.assert_allclose(draws.mean(0), 1.0, atol=0.3)


def test_draws_follow_from_the_seed() -> None:
    np.testing.assert_array_equal(bootstrap_draws((5,), 10, 1), bootstrap_draws((5,), 10, 1))
    assert (bootstrap_draws((5,), 10, 1) != bootstrap_draws((5,), 10, 2)).any()
