"""Labels at the ends of lines, spread apart so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move positions as little as possible (least squares) so that neighbours are ``gap`` apart, order kept.

    Subtracting ``place * gap`` from the sorted positions turns the task into an isotonic regression, which pooling
    neighbours that violate the order solves; clipping its solution keeps it optimal inside the bounds.

    Args:
        wanted: where the labels would like to be.
        gap: smallest distance of two labels.
        low: no label lies before it.
        high: no label lies behind it.

    Returns:
        Positions in the order of ``wanted``. When the room does not suffice, the gap shrinks to what there is.
    """
    count = len(wanted)
    if count > 1:
        gap = min(gap, (high - low) / (count - 1))
    order = sorted(range(count), key=lambda place: wanted[place])
    pools: list[tuple[float, int]] = []  # sum and number of shifted positions
    for rank, place in enumerate(order):
        pool = (wanted[place] - rank * gap, 1)
        while pools and pools[-1][0] / pools[-1][1] >= pool[0] / pool[1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1])
        pools.append(pool)
    last = max(low, high - (count - 1) * gap)
    shifted = [min(max(total / size, low), last) for total, size in pools for _ in range(size)]
    placed = [0.0] * count
    for rank, place in enumerate(order):
        placed[place] = shifted[rank] + rank * gap
    return placed
