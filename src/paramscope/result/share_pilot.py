"""``share-pilot.json`` beside a run: ways to share that were trained, and how they did; read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from paramscope.result.documents import RunDocument, read_document, write_document
from paramscope.result.manifest import Record
from paramscope.result.tuned import ComparisonRecord, SizesRecord, TextsRecord, TrialRecord
from paramscope.result.verification import IntervalRecord

SCHEMA = 1
DOCUMENT = "share-pilot.json"
UNFINISHED = "share-pilot.unfinished"


class WayRecord(Record):
    """A way to share that was trained. Changes are of the held-out loss against no training, in nats per token."""

    name: str
    layers: list[list[int]] = Field(description="that are the domains' own; one list a draw")
    parameters: int = Field(description="of all adapters that are kept, the shared one and the domains' own")
    rate: float
    at_edge: bool = Field(description="whether the chosen rate is the smallest or largest of three or more")
    change: IntervalRecord = Field(description="over all domains' texts")
    domains: dict[str, IntervalRecord]
    seconds: float = Field(description="of a training, on the mean")
    memory_bytes: int


class WayComparison(ComparisonRecord):
    """The plan's held-out loss less another way's over all domains' texts, and of each domain alone."""

    domains: dict[str, ComparisonRecord]


class Outcome(Record):
    """What a pilot showed; of the ways the plan is the first."""

    ways: list[WayRecord] = Field(min_length=2)
    comparisons: list[WayComparison] = Field(min_length=1)
    sentence: str


class SharePilot(RunDocument):
    """The content of ``share-pilot.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    arguments: dict[str, Any]
    domains: list[str]
    rank: int
    own_layers: list[int]
    left_out: list[str] = Field(description="weights of the model that LoRA does not take")
    sizes: SizesRecord
    texts: dict[str, TextsRecord]
    before: dict[str, list[float | None]] = Field(description="losses without training, as in a trial")
    trials: list[TrialRecord]
    outcome: Outcome
    seconds: float
    finished: str


def write_share_pilot(run: Path, pilot: SharePilot) -> None:
    """Write ``share-pilot.json``, in place of one that is there."""
    write_document(run, DOCUMENT, pilot)


def read_share_pilot(run: Path) -> SharePilot | None:
    """Read how ways to share did.

    Args:
        run: folder of the run.

    Returns:
        The document; None where there is none.

    Raises:
        UsageError: the file is damaged, of another paramscope, or of another run.
    """
    return read_document(run, DOCUMENT, SharePilot, "'paramscope share --pilot --overwrite' makes it again")
