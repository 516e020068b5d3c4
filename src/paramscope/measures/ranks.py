"""How well one quantity orders another: weighted rank correlation, and intervals by resampling whole groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.intervals import LEVEL

Array = NDArray[np.float64]

DRAWS = 1000
"""Bootstrap draws."""


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


def weighted_ranks(values: Array, weights: Array) -> Array:
    """Ranks of weighted values: the weight below each, plus half of the weight of its ties and itself.

    Args:
        values: ``[n]``.
        weights: ``[n]``, not negative.

    Returns:
        ``[n]``.
    """
    _, places = np.unique(values, return_inverse=True)
    mass = np.bincount(places, weights)
    return (np.cumsum(mass) - mass / 2)[places]


def rank_correlation(one: Array, other: Array, weights: Array | None = None) -> float:
    """Spearman's correlation, of weighted observations.

    Args:
        one: ``[n]``.
        other: ``[n]``.
        weights: ``[n]``; all alike when None.

    Returns:
        Between -1 and 1; NaN where one of them does not vary.
    """
    weights = np.ones(len(one)) if weights is None else weights
    total = weights.sum()
    if len(one) < 2 or total == 0:
        return float("nan")
    ranks = [weighted_ranks(values, weights) for values in (one, other)]
    centred = [rank - (weights * rank).sum() / total for rank in ranks]
    products = [(weights * a * b).sum() for a, b in ((centred[0], centred[1]), (centred[0],) * 2, (centred[1],) * 2)]
    scale = np.sqrt(products[1] * products[2])
    return float(products[0] / scale) if scale > 0 else float("nan")


def weighted_quantile(values: Array, weights: Array, share: float) -> float:
    """The smallest value that has at least ``share`` of the weight at or below it; NaN without any weight."""
    order = np.argsort(values)
    mass = np.cumsum(weights[order])
    if not len(values) or mass[-1] <= 0:
        return float("nan")
    return float(values[order][min(np.searchsorted(mass, share * mass[-1]), len(values) - 1)])


def log_slope(one: Array, other: Array, weights: Array) -> float:
    """Slope of log ``other`` on log ``one`` by weighted least squares; NaN where ``one`` does not vary."""
    x, y = np.log(one), np.log(other)
    total = weights.sum()
    if len(one) < 2 or total == 0:
        return float("nan")
    dx, dy = x - (weights * x).sum() / total, y - (weights * y).sum() / total
    spread = (weights * dx * dx).sum()
    return float((weights * dx * dy).sum() / spread) if spread > 0 else float("nan")


def bootstrap(statistic: Callable[[NDArray[np.int64]], float], groups: NDArray[np.int64], *, seed: int) -> Interval:
    """The percentile bootstrap over observations, each drawn again within its group.

    Args:
        statistic: of some observations, given by their numbers.
        groups: ``[n]``, number of each observation's group; how many a group has was chosen and is no chance.
        seed: of the draws.

    Returns:
        The statistic and its interval.
    """
    everything = np.arange(len(groups))
    value = statistic(everything)
    if len(groups) < 2:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    found = np.array(
        [statistic(np.concatenate([rng.choice(each, len(each)) for each in members])) for _ in range(DRAWS)]
    )
    found = found[np.isfinite(found)]
    if len(found) < DRAWS // 2:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
