"""The recommended next step, with the benefit and cost that can be expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.actions.proposing import MONEY
from paramscope.language import _, term
from paramscope.report.material import Material
from paramscope.report.text import figure, interval
from paramscope.result.planned import ProposalRecord


@dataclass(frozen=True)
class Next:
    """The recommended next step."""

    headline: str
    text: str
    benefit: str
    cost: str
    note: str


def next_step(material: Material) -> Next:
    """The first proposal that was measured; else what to try first; else the first proposal."""
    planned = material.planned()
    measured = [proposal for proposal in planned.proposals if proposal.status == "measured"]
    if measured:
        first = measured[0]
        note = _(
            "Measured by a pilot on held-out texts. Roll out in stages: pilot, check against the criteria, extend."
        )
        if first.cost_unit == MONEY:
            note = _(
                "What was measured is the loss on held-out texts; the money follows from the value of a request and "
                "the prices that were given, and from taking one percent less loss for one percent fewer errors."
            )
        return _proposed(material, first, note)
    if planned.pilot:
        return Next(
            planned.pilot.text,
            "",
            _("not known yet: that is what the pilot measures"),
            _("a pilot takes minutes to hours of one machine; it changes nothing in the model"),
            _("Nothing is promised here that was not measured."),
        )
    return _proposed(material, planned.proposals[0], _("No pilot of this run lowered the loss surely."))


def _proposed(material: Material, proposal: ProposalRecord, note: str) -> Next:
    more = proposal.text.removeprefix(proposal.headline).strip()
    return Next(proposal.headline, more, _benefit(material, proposal), _cost(material, proposal), note)


def _benefit(material: Material, proposal: ProposalRecord) -> str:
    found = proposal.benefit
    if found is None:
        return _("not measured")
    value = in_unit(material, figure(found.value), proposal.unit)
    if found.low is None or found.high is None:
        return value
    return _("%(value)s (95%% interval %(interval)s)", value=value, interval=interval(found.low, found.high, figure))


def _cost(material: Material, proposal: ProposalRecord) -> str:
    if proposal.cost is None:
        return _("not known")
    records = material.shared.break_even if material.shared else []
    paying = next((record for record in records if record.benefit and record.benefit == proposal.benefit), None)
    if material.shared and paying:
        return _(
            "%(currency)s %(once)s once and %(month)s more a month",
            currency=material.shown(str(material.shared.prices["currency"])),
            once=figure(paying.once.value),
            month=figure(paying.month.value),
        )
    return in_unit(material, figure(proposal.cost), proposal.cost_unit)


def in_unit(material: Material, value: str, unit: str) -> str:
    """A number of a proposal with its unit; money in the currency of the prices."""
    if unit == MONEY and material.shared:
        currency = material.shown(str(material.shared.prices["currency"]))
        return _("%(currency)s %(value)s a month", currency=currency, value=value)
    return _("%(value)s %(unit)s", value=value, unit=term(unit))
