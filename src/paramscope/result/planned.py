"""``plan.json`` beside a run: the role of each layer, what to do, and what to try first; read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paramscope.errors import UsageError
from paramscope.result.manifest import first_fault
from paramscope.result.store import write_atomically
from paramscope.result.verification import IntervalRecord, run_digest
from paramscope.wording import one_line

SCHEMA = 1
DOCUMENT = "plan.json"


class _Record(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class EvidenceRecord(IntervalRecord):
    """A number behind a role or a proposal: what it is, and the file of the run that it stands in."""

    text: str
    source: str


class LayerPlan(_Record):
    """See ``actions.roles.LayerRole``."""

    layer: int
    parameters: int
    role: str
    domains: list[str]
    confidence: str
    evidence: list[EvidenceRecord]


class ProposalRecord(_Record):
    """Something to do.

    Attributes:
        name: short.
        text: what to do, in a sentence.
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


class PilotPlan(_Record):
    """What to try first, for which domain, and when to go on or stop."""

    domain: str
    text: str
    command: str
    go_on: str
    stop: str


class Planned(_Record):
    """The content of ``plan.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    run_sha256: str
    layers: list[LayerPlan]
    proposals: list[ProposalRecord]
    pilot: PilotPlan | None = Field(description="null where everything that can be proposed was tried")
    made_from: list[str] = Field(description="files of the run that went in")
    limits: list[str]


def write_plan(run: Path, planned: Planned) -> None:
    """Write ``plan.json``, in place of one that is there."""
    write_atomically(run / DOCUMENT, planned.model_dump_json(indent=1) + "\n")


def read_plan(run: Path) -> Planned | None:
    """Read the plan of a run.

    Args:
        run: its folder.

    Returns:
        The document; None where there is none.

    Raises:
        UsageError: the file is damaged, of another paramscope, or of another run.
    """
    path = run / DOCUMENT
    if not path.is_file():
        return None
    try:
        planned = Planned.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else one_line(error)
        raise UsageError(
            f"{path} is damaged or of another paramscope ({fault}); 'paramscope plan' makes it again"
        ) from error
    if planned.run_sha256 != run_digest(run):
        raise UsageError(f"{path} was made of another run; 'paramscope plan' makes it again")
    return planned
