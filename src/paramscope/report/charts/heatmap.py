"""Coloured cells with their numbers, and the scale that belongs to them."""

from __future__ import annotations

import math
from collections.abc import Callable

from markupsafe import Markup

from paramscope.report.charts.colours import Bounds, ink_on, shade
from paramscope.report.charts.svg import element, value_ticks


def cell(x: float, y: float, width: float, height: float, value: float, bounds: Bounds, text: str, tip: str) -> Markup:
    """One coloured cell with its number; grey when there is no value.

    Args:
        x: left edge.
        y: upper edge.
        width: of the cell.
        height: of the cell.
        value: what the colour shows.
        bounds: of the scale.
        text: written inside; "" for none.
        tip: the whole number in words.

    Returns:
        The elements.
    """
    parts = [element("title", tip)] if tip else []
    if math.isfinite(value):
        fill = shade(value, bounds)
        parts.append(element("rect", x=x, y=y, width=width, height=height, fill=fill))
        ink = "on-dark" if ink_on(fill) == "#ffffff" else "on-pale"
    else:
        parts.append(element("rect", x=x, y=y, width=width, height=height, class_="missing"))
        ink = "missing-ink"
    if text:
        parts.append(element("text", text, x=x + width / 2, y=y + height / 2 + 4, class_=f"cell {ink}"))
    return element("g", *parts) if tip else Markup("").join(parts)


def legend(x: float, y: float, width: float, bounds: Bounds, form: Callable[[float], str]) -> Markup:
    """The scale's colours with values below them, 34 high."""
    low, high = bounds
    steps = 24
    step = width / steps
    drawn = [
        # A little wider than its place, so that no light line shows between the steps.
        element("rect", x=x + step * k, y=y, width=step + 0.4, height=12, fill=shade(middle, bounds))
        for k in range(steps)
        for middle in [low + (high - low) * (k + 0.5) / steps]
    ]
    between = [value for value in value_ticks(low, high, 5) if min(value - low, high - value) > 0.18 * (high - low)]
    for value in (low, *between, high):
        at = x + width * (value - low) / (high - low)
        drawn.append(element("text", form(value), x=at, y=y + 28, class_="tick middle"))
    return Markup("").join(drawn)
