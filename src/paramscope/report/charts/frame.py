"""What a chart of lines or bars is given: series, axes, marks, and the frame that they are drawn into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.report.charts.colours import Style


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        name: at its end and in its tool tip.
        values: one a layer (or other place), NaN where there is none.
        low: lower ends of the intervals, NaN where there is none.
        high: upper ends.
        style: colour, dashes, marker.
        background: drawn thin, without band, markers and label.
    """

    name: str
    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    style: Style
    background: bool = False


def told_ends(lines: Sequence[Series], form: Callable[[float], str]) -> str:
    """What lines over the layers do, for who cannot see them: where each begins and ends."""
    told = [
        _(
            "%(name)s: %(first)s in the first layer, %(last)s in the last.",
            name=line.name,
            first=form(line.values[0]),
            last=form(line.values[-1]),
        )
        for line in lines
    ]
    return " ".join(told)


@dataclass(frozen=True)
class Axis:
    """The vertical axis: its range, how a value is written at a tick and in a tool tip."""

    low: float
    high: float
    tick: Callable[[float], str]
    exact: Callable[[float], str]


@dataclass(frozen=True)
class Across:
    """The horizontal axis: its places, from left to right.

    Attributes:
        at: where each stands, in any unit.
        pad: room beside the first and the last, in that unit.
        ticks: what is written at each, where there is room.
        told: each in a tool tip.
        caption: what they are.
    """

    at: tuple[float, ...]
    pad: float
    ticks: tuple[str, ...]
    told: tuple[str, ...]
    caption: str


@dataclass(frozen=True)
class Mark:
    """A place of the horizontal axis that is pointed out, and what is written above it."""

    place: int
    told: str


@dataclass(frozen=True)
class Frame:
    """Size of a chart in the units of its view box.

    Attributes:
        width: of the whole chart.
        height: at least; many labels need more.
        left: room for the ticks.
        right: room for the labels, at most.
        top: room for the names of the zones.
        bottom: room for the layers.
        font: size of the text, as in the style sheet.
        css: class.
        ticks: at most, on the vertical axis.
        tips: whether every point has a tool tip.
        labels: whether lines have labels at their ends.
        room: from one marker of a line to its next, where there are many lines.
    """

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    font: float
    css: str
    ticks: int
    tips: bool = False
    labels: bool = True
    room: float = 32.0


SHORT = Frame(900, 250, 52, 214, 28, 44, 13, "wide", 4, tips=True)
WIDE = Frame(900, 400, 52, 214, 28, 44, 13, "wide", 6, tips=True)
NARROW = Frame(400, 400, 44, 122, 28, 42, 12.5, "narrow", 6)
HALF = Frame(440, 330, 44, 92, 28, 42, 12.5, "half", 6, tips=True)
PANEL = Frame(260, 150, 40, 10, 8, 24, 12, "panel", 3, labels=False)
