"""The recommended next step, with the benefit and cost that can be expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.actions.proposing import MEASURED
from paramscope.actions.share_proposal import way_sentence
from paramscope.language import _, term
from paramscope.report.material import Material
from paramscope.report.sections.cases import PAYS, Case
from paramscope.report.sections.ways import live, told_live, way_heading
from paramscope.report.text import figure, interval
from paramscope.result.planned import ProposalRecord
from paramscope.result.shared import Shared


@dataclass(frozen=True)
class Next:
    """The recommended next step; ``payback`` is empty where it is not about money."""

    headline: str
    text: str
    benefit: str
    cost: str
    note: str
    payback: str = ""


def next_step(material: Material, case: Case) -> Next:
    """The first proposal that was measured; else what to try first; else the first proposal.

    Args:
        material: of the page.
        case: that holds.

    Returns:
        The step. Money in it is markup, since it follows edited prices.
    """
    if material.shared and case.kind == PAYS:
        return _paying(material, material.shared, case.way)
    measured = [proposal for proposal in case.proposals if proposal.status == MEASURED]
    if measured:
        note = _(
            "Measured by a pilot on held-out texts. Roll out in stages: pilot, check against the criteria, extend."
        )
        return _proposed(measured[0], note)
    planned = material.planned()
    if planned.pilot:
        return Next(
            planned.pilot.text,
            "",
            _("not known yet: that is what the pilot measures"),
            _("a pilot takes minutes to hours of one machine; it changes nothing in the model"),
            _("Nothing is promised here that was not measured."),
        )
    return _proposed(case.proposals[0], _("No pilot of this run lowered the loss surely."))


def _paying(material: Material, shared: Shared, way: str) -> Next:
    """The way to share that leaves most money."""
    currency = material.shown(str(shared.prices["currency"]))
    note = _(
        "What was measured is the loss on held-out texts; the money follows from the value of a request and the prices "
        "that were given, and from taking one percent less loss for one percent fewer errors."
    )
    return Next(
        headline=_("Share: %(way)s", way=way_heading(way)),
        text=way_sentence(shared, way),
        benefit=told_live(
            lambda value, between: _within(
                _("%(currency)s %(value)s a month", currency=currency, value=value), between
            ),
            live(shared, way, "benefit"),
            live(shared, way, "benefit interval"),
        ),
        cost=told_live(
            lambda once, month: _(
                "%(currency)s %(once)s once and %(month)s more a month", currency=currency, once=once, month=month
            ),
            live(shared, way, "extra once"),
            live(shared, way, "extra month"),
        ),
        note=note,
        payback=live(shared, way, "pays back"),
    )


def _proposed(proposal: ProposalRecord, note: str) -> Next:
    more = proposal.text.removeprefix(proposal.headline).strip()
    cost = _("not known") if proposal.cost is None else _in_unit(figure(proposal.cost), proposal.cost_unit)
    return Next(proposal.headline, more, _benefit(proposal), cost, note)


def _benefit(proposal: ProposalRecord) -> str:
    found = proposal.benefit
    if found is None:
        return _("not measured")
    value = _in_unit(figure(found.value), proposal.unit)
    return value if found.low is None or found.high is None else _within(value, interval(found.low, found.high, figure))


def _within(value: str, between: str) -> str:
    return _("%(value)s (95%% interval %(interval)s)", value=value, interval=between)


def _in_unit(value: str, unit: str) -> str:
    return _("%(value)s %(unit)s", value=value, unit=term(unit))
