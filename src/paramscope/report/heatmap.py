"""Heat maps of layers by domains, and the scale that belongs to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.report.colours import ink_on, ramp
from paramscope.report.svg import element, layer_ticks, number, picture, value_ticks
from paramscope.report.text import fit, text_width

_FONT = 12.5


def cell(
    x: float, y: float, width: float, height: float, value: float, bounds: tuple[float, float], text: str, tip: str
) -> Markup:
    """One coloured cell with its number; grey when there is no value.

    Args:
        x: left edge.
        y: upper edge.
        width: of the cell.
        height: of the cell.
        value: what the colour shows.
        bounds: values of the ramp's ends.
        text: written inside; "" for none.
        tip: the whole number in words.

    Returns:
        The elements.
    """
    parts = [element("title", tip)] if tip else []
    if math.isfinite(value):
        fill = ramp((value - bounds[0]) / (bounds[1] - bounds[0]))
        parts.append(element("rect", x=x, y=y, width=width, height=height, fill=fill))
        ink = "on-dark" if ink_on(fill) == "#ffffff" else "on-pale"
    else:
        parts.append(element("rect", x=x, y=y, width=width, height=height, class_="missing"))
        ink = "missing-ink"
    if text:
        parts.append(element("text", text, x=x + width / 2, y=y + height / 2 + 4, class_=f"cell {ink}"))
    return element("g", *parts) if tip else Markup("").join(parts)


def legend(x: float, y: float, width: float, bounds: tuple[float, float], form: Callable[[float], str]) -> Markup:
    """The ramp with its values below it, 34 high."""
    steps = 40
    step = width / steps
    drawn = [
        # A little wider than its place, so that no light line shows between the steps.
        element("rect", x=x + step * k, y=y, width=step + 0.4, height=12, fill=ramp((k + 0.5) / steps))
        for k in range(steps)
    ]
    low, high = bounds
    between = [value for value in value_ticks(low, high, 5) if min(value - low, high - value) > 0.18 * (high - low)]
    for value in (low, *between, high):
        at = x + width * (value - low) / (high - low)
        drawn.append(element("text", form(value), x=at, y=y + 28, class_="tick middle"))
    return Markup("").join(drawn)


def heat_map(
    ident: str,
    title: str,
    description: str,
    values: NDArray[np.float64],
    names: Sequence[str],
    bounds: tuple[float, float],
    *,
    upright: bool,
) -> Markup:
    """Shares of layers by domains.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        values: ``[layers, domains]``, shares between 0 and 1.
        names: of the domains.
        bounds: values of the ramp's ends.
        upright: layers go down (for a narrow screen) instead of to the right.

    Returns:
        The ``svg`` element.
    """
    draw = _upright if upright else _lying
    size, cells = draw(values, names, bounds)
    return picture(ident, *size, title, description, *cells, css="heat narrow" if upright else "heat wide")


def _lying(
    values: NDArray[np.float64], names: Sequence[str], bounds: tuple[float, float]
) -> tuple[tuple[float, float], Iterator[Markup]]:
    layers, domains = values.shape
    width = 900.0
    left = 16 + min(160.0, max(text_width(name, _FONT) for name in (*names, "layer")))
    across = min((width - left - 4) / layers, 90.0)
    down = 24.0
    bottom = 4 + down * domains

    def cells() -> Iterator[Markup]:
        for row, name in enumerate(names):
            shown = element("tspan", fit(name, left - 16, _FONT), class_="isolate")
            at = 4 + down * row + down / 2 + 4
            yield element("text", shown, element("title", name), x=left - 8, y=at, class_="label end")
            for layer in range(layers):
                value = values[layer, row]
                text = f"{100 * value:.0f}" if across >= 19 else ""
                tip = f"{name}, layer {layer}: {100 * value:.1f}%"
                # Narrow cells touch (and overlap a little, against seams): a grid would be all one sees.
                wide = across - 0.7 if text else across + 0.3
                yield cell(left + across * layer, 4 + down * row, wide, down - 0.7, value, bounds, text, tip)
        most = int(across * layers / max(26, 2 * text_width(str(layers), _FONT)))
        for layer in layer_ticks(layers, layers if across >= 26 else most):
            yield element("text", str(layer), x=left + across * (layer + 0.5), y=bottom + 16, class_="tick middle")
        yield element("text", "layer", x=left - 8, y=bottom + 16, class_="tick end")
        yield legend(left, bottom + 34, 260, bounds, lambda value: f"{100 * value:.0f}%")

    return (width, bottom + 70), cells()


def _upright(
    values: NDArray[np.float64], names: Sequence[str], bounds: tuple[float, float]
) -> tuple[tuple[float, float], Iterator[Markup]]:
    layers, domains = values.shape
    width, left = 400.0, 36.0
    across = min((width - left - 4) / domains, 70.0)
    down = 20.0 if layers <= 40 else 17.0
    room = 118.0
    top = 12 + min(room, max(text_width(name, _FONT) for name in (*names, "layer")))
    bottom = top + down * layers

    def cells() -> Iterator[Markup]:
        for column, name in enumerate(names):
            at = left + across * (column + 0.5)
            shown = element("tspan", fit(name, room, _FONT), class_="isolate")
            turn = f"translate({number(at + 4)} {number(top - 6)}) rotate(-90)"
            yield element("text", shown, transform=turn, class_="label")
            for layer in range(layers):
                value = values[layer, column]
                text = f"{100 * value:.0f}" if across >= 19 else ""
                x, y = left + across * column, top + down * layer
                yield cell(x, y, across - 0.7, down - 0.7, value, bounds, text, "")
        for layer in range(layers):
            yield element("text", str(layer), x=left - 6, y=top + down * (layer + 0.5) + 4, class_="tick end")
        yield element("text", "layer", x=0, y=top - 6, class_="tick")
        yield legend(left, bottom + 14, 260, bounds, lambda value: f"{100 * value:.0f}%")

    return (width, bottom + 50), cells()
