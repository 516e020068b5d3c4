"""Small histograms as lines over octaves, with marks at thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.report.charts.svg import Scale, element, picture, value_ticks
from paramscope.report.text import percent

_WIDTH, _HEIGHT = 300.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 8.0, 10.0, 26.0


@dataclass(frozen=True)
class Outline:
    """Histograms that are drawn alike.

    Attributes:
        shares: ``[histograms, octaves]``.
        css: class of its colour.
        dash: SVG dash array, None for a solid line.
        thin: whether they stand in the background.
    """

    shares: NDArray[np.float64]
    css: str
    dash: str | None
    thin: bool


def octave_histogram(
    ident: str,
    title: str,
    description: str,
    first: int,
    outlines: Sequence[Outline],
    top: float,
    marks: Sequence[tuple[float, str]],
) -> Markup:
    """Draw histograms over each other.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        first: exponent of 2 at which the first octave begins.
        outlines: of the same octaves, the last on top.
        top: largest share of the vertical axis.
        marks: exponent of 2 and class of vertical lines.

    Returns:
        The ``svg`` element.
    """
    count = outlines[0].shares.shape[1]
    x = Scale(first, first + count, _LEFT, _WIDTH - _RIGHT)
    y = Scale(0.0, top, _HEIGHT - _BOTTOM, _TOP)
    drawn = []
    for value in value_ticks(0.0, top, 4):
        drawn.append(element("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="grid"))
        drawn.append(element("text", percent(value, 0), x=x.start - 6, y=y(value) + 4, class_="tick end"))
    for value in value_ticks(first, first + count, 7):
        if value == round(value):
            shown = f"{value:.0f}".replace("-", "−")
            drawn.append(element("text", shown, x=x(value), y=y.start + 17, class_="tick middle"))
    drawn.append(element("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis"))
    for exponent, css in marks:
        if first <= exponent <= first + count:
            drawn.append(element("line", x1=x(exponent), x2=x(exponent), y1=y.start, y2=y.end, class_=css))
    for outline in outlines:
        # Whole units, a sixth of a millimetre on paper, halve what so many lines take.
        paths = (
            "M" + "L".join(f"{x(first + k + 0.5):.0f} {y(share):.0f}" for k, share in enumerate(shares))
            for shares in outline.shares
        )
        line = element("path", d="".join(paths), class_="line", stroke_dasharray=outline.dash)
        drawn.append(element("g", line, class_=f"series {outline.css}{' background' if outline.thin else ''}"))
    return picture(ident, _WIDTH, _HEIGHT, title, description, *drawn, css="panel")
