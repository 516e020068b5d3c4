"""``run.json``: what a run was asked, what it read, how it went."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paramscope.errors import UsageError

SCHEMA = 1
"""Version of the run folder. It grows when a reader of the former version would misread a new folder."""


class Record(BaseModel):
    """A part of a document; what is not known is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class ModelRecord(Record):
    """The model that was profiled.

    ``place`` is where it was read from, and told nowhere else; None in memory. ``files`` maps file names to their
    SHA-256; a model handed over in memory has none and carries a digest of its weights under the name ``weights in
    memory``. ``parameters`` counts them by place, see ``models.blocks``.
    """

    name: str
    place: str | None = None
    revision: str | None
    architecture: str
    blocks: str
    files: dict[str, str]
    parameters: dict[str, int]


class DomainRecord(Record):
    """One domain's samples and what was left out on the way to them."""

    name: str
    source: str
    asked: int
    samples: int
    tokens: int
    rows: int
    empty: int
    duplicates: int
    unfit: int = Field(default=0, description="rows that the objective cannot read")
    truncated: int
    held_out: int = Field(default=0, description="further samples, kept apart for checks")
    paired: int | None = Field(default=None, description="samples whose pairs were compared; all where it is null")
    sha256: list[str] = Field(description="of each sample's token ids, in the order of samples.parquet")


class SelfCheck(Record):
    """One sample against plain autograd, before the run."""

    largest_relative_error: float
    module: str
    tolerance: float
    sample: str
    seconds: float


class EngineRecord(Record):
    """Where and how it was computed; none of it changes the numbers beyond rounding."""

    device: str
    dtype: str
    threads: int
    micro_batches: list[int] = Field(description="samples of each, in the order of computation")
    tile_bytes: int
    layers_resumed: int = 0
    processes: int = 1
    wire_bytes: int = Field(default=0, description="received by all processes together")
    blocks_with_kept_graph: int = 0
    weights: str = "resident"
    weight_bytes_read: int = Field(default=0, description="from the disk, by a run whose weights stay there")
    estimated_memory_bytes: int = 0
    peak_memory_bytes: int


class Thresholds(Record):
    """``default`` is what a picture uses; weights above each of ``exact`` were counted during the run."""

    default: float
    rule: str
    exact: list[float]


class Manifest(Record):
    """The content of ``run.json``."""

    schema_: int = Field(alias="schema", default=SCHEMA)
    paramscope: str
    started: str
    finished: str
    arguments: dict[str, Any]
    model: ModelRecord
    domains: list[DomainRecord]
    objective: str
    completeness: list[float] | None = Field(
        default=None, description="error of the path-integrated activation by layer; null for first order"
    )
    seed: int
    groups: int
    thresholds: Thresholds
    self_check: SelfCheck
    engine: EngineRecord
    timings: dict[str, float]
    versions: dict[str, str]
    warnings: list[str]

    def to_json(self) -> str:
        """The text of ``run.json``."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"

    def digest(self) -> str:
        """SHA-256 of that text, which other documents name a run by."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Read ``run.json``.

    Args:
        path: the file.

    Returns:
        The manifest.

    Raises:
        UsageError: the file is not readable, broken, or written by a newer paramscope.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"] if isinstance(content, dict) else None
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is no readable manifest of a run ({error}); make the run again") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise UsageError(
            f"{path} has schema {schema!r}, this paramscope reads up to {SCHEMA}; update paramscope to read it"
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path} is damaged: {first_fault(error)}; make the run again") from error


def first_fault(error: ValidationError) -> str:
    """What a document fails in first: the place and what is wrong there."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
