"""The staged plan: pilot, decide, roll out, monitor, each with what the evidence so far says about it."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.amounts import fixed
from paramscope.report.sections.cases import SHORT, Case, by_case
from paramscope.report.sections.options import domain_of
from paramscope.report.sections.pilots import MOST_LOST, changed, harm
from paramscope.report.sections.share_option import pilot_command, unvalued
from paramscope.report.sections.ways import way_heading
from paramscope.report.text import clean
from paramscope.result.planned import Planned, ProposalRecord
from paramscope.result.tuned import PilotRecord, TunedDomain
from paramscope.result.verification import IntervalRecord
from paramscope.wording import sentences


@dataclass(frozen=True)
class Note:
    """A sentence of a step, with a status or a command where it has one, and where it stands for some cases only."""

    text: str
    status: str = ""
    command: str = ""
    attributes: Markup = field(default_factory=Markup)


@dataclass(frozen=True)
class Step:
    """A step of the plan."""

    heading: str
    notes: list[Note]


def steps(material: Material) -> list[Step]:
    """The four steps, in the language that is spoken."""
    return [
        Step(_("Pilot"), _pilots(material, material.planned())),
        Step(_("Decide: go on or stop"), _by_case(material, lambda case: _decide(material, case))),
        Step(_("Roll out in stages"), _by_case(material, lambda case: _roll_out(material, case))),
        Step(_("Monitor"), _monitor(material)),
    ]


def _pilots(material: Material, planned: Planned) -> list[Note]:
    notes = [
        _tried(tuned, tuned.pilot) for tuned in (material.tuning.domains if material.tuning else []) if tuned.pilot
    ]
    shared = material.shared
    if shared and shared.pilot:
        for way in shared.pilot.ways:
            told = _(
                "Made for sharing: “%(way)s” changed the loss on held-out texts of all domains by %(change)s "
                "(%(interval)s) nats per token.",
                way=way_heading(way.name),
                **_told(way.change),
            )
            notes.append(Note(told, "supported" if _fell(way.change) else "not supported"))
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
    for other, loss in harm(pilot):
        end = _(
            "The criteria to go on are not met for one model for all: the loss of %(other)s rose by %(loss)s nats per "
            "token. Serve what was trained to %(domain)s alone.",
            **told,
            other=clean(other),
            loss=fixed(loss, 3),
        )
        return Note(sentences(made, end), "not supported")
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


def _by_case(material: Material, make: Callable[[Case], list[Note]]) -> list[Note]:
    """The notes of all cases, those of one that is not the stored one hidden."""
    return [
        dataclasses.replace(note, attributes=attributes)
        for notes, attributes in by_case(material, make)
        for note in notes
    ]


def _first(case: Case) -> ProposalRecord | None:
    """What a case recommends to carry out."""
    return next((record for record in case.proposals if record.status == "measured"), None)


def _decide(material: Material, case: Case) -> list[Note]:
    """Criteria to go on or stop: of what is recommended, and of the pilot that comes next."""
    first, pilot = _first(case), material.planned().pilot
    found = []
    if first and first.name == "share":
        go_on = _(
            "after training on all texts at hand the loss falls on the held-out texts of all domains together, with "
            "its whole interval, and no domain loses more than %(most)s nats per token; and by that gain it still pays "
            "back in the time that is set.",
            most=MOST_LOST,
        )
        found = [
            Note(_("Sharing, go on if: %(criteria)s", criteria=go_on)),
            Note(_("Sharing, stop if: one of these does not hold; then leave the model as it is.")),
        ]
    if pilot:
        return [
            *found,
            Note(_("Next pilot, go on if: %(criteria)s", criteria=pilot.go_on)),
            Note(_("Next pilot, stop if: %(criteria)s", criteria=pilot.stop)),
        ]
    return [*found, Note(_("All domains had a pilot. The first row of the table of options is what they speak for."))]


def _roll_out(material: Material, case: Case) -> list[Note]:
    first = _first(case)
    if first is None:
        return [Note(_not_yet(material, case))]
    run = shlex.quote(str(material.folder or "RUN"))
    export = _export(material, first)
    domain = domain_of(first)
    begin = _("Begin with the first row of the table. Train on all texts at hand: a pilot trains on few, for minutes.")
    return [
        Note(begin),
        *([Note(_("The plan, for your training tool:"), command=export)] if export else []),
        Note(
            _("Before it serves anyone, hold the trained model against the same held-out texts of every domain:"),
            command=f"paramscope evaluate TRAINED --run {run}",
        ),
        Note(_one_by_one() if domain is None else _one_alone(domain)),
    ]


def _one_by_one() -> str:
    return _(
        "Let it answer a small part of the requests of one domain, the model as it is the rest, and compare. Then take "
        "all requests of that domain, then the next domain."
    )


def _one_alone(domain: str) -> str:
    return _(
        "Let it answer a small part of the requests of %(domain)s, the model as it is the rest, and compare. Then take "
        "all requests of %(domain)s, and those of no other domain.",
        domain=clean(domain),
    )


def _not_yet(material: Material, case: Case) -> str:
    if case.kind == SHORT:
        return _(
            "Not yet: what was measured to help does not surely pay back in time at these prices. Serve the model as "
            "it is until prices, the value of a request or the gain change."
        )
    if unvalued(material.shared, case):
        return _("Not yet: gains were given, but not what they are worth. Say what a request is worth, then decide.")
    return _("Not yet: nothing was measured to help. Serve the model as it is until a pilot says otherwise.")


def _export(material: Material, first: ProposalRecord) -> str:
    """The command that writes the plan of a proposal; empty where that is none for one domain."""
    tuned = next(
        (
            each
            for each in (material.tuning.domains if material.tuning else [])
            if first.name == f"tune for {each.domain}"
        ),
        None,
    )
    # Without layers the proposal is a control in place of the plan, which the command would not write.
    if tuned is None or not first.layers:
        return ""
    asked = tuned.arguments
    names = ",".join(map(str, asked["layers"])) if isinstance(asked.get("layers"), list) else asked.get("layers")
    given = {
        "rule": None if isinstance(asked.get("layers"), list) else asked.get("rule"),
        "layers": names,
        "rank": asked.get("rank"),
        "trainable": asked.get("trainable") if asked.get("rank") is None else None,
    }
    flags = "".join(f" --{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)
    return f"{first.command.removesuffix(' --pilot')}{flags} --export PLAN"


def _monitor(material: Material) -> list[Note]:
    if len(material.profile.domains) > 1:
        loss = _(
            "Loss on held-out texts of every domain, also of those that nothing was done for: go back if one loses "
            "more than %(most)s nats per token.",
            most=MOST_LOST,
        )
    else:
        loss = _("Loss on held-out texts: go back if it rises by more than %(most)s nats per token.", most=MOST_LOST)
    work = _(
        "The work itself: errors that people find, complaints, requests handed on. A loss stands for none of them."
    )
    return [
        Note(loss),
        Note(work),
        Note(_("Prices, requests per month and upkeep, against the numbers of this page.")),
        Note(_("Measure the run again when the base model or the kind of texts changes.")),
    ]
