"""How well one quantity orders another: weighted rank correlation, and intervals by resampling whole groups."""

from __future__ import annotations

import functools
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
    low: float = float("nan")
    high: float = float("nan")


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


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    groups: NDArray[np.int64],
    *,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """The percentile bootstrap over observations, each drawn again within its group.

    Observations of a cluster are alike, so with two clusters or more, clusters are drawn again, and the observations
    within each. Drawn from n, a resample scatters less than a new sample by (n - 1) / n: the interval is widened by the
    root of that. Groups of one have no scatter of their own and are taken together.

    Args:
        statistic: of some observations, given by their numbers.
        groups: ``[n]``, number of each observation's group; how many a group has was chosen and is no chance.
        seed: of the draws.
        clusters: ``[n]``, number of each observation's cluster, None where each is its own.
        bounds: that the statistic cannot leave.

    Returns:
        The statistic and its interval; NaN where more than one draw in forty has no value.
    """
    value = statistic(np.arange(len(groups)))
    nothing = Interval(value, float("nan"), float("nan"))
    if len(groups) < 2:
        return nothing
    rng = np.random.default_rng(seed)
    names = np.unique(groups) if clusters is None else np.unique(clusters)
    if clusters is not None and len(names) > 1:
        members = [np.flatnonzero(clusters == name) for name in names]
        drawn = [[members[i] for i in rng.integers(len(members), size=len(members))] for _ in range(DRAWS)]
        size = float(len(members))
    else:
        members = _without_singles([np.flatnonzero(groups == name) for name in np.unique(groups)])
        drawn = [members] * DRAWS
        size = len(groups) / len(members)
    found = np.array([statistic(np.concatenate([rng.choice(m, len(m)) for m in draw])) for draw in drawn])
    return _percentiles(value, found, size, bounds)


def mean_interval(values: Array, groups: NDArray[np.int64], *, seed: int) -> Interval:
    """The mean of values ``[n]`` with its interval: ``bootstrap`` of it, all draws at once."""
    return _mean_interval(np.ascontiguousarray(values, float).tobytes(), tuple(groups.tolist()), seed)


@functools.lru_cache(maxsize=4096)
def _mean_interval(packed: bytes, grouped: tuple[int, ...], seed: int) -> Interval:
    """Kept, because a page asks for the same means for roles, risks and each of its languages."""
    values, groups = np.frombuffer(packed), np.array(grouped, dtype=np.int64)
    value = float(values.mean())
    if len(values) < 2:
        return Interval(value, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    members = _without_singles([np.flatnonzero(groups == name) for name in np.unique(groups)])
    totals = [values[m[rng.integers(len(m), size=(DRAWS, len(m)))]].sum(1) for m in members]
    return _percentiles(value, np.sum(totals, axis=0) / len(values), len(values) / len(members))


def _percentiles(value: float, found: Array, size: float, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """The interval of draws of a value, widened for groups of ``size``; see ``bootstrap``."""
    nothing = Interval(value, float("nan"), float("nan"))
    if np.isnan(found).mean() > (1 - LEVEL) / 2:
        return nothing
    found = found[~np.isnan(found)]
    wider = float(np.sqrt(size / (size - 1))) if size > 1 else 1.0
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if np.isfinite([value, low, high]).all():
        low, high = value - wider * max(value - low, 0.0), value + wider * max(high - value, 0.0)
    return Interval(value, float(max(low, bounds[0])), float(min(high, bounds[1])))


def _without_singles(groups: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The groups of two or more, and all others as one; a single one goes to the largest."""
    singles = [group for group in groups if len(group) == 1]
    rest = sorted((group for group in groups if len(group) > 1), key=len)
    if len(singles) == 1 and rest:
        return [*rest[:-1], np.concatenate([rest[-1], *singles])]
    return [*rest, np.concatenate(singles)] if singles else rest
