"""Bars over the layers with their intervals; some of them stand out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from paramscope.language import _
from paramscope.measures.ranks import Interval
from paramscope.report.charts.frame import Axis
from paramscope.report.charts.svg import Scale, element, layer_ticks, number, picture, value_ticks
from paramscope.report.text import interval, text_width

_WIDTH, _HEIGHT = 440.0, 270.0
_LEFT, _TOP, _BOTTOM = 44.0, 12.0, 42.0
_FONT = 12.5


@dataclass(frozen=True)
class Line:
    """A level that the bars are compared with, and what is written at its end."""

    value: float
    told: str


def layer_bars(
    ident: str,
    title: str,
    description: str,
    values: Sequence[Interval],
    standing_out: Sequence[bool],
    axis: Axis,
    level: Line,
) -> Markup:
    """Draw a bar a layer.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        values: one a layer, NaN where there is none.
        standing_out: which layers have the strong colour.
        axis: the vertical one, from 0 or below.
        level: drawn across all bars.

    Returns:
        The ``svg`` element.
    """
    x = Scale(-0.5, len(values) - 0.5, _LEFT, _WIDTH - 24 - text_width(level.told, _FONT))
    y = Scale(axis.low, axis.high, _HEIGHT - _BOTTOM, _TOP)
    drawn = [*_axes(len(values), axis, x, y)]
    width = max((x(1) - x(0)) * 0.72, 1.0)
    for layer, (value, strong) in enumerate(zip(values, standing_out, strict=True)):
        if math.isfinite(value.value):
            drawn.append(_bar(layer, value, axis, x(layer), y, min(width, 48.0), "c1" if strong else "grey"))
    at = y(level.value)
    drawn.append(element("line", x1=x.start, x2=x.end + 6, y1=at, y2=at, class_="level"))
    drawn.append(element("text", level.told, x=x.end + 10, y=at + 4, class_="label"))
    return picture(ident, _WIDTH, _HEIGHT, title, description, *drawn, css="half bars")


def _axes(layers: int, axis: Axis, x: Scale, y: Scale) -> Iterator[Markup]:
    for value in value_ticks(axis.low, axis.high, 6):
        at = y(value)
        yield element("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid")
        yield element("text", axis.tick(value), x=x.start - 8, y=at + 4, class_="tick end")
    for layer in layer_ticks(layers, int((x.end - x.start) / 28)):
        yield element("text", str(layer), x=x(layer), y=y.start + 17, class_="tick middle")
    yield element("line", x1=x.start, x2=x.end, y1=y(0.0), y2=y(0.0), class_="axis")
    caption = _("layer, from the input (0) on")
    yield element("text", caption, x=(x.start + x.end) / 2, y=y.start + 36, class_="tick middle")


def _bar(layer: int, value: Interval, axis: Axis, at: float, y: Scale, width: float, css: str) -> Markup:
    top, bottom = sorted((y(value.value), y(0.0)))
    shown = axis.exact(value.value)
    parts = [element("rect", x=at - width / 2, y=top, width=width, height=bottom - top, class_="column")]
    tip = _("layer %(layer)s: %(value)s", layer=layer, value=shown)
    if math.isfinite(value.low):
        within = interval(value.low, value.high, axis.exact)
        tip = _("layer %(layer)s: %(value)s (95%% interval %(within)s)", layer=layer, value=shown, within=within)
        parts.append(element("path", d=f"M{number(at)} {number(y(value.low))}V{number(y(value.high))}", class_="span"))
    return element("g", element("title", tip), *parts, class_=css)
