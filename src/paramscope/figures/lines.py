"""Lines over the layers (or other places) with their intervals, one panel beside another, names at the lines' ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

from paramscope.figures.style import INK, PAGE, SIZE, SMALL, colour, dashes, fit, marker, panel, sheet, width_of
from paramscope.report.charts.frame import Series
from paramscope.report.charts.labels import spread
from paramscope.report.charts.svg import layer_ticks, value_ticks

_GAP = 8.4
"""Points from label to label."""

_LEADER, _BEHIND = 9.0, 4.0
_ROOM = 1.0
_BOTTOM, _TITLE = 0.37, 0.2


@dataclass(frozen=True)
class Panel:
    """One of a figure's panels.

    Attributes:
        title: above it; "" for none.
        caption: of the vertical axis.
        lines: what is drawn.
        bounds: of the vertical axis.
        form: a value at a tick.
        at: the horizontal place of each value; the layers' numbers if None.
        ticks: places and words on the horizontal axis; those of the layers if None.
        across: caption of the horizontal axis.
    """

    title: str
    caption: str
    lines: Sequence[Series]
    bounds: tuple[float, float]
    form: Callable[[float], str]
    at: NDArray[np.float64] | None = None
    ticks: tuple[list[float], list[str]] | None = None
    across: str = "Layer"


def line_figure(panels: Sequence[Panel], width: float = PAGE, least: float = 1.6) -> Figure:
    """Draw panels side by side.

    Args:
        panels: from left to right.
        width: of the figure, in inches.
        least: height of the panels, in inches; more where many names stand beside one.

    Returns:
        The figure; its axes follow ``panels``.
    """
    sides, rooms = [_side(each) for each in panels], [_room(each) for each in panels]
    height = max(least, *(len(_named(each)) * _GAP / 72 + 0.05 for each in panels))
    across = (width - 0.03 - sum(rooms) - sum(sides)) / len(panels)
    top = _TITLE if any(each.title for each in panels) else 0.07
    figure = sheet(width, _BOTTOM + height + top)
    left = 0.0
    for each, side, room in zip(panels, sides, rooms, strict=True):
        axes = panel(figure, left + side, _BOTTOM, across, height)
        _draw(axes, each)
        _end_labels(axes, each, room * 72 - _LEADER - _BEHIND + 0.5)
        left += side + across + room
    return figure


def layer_axis(axes: Axes, layers: int, points: float) -> None:
    """Ticks at round layers and at the last one.

    Args:
        axes: to write below.
        layers: how many.
        points: width of the axes.
    """
    # The point of a single layer lies near its name.
    axes.set_xlim(-0.6 if layers > 1 else -2.4, layers - 0.4)
    axes.xaxis.set_major_locator(FixedLocator(layer_ticks(layers, max(2, int(points / 20)))))


def _levels(each: Panel) -> list[float]:
    """Round values at the vertical axis, whatever its order of magnitude."""
    low, high = each.bounds
    unit = 10.0 ** math.floor(math.log10(high - low))
    return [tick * unit for tick in value_ticks(low / unit, high / unit, 6)]


def _side(each: Panel) -> float:
    """Inches before a panel for the numbers and the caption of its vertical axis."""
    widest = max(width_of(each.form(tick), SMALL) for tick in _levels(each))
    return (widest + 8 + (SIZE + 6 if each.caption else 0)) / 72


def _room(each: Panel) -> float:
    """Inches beside a panel for the names of its lines."""
    named = _named(each)
    if not named:
        return 0.08
    widest = max(width_of(fit(line.name, _ROOM * 72, SMALL), SMALL) for line in named)
    return (widest + _LEADER + _BEHIND) / 72


def _named(each: Panel) -> list[Series]:
    return [line for line in each.lines if line.name and not line.background and np.isfinite(line.values).any()]


def _draw(axes: Axes, each: Panel) -> None:
    points = float(axes.get_window_extent().width) * 72 / axes.figure.dpi
    count = len(each.lines[0].values)
    at = np.arange(count, dtype=float) if each.at is None else each.at
    if each.ticks is None:
        layer_axis(axes, count, points)
    else:
        span = float(np.ptp(at)) or 1.0
        axes.set_xlim(at.min() - 0.04 * span, at.max() + 0.04 * span)
        axes.set_xticks(each.ticks[0], each.ticks[1])
    axes.set_ylim(*each.bounds)
    axes.set_yticks(_levels(each), [each.form(tick) for tick in _levels(each)])
    axes.grid(axis="y", color="#e9e9e9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_title(each.title, loc="left", pad=4)
    axes.set_xlabel(each.across, labelpad=2)
    axes.set_ylabel(each.caption, labelpad=3)
    many = len(each.lines)
    step = max(1, int(np.ceil(count * 14 / max(points, 1))))
    for place, line in enumerate(each.lines):
        ink = colour(line.style)
        if line.background:
            axes.plot(at, line.values, color="#c4c4c4", linewidth=0.6, zorder=1.5)
            continue
        if np.isfinite(line.low).any():
            alpha = 0.18 if many < 5 else 0.1
            axes.fill_between(at, line.low, line.high, color=ink, alpha=alpha, linewidth=0, zorder=1.8)
        axes.plot(
            at,
            line.values,
            color=ink,
            linestyle=dashes(line.style),
            linewidth=1.0,
            marker=marker(line.style),
            markersize=2.6,
            markeredgewidth=0,
            markevery=(place % step, step) if count > 1 else 1,
            zorder=2 + place / 100,
        )


def _end_labels(axes: Axes, each: Panel, room: float) -> None:
    """Write each line's name beside its end, all of them apart, with a thread from the end to the name."""
    named = _named(each)
    if not named:
        return
    box = axes.get_window_extent()
    width, height = box.width * 72 / axes.figure.dpi, box.height * 72 / axes.figure.dpi
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    at = np.arange(len(named[0].values), dtype=float) if each.at is None else each.at
    last = [int(np.flatnonzero(np.isfinite(line.values))[-1]) for line in named]
    ends = [(line.values[place] - low) / (high - low) * height for line, place in zip(named, last, strict=True)]
    rise = spread([min(max(end, 0.0), height) for end in ends], _GAP, 3.0, height - 3.0)
    size = SMALL if len(named) < 2 else min(SMALL, 0.85 * (height - 6) / (len(named) - 1))
    for line, place, end, up in zip(named, last, ends, rise, strict=True):
        start = (at[place] - left) / (right - left)
        threads = Line2D(
            [start, 1 + _LEADER / 2 / width, 1 + _LEADER / width],
            [end / height, up / height, up / height],
            transform=axes.transAxes,
            color=colour(line.style),
            linewidth=0.5,
            marker=marker(line.style),
            markevery=[2],
            markersize=2.6,
            markeredgewidth=0,
            clip_on=False,
            zorder=1.6,
            label="thread",
        )
        axes.add_artist(threads)
        axes.annotate(
            fit(line.name, room, size),
            (1, up / height),
            xycoords="axes fraction",
            xytext=(_LEADER + _BEHIND - 0.5, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=size,
            color=INK,
            annotation_clip=False,
        )


def lettered(titles: Sequence[str]) -> list[str]:
    """``(a) words`` of each, unless there is only one."""
    return (
        [f"({chr(ord('a') + place)}) {words}" for place, words in enumerate(titles)] if len(titles) > 1 else [*titles]
    )
