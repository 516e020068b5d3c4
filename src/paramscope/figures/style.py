"""How the figures look: sizes for a two-column paper, type, colours and dashes, and nothing of the user's own style."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from paramscope.report.charts.colours import GREY, LIGHT, Bounds, Style, series_style, shades
from paramscope.report.text import shorten

COLUMN, PAGE = 3.3, 6.9
"""Width of a column and of a page, in inches."""

SIZE, SMALL, TINY = 7.5, 7.0, 5.5
"""Type in points: titles and axes, ticks and labels, numbers in cells."""

FONT = "DejaVu Sans"
"""Comes with matplotlib, so the same run looks the same on every machine."""

INK, PALE, MISSING = "#222222", "#d9d9d9", "#e4e4e4"

_MARKERS = {series_style(place).marker: marker for place, marker in enumerate(("o", "s", "^", "D", "v", "P", "X", "h"))}
_DASH_SCALE = 0.55
_DPI = 300


@contextmanager
def styled(families: Sequence[str] = ()) -> Iterator[None]:
    """Draw and save inside of this: matplotlib's defaults with the figures' own settings, whatever the user has set.

    Args:
        families: further fonts, for characters that ``FONT`` lacks.

    Yields:
        Nothing.
    """
    settings: dict[str, Any] = {
        "font.family": [FONT, *families],
        "font.size": SMALL,
        "axes.titlesize": SIZE,
        "axes.labelsize": SIZE,
        "axes.linewidth": 0.6,
        "axes.edgecolor": "#555555",
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "text.color": INK,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "text.usetex": False,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "figure.dpi": 100,
        "savefig.dpi": _DPI,
        "svg.fonttype": "none",
        "svg.hashsalt": "paramscope",
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for key, value in settings.items():
            matplotlib.rcParams[key] = value  # type: ignore[index]  # newer stubs list the keys
        yield


def sheet(width: float, height: float) -> Figure:
    """An empty figure, in inches, that belongs to no window."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place of a sheet, in inches from its lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def colour(style: Style) -> str:
    """Of a line on white paper."""
    return "#767676" if style.css == GREY.css else LIGHT[int(style.css.removeprefix("c"))]


def dashes(style: Style) -> Any:
    """Of a line, as matplotlib takes them."""
    return "-" if style.dash is None else (0, tuple(float(part) * _DASH_SCALE for part in style.dash.split()))


def marker(style: Style) -> str:
    """Of a line's points."""
    return _MARKERS[style.marker]


def colour_map(bounds: Bounds) -> ListedColormap:
    """The page's colours of a scale."""
    return ListedColormap(shades(bounds), name="paramscope")


def width_of(text: str, size: float) -> float:
    """Width of a text in points, in the type of ``styled``."""
    return _measured(text, size, tuple(matplotlib.rcParams["font.family"]))


@functools.lru_cache(maxsize=10_000)
def _measured(text: str, size: float, families: tuple[str, ...]) -> float:
    figure, canvas = _probe()
    probe = Text(0, 0, text, fontsize=size, fontfamily=families, figure=figure)
    return probe.get_window_extent(canvas.get_renderer()).width * 72 / figure.dpi


@functools.cache
def _probe() -> tuple[Figure, FigureCanvasAgg]:
    figure = Figure(dpi=100)
    return figure, FigureCanvasAgg(figure)


def fit(text: str, room: float, size: float) -> str:
    """Shorten a text in its middle until it is no wider than ``room`` points."""
    limit, shown = min(len(text), 200), shorten(text, 200)
    while limit > 1 and (width := width_of(shown, size)) > room:
        limit = min(limit - 1, int(limit * room / width) + 1)
        shown = shorten(text, limit)
    return shown
