"""Threshold-free measures: how few parameters carry how much of a layer's activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.histogram import EDGES

_MIDDLES = (EDGES[:-1] + EDGES[1:]) / 2


def _lorenz(counts: NDArray, zeros: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of weights and of total activation, both cumulated from the smallest activation up, starting at (0, 0)."""
    weights = np.concatenate([[0.0, zeros], counts])
    carried = np.concatenate([[0.0, 0.0], counts * _MIDDLES])
    total = carried.sum()
    if total == 0:
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    return np.cumsum(weights) / weights.sum(), np.cumsum(carried) / total


def gini(counts: NDArray, zeros: float) -> float:
    """Gini coefficient of the activations: 0 when all are equal, near 1 when few carry everything.

    Every value counts as the middle of its bin. That moves the result by less than 0.001 when the activations spread
    over some octaves, as a layer's do, and by at most 0.07 when they do not.

    Args:
        counts: ``[BINS]``, zeros not included.
        zeros: number of weights whose activation is exactly 0.

    Returns:
        Between 0 and 1; 0.0 when nothing is active.
    """
    weights, carried = _lorenz(counts, zeros)
    return float(1.0 - np.sum(np.diff(weights) * (carried[1:] + carried[:-1])))


def share_carrying(counts: NDArray, zeros: float, carried: float = 0.9) -> float:
    """Smallest share of the weights that carries the share ``carried`` of the total activation.

    Args:
        counts: ``[BINS]``, zeros not included.
        zeros: number of weights whose activation is exactly 0.
        carried: between 0 and 1.

    Returns:
        Between 0 and 1, interpolated inside a bin.
    """
    weights, activation = _lorenz(counts, zeros)
    return float(1.0 - np.interp(1.0 - carried, activation, weights))


def effective_number(total: float, total_squares: float) -> float:
    """Effective number of parameters, (sum A)^2 / sum A^2.

    Args:
        total: sum of the activations.
        total_squares: sum of their squares.

    Returns:
        Between 1 and the number of weights; 0.0 when nothing is active.
    """
    return total * total / total_squares if total_squares > 0 else 0.0
