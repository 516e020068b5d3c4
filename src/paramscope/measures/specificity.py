"""Whether what was chosen for a domain is that domain's own: specificity matrices and their permutation test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 5000


def own_damage(damage: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each sample loses to the set chosen for its own domain.

    Args:
        damage: ``[D, N]``, of the set chosen for domain i to sample n.
        owner: ``[N]``, number of each sample's domain.

    Returns:
        ``[N]``.
    """
    found: NDArray[np.float64] = damage[owner, np.arange(len(owner))]
    return found


def others_damage(damage: NDArray[np.float64], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each sample loses to the sets chosen for the other domains, on the mean; as ``own_damage``."""
    found: NDArray[np.float64] = (damage.sum(0) - own_damage(damage, owner)) / max(len(damage) - 1, 1)
    return found


def own_excess(damage: NDArray[np.float64], owner: NDArray[np.int64]) -> float:
    """How much more the set chosen for its own domain costs a sample than the sets chosen for the others do.

    Args:
        damage: ``[D, N]``, of the set chosen for domain i to sample n.
        owner: ``[N]``, number of each sample's domain.

    Returns:
        The mean over samples of ``damage[own] - mean of damage[others]``.
    """
    return float((own_damage(damage, owner) - others_damage(damage, owner)).mean())


def own_excess_p_value(damage: NDArray[np.float64], owner: NDArray[np.int64], *, seed: int) -> float:
    """Chance of an excess at least as large, if the domains were drawn from one source.

    Under that hypothesis a held-out sample could as well bear any other domain's name, so the names are dealt out
    anew; one-sided.

    Args:
        damage: as in ``own_excess``.
        owner: likewise.
        seed: of the permutations.

    Returns:
        The share of permutations, the names as they are among them; NaN where a damage is infinite.
    """
    if not np.isfinite(damage).all():
        return float("nan")
    rng = np.random.default_rng(seed)
    found = own_excess(damage, owner)
    # Equal sums in another order may differ in the last bit.
    slack = 1e-12 * (abs(found) + float(np.abs(damage).max(initial=0.0)))
    as_large = sum(own_excess(damage, rng.permutation(owner)) >= found - slack for _ in range(PERMUTATIONS))
    return (as_large + 1) / (PERMUTATIONS + 1)
