"""Heat maps as tables.

Every cell has its number, heads name rows and columns, and the colour is a class of the style sheet. So a cell is a
tenth of what it is as SVG, can be read out and copied, and the script changes it by writing its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paramscope.report.charts.colours import Bounds, diverging, ink_on, ramp
from paramscope.report.text import MISSING

STEPS = 20
"""Colours, less one."""

MOST_COLUMNS = 32
"""Layers run to the right as long as they are so many; more run down."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NONE = "--"

COLOURS = [(colour, ink_on(colour)) for colour in (ramp(step / STEPS) for step in range(STEPS + 1))]
"""Fill and ink of each class ``h0`` to ``h20``."""

DIVERGING = [(colour, ink_on(colour)) for colour in (diverging(2 * step / STEPS - 1) for step in range(STEPS + 1))]
"""Likewise of ``d0`` to ``d20``, with zero in the middle."""


@dataclass(frozen=True)
class HeatCell:
    """A number as it is written, and its colour."""

    text: str
    css: str


@dataclass(frozen=True)
class HeatTable:
    """A heat map.

    Attributes:
        corner: what the heads of the rows are.
        heads: of the columns.
        rows: head and cells.
        turned: whether the layers run down.
        top: permille of the darkest colour.
        named: whether the heads of the rows, or of the columns where it is turned, are names from outside.
    """

    corner: str
    heads: list[str]
    rows: list[tuple[str, list[HeatCell]]]
    turned: bool
    top: int
    named: bool


def permille(share: float) -> int | None:
    """A share as it is shown with one digit: the very tenths of a percent that ``text.percent`` writes."""
    return round(10 * round(100 * share, 1)) if share == share else None


def heat_cell(value: int | None, top: int) -> HeatCell:
    """The cell of a number.

    Args:
        value: permille.
        top: permille of the darkest colour.

    Returns:
        The cell. ``scripts/common`` makes the same of the same numbers.
    """
    if value is None:
        return HeatCell(MISSING, "")
    step = min(STEPS, (2 * STEPS * value + top) // (2 * top))
    return HeatCell("100" if value == 1000 else f"{value // 10}.{value % 10}", f"h{step}")


def heat_class(value: float, bounds: Bounds) -> str:
    """The class of a number on a scale; like ``colours.shade`` one of two scales, by whether it crosses zero."""
    low, high = bounds
    if low < 0 < high:
        kind, share = "d", 0.5 + value / (2 * max(-low, high))
    else:
        kind, share = "h", (value - low) / (high - low)
    return f"{kind}{min(max(round(STEPS * share), 0), STEPS)}"


def heat_table(
    values: Sequence[Sequence[int | None]],
    names: Sequence[str],
    layers: Sequence[int],
    corners: tuple[str, str],
    *,
    top: int = 1000,
    named: bool = True,
) -> HeatTable:
    """Lay out a heat map.

    Args:
        values: permille, a row a name and a column a layer.
        names: of the rows.
        layers: of the columns.
        corners: what the names are, and what layers are.
        top: permille of the darkest colour.
        named: whether the names are from outside.

    Returns:
        The heat map; the layers run down where there are many.
    """
    cells = [[heat_cell(value, top) for value in row] for row in values]
    numbers = [str(layer) for layer in layers]
    if len(layers) <= MOST_COLUMNS:
        rows = list(zip(names, cells, strict=True))
        return HeatTable(corners[0], numbers, rows, False, top, named)
    turned = [list(column) for column in zip(*cells, strict=True)]
    return HeatTable(corners[1], list(names), list(zip(numbers, turned, strict=True)), True, top, named)


def packed(values: Sequence[Sequence[int | None]]) -> str:
    """Permilles, row by row, as two digits of base 36 each."""
    return "".join(
        _NONE if value is None else _DIGITS[value // 36] + _DIGITS[value % 36] for row in values for value in row
    )
