"""The ways to share: what each takes, what it brings and when it pays back, as the page and its script write it.

The words are made once for both: the script fills the same sentences when a price was edited.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup, escape

from paramscope.actions.share_proposal import best_way, surely_left, surely_pays
from paramscope.actions.sharing.costs import told_option
from paramscope.language import _
from paramscope.report.sections.amounts import FORMS, fewer, filled, money, months, significant
from paramscope.report.text import MISSING, clean
from paramscope.result.shared import BreakEvenRecord, Shared
from paramscope.result.verification import IntervalRecord


@dataclass(frozen=True)
class WayRow:
    """A way to share.

    Attributes:
        name: as in ``share.json``.
        heading: in words.
        text: what it is.
        told: by the name of a cell what stands in it; see ``answers``.
        reference: whether it is what the others are held against.
    """

    name: str
    heading: str
    text: str
    told: dict[str, str]
    reference: bool


def way_heading(name: str) -> str:
    """A way to share in a few words; as it stands where it is none that is known."""
    known = {
        "untuned": _("The model as it is"),
        "shared": _("One tuned model for all"),
        "adapters": _("Own adapters on some layers"),
        "all-adapters": _("Own adapters on all layers"),
        "layers": _("Own copies of some layers"),
        "copies": _("A whole model for each"),
        "random layers": _("Own adapters on layers drawn at random"),
    }
    return known.get(name, name)


def way_rows(shared: Shared) -> list[WayRow]:
    """All ways, in the order of the document."""
    reference = shared.options[0].name
    return [
        WayRow(
            name=option.name,
            heading=way_heading(option.name),
            text=told_option(option, shared),
            told=answers_of(shared, option.name),
            reference=option.name == reference,
        )
        for option in shared.options
    ]


def way_words(shared: Shared) -> dict[str, str]:
    """The sentences that numbers are put into, by name; places are as in ``{low}``."""
    return {
        "interval": _("{low} to {high}"),
        "unmeasured": _("not measured"),
        "valueless": _("needs the value of a request"),
        "at-once": _("at once"),
        "never": _("never, over the whole interval of its gain"),
        "not-at-gain": _("not at the measured gain; after {low} months at the soonest, maybe never"),
        "maybe-never": _("after {value} months; {low} at the soonest, maybe never"),
        "late": _("after {value} months ({low} to {high}), so not surely within {horizon}"),
        "pays": _("after {value} months ({low} to {high})"),
        "best-unmeasured": _("No way’s gain was measured, so these are costs only, and none is said to pay."),
        "best-valueless": _(
            "Gains were measured. Say what a request is worth more for each percent of errors fewer, and they are held "
            "against the costs."
        ),
        "more-than-all": _("more than all"),
        "best-pays": _(
            "At these prices, of the ways below whose gain was measured, “{way}” leaves the most money in the time to "
            "pay back (in months: {horizon}): at least {left} {currency} after its extra costs, even at the lower end "
            "of its gain."
        ),
        "best-short": _(
            "At these prices no way whose gain was measured surely pays back in the time that is set (in months: "
            "{horizon}). The nearest is “{way}”: at the lower end of its gain it is {left} {currency} short."
        ),
    } | {f"way {option.name}": way_heading(option.name) for option in shared.options}


def given_gains(shared: Shared) -> list[str]:
    """Where the gains are from that no pilot of the run measured; empty where there are none such."""
    given = shared.arguments.get("gains") if shared.pilot is None else None
    return list(dict.fromkeys(clean(str(gain["source"])) for gain in given or []))


def live(shared: Shared, way: str, cell: str) -> Markup:
    """What stands in a cell of ``answers``, and follows the prices wherever it stands on the page."""
    return Markup('<span data-way="{}" data-cell="{}">{}</span>').format(way, cell, answers_of(shared, way)[cell])


def told_live(say: Callable[..., str], *numbers: Markup) -> Markup:
    """A sentence around such numbers.

    Args:
        say: makes the sentence, given what stands for each number.
        numbers: from ``live``.

    Returns:
        The sentence, its words escaped.
    """
    words = re.split(r"\0(\d+)\0", say(*(f"\0{place}\0" for place in range(len(numbers)))))
    return Markup("").join(numbers[int(part)] if place % 2 else escape(part) for place, part in enumerate(words))


def answers(shared: Shared) -> dict[str, dict[str, str]]:
    """What stands in the cells that follow the prices, by way and cell."""
    return {option.name: answers_of(shared, option.name) for option in shared.options}


def answers_of(shared: Shared, way: str) -> dict[str, str]:
    """What stands in the cells of one way."""
    option = next(option for option in shared.options if option.name == way)
    told = {name: form(option.figure(name).value) for name, form in FORMS.items()}
    record = next((record for record in shared.break_even if record.option == way), None)
    if record is None:
        return told
    words = way_words(shared)
    return told | {
        "extra once": money(record.once.value),
        "extra month": money(record.month.value),
        "needed value": significant(record.per_request.value),
        "needed gain": _needed(words, record),
        "gain share": _share(shared, record),
        "gain": _middle(record.gain, fewer, words["unmeasured"]),
        "gain interval": _between(words, record.gain, fewer),
        "benefit": _middle(record.benefit, money, MISSING),
        "benefit interval": _between(words, record.benefit, money),
        "pays back": payback(words, record, float(shared.prices["horizon_months"])),
    }


def payback(words: dict[str, str], record: BreakEvenRecord, horizon: float) -> str:
    """When a way pays back, in words."""
    found = record.months
    if record.gain is None:
        return words["unmeasured"]
    if found is None:
        return words["valueless"]
    places = {
        "value": MISSING if found.value is None else months(found.value),
        "low": MISSING if found.low is None else months(found.low),
        "high": MISSING if found.high is None else months(found.high),
        "horizon": significant(horizon),
    }
    if found.low is None:
        kind = "never"
    elif found.value is None:
        kind = "not-at-gain"
    elif found.high is None:
        kind = "maybe-never"
    elif found.high == 0:
        kind = "at-once"
    else:
        kind = "pays" if found.high <= horizon else "late"
    return filled(words[kind], **places)


def best_answer(shared: Shared) -> str:
    """Which way leaves the most money, as far as anything was measured."""
    words = way_words(shared)
    if all(record.gain is None for record in shared.break_even):
        return words["best-unmeasured"]
    best = best_way(shared)
    if best is None:
        return words["best-valueless"]
    return filled(
        words["best-pays" if surely_pays(shared, best) else "best-short"],
        way=way_heading(best.option),
        horizon=significant(float(shared.prices["horizon_months"])),
        left=money(abs(surely_left(shared, best))),
        currency=clean(str(shared.prices["currency"])),
    )


def _needed(words: dict[str, str], record: BreakEvenRecord) -> str:
    if record.needed is None:
        return MISSING
    return fewer(record.needed.value) if record.needed.value <= 100 else words["more-than-all"]


def _share(shared: Shared, record: BreakEvenRecord) -> str:
    """Of a gain that was measured on some domains only: what it is over all requests, the others counted as none."""
    measured, domains = len(record.measured), len(shared.domains)
    if record.gain is None or record.gain.value is None or measured == domains:
        return ""
    return _(
        "on %(measured)s of %(domains)s domains; over all %(all)s",
        measured=measured,
        domains=domains,
        all=fewer(record.gain.value * measured / domains),
    )


def _middle(found: IntervalRecord | None, form: Callable[[float], str], missing: str) -> str:
    return missing if found is None or found.value is None else form(found.value)


def _between(words: dict[str, str], found: IntervalRecord | None, form: Callable[[float], str]) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    return filled(words["interval"], low=form(found.low), high=form(found.high))
