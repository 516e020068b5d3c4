"""``tune.json`` beside a run: what is trained for each domain, and how that did; read without torch."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from pydantic import Field

from paramscope.result.documents import RunDocument, read_document, write_document
from paramscope.result.manifest import Record
from paramscope.result.verification import IntervalRecord, run_digest

SCHEMA = 1
DOCUMENT = "tune.json"
UNFINISHED = "tune.unfinished"


class ModuleRecord(Record):
    """An adapter: its rank, LoRA's alpha, and its trainable parameters."""

    name: str
    layer: int
    rank: int
    alpha: int
    parameters: int


class PlanRecord(Record):
    """What is trained; ``scores`` has one number a layer of the model, null where the rule has none."""

    rule: str
    layers: list[int]
    scores: list[float | None]
    evidence: str
    parameters: int = Field(description="trainable ones")
    modules: list[ModuleRecord]


class TrialRecord(Record):
    """One training: a plan, a seed and a learning rate. Losses are nats per token."""

    plan: str
    draw: int = Field(description="which of the plan's draws of layers; 0 where there is one")
    seed: int
    rate: float
    training_loss: float | None = Field(description="mean over the steps")
    validation: float | None = Field(description="mean over training texts that were kept apart")
    losses: dict[str, list[float | None]] = Field(description="of each held-out text, by domain")
    seconds: float = Field(description="of training alone")
    memory_bytes: int = Field(description="of the process at its peak, or of the GPU where it ran on one")


class SizesRecord(Record):
    """How much was trained and measured, the same for all plans; see ``actions.pilots.sizes``."""

    tokens: int
    batch: int
    steps: int
    training: int
    validation: int
    test: int
    rates: list[float]
    seeds: int
    expected_seconds: float | None


class TextsRecord(Record):
    """Where the training texts came from; ``overlapping`` rows were left out because they are tested or profiled."""

    source: str
    rows: int
    overlapping: int
    repeated: int = Field(description="rows whose tokens, once cut, an earlier one has")
    training: int
    validation: int
    sha256: str = Field(description="of the hashes of all training and validation texts, in their order")


class ComparisonRecord(IntervalRecord):
    """The plan's held-out loss less a control's, paired by text, mean over seeds, in nats per token."""

    control: str
    status: str
    text: str
    count: int = Field(description="held-out texts")
    needed: int | None = Field(description="about how many would decide")
    by_seed: list[float | None]
    forgetting: IntervalRecord | None = Field(description="the same on the other domains' texts")


class EffectRecord(Record):
    """What a plan's training changed against no training, in nats per token (negative: better)."""

    plan: str
    rate: float
    at_edge: bool = Field(description="whether the chosen rate is the smallest or largest of three or more")
    domain: IntervalRecord
    others: dict[str, IntervalRecord]
    seconds: float
    memory_bytes: int


class PilotRecord(Record):
    """The plan tried against controls of equal trainable parameters."""

    arguments: dict[str, Any]
    sizes: SizesRecord
    texts: TextsRecord
    controls: dict[str, list[PlanRecord]] = Field(description="one plan a draw")
    same_as_plan: list[str] = Field(description="controls that would train the very same, and were left out")
    largest_difference: int = Field(description="between the trainable parameters of any two plans")
    before: dict[str, list[float | None]] = Field(description="losses without training, as in a trial")
    trials: list[TrialRecord]
    effects: list[EffectRecord]
    comparisons: list[ComparisonRecord]
    sentence: str
    seconds: float


class TunedDomain(Record):
    """One domain's plan, and its pilot where there was one."""

    domain: str
    arguments: dict[str, Any]
    budget: int
    share: float = Field(description="trainable parameters over those of the layers")
    plan: PlanRecord
    left_out: list[str] = Field(description="weights of the model that LoRA does not take")
    pilot: PilotRecord | None
    finished: str


class Tuning(RunDocument):
    """The content of ``tune.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    domains: list[TunedDomain]

    def of(self, domain: str) -> TunedDomain | None:
        """What there is of a domain."""
        return next((each for each in self.domains if each.domain == domain), None)


def read_tuning(run: Path) -> Tuning | None:
    """Read what was planned and tried for a run's domains.

    Args:
        run: its folder.

    Returns:
        The document; None where there is none.

    Raises:
        UsageError: the file is damaged, of another paramscope, or of another run.
    """
    return read_document(run, DOCUMENT, Tuning, "move it away, then 'paramscope tune' makes it again")


def keep_tuned(run: Path, paramscope: str, tuned: TunedDomain) -> None:
    """Put one domain's result into ``tune.json``, beside those of the others."""
    folder = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two domains may be tuned at the same time
        before = read_tuning(run)
        others = [each for each in before.domains if each.domain != tuned.domain] if before else []
        document = Tuning(paramscope=paramscope, run_sha256=run_digest(run), domains=[*others, tuned])
        write_document(run, DOCUMENT, document)
    finally:
        os.close(folder)
