"""Colours that survive colour blindness, grey-scale print and a dark screen."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

LIGHT = ("#0072b2", "#d55e00", "#008a64", "#b3568b", "#b87700", "#2d8fc9", "#222222", "#8f8600")
"""Okabe and Ito's palette, the pale ones darkened to a contrast of 3 with white."""

DARK = ("#3d97dd", "#ee7a2b", "#20b78c", "#dd92bb", "#f0ad2b", "#8fd0f7", "#e6e6e6", "#e8de58")
"""The same hues for a dark page."""

PAPER, NIGHT = "#ffffff", "#15181d"
"""Background of the charts on a light and on a dark page."""

_DASHES = (None, "7 3", "2 2.5", "9 3 2 3")
_MARKERS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
    "M-3.6-3.6h7.2v7.2h-7.2z",
    "M0-4.8L4.4 3.2H-4.4z",
    "M0-5L5 0L0 5L-5 0z",
    "M0 4.8L4.4-3.2H-4.4z",
    "M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "M-4.6-2.6L-2.6-4.6L0-2L2.6-4.6L4.6-2.6L2 0L4.6 2.6L2.6 4.6L0 2L-2.6 4.6L-4.6 2.6L-2 0z",
    "M-4.6 0L-2.3-4H2.3L4.6 0L2.3 4H-2.3z",
)


@dataclass(frozen=True)
class Style:
    """How one line is told from the others: colour, dashes and marker all differ, so two of them may fail.

    Attributes:
        css: class that sets the colour (``c0`` to ``c7``, ``grey``).
        dash: SVG dash array, None for a solid line.
        marker: SVG path around the origin.
    """

    css: str
    dash: str | None
    marker: str


def series_style(place: int) -> Style:
    """Style of the domain at a place; the first 32 are all different."""
    turn = place + place // len(LIGHT)
    return Style(f"c{place % len(LIGHT)}", _DASHES[turn % len(_DASHES)], _MARKERS[turn % len(_MARKERS)])


GREY = Style("grey", None, _MARKERS[0])
"""A line that is there for comparison."""


Bounds = tuple[float, float]
"""Smallest and largest value of a scale."""


def shade(value: float, bounds: Bounds) -> str:
    """Colour of a value on a scale: ``ramp`` where all its values have one sign, else ``diverging`` around zero.

    Args:
        value: clipped to the bounds.
        bounds: of the scale.

    Returns:
        ``#rrggbb``, one of ``SHADES`` along the scale.
    """
    return shades(bounds)[round((SHADES - 1) * min(max((value - bounds[0]) / (bounds[1] - bounds[0]), 0.0), 1.0))]


SHADES = 256
"""Colours of a scale."""


@functools.cache
def shades(bounds: Bounds) -> tuple[str, ...]:
    """The colours of a scale, from its smallest value on."""
    low, high = bounds
    shares = [step / (SHADES - 1) for step in range(SHADES)]
    if not low < 0 < high:
        return tuple(ramp(share) for share in shares)
    most = max(-low, high)
    return tuple(diverging((low + share * (high - low)) / most) for share in shares)


def ramp(share: float) -> str:
    """Colour of a share between 0 (pale yellow) and 1 (dark blue).

    Lightness falls evenly (OKLab), so the order survives a grey-scale print and every kind of colour blindness.

    Args:
        share: clipped to 0..1.

    Returns:
        ``#rrggbb``.
    """
    share = min(max(share, 0.0), 1.0)
    hue = 110 + 148 * share**0.8
    return _screen(0.965 - 0.665 * share, 0.06 + 0.04 * math.sin(math.pi * share), hue)


def diverging(share: float) -> str:
    """Colour of a share between -1 (dark orange) and 1 (dark blue), white at 0.

    The hues stay apart in the common kinds of colour blindness; lightness falls evenly on either side, so a grey-scale
    print has the size of a value and only its number the sign.

    Args:
        share: clipped to -1..1.

    Returns:
        ``#rrggbb``.
    """
    size = min(abs(share), 1.0)
    return _screen(0.985 - 0.6 * size, 0.15 * size**0.7, 55 if share < 0 else 250)


def _screen(lightness: float, chroma: float, degrees: float) -> str:
    """A colour of OKLab as a screen shows it."""
    hue = math.radians(degrees)
    while True:
        channels = _from_oklab(lightness, chroma * math.cos(hue), chroma * math.sin(hue))
        if all(-1e-4 <= channel <= 1 + 1e-4 for channel in channels):
            return "#" + "".join(f"{round(255 * _companded(channel)):02x}" for channel in channels)
        chroma *= 0.95  # outside of what a screen can show: paler, same lightness


def _from_oklab(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """Linear sRGB of a colour (Ottosson 2020, "A perceptual color space for image processing")."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _companded(channel: float) -> float:
    channel = min(max(channel, 0.0), 1.0)
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2) of ``#rrggbb``."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2) of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def ink_on(fill: str) -> str:
    """Black or white, whichever reads better; the contrast is at least 4.5 on any fill."""
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, fill))
