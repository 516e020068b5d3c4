"""Layers of models of different depth, aligned by where they stand between input and output.

Layer ``l`` of ``L`` takes up the part from ``l / L`` to ``(l + 1) / L`` of a model's depth, its middle at
``(l + 0.5) / L``. Equal parts of the depth take from each layer what lies in them, so the mean over the parts is the
mean over the layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST = 12
"""Parts of the depth at most."""

WHOLE = "all"
"""Name of the band of all layers."""

_THIRDS = ("shallow", "middle", "deep")


def depth_parts(layers: Sequence[int]) -> int:
    """Into how many equal parts the depth is cut: no finer than the smallest model, and in whole thirds.

    Args:
        layers: of each model.

    Returns:
        1 where a model has one layer, else 3, 6, 9 or 12.
    """
    fewest = min(*layers, MOST)
    return 1 if fewest == 1 else 3 * -(-fewest // 3)


def overlaps(parts: int, layers: int) -> NDArray[np.float64]:
    """How much of each part of the depth is of each layer.

    Args:
        parts: into which the depth is cut.
        layers: of the model.

    Returns:
        ``[parts, layers]``, rows that sum to 1.
    """
    # In units of 1 / (parts * layers) all edges are whole numbers, so layers that only touch a part get exactly 0.
    part, layer = np.arange(parts + 1) * layers, np.arange(layers + 1) * parts
    shared = np.minimum(part[1:, None], layer[None, 1:]) - np.maximum(part[:-1, None], layer[None, :-1])
    return np.clip(shared, 0, None) / layers


def depth_bands(parts: int) -> dict[str, list[int]]:
    """Parts of each band: all of them, and the thirds of the depth.

    Args:
        parts: see ``depth_parts``.

    Returns:
        By name. Unlike the bands of one run, the thirds hold the first and the last layer too: what share of the depth
        a single layer takes up differs from model to model.
    """
    bands = {WHOLE: list(range(parts))}
    if parts % len(_THIRDS) == 0:
        size = parts // len(_THIRDS)
        bands |= {name: list(range(place * size, (place + 1) * size)) for place, name in enumerate(_THIRDS)}
    return bands


def combined(weights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sums over the first axis; what has no weight does not count, even where it is no number.

    Args:
        weights: ``[places, n]``.
        values: ``[n, ...]``.

    Returns:
        ``[places, ...]``.
    """
    return np.stack([np.tensordot(row[row > 0], values[row > 0], 1) for row in weights])


def band_weights(bands: dict[str, list[int]], parts: int) -> NDArray[np.float64]:
    """``[bands, parts]`` weights that make a band's value the mean of its parts."""
    weights = np.zeros((len(bands), parts))
    for row, members in zip(weights, bands.values(), strict=True):
        row[members] = 1 / len(members)
    return weights
