"""The domains' matrix of similarities in one band of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.report.heatmap import cell, legend
from paramscope.report.svg import element, number, picture
from paramscope.report.text import MISSING, cosine, fit, text_width

_FONT = 12.5
_WIDTH = 440.0
_ROOM = 108.0


def domain_matrix(
    ident: str,
    title: str,
    description: str,
    values: NDArray[np.float64],
    names: Sequence[str],
    bounds: tuple[float, float],
    tell: Callable[[int, int], str] | None = None,
) -> Markup:
    """Mean similarity (or another number with two digits) of every two domains; the framed diagonal is within a domain.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        values: ``[domains, domains]``, NaN where there is no pair of samples.
        names: of the domains.
        bounds: values of the ramp's ends.
        tell: the tool tip of a row's and column's cell; that of a similarity if None.

    Returns:
        The ``svg`` element.
    """
    left = 14 + min(_ROOM, max(text_width(name, _FONT) for name in names))
    side = min((_WIDTH - left - 4) / len(names), 64.0)
    top = left - 2
    bottom = top + side * len(names)
    drawn = _cells(values, names, bounds, left, top, side, tell or _similarity(values, names))
    scale = legend(left, bottom + 14, min(_WIDTH - left - 20, 240), bounds, cosine)
    return picture(ident, _WIDTH, bottom + 50, title, description, *drawn, scale, css="half")


def _cells(
    values: NDArray[np.float64],
    names: Sequence[str],
    bounds: tuple[float, float],
    left: float,
    top: float,
    side: float,
    tell: Callable[[int, int], str],
) -> Iterator[Markup]:
    for row, name in enumerate(names):
        shown = element("tspan", fit(name, _ROOM, _FONT), class_="isolate")
        middle = side * (row + 0.5) + 4
        yield element("text", shown, element("title", name), x=left - 8, y=top + middle, class_="label end")
        turn = f"translate({number(left + middle)} {number(top - 7)}) rotate(-90)"
        yield element("text", shown, element("title", name), transform=turn, class_="label")
        for column in range(len(names)):
            value, tip = float(values[row, column]), tell(row, column)
            yield cell(
                left + side * column, top + side * row, side - 1, side - 1, value, bounds, _number(value, side), tip
            )
    for row in range(len(names)):
        at = side * row
        yield element("rect", x=left + at, y=top + at, width=side - 1, height=side - 1, class_="diagonal")


def _similarity(values: NDArray[np.float64], names: Sequence[str]) -> Callable[[int, int], str]:
    def tell(row: int, column: int) -> str:
        value = float(values[row, column])
        place = f"within {names[row]}" if row == column else f"{names[row]} and {names[column]}"
        return f"{place}: {cosine(value) if math.isfinite(value) else 'no pair of samples'}"

    return tell


def _number(value: float, side: float) -> str:
    """The cell's number, as long as there is room for it."""
    if not math.isfinite(value):
        return MISSING
    shown = cosine(value)
    if side < 32:
        shown = shown.replace("0.", ".")
    return shown if text_width(shown, 11) <= side else ""
