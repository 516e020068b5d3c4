"""Made-up runs to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paramscope.result.profile import Profile
from tests.reference import made_up_layers, make_profile

SIZES = {"support": 8, "code": 8, "contracts": 8}
Layers = Sequence[Mapping[str, NDArray[np.float64]]]


def profile_of(
    layers: int = 6, sizes: Mapping[str, int] | None = None, *, seed: int = 0, model: str = "model", **settings: Any
) -> Profile:
    sizes = SIZES if sizes is None else sizes
    made = made_up_layers(layers, sizes, seed=seed, rows=8, columns=6)
    return make_profile(made, sizes, threshold=4e-4, model=model, **settings)


def other_texts(sizes: Mapping[str, int]) -> list[str]:
    return [f"other text {place}" for place in range(sum(sizes.values()))]
