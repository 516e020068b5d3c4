"""LLMDcos within and across domains, raw and centred, from the samples' Gram matrix of one layer.

LLMDcos (Wang et al. 2024, section 3) of two samples is the cosine of their activation vectors over all linear weights
of a layer. The Gram matrix ``G[i, j] = sum_w A(i, w) A(j, w)`` holds all that is needed.

All of A is positive and follows |w|, so raw cosines start high. The centred cosine first scales every sample's vector
to length 1 and subtracts the mean of those over all samples; that too follows from the Gram matrix alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.intervals import LEVEL, bootstrap_draws

DRAWS = 1000
"""Bootstrap draws behind an interval of a cosine."""

FEWEST = 3
"""Samples below which a domain has no bootstrap interval: of two, every draw with a pair in it has the same pair."""

_ROUNDING = 1e-12
"""Squared length, relative to the sample's own, below which a centred vector is rounding."""


@dataclass(frozen=True)
class PairMeans:
    """Mean cosines of one layer.

    Attributes:
        matrix: ``[D, D]``: the mean over pairs of different samples inside a domain on the diagonal, across two domains
            off it; NaN where there is no such pair.
        low: the lower ends of the 95 % intervals, of the same shape; NaN where a domain has fewer than ``FEWEST``
            samples with activation.
        high: the upper ends.
    """

    matrix: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def cosines(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """All pairs' cosines.

    Args:
        gram: ``[N, N]``.

    Returns:
        ``[N, N]``, NaN in rows and columns of samples without any activation.
    """
    norms = np.sqrt(np.diag(gram))
    norms = np.where(norms > 0, norms, np.nan)
    return gram / norms[:, None] / norms[None, :]


def centred_cosines(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """All pairs' cosines after subtracting the mean over all samples of the normalised activations.

    Args:
        gram: ``[N, N]``.

    Returns:
        ``[N, N]``, NaN in rows and columns of samples without any activation or equal to the mean.
    """
    cosine = cosines(gram)
    active = np.isfinite(np.diag(cosine))
    count = max(active.sum(), 1)
    mean = cosine[:, active].sum(1) / count
    centred = cosine - mean[:, None] - mean[None, :] + mean[active].sum() / count
    # What rounding leaves of a sample that equals the mean has no direction.
    np.fill_diagonal(centred, np.where(np.diag(centred) > _ROUNDING, np.diag(centred), 0.0))
    return cosines(centred)


def pair_draws(kernel: NDArray[np.float64], sizes: list[int], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean cosines of the samples as they are, and of every draw.

    Args:
        kernel: ``[N, N]`` cosines (or means or differences of them), NaN for samples without activation.
        sizes: samples per domain, in the order of the kernel.
        draws: ``[B, N]`` how often each draw holds each sample.

    Returns:
        ``[B + 1, D, D]``, the samples as they are first; NaN where there is no pair.
    """
    valid = np.isfinite(np.diag(kernel))
    kernel = np.where(valid[:, None] & valid[None, :], kernel, 0.0)
    return draw_means(kernel, sizes, np.concatenate([np.ones((1, len(kernel))), draws]) * valid)


def pair_means(kernel: NDArray[np.float64], sizes: list[int], seed: int = 0) -> PairMeans:
    """Mean cosines within and across domains with bootstrap intervals.

    A draw takes samples, not pairs (pairs that share a sample are not independent), with replacement inside each
    domain; a pair of a sample with itself is left out. Centred cosines keep the centre of all samples in every draw:
    found anew, it would lean towards the samples drawn twice and push all pairs down.

    Args:
        kernel: ``[N, N]`` from ``cosines`` or ``centred_cosines``, samples of one domain next to each other.
        sizes: samples per domain, in the order of the kernel.
        seed: of the bootstrap.

    Returns:
        Means and percentile intervals.
    """
    found = pair_draws(kernel, sizes, bootstrap_draws(tuple(sizes), DRAWS, seed))
    return summed_up(found, np.isfinite(np.diag(kernel)), sizes)


def summed_up(found: NDArray[np.float64], valid: NDArray[np.bool_], sizes: list[int]) -> PairMeans:
    """Means and percentile intervals of draws.

    Args:
        found: ``[B + 1, D, D]`` from ``pair_draws``.
        valid: ``[N]`` samples with activation.
        sizes: samples per domain.

    Returns:
        Means and intervals.
    """
    once, many = found[0], found[1:]
    tail = (1 - LEVEL) / 2
    parts = np.split(valid, np.cumsum(sizes)[:-1])
    enough = np.array([part.sum() >= FEWEST for part in parts])
    usable = enough[:, None] & enough[None, :] & np.isfinite(many).any(0)
    many = np.where(usable, many, 0.0)
    # Without a draw that has no pair, the plain quantile gives the same and is seven times as fast.
    low, high = (np.nanquantile if np.isnan(many).any() else np.quantile)(many, [tail, 1 - tail], axis=0)
    return PairMeans(once, np.where(usable, low, np.nan), np.where(usable, high, np.nan))


def draw_means(kernel: NDArray[np.float64], sizes: list[int], occurrences: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[B, D, D]`` mean cosines of draws in which sample ``i`` occurs ``occurrences[b, i]`` times.

    With multiplicities c, the sum over pairs of different samples is ``c K c - sum c^2 K_ii``, and there are
    ``(sum c)^2 - sum c^2`` of them.
    """
    edges = np.cumsum([0, *sizes])
    parts = [slice(a, b) for a, b in itertools.pairwise(edges)]
    means = np.full((len(occurrences), len(sizes), len(sizes)), np.nan)
    for i, one in enumerate(parts):
        towards = occurrences[:, one] @ kernel[one, : one.stop]  # the kernel is symmetric: half of it will do
        for j, other in enumerate(parts[: i + 1]):
            total = np.einsum("bn,bn->b", towards[:, other], occurrences[:, other])
            pairs = occurrences[:, one].sum(1) * occurrences[:, other].sum(1)
            if i == j:
                squares = occurrences[:, one] ** 2
                total -= squares @ np.diag(kernel)[one]
                pairs -= squares.sum(1)
            value = np.divide(total, pairs, out=np.full_like(total, np.nan), where=pairs > 0)
            means[:, i, j] = means[:, j, i] = value
    return means
