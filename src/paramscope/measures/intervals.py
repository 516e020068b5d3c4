"""Confidence intervals: delete-a-group jackknife and multinomial bootstrap draws."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

GROUPS = 8
"""Groups that the samples of a domain are dealt into for the jackknife."""

LEVEL = 0.95
"""Coverage of every interval that paramscope states."""


def jackknife_margin(deleted: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width of a 95 % interval from estimates that leave one group of samples out.

    The grouped jackknife for unequal group sizes (Busing, Meijer and van der Leeden 1999, equation 8): with
    ``h = n / m_g`` the pseudo values are ``h * estimate - (h - 1) * deleted``; the estimate itself is replaced by the
    mean of the ``deleted`` with weights ``n - m_g`` (the same thing for a mean of samples), so that the deleted
    estimates may come from a sample of the weights.

    Args:
        deleted: ``[..., G]``, the estimate without group ``g``.
        sizes: ``[G]``, samples in each group.

    Returns:
        ``[...]``, NaN when there are fewer than two groups.
    """
    groups = deleted.shape[-1]
    if groups < 2:
        return np.full(deleted.shape[:-1], np.nan)
    rest = sizes.sum() / sizes - 1.0
    weights = (sizes.sum() - sizes) / (sizes.sum() * (groups - 1))
    centre = np.sum(deleted * weights, -1, keepdims=True)
    variance = np.sum(rest * (deleted - centre) ** 2, -1) / groups
    return stdtrit(groups - 1, (1 + LEVEL) / 2) * np.sqrt(variance)


@functools.lru_cache(maxsize=4)
def bootstrap_draws(sizes: tuple[int, ...], draws: int, seed: int) -> NDArray[np.float64]:
    """How often each sample occurs in each bootstrap draw, domain by domain.

    Args:
        sizes: samples per domain.
        draws: number of draws.
        seed: of the generator.

    Returns:
        ``[draws, sum(sizes)]``; each domain's part of a row sums to its size.
    """
    rng = np.random.default_rng(seed)
    parts = [rng.multinomial(size, np.full(size, 1.0 / size), size=draws) for size in sizes]
    occurrences = np.concatenate(parts, axis=1).astype(np.float64)
    occurrences.setflags(write=False)  # every layer of a profile uses the same draws
    return occurrences


def jackknife_stride(rows: int) -> int:
    """Step between the weight rows that the jackknife's histograms are taken on.

    One row in 16, but at least 64 rows of each module (all, if it has fewer): the error of a density comes from the
    texts, not from the weights.
    """
    return max(1, min(16, rows // 64))


def sample_groups(samples: int) -> NDArray[np.int64]:
    """Jackknife group of each sample of a domain, in the order of the draw (which is random): dealt in turn."""
    return np.arange(samples) % min(GROUPS, max(samples, 1))
