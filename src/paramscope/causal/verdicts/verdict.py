"""One verdict: an estimate and its interval held against a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from paramscope.measures.ranks import Interval

Status = Literal["supported", "not supported", "undecided"]

LEVEL = 0.05
"""Of the permutation tests."""

LEAST_COUNT = 8
"""Observations of which a verdict can be had: of fewer a bootstrap interval is far too narrow."""

MOST_NEEDED = 10_000
"""Observations beyond which the number is not told: the estimate is too near to the threshold for any check."""


@dataclass(frozen=True)
class Verdict:
    """What a check says of one claim.

    Attributes:
        claim: a short name.
        text: the claim in a sentence.
        status: supported, not supported, or undecided.
        measure: what was measured, in words.
        value: the estimate.
        low: lower end of its 95 % interval.
        high: upper end.
        threshold: that it is compared with.
        count: observations behind it.
        unit: what they are.
        needed: about how many would decide; None where it is decided, or cannot be told.
        p_value: of the permutation test, where there is one.
    """

    claim: str
    text: str
    status: Status
    measure: str
    value: float
    low: float
    high: float
    threshold: float
    count: int
    unit: str
    needed: int | None = None
    p_value: float | None = None


def judge(
    claim: str,
    text: str,
    measure: str,
    found: Interval,
    threshold: float,
    count: int,
    unit: str,
    *,
    least: int = LEAST_COUNT,
    p_value: float | None = None,
) -> Verdict:
    """A verdict on a number that the claim says is at least ``threshold``; none from fewer than ``least`` of them."""
    status: Status = "undecided"
    if count < least:
        return Verdict(
            claim, text, status, measure, found.value, found.low, found.high, threshold, count, unit, least, p_value
        )
    if found.low >= threshold and (p_value is None or p_value < LEVEL):
        status = "supported"
    elif found.high < threshold:
        status = "not supported"
    needed = None
    away, half = abs(found.value - threshold), (found.high - found.low) / 2
    if found.low < threshold <= found.high and away > 0:
        # An interval narrows with the root of the number of observations.
        wanted = count * (half / away) ** 2
        needed = max(count + 1, math.ceil(wanted)) if wanted < MOST_NEEDED else None
    return Verdict(
        claim, text, status, measure, found.value, found.low, found.high, threshold, count, unit, needed, p_value
    )
