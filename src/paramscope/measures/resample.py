"""LLMDcos of each domain with itself and with the others, with bootstrap intervals for means and for differences.

``Profile.similarity`` has an interval for every pair of domains. Statements about all pairs, and about the change from
shallow to deep layers, need the joint draws: the same samples enter every pair and every layer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.intervals import LEVEL, bootstrap_draws
from paramscope.measures.ranks import Interval
from paramscope.measures.similarity import DRAWS, FEWEST, draw_means

if TYPE_CHECKING:
    from paramscope.result.profile import Profile


@dataclass(frozen=True)
class Alike:
    """Mean LLMDcos by domain: with itself (``within``) and with the other domains (``across``), and their means."""

    within: list[Interval]
    across: list[Interval]
    gap: list[Interval]
    mean_within: Interval
    mean_across: Interval
    mean_gap: Interval


class Resampler:
    """Bootstrap over the samples of the domains that have enough of them.

    Attributes:
        domains: places of those domains in the profile.
    """

    def __init__(self, profile: Profile) -> None:
        """Draw the samples once; every layer and band uses the same draws."""
        sizes = [domain.samples for domain in profile.manifest.domains]
        self._profile = profile
        self.domains = [place for place, size in enumerate(sizes) if size >= FEWEST]
        self._sizes = [sizes[place] for place in self.domains]
        edges = np.cumsum([0, *sizes])
        kept = [np.arange(edges[place], edges[place + 1]) for place in self.domains]
        self._kept = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
        self._draws = bootstrap_draws(tuple(self._sizes), DRAWS, profile.manifest.seed) if kept else np.zeros((0, 0))

    def layers(self, layers: list[int], *, centred: bool) -> Alike:
        """Means over some layers.

        Args:
            layers: which.
            centred: as in ``Profile.similarity``.

        Returns:
            The means; the lists follow ``domains``.
        """
        return self._alike(self._kernel(layers, centred))

    def change(self, before: list[int], after: list[int], *, centred: bool) -> Alike:
        """What changes from some layers to others. A mean cosine is linear in the kernel, so this is its difference.

        Args:
            before: layers.
            after: layers.
            centred: as in ``Profile.similarity``.

        Returns:
            The differences; the lists follow ``domains``.
        """
        return self._alike(self._kernel(after, centred) - self._kernel(before, centred))

    def means(self, layers: list[int], *, centred: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means within and across over all domains, for statistics of them.

        Args:
            layers: which.
            centred: as in ``Profile.similarity``.

        Returns:
            ``[B + 1]`` within and across; first of the samples as they are, then of every draw.
        """
        kernel = self._kernel(layers, centred)
        occurrences = np.concatenate([np.ones((1, len(kernel))), self._draws])
        within, across = domain_means(kernel, self._sizes, occurrences)
        return _mean(within), _mean(across)

    def pairs(self, layers: list[int], *, centred: bool) -> NDArray[np.float64]:
        """Means of all pairs of domains, for statistics of them.

        Args:
            layers: which.
            centred: as in ``Profile.similarity``.

        Returns:
            ``[B + 1, D, D]`` in the order of ``domains``; first of the samples as they are, then of every draw. NaN
            where there is no pair.
        """
        kernel = self._kernel(layers, centred)
        valid = np.isfinite(np.diag(kernel))
        occurrences = np.concatenate([np.ones((1, len(kernel))), self._draws]) * valid
        return draw_means(np.where(valid[:, None] & valid[None, :], kernel, 0.0), self._sizes, occurrences)

    def _kernel(self, layers: list[int], centred: bool) -> NDArray[np.float64]:
        whole = sum(self._profile.sample_cosines(layer, centred=centred) for layer in layers) / len(layers)
        return np.asarray(whole)[np.ix_(self._kept, self._kept)]

    def _alike(self, kernel: NDArray[np.float64]) -> Alike:
        if not self.domains:
            nothing = Interval(np.nan)
            return Alike([], [], [], nothing, nothing, nothing)
        once = domain_means(kernel, self._sizes, np.ones((1, len(kernel))))
        many = domain_means(kernel, self._sizes, self._draws)
        values = (*once, once[0] - once[1])
        draws = (*many, many[0] - many[1])
        pairs = list(zip(values, draws, strict=True))
        within, across, gap = (percentile_intervals(value[0], drawn) for value, drawn in pairs)
        means = [percentile_intervals(_mean(value), _mean(drawn)[:, None])[0] for value, drawn in pairs]
        return Alike(within, across, gap, means[0], means[1], means[2])


def domain_means(
    kernel: NDArray[np.float64], sizes: list[int], occurrences: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean cosines within each domain and between it and the others, for draws of the samples.

    Args:
        kernel: ``[N, N]`` cosines (or differences of them), NaN for samples without activation.
        sizes: samples per domain.
        occurrences: ``[B, N]`` how often each draw holds each sample.

    Returns:
        ``[B, D]`` the mean over pairs of different samples of the domain, and the mean over the other domains of the
        mean over pairs across; NaN where there is no pair.
    """
    valid = np.isfinite(np.diag(kernel))
    kernel = np.where(valid[:, None] & valid[None, :], kernel, 0.0)
    occurrences = occurrences * valid
    edges = np.cumsum([0, *sizes])
    parts = [slice(a, b) for a, b in itertools.pairwise(edges)]
    counts = np.stack([occurrences[:, part].sum(1) for part in parts], 1)
    safe = np.where(counts > 0, counts, 1.0)
    shares = occurrences / np.repeat(safe, sizes, axis=1)
    towards = (shares @ kernel) * shares
    within, across = np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    others = (counts > 0).sum(1) - 1
    for place, part in enumerate(parts):
        own = ((shares[:, part] @ kernel[part, part]) * shares[:, part]).sum(1)
        squares = shares[:, part] ** 2
        pairs = np.where(counts[:, place] > 0, 1.0 - squares.sum(1), 0.0)
        np.divide(own - squares @ np.diag(kernel)[part], pairs, out=within[:, place], where=pairs > 1e-9)
        usable = (counts[:, place] > 0) & (others > 0)
        np.divide(towards[:, part].sum(1) - own, others, out=across[:, place], where=usable)
    return within, across


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[B]`` mean over the domains that have a value."""
    finite = np.isfinite(values)
    count = finite.sum(1)
    total = np.where(finite, values, 0.0).sum(1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def percentile_intervals(values: NDArray[np.float64], draws: NDArray[np.float64]) -> list[Interval]:
    """Percentile intervals of several statistics.

    Args:
        values: ``[n]``.
        draws: ``[B, n]``, of the same statistics; NaN where a draw has no value.

    Returns:
        ``n`` values with their 95 % intervals.
    """
    tail = (1 - LEVEL) / 2
    usable = np.isfinite(draws).any(0)
    # The quantile that skips missing draws is ten times slower, and few domains are so small that a draw lacks a pair.
    quantile = np.quantile if np.isfinite(draws).all() else np.nanquantile
    low, high = quantile(np.where(usable, draws, 0.0), [tail, 1 - tail], axis=0)
    ends = zip(values, np.where(usable, low, np.nan), np.where(usable, high, np.nan), strict=True)
    return [Interval(float(value), float(low), float(high)) for value, low, high in ends]
