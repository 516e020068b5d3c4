"""Matrices and heat maps in the page's colours, several of one scale side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from paramscope.figures.style import (
    COLUMN,
    MISSING,
    PAGE,
    SIZE,
    SMALL,
    TINY,
    colour_map,
    fit,
    panel,
    sheet,
    width_of,
)
from paramscope.report.charts.colours import ink_on, shade
from paramscope.report.charts.svg import layer_ticks, value_ticks

_ROOM, _GAP, _TITLE, _BAR = 0.95, 0.14, 0.22, 0.09
_LARGEST, _SMALLEST = 0.46, 0.06


@dataclass(frozen=True)
class Scale:
    """What the colours mean: the values of the ramp's ends, how one is written, and what they are."""

    bounds: tuple[float, float]
    form: Callable[[float], str]
    caption: str


def matrix_figure(
    titles: Sequence[str],
    matrices: Sequence[NDArray[np.float64]],
    names: Sequence[str],
    scale: Scale,
    captions: tuple[str, str] = ("", ""),
) -> Figure:
    """Draw square matrices of the domains side by side.

    Args:
        titles: of the matrices.
        matrices: their values, NaN where there is none.
        names: of the domains.
        scale: of all matrices.
        captions: what the rows and what the columns are.

    Returns:
        The figure: an axes for each matrix, then that of the scale.
    """
    count, many = len(names), len(matrices)
    width = PAGE if many > 1 else COLUMN
    shown = [fit(name, _ROOM * 72, SMALL) for name in names]
    room = max(width_of(name, SMALL) for name in shown) / 72 + 0.1
    left = room + (0.16 if captions[0] else 0.02)
    bottom = room + (0.17 if captions[1] else 0.03)
    free = (width - left - _bar_room(scale) - _GAP * many) / many
    side = min(_LARGEST, max(_SMALLEST, free / count))
    titles = [fit(title, free * 72, SIZE) for title in titles]
    slot = max(side * count, *(width_of(title, SIZE) / 72 for title in titles))
    height = max(side * count, 0.7)
    content = left + (many - 1) * (slot + _GAP) + side * count + _GAP + _bar_room(scale)
    figure = sheet(max(min(width, content), COLUMN), bottom + height + _TITLE)
    for place, (title, values) in enumerate(zip(titles, matrices, strict=True)):
        start = left + place * (slot + _GAP)
        axes = panel(figure, start, bottom + height - side * count, side * count, side * count)
        _cells(axes, values, scale, side * 72, side * 72)
        axes.set_xticks(np.arange(count) + 0.5, shown, rotation=90)
        axes.set_yticks(np.arange(count) + 0.5, shown if place == 0 else [""] * count)
        axes.set_title(title, loc="left", pad=3)
        axes.set_ylabel(captions[0] if place == 0 else "", labelpad=2)
        axes.set_xlabel(captions[1], labelpad=2)
    start = left + (many - 1) * (slot + _GAP) + side * count + _GAP
    _bar(figure, start, bottom, height, scale)
    return figure


def heat_figure(values: NDArray[np.float64], rows: Sequence[str], scale: Scale) -> Figure:
    """Draw a heat map with a column for each layer.

    Args:
        values: ``[rows, layers]``.
        rows: names.
        scale: of the colours.

    Returns:
        The figure: the map's axes, then that of the scale.
    """
    layers = values.shape[1]
    shown = [fit(name, _ROOM * 72, SMALL) for name in rows]
    left = max(width_of(name, SMALL) for name in shown) / 72 + 0.1
    bar = _GAP + _bar_room(scale)
    width = min(PAGE - left - bar, 0.5 * layers)
    side, bottom = 0.17, 0.36
    height = side * len(rows)
    # A short map needs room for the scale's words beside it.
    figure = sheet(max(left + width + bar, COLUMN), bottom + max(height, 0.8) + 0.06)
    base = bottom + max(height, 0.8) - height
    axes = panel(figure, left, base, width, height)
    _cells(axes, values, scale, width / layers * 72, side * 72)
    ticks = layer_ticks(layers, max(2, int(width * 72 / 20)))
    axes.set_xticks(np.array(ticks) + 0.5, [str(layer) for layer in ticks])
    axes.set_yticks(np.arange(len(rows)) + 0.5, shown)
    axes.set_xlabel("Layer", labelpad=2)
    _bar(figure, left + width + _GAP, bottom, max(height, 0.8), scale)
    return figure


def _cells(axes: Axes, values: NDArray[np.float64], scale: Scale, across: float, down: float) -> None:
    """Cells of ``across`` by ``down`` points, with their numbers where all of them fit."""
    low, high = scale.bounds
    axes.set_facecolor(MISSING)
    edges = "white" if across > 5 else "face"  # between narrow cells a grid would be all one sees
    axes.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=colour_map(scale.bounds),
        vmin=low,
        vmax=high,
        edgecolors=edges,
        linewidth=0.25,
    )
    axes.set_xlim(0, values.shape[1])
    axes.set_ylim(values.shape[0], 0)
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
    finite = values[np.isfinite(values)]
    if not len(finite) or down < TINY + 2:
        return
    if max(width_of(scale.form(float(value)), TINY) for value in finite) > across - 1.5:
        return
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = ink_on(shade(float(value), scale.bounds))
            axes.text(
                column + 0.5, row + 0.5, scale.form(float(value)), ha="center", va="center", fontsize=TINY, color=ink
            )


def _bar_room(scale: Scale) -> float:
    """Inches for a scale with its numbers and words."""
    widest = max(width_of(scale.form(tick), SMALL) for tick in value_ticks(*scale.bounds, 6))
    return _BAR + (widest + SIZE + 14) / 72


def _bar(figure: Figure, left: float, bottom: float, height: float, scale: Scale) -> None:
    low, high = scale.bounds
    axes = panel(figure, left, bottom, _BAR, height)
    steps = np.linspace(low, high, 65)
    middle = (steps[:-1] + steps[1:]) / 2
    axes.pcolormesh(
        [0, 1],
        steps,
        middle[:, None],
        cmap=colour_map(scale.bounds),
        vmin=low,
        vmax=high,
        edgecolors="face",
        linewidth=0.2,
    )
    axes.set_ylim(low, high)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    ticks = value_ticks(low, high, 6)
    axes.set_yticks(ticks, [scale.form(tick) for tick in ticks])
    axes.yaxis.set_label_position("right")
    axes.set_ylabel(scale.caption, labelpad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
