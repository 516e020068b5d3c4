"""The domains' matrix of similarities, or of other numbers with two digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.report.charts.colours import Bounds
from paramscope.report.charts.heatmap import cell, legend
from paramscope.report.charts.svg import element, number, picture
from paramscope.report.text import MISSING, cosine, fit, text_width

_FONT = 12.5
_CELL = 11
_WIDTH = 440.0
_ROOM = 108.0
_WIDEST = "−0.00"


def domain_matrix(
    ident: str,
    title: str,
    description: str,
    values: NDArray[np.float64],
    names: Sequence[str],
    bounds: Bounds,
    others: Sequence[tuple[str, Bounds]] = (),
) -> Markup:
    """Mean similarity (or another number with two digits) of every two domains; the framed diagonal is within a domain.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        values: ``[domains, domains]``, NaN where there is no pair of samples.
        names: of the domains.
        bounds: of the scale of colours.
        others: scales that the script may change to, by class, drawn but not shown; the first class is that of
            ``bounds``.

    Returns:
        The ``svg`` element.
    """
    left = _left(names)
    side = matrix_side(names)
    top = left - 2
    bottom = top + side * len(names)
    cells = _cells(values, bounds, left, top, side)
    wide = min(_WIDTH - left - 20, 240)
    scales = [
        element(
            "g",
            legend(left, bottom + 14, wide, ends, cosine),
            class_=f"scale {kind}",
            display="none" if place else None,
        )
        for place, (kind, ends) in enumerate(others or [("only", bounds)])
    ]
    return picture(
        ident,
        _WIDTH,
        bottom + 50,
        title,
        description,
        *_labels(names, left, top, side),
        element("g", *cells, class_="cells"),
        *_diagonal(len(names), left, top, side),
        *scales,
        css="half matrix",
    )


def matrix_side(names: Sequence[str]) -> float:
    """Width of a cell, which tells how its number is written; whole, so that edges are sharp, where it is not tiny."""
    side = min((_WIDTH - _left(names) - 4) / len(names), 64.0)
    return float(math.floor(side)) if side > 4 else side


def _left(names: Sequence[str]) -> float:
    return 14 + min(_ROOM, max(text_width(name, _FONT) for name in names))


def matrix_form(side: float) -> Callable[[float], str]:
    """How all numbers of a matrix are written whose cells are filled by a script.

    Args:
        side: of a cell.

    Returns:
        ``0.43``, ``.43``, or nothing where there is no room.
    """
    if text_width(_WIDEST, _CELL) + 5 <= side:
        return cosine
    if text_width(_WIDEST.replace("0.", "."), _CELL) + 1 <= side:
        return lambda value: cosine(value).replace("0.", ".")
    return lambda _value: ""


def _labels(names: Sequence[str], left: float, top: float, side: float) -> Iterator[Markup]:
    for row, name in enumerate(names):
        shown = element("tspan", fit(name, _ROOM, _FONT), class_="isolate")
        middle = side * (row + 0.5) + 4
        yield element("text", shown, element("title", name), x=left - 8, y=top + middle, class_="label end")
        turn = f"translate({number(left + middle)} {number(top - 7)}) rotate(-90)"
        yield element("text", shown, element("title", name), transform=turn, class_="label")


def _cells(values: NDArray[np.float64], bounds: Bounds, left: float, top: float, side: float) -> Iterator[Markup]:
    """The cells; the script tells what each is, and may fill them anew."""
    form = matrix_form(side)
    for row in range(len(values)):
        for column in range(len(values)):
            value = float(values[row, column])
            shown = (form(value) if math.isfinite(value) else MISSING) or " "
            yield cell(left + side * column, top + side * row, side - 1, side - 1, value, bounds, shown, "")


def _diagonal(count: int, left: float, top: float, side: float) -> Iterator[Markup]:
    for row in range(count):
        at = side * row
        yield element("rect", x=left + at, y=top + at, width=side - 1, height=side - 1, class_="diagonal")
