"""The staged plan: pilot, decide, roll out, monitor, each with what the evidence so far says about it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.amounts import fixed
from paramscope.report.sections.cases import Case, by_case
from paramscope.report.sections.pilots import changed, harm, verdict_of
from paramscope.report.sections.roll_out import decide, monitor, roll_out
from paramscope.report.sections.share_option import pilot_command
from paramscope.report.sections.step import Note, Step
from paramscope.report.sections.ways import way_heading
from paramscope.report.text import clean
from paramscope.result.planned import Planned
from paramscope.result.tuned import PilotRecord, TunedDomain
from paramscope.result.verification import IntervalRecord
from paramscope.wording import sentences


def steps(material: Material) -> list[Step]:
    """The four steps, in the language that is spoken."""
    return [
        Step(_("Pilot"), _pilots(material, material.planned())),
        Step(_("Decide: go on or stop"), _by_case(material, decide)),
        Step(_("Roll out in stages"), _by_case(material, roll_out)),
        Step(_("Monitor"), monitor(material)),
    ]


def _pilots(material: Material, planned: Planned) -> list[Note]:
    notes = [_tried(tuned, pilot) for tuned, pilot in material.piloted]
    shared = material.shared
    if shared and shared.pilot:
        for way in shared.pilot.ways:
            told = _(
                "Made for sharing: “%(way)s” changed the loss on held-out texts of all domains by %(change)s "
                "(%(interval)s) nats per token.",
                way=way_heading(way.name),
                **_told(way.change),
            )
            notes.append(Note(told, verdict_of(way.change)))
    elif len(material.profile.domains) > 1:
        share = next(record for record in planned.proposals if record.name == "share")
        untried = _("Open: the ways to share were not tried against each other.")
        notes.append(Note(untried, "not measured", pilot_command(share)))
    if planned.pilot:
        next_one = _("Next: %(pilot)s", pilot=planned.pilot.text)
        notes.append(Note(next_one, "not measured", planned.pilot.command))
    return notes


def _tried(tuned: TunedDomain, pilot: PilotRecord) -> Note:
    """What the pilot of one domain showed, held against the criteria to go on."""
    plan = pilot.effects[0]
    told = {"domain": clean(tuned.domain)} | _told(plan.domain)
    made = _(
        "Made for %(domain)s: the plan changed the loss on held-out texts by %(change)s (%(interval)s) nats per token.",
        **told,
    )
    if not _fell(plan.domain) or not _fell_for_every_seed(tuned.domain, pilot):
        end = _("The criteria to go on are not met: the loss did not fall with its whole interval and for every seed.")
        return Note(sentences(made, end), "not supported")
    harmed = harm(pilot)
    if harmed:
        alone = _(
            "The criteria to go on are met for %(domain)s alone: the loss of %(other)s rose by %(loss)s nats per "
            "token.",
            **told,
            other=clean(harmed[0]),
            loss=fixed(harmed[1], 3),
        )
        return Note(sentences(made, alone), "supported")
    met = _("The criteria to go on are met.")
    return Note(sentences(made, met), "supported")


def _told(found: IntervalRecord) -> dict[str, str]:
    told = changed(found)
    return {"change": told.main, "interval": told.below}


def _fell(found: IntervalRecord) -> bool:
    """Whether a loss fell over the whole interval."""
    return found.high is not None and found.high < 0


def _fell_for_every_seed(domain: str, pilot: PilotRecord) -> bool:
    """Whether the plan's loss is below that without training for each seed."""
    plan = pilot.effects[0]
    before = _mean(pilot.before.get(domain, []))
    after = [_mean(each.losses[domain]) for each in pilot.trials if (each.plan, each.rate) == (plan.plan, plan.rate)]
    return all(mean < before for mean in after)


def _mean(losses: Sequence[float | None]) -> float:
    return sum(math.inf if loss is None else loss for loss in losses) / len(losses) if losses else math.nan


def _by_case(material: Material, make: Callable[[Material, Case], list[Note]]) -> list[Note]:
    """The notes of all cases, those of one that is not the stored one hidden."""
    return [
        dataclasses.replace(note, attributes=attributes)
        for notes, attributes in by_case(material, lambda case: make(material, case))
        for note in notes
    ]
