"""Templates: what they may call, and how what they write is made safe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup, escape

from paramscope.language import _, language, lookup, lookup_plural, mark, term
from paramscope.report import text
from paramscope.report.charts import heattable
from paramscope.report.charts.colours import DARK, LIGHT, NIGHT, PAPER
from paramscope.report.glossary import glossary_entry
from paramscope.report.idents import ident
from paramscope.report.words import chip_of, difference_word, word

_MONTHS = (
    mark("January"),
    mark("February"),
    mark("March"),
    mark("April"),
    mark("May"),
    mark("June"),
    mark("July"),
    mark("August"),
    mark("September"),
    mark("October"),
    mark("November"),
    mark("December"),
)


@cache
def environment() -> jinja2.Environment:
    """The environment of all templates; what they say is in the language that is spoken."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("paramscope.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters |= {
        "percent": text.percent,
        "points": text.points,
        "change": text.change,
        "cosine": text.cosine,
        "figure": text.figure,
        "count": lambda number: f"{number:,}",
        "scientific": text.scientific,
        "small_percent": text.small_percent,
        "shorten": text.shorten,
        "clean": text.clean,
        "layer_range": text.layer_range,
        "date": told_date,
        "lines": _lines,
        "place_words": term,
    }
    made.globals |= {
        "_": _said,
        "ngettext": _said_plural,
        "ident": ident,
        "glossary_entry": glossary_entry,
        "chip_of": chip_of,
        "difference_word": difference_word,
        "gap": _gap,
        "word": word,
        "heat": heattable.COLOURS,
        "diverging": heattable.DIVERGING,
        "colours": {"light": LIGHT, "dark": DARK, "paper": PAPER, "night": NIGHT},
        "interval": text.interval,
    }
    return made


def told_date(moment: str) -> str:
    """A moment as people write it: ``28 November 2026, 19:51 UTC``; as it stands where it is none."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    zone = " UTC" if parsed.utcoffset() == timedelta(0) else ""
    return _(
        "%(day)s %(month)s %(year)s, %(time)s",
        day=parsed.day,
        month=_(_MONTHS[parsed.month - 1]),
        year=parsed.year,
        time=f"{parsed:%H:%M}{zone}",
    )


def _said(message: str, **values: Any) -> Markup:
    """A message, whose markup is its own; what stands in its places is made safe."""
    return Markup(lookup(message)) % _safe(values)


def _said_plural(one: str, many: str, num: int, **values: Any) -> Markup:
    """Likewise of a message that depends on a number, ``%(num)s`` in it."""
    return Markup(lookup_plural(one, many, num)) % _safe({"num": f"{num:,}", **values})


def _safe(values: dict[str, Any]) -> dict[str, Any]:
    """``Markup`` as it is; all other words cleaned, and escaped once they are put in."""
    return {
        key: text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        for key, value in values.items()
    }


def _gap() -> str:
    """What stands between two sentences: nothing where a language writes them without a blank."""
    return "" if language() == "ja" else " "


def _lines(lines: Sequence[str]) -> Markup:
    """Lines below each other, each made safe; ``clean`` would put them into one."""
    return Markup("\n").join(escape(text.clean(line)) for line in lines)


def _finalize(value: Any) -> Any:
    """Whatever a template writes is cleaned, so that no name can slip through."""
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
