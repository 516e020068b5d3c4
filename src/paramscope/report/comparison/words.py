"""Names of measures and bands on the page, in the language that is spoken."""

from __future__ import annotations

from collections.abc import Callable

from paramscope.language import _
from paramscope.report.comparison.align import WHOLE
from paramscope.report.comparison.differences import SHARES
from paramscope.report.text import change, cosine, percent, points
from paramscope.report.words import word


def measure_name(key: str) -> str:
    """What is compared."""
    told = {
        "density": _("density, own threshold"),
        "density_common": _("density, one threshold"),
        "share_90": _("share carrying 90 %%"),
        "gini": _("Gini coefficient"),
        "effective_share": _("effective share"),
        "within": _("LLMDcos within domains"),
        "across": _("LLMDcos across domains"),
        "gap": _("LLMDcos within less across"),
        "own_share": _("own share"),
        "gap_centred": _("centred LLMDcos within less across"),
    }
    return told[key]


def band_words(band: str) -> str:
    """A band of the depth."""
    return _("all layers") if band == WHOLE else word(band)


def value_form(key: str) -> Callable[[float], str]:
    """How a value of a measure is written."""
    return percent if key in SHARES or key == "own_share" else cosine


def difference_form(key: str) -> Callable[[float], str]:
    """How a difference of two values is written; of shares in percentage points."""
    return points if key in SHARES or key == "own_share" else change


def depth_words(part: int, parts: int) -> str:
    """``0–8%`` of the depth."""
    return f"{100 * part / parts:.0f}–{100 * (part + 1) / parts:.0f}%"
