"""Profiles whose domains share what they are made to share."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from paramscope.result.profile import Profile
from tests.reference import make_profile


def planted_layers(
    sizes: Mapping[str, int],
    own: Sequence[float],
    *,
    groups: Sequence[int] = (),
    group: float = 1.2,
    noise: float = 0.7,
    seed: int = 0,
) -> list[dict[str, NDArray[np.float64]]]:
    """Log-normal activations.

    ``own`` is by layer how far each domain goes its own way; ``groups`` the number of each domain's group, whose
    domains go one way together; ``noise`` is the scatter of samples.
    """
    rng = np.random.default_rng(seed)
    rows, columns = 16, 12
    made = []
    for strength in own:
        modules = {}
        for name in ("self_attn.k_proj", "mlp.up_proj"):
            common = rng.normal(size=(rows, columns))
            ways = {number: rng.normal(size=(rows, columns)) for number in sorted(set(groups))}
            parts = []
            for place, size in enumerate(sizes.values()):
                way = strength * rng.normal(size=(rows, columns))
                if groups:
                    way = way + group * ways[groups[place]]
                parts.append(np.exp(-7 + common + way + noise * rng.normal(size=(size, rows, columns))))
            modules[name] = np.concatenate(parts)
        made.append(modules)
    return made


def planted_profile(
    sizes: Mapping[str, int],
    own: Sequence[float],
    *,
    groups: Sequence[int] = (),
    noise: float = 0.7,
    seed: int = 0,
) -> Profile:
    return make_profile(planted_layers(sizes, own, groups=groups, noise=noise, seed=seed), sizes)


def own_share_by_loops(layer: Mapping[str, NDArray[np.float64]], sizes: Mapping[str, int]) -> float:
    """1 - across / within, pair by pair."""
    vectors = np.concatenate([part.reshape(len(part), -1) for part in layer.values()], axis=1)
    owner = [name for name, size in sizes.items() for _ in range(size)]
    pairs: dict[tuple[str, str], list[float]] = {}
    for i, j in itertools.combinations(range(len(owner)), 2):
        cosine = vectors[i] @ vectors[j] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j])
        pairs.setdefault((owner[i], owner[j]), []).append(float(cosine))
    within = [np.mean(found) for (one, other), found in pairs.items() if one == other]
    across = [np.mean(found) for (one, other), found in pairs.items() if one != other]
    return float(1 - np.mean(across) / np.mean(within))
