"""What all proposals are made of: statuses, units, commands, and gains from changes of a loss."""

from __future__ import annotations

import shlex
from pathlib import Path

from paramscope.language import _, mark, term
from paramscope.result.profile import Profile
from paramscope.result.verification import IntervalRecord

MEASURED, UNMEASURED, UNSUPPORTED = mark("measured"), mark("not measured"), mark("not supported")

SIMPLEST = "uniform"
"""The control that takes no choice of layers."""

BETTER = "better"
"""Status of a comparison in which the plan wins, see ``actions.judging``."""

LOSS = mark("nats per token less on the domain's held-out texts")
ALL_LOSS = mark("nats per token less on all domains' held-out texts")
MONEY = mark("money per month")
TRAINED = mark("%% of the layers' parameters trained").replace("%%", "%")
IN_ADAPTERS = mark("%% of the layers' parameters in adapters").replace("%%", "%")
ZERO = mark("share of weights that are zero")
COST_OF_PRUNING = mark("nats per token")
"""Units; a document holds them in English, and ``paramscope.language.term`` says them in another language."""


class Words:
    """The commands of a run, to be typed as they are."""

    def __init__(self, profile: Profile, run: Path | None) -> None:
        self.model = shlex.quote(str(profile.manifest.model.place or "MODEL"))
        self.run = shlex.quote(str(run or "RUN"))

    def tune(self, domain: str) -> str:
        """What makes the pilot of a domain."""
        return f"paramscope tune {self.model} --run {self.run} --domain {shlex.quote(domain)} --pilot"


def changed(name: str) -> str:
    """What was measured of a plan, or of a way to share."""
    return _("change of loss by %(name)s, nats per token", name=term(name))


def less(change: IntervalRecord) -> IntervalRecord:
    """A fall of what rose."""

    def turned(value: float | None) -> float | None:
        return None if value is None else -value

    return IntervalRecord(value=turned(change.value), low=turned(change.high), high=turned(change.low))
