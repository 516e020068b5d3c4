"""Histograms against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from paramscope.measures.histogram import BINS, EDGES, bin_index, quantile, sparse_count_above
from tests.reference import histogram

SMALLEST = float(np.finfo(np.float32).tiny)
LARGEST = float(np.finfo(np.float32).max)

normal = st.floats(SMALLEST, LARGEST, width=32)
usual = st.floats(2.0**-40, 2.0**10, width=32)
activations = hnp.arrays(np.float64, st.integers(1, 80), elements=usual | st.just(0.0))
"""Zeros and float32 numbers, often in the same bin."""
thresholds = st.floats(2.0**-45, 2.0**15)


def crowd(values: NDArray[np.float64], threshold: float) -> int:
    """How many values share the threshold's bin."""
    positive = values[values > 0]
    return int((bin_index(positive) == bin_index(np.array([threshold]))[0]).sum())


def count_above(counts: NDArray[np.int64], threshold: float) -> NDArray[np.float64]:
    """``sparse_count_above`` of histograms with all their bins."""
    rows = counts.reshape(-1, BINS)
    return sparse_count_above([0] * len(rows), rows, threshold).reshape(counts.shape[:-1])


def test_an_octave_has_eight_bins_of_equal_width() -> None:
    start = int(bin_index(np.array([1.0]))[0])
    np.testing.assert_array_equal(EDGES[start : start + 9], 1 + np.arange(9) / 8)
    np.testing.assert_array_equal(EDGES[start + 8 : start + 17], 2 * EDGES[start : start + 9])


def test_edges_rise_and_every_bin_begins_at_its_edge() -> None:
    assert len(EDGES) == BINS + 1
    assert (np.diff(EDGES) > 0).all()
    np.testing.assert_array_equal(bin_index(EDGES[:-1].astype(np.float32)), np.arange(BINS))
    below = np.nextafter(EDGES[1:-1].astype(np.float32), np.float32(0))
    np.testing.assert_array_equal(bin_index(below), np.arange(BINS - 1))


@given(hnp.arrays(np.float32, st.integers(1, 50), elements=normal))
def test_float32_and_float64_fall_into_the_same_bin(values: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(bin_index(values), bin_index(values.astype(np.float64)))


@given(normal)
@example(LARGEST)
@example(SMALLEST)
def test_a_value_lies_between_the_edges_of_its_bin(value: float) -> None:
    place = bin_index(np.array([value]))[0]
    assert EDGES[place] <= value < EDGES[place + 1]


def test_float64_beyond_float32_falls_into_the_outermost_bins() -> None:
    assert bin_index(np.array([1e300, 2.0**128])).tolist() == [BINS - 1] * 2
    assert bin_index(np.array([0.0, 1e-300, 1e-39])).max() < 8


@given(activations, thresholds)
def test_density_differs_from_the_direct_count_by_no_more_than_one_bin(
    values: NDArray[np.float64], threshold: float
) -> None:
    found = count_above(histogram(values), threshold)
    assert abs(found - (values > threshold).sum()) <= crowd(values, threshold)


@given(activations, st.integers(-320, 80))
def test_density_is_exact_at_an_edge_that_no_value_lies_on(values: NDArray[np.float64], step: int) -> None:
    edge = float(EDGES[bin_index(np.array([1.0]))[0] + step])
    values = np.where(values == edge, 0.0, values)
    assert count_above(histogram(values), edge) == (values > edge).sum()


@given(activations, thresholds, thresholds)
def test_density_falls_in_the_threshold(values: NDArray[np.float64], one: float, other: float) -> None:
    low, high = sorted([one, other])
    counts = histogram(values)
    assert count_above(counts, low) >= count_above(counts, high)


def test_nothing_is_above_the_largest_number_and_all_above_the_smallest() -> None:
    counts = histogram(np.array([1e-30, 1.0, 1e30]))
    assert count_above(counts, 1e300) == 0
    assert count_above(counts, 1e-300) == 3


@given(hnp.arrays(np.int64, (3, BINS), elements=st.just(0) | st.integers(0, 5)), thresholds)
def test_leading_axes_are_counted_one_by_one(counts: NDArray[np.int64], threshold: float) -> None:
    one_by_one = [count_above(row, threshold) for row in counts]
    np.testing.assert_array_equal(count_above(counts, threshold), one_by_one)


@given(st.lists(activations, min_size=1, max_size=4), thresholds)
def test_sparse_histograms_count_like_whole_ones(parts: list[NDArray[np.float64]], threshold: float) -> None:
    whole = [histogram(part) for part in parts]
    used = [np.flatnonzero(counts) for counts in whole]
    first = [int(places[0]) if len(places) else 0 for places in used]
    stored = [
        counts[places[0] : places[-1] + 1] if len(places) else counts[:0]
        for counts, places in zip(whole, used, strict=True)
    ]
    np.testing.assert_allclose(
        sparse_count_above(first, stored, threshold), [count_above(counts, threshold) for counts in whole]
    )


@given(activations, st.floats(0.001, 1.0))
def test_quantile_is_within_the_bin_of_numpys(values: NDArray[np.float64], q: float) -> None:
    found = quantile(histogram(values), float((values == 0).sum()), q)
    # The share q of n values ends at one of them; numpy's two neighbours of that place bound it.
    lower, higher = (np.quantile(values, q, method=method) for method in ("lower", "higher"))
    inverted = np.quantile(values, q, method="inverted_cdf")
    low, high = min(lower, inverted), max(higher, inverted)
    place = bin_index(np.array([low, high]))
    assert (EDGES[place[0]] if low > 0 else 0.0) <= found <= EDGES[place[1] + 1]


@pytest.mark.parametrize("q", [0.0, 0.3, 0.5])
def test_quantile_among_zeros_is_zero(q: float) -> None:
    assert quantile(histogram(np.array([1.0, 2.0])), 2.0, q) == 0.0


def test_quantile_of_nothing_is_zero() -> None:
    assert quantile(np.zeros(BINS, dtype=np.int64), 0.0, 0.5) == 0.0


@given(activations.filter(lambda values: bool((values > 0).all())), st.floats(0.01, 0.99))
def test_density_at_a_quantile_is_the_share_above_it(values: NDArray[np.float64], q: float) -> None:
    counts = histogram(values)
    above = count_above(counts, quantile(counts, 0.0, q))
    assert above == pytest.approx((1 - q) * len(values), abs=1e-6 * len(values))
