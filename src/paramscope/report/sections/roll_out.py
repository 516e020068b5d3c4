"""The later steps of the staged plan: decide, roll out, monitor; of what is recommended in the case that holds."""

from __future__ import annotations

import shlex

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.cases import PAYS, SHORT, Case
from paramscope.report.sections.options import domain_of
from paramscope.report.sections.pilots import MOST_LOST
from paramscope.report.sections.share_option import unvalued
from paramscope.report.sections.step import Note
from paramscope.report.text import clean
from paramscope.result.planned import ProposalRecord
from paramscope.wording import sentences


def decide(material: Material, case: Case) -> list[Note]:
    """Criteria to go on or stop: of what is recommended, and of the pilot that comes next."""
    first, pilot = case.first, material.planned().pilot
    found = [] if first is None else _criteria(case, first)
    if pilot:
        found.append(Note(_("Next pilot, go on if: %(criteria)s", criteria=pilot.go_on)))
        found.append(Note(_("Next pilot, stop if: %(criteria)s", criteria=pilot.stop)))
    elif first is None:
        found.append(Note(_("All domains had a pilot, and none speaks for going on as it was made.")))
    return found


def _criteria(case: Case, first: ProposalRecord) -> list[Note]:
    """To go on with what is recommended, or to stop."""
    domain = domain_of(first)
    if domain is not None:
        go_on = _(
            "Tuning for %(domain)s, go on if: after training on all texts at hand the loss falls on its held-out "
            "texts, with its whole interval.",
            domain=clean(domain),
        )
        alone = _(
            "What is trained serves %(domain)s alone, unless no other domain loses more than %(most)s nats per token.",
            domain=clean(domain),
            most=MOST_LOST,
        )
        stop = _(
            "Tuning for %(domain)s, stop if: that does not hold; then leave the model as it is.", domain=clean(domain)
        )
        return [Note(sentences(go_on, alone)), Note(stop)]
    go_on = _(
        "Sharing, go on if: after training on all texts at hand the loss falls on the held-out texts of all domains "
        "together, with its whole interval, and no domain loses more than %(most)s nats per token.",
        most=MOST_LOST,
    )
    pays = _("By that gain, it still pays back in the time that is set.") if case.kind == PAYS else ""
    return [
        Note(sentences(go_on, pays)),
        Note(_("Sharing, stop if: one of these does not hold; then leave the model as it is.")),
    ]


def roll_out(material: Material, case: Case) -> list[Note]:
    """From the first training on all texts to all requests; or why not yet."""
    first = case.first
    if first is None:
        return [Note(_not_yet(material, case))]
    run = shlex.quote(material.place)
    export, domain = _export(material, first), domain_of(first)
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
    domain = domain_of(first)
    tuned = material.tuning.of(domain) if material.tuning and domain is not None else None
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


def monitor(material: Material) -> list[Note]:
    """What to watch once something was rolled out."""
    if len(material.profile.domains) > 1:
        loss = _(
            "Loss on held-out texts of every domain that the trained model serves, also of those it was not trained "
            "for: go back if one loses more than %(most)s nats per token.",
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
