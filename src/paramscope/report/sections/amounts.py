"""Amounts that the page's script writes too, in the very same digits: see ``templates/scripts/prices.js``.

A number halfway between two roundings goes away from zero, as JavaScript's ``toFixed`` has it and Python's formats
have not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from paramscope.report.text import MISSING

_HUGE = 1e15
"""From here on digits would only fill the page."""


def fixed(value: float, digits: int) -> str:
    """With so many digits behind the point, and separators before it."""
    if not math.isfinite(value):
        return MISSING
    if abs(value) >= _HUGE:
        return f"{value:.2e}".replace("-", "−")
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded if rounded else abs(rounded):,f}".replace("-", "−")


def significant(value: float, digits: int = 3) -> str:
    """With so many digits that say something, zeros at the end left out: ``0.0113``."""
    if value == 0 or not math.isfinite(value) or abs(value) >= _HUGE:
        return fixed(value, 0)
    shown = fixed(value, min(max(0, digits - 1 - Decimal(value).adjusted()), 20))
    return re.sub(r"\.?0+$", "", shown) if "." in shown else shown


def money(value: float) -> str:
    """Whole from a hundred on, else three digits."""
    return fixed(value, 0) if abs(value) >= 100 else significant(value)


def size(value: float) -> str:
    """Bytes as ``2.4 GiB`` or ``130 MiB``."""
    return f"{fixed(value / 2**30, 1)} GiB" if value >= 2**30 else f"{fixed(max(value / 2**20, 1), 0)} MiB"


def months(value: float) -> str:
    """A number of months: one digit behind the point below ten."""
    return "<0.1" if 0 < value < 0.05 else fixed(value, 1 if value < 10 else 0)


def fewer(value: float) -> str:
    """Percent of errors fewer."""
    return f"{fixed(value, 1)}%"


def whole(value: float) -> str:
    """A count."""
    return fixed(value, 0)


FORMS: dict[str, Callable[[float], str]] = {
    "storage": size,
    "serving memory": size,
    "GPUs": whole,
    "training time": significant,
    "money once": money,
    "money per month": money,
}
"""How figures of an option are written, those that the page shows."""


def filled(words: str, **places: str) -> str:
    """Words with places such as ``{low}`` filled, as the script's ``fill`` does it."""
    return re.sub(r"\{(\w+)\}", lambda place: places.get(place[1], place[0]), words)
