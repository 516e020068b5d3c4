"""Numbers with all that is needed for the interval of a difference: what they are without some of the texts.

Of densities and concentration, a run keeps what they are when one group of a domain's texts is left out (jackknife); of
LLMDcos it keeps every pair, so texts can be drawn anew (bootstrap). Where two runs read the same texts in the same
groups, both lose or draw the same texts, so what a text does to both cancels out of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.intervals import jackknife_margin
from paramscope.measures.ranks import Interval
from paramscope.measures.resample import percentile_intervals
from paramscope.report.comparison.align import combined

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """Numbers and the ends of their 95 % intervals, each ``[places, 1 + domains]``; NaN where there is none.

    The first column is the mean over the domains.
    """

    value: Array
    low: Array
    high: Array

    def at(self, place: int, column: int) -> Interval:
        """One of them."""
        return Interval(*(float(part[place, column]) for part in (self.value, self.low, self.high)))


class Sampled(Protocol):
    """Numbers by place and domain, and how they scatter with the texts."""

    def over(self, weights: Array) -> Self:
        """Weighted means ``[places, n]`` over the places that there are."""

    def estimates(self) -> Estimates:
        """With their intervals."""

    def less(self, other: Self, same: Sequence[bool]) -> Estimates:
        """The difference to another run's, with its intervals.

        Args:
            other: the run's.
            same: of each domain whether the texts are the same.

        Returns:
            The difference.
        """


@dataclass(frozen=True)
class Grouped:
    """Numbers by place and domain, and what they are without each group of texts.

    Attributes:
        value: ``[places, D]``.
        deleted: for each domain whose groups are left out ``[places, G, D]``: without them the numbers of the other
            domains move too, where all share a threshold. Without groups where a domain has too few texts.
        sizes: of each domain ``[G]``, texts in each group.
        counted: domains that the mean is over: those with an interval in all runs, all where there are none.
    """

    value: Array
    deleted: list[Array]
    sizes: list[Array]
    counted: list[int]

    def over(self, weights: Array) -> Grouped:
        """See ``Sampled``."""
        deleted = [combined(weights, each) for each in self.deleted]
        return Grouped(combined(weights, self.value), deleted, self.sizes, self.counted)

    def estimates(self) -> Estimates:
        """See ``Sampled``. The numbers are between 0 and 1, and so are the ends."""
        value = self._with_mean(self.value)
        margin = _together([self._margin(place, deleted) for place, deleted in enumerate(self.deleted)])
        return Estimates(value, np.clip(value - margin, 0, 1), np.clip(value + margin, 0, 1))

    def less(self, other: Grouped, same: Sequence[bool]) -> Estimates:
        """See ``Sampled``. Of different texts, the margins add in squares."""
        value = self._with_mean(self.value - other.value)
        margins = []
        for place, paired in enumerate(same):
            if paired:
                margins.append(self._margin(place, self.deleted[place] - other.deleted[place]))
            else:
                margins.append(
                    np.hypot(self._margin(place, self.deleted[place]), other._margin(place, other.deleted[place]))
                )
        margin = _together(margins)
        return Estimates(value, value - margin, value + margin)

    def _margin(self, place: int, deleted: Array) -> Array:
        """``[places, 1 + D]`` what the texts of one domain do to the mean and to each domain."""
        if len(self.sizes[place]) < 2:
            margin = np.zeros((len(self.value), 1 + self.value.shape[1]))
            margin[:, [1 + place, *([0] if place in self.counted else [])]] = np.nan
            return margin
        return jackknife_margin(np.moveaxis(self._with_mean(deleted), 1, -1), self.sizes[place])

    def _with_mean(self, values: Array) -> Array:
        """The mean over the domains before them, along the last axis."""
        return np.concatenate([values[..., self.counted].mean(-1, keepdims=True), values], axis=-1)


def _together(margins: Sequence[Array]) -> Array:
    """Domains have different texts, so what they do adds in squares."""
    return np.sqrt(np.sum(np.square(margins), axis=0))


@dataclass(frozen=True)
class Drawn:
    """Numbers by place and column in draws of the texts.

    Attributes:
        draws: ``[places, B + 1, 1 + D]``, first of the texts as they are. Runs of the same texts have the same draws.
    """

    draws: Array

    def over(self, weights: Array) -> Drawn:
        """See ``Sampled``."""
        return Drawn(combined(weights, self.draws))

    def estimates(self) -> Estimates:
        """See ``Sampled``."""
        return _percentiles(self.draws)

    def less(self, other: Drawn, same: Sequence[bool]) -> Estimates:
        """See ``Sampled``. The draws know already which texts are the same."""
        return _percentiles(self.draws - other.draws)


def _percentiles(draws: Array) -> Estimates:
    places, count, columns = draws.shape
    flat = draws.transpose(1, 0, 2).reshape(count, places * columns)
    found = percentile_intervals(flat[0], flat[1:])
    parts = np.array([(one.value, one.low, one.high) for one in found]).T.reshape(3, places, columns)
    return Estimates(*parts)
