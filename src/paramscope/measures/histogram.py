"""Histograms of activations on a fixed grid: eight bins an octave, read off the bits of a float32.

Bin ``i`` holds the values whose float32 bit pattern, shifted right by 20, equals ``i``: the exponent and the three top
bits of the mantissa. So an octave is cut into eight bins of equal width, no logarithm is taken, and histograms of
different runs, modules and machines share their edges. Exact zeros are counted apart by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

BINS = 0x7F800000 >> 20
"""Number of bins; the last one ends at the largest finite float32."""

EDGES: NDArray[np.float64] = np.append(
    (np.arange(BINS, dtype=np.uint32) << 20).view(np.float32).astype(np.float64), 2.0**128
)
"""The ``BINS + 1`` edges: bin ``i`` is ``[EDGES[i], EDGES[i + 1])``."""


def bin_index(values: NDArray[np.floating]) -> NDArray[np.int64]:
    """Bin of each non-negative value.

    Args:
        values: non-negative, finite, any shape, float32 or float64.

    Returns:
        Indices of the same shape. A float64 above float32's range falls into the last bin, one below its normal numbers
        (1.2e-38) into the first eight.
    """
    if values.dtype == np.float64:
        octave = (values.view(np.int64) >> 49) - ((1023 - 127) << 3)
        return np.clip(octave, 0, BINS - 1)
    return (values.astype(np.float32, copy=False).view(np.int32) >> 20).astype(np.int64)


def sparse_count_above(first_bins: Iterable[int], counts: Iterable[NDArray], threshold: float) -> NDArray[np.float64]:
    """Number of weights above a threshold, of many histograms stored from their first to their last used bin.

    Inside a bin the values are taken as evenly spread, so the error is at most the count of the one bin that holds the
    threshold.

    Args:
        first_bins: the bin of each histogram's first count.
        counts: one array a histogram.
        threshold: positive.

    Returns:
        One number a histogram.
    """
    place, inside = _position(threshold)
    result = []
    for first, bins in zip(first_bins, counts, strict=True):
        own = place - first
        whole = float(bins[max(own + 1, 0) :].sum())
        result.append(whole + (1.0 - inside) * bins[own] if 0 <= own < len(bins) else whole)
    return np.array(result)


def count_above(counts: NDArray, threshold: float) -> NDArray[np.float64]:
    """Number of weights above a threshold, of histograms with all their bins.

    Args:
        counts: ``[..., BINS]``.
        threshold: positive.

    Returns:
        ``[...]``, interpolated as in ``sparse_count_above``.
    """
    place, inside = _position(threshold)
    return counts[..., place + 1 :].sum(-1) + (1.0 - inside) * counts[..., place]


def _position(threshold: float) -> tuple[int, float]:
    """The bin that holds a threshold, and how far into it the threshold lies (0 to 1)."""
    place = min(int(np.searchsorted(EDGES, threshold, side="right")) - 1, BINS - 1)
    return place, min(1.0, (threshold - EDGES[place]) / (EDGES[place + 1] - EDGES[place]))


def quantile(counts: NDArray, zeros: float, q: float) -> float:
    """Activation below which the share ``q`` of all weights lies.

    Args:
        counts: ``[BINS]``, zeros not included.
        zeros: number of weights whose activation is exactly 0.
        q: above 0, at most 1.

    Returns:
        The quantile, interpolated inside its bin; 0.0 where it falls among the zeros.
    """
    wanted = q * (float(counts.sum()) + zeros) - zeros
    if wanted <= 0:
        return 0.0
    below = np.cumsum(counts, dtype=np.float64)
    place = min(int(np.searchsorted(below, wanted)), BINS - 1)
    before = below[place] - counts[place]
    inside = (wanted - before) / counts[place]
    return float(EDGES[place] + inside * (EDGES[place + 1] - EDGES[place]))
