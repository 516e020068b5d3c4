"""Concentration against the definitions, applied to the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from paramscope.measures.concentration import effective_number, gini, share_carrying
from paramscope.measures.histogram import BINS
from tests.reference import histogram

values_of_any_kind = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.just(0.0) | st.floats(2.0**-20, 2.0**20, width=32)
).filter(lambda values: bool(values.any()))


def direct_gini(values: NDArray[np.float64]) -> float:
    """Half the mean absolute difference over the mean."""
    return float(np.abs(values[:, None] - values[None, :]).mean() / values.mean() / 2)


def direct_share(values: NDArray[np.float64], carried: float) -> float:
    """Share of the values, the largest first, until they carry enough."""
    largest = np.sort(values)[::-1]
    return float((np.searchsorted(np.cumsum(largest), carried * values.sum() * (1 - 1e-12)) + 1) / len(values))


def zeros(values: NDArray[np.float64]) -> float:
    return float((values == 0).sum())


def lognormal(sigma: float, count: int = 4000) -> NDArray[np.float64]:
    return np.random.default_rng(3).lognormal(-7, sigma, count)


@given(values_of_any_kind)
def test_gini_differs_from_the_definition_by_the_width_of_the_bins(values: NDArray[np.float64]) -> None:
    assert abs(gini(histogram(values), zeros(values)) - direct_gini(values)) <= 0.07


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("dead", [0, 500])
def test_gini_of_a_layers_spread_is_right_to_a_thousandth(sigma: float, dead: int) -> None:
    values = np.concatenate([lognormal(sigma), np.zeros(dead)])
    assert gini(histogram(values), dead) == pytest.approx(direct_gini(values), abs=1e-3)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("carried", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("dead", [0, 500])
def test_share_carrying_is_right_to_a_thousandth(sigma: float, carried: float, dead: int) -> None:
    values = np.concatenate([lognormal(sigma), np.zeros(dead)])
    assert share_carrying(histogram(values), dead, carried) == pytest.approx(direct_share(values, carried), abs=1e-3)


@given(values_of_any_kind)
def test_shares_lie_between_nothing_and_the_active_weights(values: NDArray[np.float64]) -> None:
    counts, dead = histogram(values), zeros(values)
    shares = [share_carrying(counts, dead, carried) for carried in (0.0, 0.5, 0.9, 1.0)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.0, abs=1e-12)
    assert shares[-1] == pytest.approx(float((values > 0).mean()))


@given(values_of_any_kind, st.integers(1, 5))
def test_dead_weights_raise_the_gini(values: NDArray[np.float64], dead: int) -> None:
    counts = histogram(values)
    assert gini(counts, zeros(values) + dead) > gini(counts, zeros(values))


@given(st.floats(2.0**-20, 2.0**20, width=32), st.integers(1, 50))
def test_equal_weights_have_no_concentration(value: float, count: int) -> None:
    values = np.full(count, value)
    assert gini(histogram(values), 0) == pytest.approx(0.0, abs=1e-12)
    assert share_carrying(histogram(values), 0, 0.9) == pytest.approx(0.9)
    assert effective_number(values.sum(), (values**2).sum()) == pytest.approx(count)


@given(values_of_any_kind)
def test_effective_number_is_between_one_and_the_active_weights(values: NDArray[np.float64]) -> None:
    found = effective_number(float(values.sum()), float((values**2).sum()))
    assert 1 - 1e-9 <= found <= (values > 0).sum() * (1 + 1e-9)


def test_nothing_active_gives_zeros_and_no_warning() -> None:
    nothing = np.zeros(BINS, dtype=np.int64)
    assert gini(nothing, 10) == 0.0
    assert effective_number(0.0, 0.0) == 0.0
    assert 0 <= share_carrying(nothing, 10, 0.9) <= 1


@given(values_of_any_kind, st.integers(-8, 8))
def test_scale_changes_nothing(values: NDArray[np.float64], octaves: int) -> None:
    scaled = values * 2.0**octaves
    for measure in (gini, share_carrying):
        assert measure(histogram(scaled), zeros(values)) == pytest.approx(measure(histogram(values), zeros(values)))
