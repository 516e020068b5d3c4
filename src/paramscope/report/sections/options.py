"""The options: tune, share, prune, or leave the model as it is; each with what it costs and what speaks for it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from markupsafe import Markup

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.amounts import fixed, significant
from paramscope.report.sections.cases import SHORT, Case, cases
from paramscope.report.sections.option import OptionRow, Verdict
from paramscope.report.sections.pilots import control_heading, harm
from paramscope.report.sections.share_option import loss_cell, share_row, unvalued
from paramscope.report.tables import Cell
from paramscope.report.text import clean
from paramscope.result.planned import ProposalRecord
from paramscope.result.tuned import PilotRecord

_TUNE_FOR = "tune for "
"""How the name of a proposal about one domain begins."""


@dataclass(frozen=True)
class PlacedRow:
    """A row of the table, which may stand elsewhere in another case, or not at all.

    Attributes:
        row: an option.
        place: at the stored prices; None where it is not shown then.
        numbered: whether its place is shown as its priority.
        attributes: of the element, for the script.
    """

    row: OptionRow
    place: int | None
    numbered: bool
    attributes: Markup


def placed_rows(material: Material) -> list[PlacedRow]:
    """The rows of all cases, each once; those of the stored prices first, in their order."""
    found: list[tuple[OptionRow, dict[str, int], bool]] = []
    every = cases(material)
    for case in every:
        rows = option_rows(material, case)
        for place, row in enumerate(rows, 1):
            places = next((places for other, places, _last in found if other == row), None)
            if places is None:
                found.append((row, places := {}, place < len(rows)))
            places[case.name] = place
    return [
        PlacedRow(
            row,
            places.get(every[0].name),
            numbered,
            Markup(' data-places="{}"').format(json.dumps(places)) if len(every) > 1 else Markup(""),
        )
        for row, places, numbered in found
    ]


def option_rows(material: Material, case: Case) -> list[OptionRow]:
    """All options of a case by priority; the model as it is last, since all others are held against it."""
    return [*(option_row(material, case, record) for record in case.proposals), leave_row(material, case)]


def option_row(material: Material, case: Case, record: ProposalRecord) -> OptionRow:
    """The row of a proposal."""
    if record.name == "share":
        return share_row(material, case, record)
    return _prune(material, record) if record.name == "prune" else _tune(material, record)


def domain_of(record: ProposalRecord) -> str | None:
    """The domain that a proposal to tune is about; None where it is about several, or about something else."""
    return record.name.removeprefix(_TUNE_FOR) if record.name.startswith(_TUNE_FOR) else None


def pilot_of(material: Material, record: ProposalRecord) -> PilotRecord | None:
    """The pilot of the domain that a proposal to tune is about."""
    domain = domain_of(record)
    tuned = material.tuning.of(domain) if material.tuning and domain is not None else None
    return tuned.pilot if tuned else None


def _tune(material: Material, record: ProposalRecord) -> OptionRow:
    domain, found = domain_of(record), record.benefit
    benefit = Cell(_("not measured"), _("the command of this row would"))
    if found is not None and found.value is not None:
        benefit = loss_cell(found.value, found.low, found.high)
    cost = Cell(_("not measured"), _("the pilot tells how much is trained"))
    if record.cost is not None:
        cost = Cell(_("%(share)s%% of the layers’ parameters trained", share=significant(record.cost)))
    return OptionRow(
        heading=_("Tune") if domain is None else _("Tune for %(domain)s", domain=clean(domain)),
        text=record.text,
        status=record.status,
        benefit=benefit,
        measured=found is not None,
        cost=cost,
        payback=_("not reckoned in money for one domain alone; see the ways to share"),
        evidence=_tuning(pilot_of(material, record)),
        untested=_("no pilot") if domain is None else _("held against no control"),
        command=record.command,
    )


def _tuning(pilot: PilotRecord | None) -> list[Verdict]:
    if pilot is None:
        return []
    told = [
        (_("Plan against: %(control)s", control=control_heading(each.control)), each.status)
        for each in pilot.comparisons
    ]
    harmed = harm(pilot)
    if harmed:
        rose = _("%(name)s: its loss rose by %(loss)s", name=clean(harmed[0]), loss=fixed(harmed[1], 3))
        told.append((rose, "worse"))
    return told


def _prune(material: Material, record: ProposalRecord) -> OptionRow:
    run = shlex.quote(material.place)
    tells = _("prune, then %(command)s tells", command=f"paramscope evaluate PRUNED --run {run}")
    return OptionRow(
        heading=_("Prune"),
        text=record.text,
        status=record.status,
        benefit=Cell(_("not measured"), _("zeros save nothing by themselves")),
        measured=False,
        cost=Cell(_("not measured"), tells),
        payback=_("never by itself: zeros save nothing on common serving stacks"),
        evidence=[],
        untested=_("no pilot; “Is it true?” has what removing parts does"),
        command=record.command,
    )


def leave_row(material: Material, case: Case) -> OptionRow:
    """The model as it is."""
    if case.first and case.kind == SHORT:
        text = _("Right wherever nothing above was measured to help, or to pay back in time where that was reckoned.")
    elif case.first:
        text = _("Right for every domain and layer for which nothing above was measured to help.")
    elif case.kind == SHORT:
        text = _("What the evidence speaks for at these prices: what was measured to help does not surely pay in time.")
    elif unvalued(material.shared, case):
        text = _("What holds until it is said what a request is worth: gains were given, but not their value in money.")
    else:
        text = _("What the evidence speaks for today: nothing was measured to help. A pilot can change that.")
    return OptionRow(
        heading=_("Leave as it is"),
        text=text,
        status="",
        benefit=Cell(_("none"), _("all benefits are told against it")),
        measured=False,
        cost=Cell(_("nothing more")),
        payback=_("nothing to pay back"),
        evidence=[],
        untested=_("what all pilots are held against"),
        command="",
    )
