"""The options: tune, share, prune, or leave the model as it is; each with what it costs and what speaks for it."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from paramscope.actions.share_proposal import way_sentence
from paramscope.actions.sharing.outcome import chosen_way
from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.amounts import fixed, significant
from paramscope.report.sections.cases import Case, cases
from paramscope.report.sections.pilots import MOST_LOST, control_heading
from paramscope.report.sections.ways import live, told_live, way_heading
from paramscope.report.tables import Cell, interval_of
from paramscope.report.text import clean
from paramscope.result.planned import ProposalRecord
from paramscope.result.share_pilot import Outcome
from paramscope.result.shared import Shared
from paramscope.result.tuned import PilotRecord

_TUNE_FOR = "tune for "
"""How the name of a proposal about one domain begins."""

Verdict = tuple[str, str]
"""A control in words, and how the plan did against it."""


@dataclass(frozen=True)
class OptionRow:
    """An option.

    Attributes:
        priority: place; empty for what is not carried out.
        heading: what it is, in a word or two.
        text: in sentences.
        status: of its benefit.
        benefit: as measured.
        cost: of it.
        payback: when it pays back, or why that is not told.
        evidence: verdicts of its pilot.
        untested: why there are none.
        command: that carries it out or tries it.
    """

    priority: str
    heading: str
    text: str
    status: str
    benefit: Cell
    cost: Cell
    payback: str
    evidence: list[Verdict]
    untested: str
    command: str


@dataclass(frozen=True)
class PlacedRow:
    """A row of the table, which may stand elsewhere in another case, or not at all.

    Attributes:
        row: an option; its priority is left empty.
        numbered: whether it shows its place as its priority.
        place: at the stored prices; None where it is not shown then.
        attributes: of the element, for the script.
    """

    row: OptionRow
    numbered: bool
    place: int | None
    attributes: Markup


def placed_rows(material: Material) -> list[PlacedRow]:
    """The rows of all cases, each once; those of the stored prices first, in their order."""
    stored, *others = cases(material)
    found: list[tuple[OptionRow, dict[str, int]]] = []
    numbered = []
    for case in [stored, *others]:
        for place, row in enumerate(option_rows(material, case), 1):
            blank = dataclasses.replace(row, priority="")
            places = next((places for other, places in found if other == blank), None)
            if places is None:
                found.append((blank, places := {}))
                numbered.append(bool(row.priority))
            places[case.name] = place
    return [
        PlacedRow(
            row,
            shows,
            places.get(stored.name),
            Markup(' data-places="{}"').format(json.dumps(places)) if others else Markup(""),
        )
        for (row, places), shows in zip(found, numbered, strict=True)
    ]


def option_rows(material: Material, case: Case) -> list[OptionRow]:
    """All options of a case by priority; the model as it is last, since all others are held against it."""
    return [*(_row(material, case, record) for record in case.proposals), _leave(case.proposals)]


def _row(material: Material, case: Case, record: ProposalRecord) -> OptionRow:
    shared, text = material.shared, record.text
    if record.name == "share" and shared:
        heading, untested, way = _("Share"), _("no pilot"), case.way or _tried(shared, record)
        cost, paid, evidence = _sharing(shared, way)
        if case.way or (way and record.status == "measured"):  # the other columns have the rest of the sentences
            text = way_sentence(shared, way)
            heading = _("Share: %(way)s", way=way_heading(way))
    elif record.name == "share":
        heading, untested, evidence = _("Share"), _("no pilot"), []
        cost, paid = Cell(_("not reckoned")), _("not reckoned")
    elif record.name == "prune":
        heading, evidence = _("Prune"), []
        untested = _("no pilot; “Is it true?” has what removing parts does")
        run = shlex.quote(str(material.folder or "RUN"))
        tells = _("prune, then %(command)s tells", command=f"paramscope evaluate PRUNED --run {run}")
        cost = Cell(_("not measured"), tells)
        paid = _("never by itself: zeros save nothing on common serving stacks")
    else:
        domain = record.name.removeprefix(_TUNE_FOR) if record.name.startswith(_TUNE_FOR) else None
        heading = _("Tune") if domain is None else _("Tune for %(domain)s", domain=clean(domain))
        evidence = _tuning(material, domain)
        untested = _("no pilot") if domain is None else _("held against no control")
        cost = Cell(_("not measured"), _("the pilot tells how much is trained"))
        if record.cost is not None:
            cost = Cell(_("%(share)s%% of the layers’ parameters trained", share=significant(record.cost)))
        paid = _("not reckoned in money for one domain alone; see the ways to share")
    return OptionRow(
        priority=str(record.priority),
        heading=heading,
        text=text,
        status=record.status,
        benefit=_benefit(material, case, record),
        cost=cost,
        payback=paid,
        evidence=evidence,
        untested=untested,
        command=pilot_command(record) if record.name == "share" else record.command,
    )


def pilot_command(share: ProposalRecord) -> str:
    """What measures the ways to share, not only what they cost."""
    return share.command if "--pilot" in share.command else f"{share.command} --pilot"


def _benefit(material: Material, case: Case, record: ProposalRecord) -> Cell:
    if material.shared and record.name == "share" and case.way:
        currency = clean(str(material.shared.prices["currency"]))
        return Cell(
            told_live(
                lambda number: _("%(money)s %(currency)s a month", money=number, currency=currency),
                live(material.shared, case.way, "benefit"),
            ),
            live(material.shared, case.way, "benefit interval"),
        )
    found = record.benefit
    if found is None or found.value is None:
        told = _("zeros save nothing by themselves") if record.name == "prune" else _("the command of this row would")
        return Cell(_("not measured"), told)
    return Cell(
        _("%(loss)s nats per token less", loss=fixed(found.value, 3)),
        interval_of(found.low, found.high, lambda value: fixed(value, 3)),
    )


def _tried(shared: Shared, record: ProposalRecord) -> str:
    """The way that a proposal about losses is about; empty where nothing was measured."""
    if record.benefit is None or shared.pilot is None:
        return ""
    chosen = chosen_way(shared.pilot.comparisons)
    return chosen if any(each.option == chosen for each in shared.break_even) else ""


def _sharing(shared: Shared, way: str) -> tuple[Cell, str, list[Verdict]]:
    """Cost, break-even and evidence of sharing."""
    pilot = shared.pilot
    evidence = [*_changed(pilot, way)] if pilot else []
    evidence += [
        (_("Own adapters on some layers, against: %(control)s", control=way_heading(each.control)), each.status)
        for each in (pilot.comparisons if pilot else [])
    ]
    if not way:
        return Cell(_("depends on the way"), _("see the ways to share")), _("unknown without a measured gain"), evidence
    currency = clean(str(shared.prices["currency"]))
    cost = Cell(
        told_live(
            lambda number: _("%(money)s %(currency)s once", money=number, currency=currency),
            live(shared, way, "extra once"),
        ),
        told_live(
            lambda number: _("and %(money)s %(currency)s more each month", money=number, currency=currency),
            live(shared, way, "extra month"),
        ),
    )
    return cost, live(shared, way, "pays back"), evidence


def _changed(pilot: Outcome, option: str) -> Iterator[Verdict]:
    """What the way that is proposed changed by itself, against no training."""
    for way in pilot.ways:
        change = way.change
        if way.name == option and change.value is not None and change.high is not None and change.low is not None:
            told = _(
                "%(way)s, against no training: %(change)s (%(interval)s) nats per token",
                way=way_heading(way.name),
                change=fixed(change.value, 3),
                interval=interval_of(change.low, change.high, lambda value: fixed(value, 3)),
            )
            status = "supported" if change.high < 0 else "not supported" if change.low > 0 else "undecided"
            yield told, status


def _tuning(material: Material, domain: str | None) -> list[Verdict]:
    tuned = material.tuning.of(domain) if material.tuning and domain is not None else None
    if tuned is None or tuned.pilot is None:
        return []
    against = [
        (_("Plan against: %(control)s", control=control_heading(each.control)), each.status)
        for each in tuned.pilot.comparisons
    ]
    return [*against, *_harm(tuned.pilot)]


def _harm(pilot: PilotRecord) -> Iterator[Verdict]:
    """The domain that loses most by the plan, where that is more than may be."""
    others = pilot.effects[0].others if pilot.effects else {}
    lost = {name: found.value for name, found in others.items() if found.value is not None}
    worst = max(lost, key=lambda name: lost[name], default=None)
    if worst is not None and lost[worst] > MOST_LOST:
        told = _("%(name)s: its loss rose by %(loss)s", name=clean(worst), loss=fixed(lost[worst], 3))
        yield told, "worse"


def _leave(proposals: list[ProposalRecord]) -> OptionRow:
    helps = any(record.status == "measured" for record in proposals)
    return OptionRow(
        priority="",
        heading=_("Leave as it is"),
        text=_("Right for every domain and layer for which nothing above was measured to help.")
        if helps
        else _("What the evidence speaks for today: nothing was measured to help. A pilot can change that."),
        status="",
        benefit=Cell(_("none"), _("all benefits are told against it")),
        cost=Cell(_("nothing more")),
        payback=_("nothing to pay back"),
        evidence=[],
        untested=_("what all pilots are held against"),
        command="",
    )
