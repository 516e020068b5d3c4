"""Small helpers for SVG: elements, scales, ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup, escape

from paramscope.report.idents import ident as unique
from paramscope.report.text import clean

SVG = "http://www.w3.org/2000/svg"


def number(value: float) -> str:
    """A coordinate with one digit behind the point, which is finer than any screen."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """One SVG element; text is cleaned and escaped, ``Markup`` goes in as it is.

    Args:
        name: of the element.
        *children: texts or elements.
        **attributes: ``class_`` for class, ``_`` for ``-``; None leaves the attribute out.

    Returns:
        The element.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            # A path is no text from outside, and may be longer than any text that is shown.
            shown = number(value) if not isinstance(value, str) else value if key == "d" else clean(value)
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    if not children:
        return Markup("".join([*parts, "/>"]))
    inner = [child if isinstance(child, Markup) else escape(clean(child)) for child in children]
    return Markup("".join([*parts, ">", *inner, f"</{name}>"]))


def picture(
    ident: str,
    width: float,
    height: float,
    title: str,
    description: str,
    *children: Markup,
    css: str = "",
    **attributes: str,
) -> Markup:
    """A whole picture that a screen reader announces by its title and description.

    Args:
        ident: unique on the page.
        width: of the view box.
        height: of the view box.
        title: one line.
        description: what a reader who does not see it should know.
        *children: what is drawn.
        css: further classes.
        **attributes: as in ``element``.

    Returns:
        The ``svg`` element.
    """
    ident = unique(ident)
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", description, id=f"{ident}-desc"),
        *children,
        xmlns=SVG,
        viewBox=f"0 0 {number(width)} {number(height)}",
        class_=f"chart {css}".strip(),
        role="img",
        aria_labelledby=f"{ident}-title",
        aria_describedby=f"{ident}-desc",
        **attributes,
    )


@dataclass(frozen=True)
class Scale:
    """Maps values ``low..high`` to coordinates ``start..end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The coordinate of a value."""
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)


def layer_ticks(layers: int, most: int) -> list[int]:
    """Layers to write at an axis: even steps from 0, and the last one.

    Args:
        layers: number of layers.
        most: how many labels have room.

    Returns:
        At most ``most`` layers (but at least the first and the last).
    """
    steps = [base * 10**power for power in range(6) for base in (1, 2, 5)]
    step = next(step for step in steps if (layers - 1) / step + 1 <= max(most, 2))
    ticks = list(range(0, layers, step))
    if ticks[-1] != layers - 1:
        if len(ticks) > 1 and (layers - 1 - ticks[-1]) < 0.7 * step:
            ticks.pop()
        ticks.append(layers - 1)
    return ticks


def nice_range(low: float, high: float, step: float) -> tuple[float, float]:
    """Smallest range of whole steps around some values; (0, 1) when they are not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    bottom, top = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if bottom == top:
        top += 1
    return round(bottom * step, 9), round(top * step, 9)


def value_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values between ``low`` and ``high``, at most ``most`` of them."""
    span = high - low
    steps = [base * 10.0**power for power in range(-4, 9) for base in (1, 2, 5)]
    step = next(step for step in steps if span / step + 1 <= most + 1e-9)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 9) for place in range(first, math.floor(high / step + 1e-9) + 1)]
