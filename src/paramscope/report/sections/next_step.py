"""The recommended next step, with the benefit and cost that can be expected of it."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.amounts import fixed
from paramscope.report.sections.cases import PAYS, SHORT, Case
from paramscope.report.sections.options import domain_of, leave_row, option_row, pilot_of
from paramscope.report.sections.pilots import harm
from paramscope.report.sections.share_option import unvalued
from paramscope.report.sections.ways import given_gains
from paramscope.report.tables import Cell
from paramscope.report.text import clean
from paramscope.result.planned import ProposalRecord
from paramscope.wording import sentences


@dataclass(frozen=True)
class Next:
    """The recommended next step.

    Attributes:
        headline: in a few words.
        text: in sentences.
        benefit: that can be expected, with its interval where it was measured.
        measured: whether it was.
        cost: that can be expected.
        payback: when it pays back; empty where that is no question yet.
        note: how that is known.
    """

    headline: str
    text: str
    benefit: Cell
    measured: bool
    cost: Cell
    payback: str
    note: str


def next_step(material: Material, case: Case) -> Next:
    """The first proposal that was measured; else what to try first; else to leave the model as it is.

    Args:
        material: of the page.
        case: that holds.

    Returns:
        The step. Money in it is markup, since it follows edited prices.
    """
    if case.first:
        return _proposed(material, case, case.first, _measured_note(material, case))
    planned = material.planned()
    if planned.pilot:
        return Next(
            headline=planned.pilot.text,
            text=_beside_sharing(material, case),
            benefit=Cell(_("not known yet: that is what the pilot measures")),
            measured=False,
            cost=Cell(_("a pilot takes minutes to hours of one machine; it changes nothing in the model")),
            payback="",
            note=_("Nothing is promised here that was not measured."),
        )
    leave = leave_row(material, case)
    return Next(
        headline=_("Leave the model as it is."),
        text=leave.text,
        benefit=leave.benefit,
        measured=False,
        cost=leave.cost,
        payback="",
        note=_("All domains had a pilot; a longer one, or one of another kind, may show more."),
    )


def _proposed(material: Material, case: Case, proposal: ProposalRecord, note: str) -> Next:
    row = option_row(material, case, proposal)
    pays = proposal.name == "share" and case.kind == PAYS
    headline, text = (row.heading, row.text) if pays else (proposal.headline, proposal.text)
    more = text.removeprefix(headline).strip()
    return Next(
        headline=headline,
        text=sentences(more, _harm(material, proposal), _beside_sharing(material, case)),
        benefit=row.benefit,
        measured=row.measured,
        cost=row.cost,
        payback=row.payback,
        note=note,
    )


def _measured_note(material: Material, case: Case) -> str:
    if case.kind != PAYS:
        return _(
            "Measured by a pilot on held-out texts. Roll out in stages: pilot, check against the criteria, extend."
        )
    sources = given_gains(material.shared) if material.shared else []
    if sources:
        return _(
            "The gain was given (--gains; from: %(sources)s) and not measured by a pilot of this run; the money "
            "follows from it, the value of a request and the prices.",
            sources=_("; ").join(sources),
        )
    return _(
        "What was measured is the loss on held-out texts; the money follows from the value of a request and the prices "
        "that were given, and from taking one percent less loss for one percent fewer errors."
    )


def _harm(material: Material, proposal: ProposalRecord) -> str:
    """What a proposal to tune for one domain costs another."""
    pilot, domain = pilot_of(material, proposal), domain_of(proposal)
    harmed = harm(pilot) if pilot else None
    if domain is None or harmed is None:
        return ""
    return _(
        "Serve it to %(domain)s alone: the loss of %(other)s rose by %(loss)s nats per token.",
        domain=clean(domain),
        other=clean(harmed[0]),
        loss=fixed(harmed[1], 3),
    )


def _beside_sharing(material: Material, case: Case) -> str:
    """Why sharing, whose gain is known, is not what is recommended."""
    if case.kind == SHORT:
        return _("Sharing does not surely pay back in time at these prices.")
    if unvalued(material.shared, case):
        return _("Whether sharing pays cannot be said until a request is given a value.")
    return ""
