"""Words and numbers as they stand on the page: cleaned, shortened, never "nan"."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence

from paramscope.language import _, language

_UNITS = {"en": ((1e9, " B"), (1e6, " M"), (1e3, " k")), "ja": ((1e8, "億"), (1e4, "万"))}
"""Large units of each language."""

MISSING = "–"
"""Stands for a number that does not exist, such as the similarity within a domain of one sample."""

_JOINERS = {"\u200c", "\u200d"}
_MARKS_IN_A_ROW = 3
_LONGEST = 2000


def clean(text: str) -> str:
    """Make a text from outside safe to show: no control characters, no bidirectional overrides, no piles of accents.

    Args:
        text: anything, lone surrogates included.

    Returns:
        The text on one line. What cannot be shown stands as the replacement character, so that a reader sees that
        something was there.
    """
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    if text.isascii() and text.isprintable():
        return text
    shown = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks > _MARKS_IN_A_ROW:
            continue
        if character in "\t\n\r" or category in {"Zl", "Zp"}:
            shown.append(" ")
        elif _cannot_be_shown(character, category):
            shown.append("\ufffd")
        else:
            shown.append(character)
    return "".join(shown)


def _cannot_be_shown(character: str, category: str) -> bool:
    # Of the format characters only the joiners that scripts need stay: the others turn the reading direction or hide.
    # Noncharacters (..FFFE, ..FFFF) are not allowed in XML.
    return (
        category in {"Cc", "Cs", "Co"}
        or (category == "Cf" and character not in _JOINERS)
        or ord(character) & 0xFFFE == 0xFFFE
    )


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters, the middle left out: names that differ in their ends stay apart."""
    if len(text) <= limit:
        return text
    end = (limit - 1) // 3
    return text[: limit - 1 - end] + "…" + (text[-end:] if end else "")


def text_width(text: str, size: float) -> float:
    """Estimate, on the high side, of a text's width in a sans-serif face.

    The page may use no script and embeds no font, so widths can only be guessed from the kinds of characters.

    Args:
        text: on one line.
        size: of the face.

    Returns:
        The width in the unit of ``size``.
    """
    return size * sum(_advance(character) for character in text)


def _advance(character: str) -> float:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0.0
    if not character.isascii():
        return 0.7 if unicodedata.east_asian_width(character) in {"N", "Na", "H"} else 1.05
    if character in "MWmw@%":
        return 1.0
    if character in "ijlI.,:;|!' ":
        return 0.34
    return 0.7 if character.isupper() else 0.6


def fit(text: str, width: float, size: float) -> str:
    """Shorten a text in its middle until it is no wider than ``width``."""
    limit = len(text)
    shown = text
    while limit > 1 and text_width(shown, size) > width:
        limit = min(limit - 1, int(limit * width / text_width(shown, size)) + 1)
        shown = shorten(text, limit)
    return shown


def percent(share: float, digits: int = 1) -> str:
    """``66.1%`` of a share between 0 and 1."""
    return f"{_signed(100 * share, digits)}%" if math.isfinite(share) else MISSING


def cosine(value: float) -> str:
    """A cosine or Gini coefficient with two digits."""
    return _signed(value, 2) if math.isfinite(value) else MISSING


def change(value: float, digits: int = 2) -> str:
    """A difference with its sign."""
    if not math.isfinite(value):
        return MISSING
    shown = _signed(value, digits)
    return shown if shown.startswith("−") or float(shown) == 0 else f"+{shown}"


def points(value: float) -> str:
    """A difference of two shares, in percentage points."""
    return change(100 * value, 1)


def interval(low: float, high: float, form: Callable[[float], str]) -> str:
    """``a to b``, or that there is none."""
    if math.isfinite(low) and math.isfinite(high):
        return _("%(low)s to %(high)s", low=form(low), high=form(high))
    return _("no interval")


def told_value(name: str, value: float, low: float, high: float, form: Callable[[float], str]) -> str:
    """A number with its name and, where there is one, its interval: the words of a tool tip."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return _("%(name)s: %(value)s", name=name, value=form(value))
    return _(
        "%(name)s: %(value)s (95%% interval %(low)s to %(high)s)",
        name=name,
        value=form(value),
        low=form(low),
        high=form(high),
    )


def figure(value: float | None) -> str:
    """Any number, such as a damage or a ratio: two digits, none where it is large."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= 1e5:
        return scientific(value).replace("-", "−")
    return f"{value:,.0f}".replace("-", "−") if abs(value) >= 100 else _signed(value, 2)


def small_percent(share: float) -> str:
    """A share that may be tiny, with three digits at most: ``0.001%``."""
    shown = f"{100 * share:.3g}"
    return f"{shown if 'e' not in shown else scientific(100 * share)}%" if math.isfinite(share) else MISSING


def compact(number: float) -> str:
    """A count with three digits: ``41.2 k``, ``3.54 M``; in Japanese ``4.12万``, ``354万``."""
    if not math.isfinite(number):
        return MISSING
    for size, letter in _UNITS.get(language(), _UNITS["en"]):
        if abs(number) >= 0.9995 * size:
            scaled = number / size
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{letter}"
    return f"{number:.0f}"


def machine(number: float) -> str:
    """A number for the page's scripts and for spreadsheets: the same in every language, empty where there is none."""
    return f"{number:.6g}" if math.isfinite(number) else ""


def scientific(number: float) -> str:
    """A threshold or an error: ``2.3e-4``."""
    if not math.isfinite(number):
        return MISSING
    mantissa, exponent = f"{number:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}" if number else "0"


def layer_range(layers: Sequence[int]) -> str:
    """``0`` or ``1–9``."""
    return f"{layers[0]}" if len(layers) == 1 else f"{layers[0]}–{layers[-1]}"


def _signed(value: float, digits: int) -> str:
    rounded = round(value, digits) + 0.0  # no negative zero
    return f"{rounded:.{digits}f}".replace("-", "−")
