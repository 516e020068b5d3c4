"""Box plots by layer: drawn as a few collections, so that hundreds of boxes stay quick and small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from paramscope.figures.lines import layer_axis
from paramscope.figures.style import COLUMN, PAGE, SIZE, fit, panel, sheet

WHISKER = 1.5
"""Whiskers reach the last value within so many times the height of the box; the paper's does too."""

MOST_POINTS = 4000
"""Values beyond the whiskers are drawn where a figure has no more of them."""

_FILL, _EDGE = "#a9cfe8", "#0072b2"


@dataclass(frozen=True)
class Box:
    """Five numbers of some values, and the values beyond the whiskers."""

    low: float
    first: float
    median: float
    third: float
    high: float
    beyond: NDArray[np.float64]


def box_of(values: NDArray[np.float64]) -> Box | None:
    """Sum up some values.

    Args:
        values: any; those that are not finite do not count.

    Returns:
        The box; None where there is no value.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
    reach = WHISKER * (third - first)
    inside = values[(values >= first - reach) & (values <= third + reach)]
    beyond = values[(values < first - reach) | (values > third + reach)]
    low, high = (inside.min(), inside.max()) if len(inside) else (first, third)
    return Box(min(low, first), first, median, third, max(high, third), np.sort(beyond))


def box_figure(
    pairs: Sequence[tuple[str, str]], boxes: Sequence[Sequence[Box | None]], columns: int, caption: str
) -> tuple[Figure, bool]:
    """Draw panels in rows.

    Args:
        pairs: names of the two domains of each panel.
        boxes: of each panel, one a layer.
        columns: panels in a row.
        caption: of the vertical axes.

    Returns:
        The figure, whose axes follow the panels, and whether the values beyond the whiskers are in it.
    """
    rows = -(-len(pairs) // columns)
    width = PAGE if columns > 1 else COLUMN
    left, gap, right, bottom, above, height = 0.42, 0.14, 0.06, 0.36, 0.22, 1.25
    across = (width - left - right - gap * (columns - 1)) / columns
    total = bottom + rows * (height + above) + 0.02
    figure = sheet(width, total)
    points = sum(len(box.beyond) for each in boxes for box in each if box) <= MOST_POINTS
    for place, (pair, each) in enumerate(zip(pairs, boxes, strict=True)):
        row, column = divmod(place, columns)
        lower = bottom + (rows - 1 - row) * (height + above)
        axes = panel(figure, left + column * (across + gap), lower, across, height)
        _draw(axes, each, points=points)
        layer_axis(axes, len(each), across * 72)
        axes.set_xlim(-0.6, len(each) - 0.4)
        axes.set_ylim(0.0, 1.0)
        axes.yaxis.set_major_locator(FixedLocator([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))
        axes.grid(axis="y", color="#e9e9e9", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_title(" – ".join(fit(name, across * 36 - 6, SIZE) for name in pair), pad=3)
        below = place + columns >= len(pairs)
        axes.set_xlabel("Layer" if below else "", labelpad=2)
        axes.tick_params(labelbottom=below, labelleft=column == 0)
        axes.set_ylabel(caption if column == 0 else "", labelpad=3)
    return figure, points


def _draw(axes: Axes, boxes: Sequence[Box | None], *, points: bool) -> None:
    there = [(place, box) for place, box in enumerate(boxes) if box]
    half = 0.36
    bodies = [
        [(x - half, box.first), (x + half, box.first), (x + half, box.third), (x - half, box.third)] for x, box in there
    ]
    whiskers = [
        [(x, start), (x, end)] for x, box in there for start, end in ((box.low, box.first), (box.third, box.high))
    ]
    medians = [[(x - half, box.median), (x + half, box.median)] for x, box in there]
    axes.add_collection(LineCollection(whiskers, colors=_EDGE, linewidths=0.5, zorder=2))
    axes.add_collection(PolyCollection(bodies, facecolors=_FILL, edgecolors=_EDGE, linewidths=0.4, zorder=2.1))
    axes.add_collection(LineCollection(medians, colors="#222222", linewidths=0.9, zorder=2.2, label="medians"))
    if points:
        at = np.concatenate([[], *(np.full(len(box.beyond), float(x)) for x, box in there)])
        values = np.concatenate([[], *(box.beyond for _, box in there)])
        axes.plot(at, values, linestyle="", marker=".", markersize=1.4, color="#767676", markeredgewidth=0, zorder=1.9)
