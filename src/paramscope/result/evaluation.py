"""The document of ``paramscope evaluate``: every number with its error, and of which model it is."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from paramscope.result.manifest import Record

SCHEMA = 1


class EvaluatedModel(Record):
    """The model that the numbers are of; ``files`` as in ``manifest.ModelRecord``."""

    name: str
    place: str | None
    revision: str | None
    architecture: str
    files: dict[str, str]
    dtype: str
    device: str
    weights: str = Field(description="resident or streamed")


class EvaluatedRun(Record):
    """The run whose held-out samples were read."""

    place: str | None = Field(description="null where a profile in memory was given")
    manifest_sha256: str


class PerplexityRecord(Record):
    """See ``evaluation.perplexity.Perplexity``; null where there is no number."""

    source: str
    value: float | None
    low: float | None
    high: float | None
    nats: float | None
    standard_error: float | None
    tokens: int
    blocks: int
    context: int
    text_tokens: int = Field(description="of the whole text, the ones that are not scored included")
    token_ids_sha256: str


class DomainLossRecord(Record):
    """See ``evaluation.perplexity.DomainLoss``."""

    domain: str
    value: float | None
    low: float | None
    high: float | None
    samples: int
    tokens: int


class ChoiceRecord(Record):
    """See ``evaluation.choice.ChoiceResult`` and ``evaluation.tasks.ChoiceTask``."""

    task: str
    source: str
    accuracy: float
    standard_error: float | None
    normalised: float
    normalised_error: float | None
    items: int
    chance: float
    constant: float
    cut: int
    not_finite: int
    rows: int
    unanswered: int
    shots: int
    examples: str


class HarnessRecord(Record):
    """See ``evaluation.harness.HarnessMetric``."""

    task: str
    metric: str
    filter: str
    value: float | None
    standard_error: float | None
    higher_is_better: bool | None
    items: int | None
    shots: int | None
    version: str


class Evaluation(Record):
    """The whole document."""

    schema_version: int = SCHEMA
    paramscope: str
    started: str
    finished: str
    arguments: dict[str, Any]
    model: EvaluatedModel
    run: EvaluatedRun | None
    perplexity: list[PerplexityRecord]
    held_out: list[DomainLossRecord]
    choices: list[ChoiceRecord]
    harness: list[HarnessRecord]
    timings: dict[str, float]
    versions: dict[str, str]
    warnings: list[str]
