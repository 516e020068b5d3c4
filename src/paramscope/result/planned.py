"""``plan.json`` beside a run: the role of each layer, what to do, and what to try first; read without torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from paramscope.result.documents import RunDocument, read_document, write_document
from paramscope.result.manifest import Record
from paramscope.result.verification import IntervalRecord

SCHEMA = 1
DOCUMENT = "plan.json"


class EvidenceRecord(IntervalRecord):
    """A number behind a role or a proposal: what it is, and the file of the run that it stands in."""

    text: str
    source: str


class LayerPlan(Record):
    """See ``actions.roles.LayerRole``; ``proposals`` are the priorities of those that name the layer."""

    layer: int
    parameters: int
    role: str
    domains: list[str]
    confidence: str
    evidence: list[EvidenceRecord]
    proposals: list[int] = Field(default_factory=list)


class ProposalRecord(Record):
    """Something to do.

    Attributes:
        name: short.
        headline: what to do, in one sentence.
        text: the same with what speaks for it.
        layers: that it is about; empty for the whole model.
        status: ``measured``, ``not measured``, or ``not supported`` where a pilot or a check speaks against it.
        benefit: what was measured, in ``unit``; null where nothing was.
        unit: of the benefit.
        cost: in ``cost_unit``; null where it is not known.
        cost_unit: of the cost.
        priority: 1 is first: measured benefit per cost, then what is still to be measured, then the rest.
        evidence: the numbers behind it.
        command: that carries it out or tries it.
    """

    name: str
    headline: str = ""
    text: str
    layers: list[int]
    status: str
    benefit: IntervalRecord | None
    unit: str
    cost: float | None
    cost_unit: str
    priority: int
    evidence: list[EvidenceRecord]
    command: str


class PilotPlan(Record):
    """What to try first, for which domain, and when to go on or stop."""

    domain: str
    text: str
    command: str
    go_on: str
    stop: str


class Planned(RunDocument):
    """The content of ``plan.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    layers: list[LayerPlan]
    proposals: list[ProposalRecord]
    pilot: PilotPlan | None = Field(description="null where everything that can be proposed was tried")
    made_from: list[str] = Field(description="files of the run that went in")
    limits: list[str]


def write_plan(run: Path, planned: Planned) -> None:
    """Write ``plan.json``, in place of one that is there."""
    write_document(run, DOCUMENT, planned)


def read_plan(run: Path) -> Planned | None:
    """Read the plan of a run.

    Args:
        run: its folder.

    Returns:
        The document; None where there is none.

    Raises:
        UsageError: the file is damaged, of another paramscope, or of another run.
    """
    return read_document(run, DOCUMENT, Planned, "'paramscope plan' makes it again")
