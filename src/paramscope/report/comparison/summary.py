"""What differs, in a few sentences: each with its number, its interval and a verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from paramscope.language import _
from paramscope.report.comparison.align import WHOLE
from paramscope.report.comparison.differences import Differences, Measure, judge_difference
from paramscope.report.comparison.words import difference_form, value_form
from paramscope.report.findings import Verdict
from paramscope.report.text import interval

MOST = 5
"""Sentences on the page."""


@dataclass(frozen=True)
class Sentence:
    """One difference between the first run and another.

    Attributes:
        status: whether they differ by more than a step that counts.
        text: what was found.
        number: the difference.
        interval: its 95 % interval; "" where there is none.
        what: what the number is.
        more: how it is by domain; "" where there is one.
        section: of the page, where the evidence stands.
    """

    status: Verdict
    text: str
    number: str
    interval: str
    what: str
    more: str
    section: str


def sentences(found: Differences) -> list[Sentence]:
    """The differences that tell most, every other run's in turn."""
    kinds = (("density", _deep(found)), ("gap", _deep(found)), ("share_90", WHOLE), ("own_share", WHOLE))
    every = [
        _sentence(found, found.measures[key], other, band)
        for key, band in kinds
        if key in found.measures
        for other in range(len(found.runs.others))
    ]
    return every[:MOST]


def _deep(found: Differences) -> str:
    return "deep" if "deep" in found.bands else WHOLE


def _sentence(found: Differences, measure: Measure, other: int, band: str) -> Sentence:
    place = list(found.bands).index(band)
    moved = measure.band_differences[other].at(place, 0)
    verdict = judge_difference(moved, measure.step)
    form = difference_form(measure.key)
    value = value_form(measure.key)
    here, there = measure.bands[0].at(place, 0).value, measure.bands[other + 1].at(place, 0).value
    first, second = found.runs.first, found.runs.others[other]
    places = {
        "first": _("run %(letter)s", letter=first.letter),
        "other": _("Run %(letter)s", letter=second.letter),
        "here": value(here),
        "there": value(there),
    }
    text, what, section = _WORDS[measure.key](verdict, moved.value > 0, places)
    number = form(moved.value)
    if measure.key in ("density", "share_90", "own_share"):
        number = _("%(points)s points", points=number)
    told = interval(moved.low, moved.high, form) if math.isfinite(moved.low) else ""
    return Sentence(verdict, text, number, told, what, _by_domain(found, measure, other, place), section)


def _by_domain(found: Differences, measure: Measure, other: int, place: int) -> str:
    domains = range(1, 1 + len(found.runs.domains))
    each = [measure.band_differences[other].at(place, column) for column in domains]
    counts = Counter(judge_difference(one, measure.step) for one in each if math.isfinite(one.value))
    if sum(counts.values()) < 2:
        return ""
    return _(
        "By domain: a difference is shown in %(yes)s of %(all)s, none in %(no)s, undecided in %(open)s.",
        yes=counts[Verdict.SUPPORTED],
        no=counts[Verdict.NOT_SUPPORTED],
        open=counts[Verdict.UNDECIDED],
        all=sum(counts.values()),
    )


def _density(verdict: Verdict, more: bool, places: dict[str, str]) -> tuple[str, str, str]:
    told = {
        Verdict.SUPPORTED: _("%(other)s uses more of its deep layers than %(first)s: density is %(there)s against "
                             "%(here)s.", **places)
        if more
        else _("%(other)s uses less of its deep layers than %(first)s: density is %(there)s against "
               "%(here)s.", **places),
        Verdict.NOT_SUPPORTED: _("%(other)s does not use more or less of its deep layers than %(first)s: density is "
                                 "%(there)s and %(here)s.", **places),
        Verdict.UNDECIDED: _("Whether %(other)s uses its deep layers otherwise than %(first)s is open: density is "
                             "%(there)s and %(here)s.", **places),
    }  # fmt: skip
    return told[verdict], _("difference of density in the deep third, each at its own threshold"), "density"


def _gap(verdict: Verdict, more: bool, places: dict[str, str]) -> tuple[str, str, str]:
    told = {
        Verdict.SUPPORTED: _("%(other)s tells the domains apart more in deep layers than %(first)s: LLMDcos within "
                             "less across is %(there)s against %(here)s.", **places)
        if more
        else _("%(other)s tells the domains apart less in deep layers than %(first)s: LLMDcos within less across is "
               "%(there)s against %(here)s.", **places),
        Verdict.NOT_SUPPORTED: _("%(other)s tells the domains apart in deep layers as much as %(first)s: LLMDcos "
                                 "within less across is %(there)s and %(here)s.", **places),
        Verdict.UNDECIDED: _("Whether %(other)s tells the domains apart in deep layers otherwise than %(first)s is "
                             "open: LLMDcos within less across is %(there)s and %(here)s.", **places),
    }  # fmt: skip
    return told[verdict], _("difference of LLMDcos within less across, in the deep third"), "similarity"


def _concentrated(verdict: Verdict, more: bool, places: dict[str, str]) -> tuple[str, str, str]:
    told = {
        Verdict.SUPPORTED: _("In %(other)s the activation is spread over more parameters than in %(first)s: %(there)s "
                             "of them carry 90 %% of it, against %(here)s.", **places)
        if more
        else _("In %(other)s fewer parameters carry the activation than in %(first)s: %(there)s of them carry 90 %% of "
               "it, against %(here)s.", **places),
        Verdict.NOT_SUPPORTED: _("The activation is about as concentrated in %(other)s as in %(first)s: %(there)s and "
                                 "%(here)s of the parameters carry 90 %% of it.", **places),
        Verdict.UNDECIDED: _("Whether the activation is as concentrated in %(other)s as in %(first)s is open: "
                             "%(there)s and %(here)s of the parameters carry 90 %% of it.", **places),
    }  # fmt: skip
    return told[verdict], _("difference of the share that carries 90 %%, over all layers"), "density"


def _own(verdict: Verdict, more: bool, places: dict[str, str]) -> tuple[str, str, str]:
    told = {
        Verdict.SUPPORTED: _("The domains have less in common in %(other)s than in %(first)s: %(there)s of a layer’s "
                             "activation is their own, against %(here)s.", **places)
        if more
        else _("The domains have more in common in %(other)s than in %(first)s: %(there)s of a layer’s activation is "
               "their own, against %(here)s.", **places),
        Verdict.NOT_SUPPORTED: _("The domains have about as much in common in %(other)s as in %(first)s: %(there)s and "
                                 "%(here)s of a layer’s activation are their own.", **places),
        Verdict.UNDECIDED: _("Whether the domains have as much in common in %(other)s as in %(first)s is open: "
                             "%(there)s and %(here)s of a layer’s activation are their own.", **places),
    }  # fmt: skip
    return told[verdict], _("difference of the own share, over all layers"), "similarity"


_WORDS = {"density": _density, "gap": _gap, "share_90": _concentrated, "own_share": _own}
"""By measure: the sentence, what the number is, and the section of the evidence."""


def counted(found: Differences, key: str) -> Counter[Verdict]:
    """Verdicts on a measure by domain, third of the depth and other run."""
    measure = found.measures[key]
    return Counter(_verdicts(found, measure))


def _verdicts(found: Differences, measure: Measure) -> Iterator[Verdict]:
    for each in measure.band_differences:
        for place, band in enumerate(found.bands):
            for column in range(1, 1 + len(found.runs.domains)):
                one = each.at(place, column)
                if math.isfinite(one.value) and (band != WHOLE or len(found.bands) == 1):
                    yield judge_difference(one, measure.step)
