"""LLMDcos of each domain with itself and with the others, with bootstrap intervals for means and for differences.

``Profile.similarity`` has an interval for every pair of domains. Statements about all pairs, and about the change from
shallow to deep layers, need the joint draws: the same samples enter every pair and every layer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.intervals import LEVEL, bootstrap_draws
from paramscope.measures.ranks import Interval
from paramscope.measures.similarity import DRAWS, FEWEST, pair_draws

Array = NDArray[np.float64]


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

    def __init__(self, sizes: list[int], seed: int, layers: int, cosines: Callable[[int, bool], Array]) -> None:
        """Draw the samples once; every layer and band uses the same draws.

        Args:
            sizes: samples of each domain.
            seed: of the draws.
            layers: of the model.
            cosines: the cosines ``[N, N]`` of all pairs of samples in a layer, raw or centred.
        """
        self._layers, self._cosines = layers, cosines
        self.domains = [place for place, size in enumerate(sizes) if size >= FEWEST]
        self._sizes = [sizes[place] for place in self.domains]
        edges = np.cumsum([0, *sizes])
        kept = [np.arange(edges[place], edges[place + 1]) for place in self.domains]
        self._kept = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
        self._draws = bootstrap_draws(tuple(self._sizes), DRAWS, seed) if kept else np.zeros((0, 0))

    def layers(self, layers: list[int], *, centred: bool) -> Alike:
        """Means over some layers.

        Args:
            layers: which.
            centred: as in ``Profile.similarity``.

        Returns:
            The means; the lists follow ``domains``.
        """
        return _alike(self.pairs(layers, centred=centred))

    def change(self, before: list[int], after: list[int], *, centred: bool) -> Alike:
        """What changes from some layers to others. A mean cosine is linear in the kernel, so this is its difference.

        Args:
            before: layers.
            after: layers.
            centred: as in ``Profile.similarity``.

        Returns:
            The differences; the lists follow ``domains``.
        """
        draws = self._layer_draws(centred)
        if all(layer in draws for layer in (*before, *after)):
            return _alike(self.pairs(after, centred=centred) - self.pairs(before, centred=centred))
        kernel = self._kernel(after, centred) - self._kernel(before, centred)
        return _alike(pair_draws(kernel, self._sizes, self._draws))

    def means(self, layers: list[int], *, centred: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means within and across over all domains, for statistics of them.

        Args:
            layers: which.
            centred: as in ``Profile.similarity``.

        Returns:
            ``[B + 1]`` within and across; first of the samples as they are, then of every draw.
        """
        within, across = within_across(self.pairs(layers, centred=centred))
        return mean_over_domains(within), mean_over_domains(across)

    def pairs(self, layers: list[int], *, centred: bool) -> NDArray[np.float64]:
        """Means of all pairs of domains, for statistics of them.

        Args:
            layers: which.
            centred: as in ``Profile.similarity``.

        Returns:
            ``[B + 1, D, D]`` in the order of ``domains``; first of the samples as they are, then of every draw. NaN
            where there is no pair.
        """
        draws = self._layer_draws(centred)
        if all(layer in draws for layer in layers):  # a mean cosine is linear in the kernel
            return np.mean([draws[layer] for layer in layers], axis=0)
        return pair_draws(self._kernel(layers, centred), self._sizes, self._draws)

    def _kernel(self, layers: list[int], centred: bool) -> NDArray[np.float64]:
        whole = sum(self._cosines(layer, centred) for layer in layers) / len(layers)
        return np.asarray(whole)[np.ix_(self._kept, self._kept)]

    @functools.cache  # noqa: B019 - lives as long as its numbers are wanted
    def _layer_draws(self, centred: bool) -> dict[int, NDArray[np.float64]]:
        """``pairs`` of each layer in which every sample has activation: any mean of layers follows from them."""
        found = {}
        for layer in range(self._layers):
            kernel = self._kernel([layer], centred)
            if np.isfinite(np.diag(kernel)).all():
                found[layer] = pair_draws(kernel, self._sizes, self._draws)
        return found


def _alike(pairs: NDArray[np.float64]) -> Alike:
    """Means and intervals of draws ``[B + 1, D, D]``."""
    if not pairs.size:
        nothing = Interval(np.nan)
        return Alike([], [], [], nothing, nothing, nothing)
    within, across = within_across(pairs)
    kinds = (within, across, within - across)
    own, others, gap = (percentile_intervals(kind[0], kind[1:]) for kind in kinds)
    means = [percentile_intervals(mean[:1], mean[1:, None])[0] for mean in map(mean_over_domains, kinds)]
    return Alike(own, others, gap, means[0], means[1], means[2])


def within_across(pairs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``[B, D]`` of ``[B, D, D]``: each domain with itself, and its mean with the others that there are."""
    within = np.diagonal(pairs, axis1=1, axis2=2)
    apart = np.where(np.eye(pairs.shape[1], dtype=bool), np.nan, pairs)
    shape = apart.shape
    return within, mean_over_domains(apart.reshape(-1, shape[2])).reshape(shape[:2])


def mean_over_domains(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[B]`` mean of ``[B, D]`` over the domains that have a value; NaN where none has."""
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
