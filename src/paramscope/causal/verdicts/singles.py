"""Single weights: first order beside the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.causal.verdicts.told import WEIGHTS, claim_text
from paramscope.causal.verdicts.verdict import Verdict, judge
from paramscope.language import _
from paramscope.measures.ranks import Interval, bootstrap, log_slope, rank_correlation, weighted_quantile

LEAST_CORRELATION = 0.9
"""Rank correlation from which first order is said to put single weights into the right order."""

LEAST_WEIGHTS = 30
"""Fewer are too few for a verdict: the quantiles are those of the tails."""

LARGEST_FACTOR = 2.0
"""First order is said to have the right size where nine in ten true changes are within this factor of it."""


@dataclass(frozen=True)
class Fidelity:
    """First order against the truth, over the weights whose activation is above the noise.

    All but ``count`` and ``above`` are weighted by how many weights each drawn one stands for.

    Attributes:
        count: weights.
        above: share of the weights with an activation that are above the noise.
        correlation: rank correlation of the activation with the size of the true change.
        slope: of the log of the one on the log of the other.
        low_ratio: 5 % quantile of true over estimated size.
        median_ratio: its median.
        high_ratio: its 95 % quantile.
        worst_ratio: the smaller of ``low_ratio`` and one over ``high_ratio``.
        sign: share whose true change has the sign of the estimate.
    """

    count: int
    above: float
    correlation: Interval
    slope: Interval
    low_ratio: Interval
    median_ratio: Interval
    high_ratio: Interval
    worst_ratio: Interval
    sign: Interval


def fidelity(
    weights: pd.DataFrame, floor: float, *, estimate: str = "estimate", change: str = "change", seed: int = 0
) -> Fidelity:
    """Compare first order with the true changes.

    Args:
        weights: from ``causal.single.check_singles``, or some rows of it.
        floor: activation below which nothing is claimed.
        estimate: column of the estimate, ``estimate`` or ``integrated``.
        change: column of the true change, ``change`` or ``change_free``.
        seed: of the bootstrap over texts, and over the weights tried on each; of one text, over weights within strata.

    Returns:
        The comparison.
    """
    size = weights[estimate].abs()
    used = weights[size > floor]
    share = used["share"].to_numpy(float)
    told_change, true = used[estimate].to_numpy(float), used[change].to_numpy(float)
    activation, changed = np.abs(told_change), np.abs(true)
    groups = used["stratum"].to_numpy(np.int64)
    texts = used.groupby(["domain", "sample"]).ngroup().to_numpy().astype(np.int64)
    # A weight may make no difference at all; its logarithm is that of the smallest number instead.
    positive = np.maximum(changed, np.finfo(float).tiny)

    def told(
        statistic: Callable[[NDArray[np.int64]], float], low: float = -math.inf, high: float = math.inf
    ) -> Interval:
        return bootstrap(statistic, groups, seed=seed, clusters=texts, bounds=(low, high))

    ratio = changed / activation

    def quantile(q: float) -> Callable[[NDArray[np.int64]], float]:
        return lambda i: weighted_quantile(ratio[i], share[i], q)

    def worst(i: NDArray[np.int64]) -> float:
        high = quantile(0.95)(i)
        return min(quantile(0.05)(i), 1 / high) if high > 0 else 0.0

    def right(i: NDArray[np.int64]) -> float:
        return float(np.average(told_change[i] * true[i] > 0, weights=share[i])) if len(i) else math.nan

    return Fidelity(
        count=len(used),
        above=float(share.sum() / weights["share"].sum()) if len(weights) else math.nan,
        correlation=told(lambda i: rank_correlation(activation[i], changed[i], share[i]), -1, 1),
        slope=told(lambda i: log_slope(activation[i], positive[i], share[i])),
        low_ratio=told(quantile(0.05), 0),
        median_ratio=told(quantile(0.5), 0),
        high_ratio=told(quantile(0.95), 0),
        worst_ratio=told(worst, 0, 1),
        sign=told(right, 0, 1),
    )


def fidelity_verdicts(found: Fidelity) -> list[Verdict]:
    """Whether first order orders single weights, and whether its size is right."""
    order = judge(
        "first-order-order",
        claim_text("first-order-order"),
        _("rank correlation of activation and true change"),
        found.correlation,
        LEAST_CORRELATION,
        found.count,
        _(WEIGHTS),
        least=LEAST_WEIGHTS,
    )
    size = judge(
        "first-order-size",
        claim_text("first-order-size", factor=LARGEST_FACTOR),
        _("the smaller of the 5 %% quantile of true over estimated and one over its 95 %% quantile"),
        found.worst_ratio,
        1 / LARGEST_FACTOR,
        found.count,
        _(WEIGHTS),
        least=LEAST_WEIGHTS,
    )
    return [order, size]
