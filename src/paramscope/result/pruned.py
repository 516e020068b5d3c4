"""``prune.json`` in the folder of a pruned model: what was pruned, how, and what came of it; read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from paramscope.errors import UsageError
from paramscope.result.manifest import Record, first_fault
from paramscope.wording import one_line

SCHEMA = 1
DOCUMENT = "prune.json"

STATEMENT = (
    "Zeros by themselves make nothing faster or smaller: common serving stacks store and multiply them like any other "
    "weight. It takes kernels for the pattern (2:4 on some GPUs), a sparse file format, or taking out whole parts."
)
"""Said wherever a sparsity is."""


class PrunedModule(Record):
    """A module's zeros, counted in what was written; ``unreached`` experts got no calibration token."""

    layer: int
    module: str
    rows: int
    columns: int
    weights: int
    zeros: int
    unreached: int = 0

    @property
    def sparsity(self) -> float:
        """Share of its weights that are zero."""
        return self.zeros / self.weights


class AllocationRecord(Record):
    """How sparsity was spread over the layers: the rule, its constants, what it read of each layer, and its wish."""

    rule: str
    constants: dict[str, float | str] = Field(default_factory=dict)
    basis: list[float] | None = Field(default=None, description="what the rule read of each layer, such as densities")
    wanted: list[float] = Field(description="sparsity of each layer after bounds, before whole numbers")
    run_sha256: str | None = None


class CalibrationRecord(Record):
    """The texts that scores were taken on; ``sha256`` of each sample's token ids."""

    name: str
    source: str
    asked: int
    samples: int
    tokens: int
    sha256: list[str]


class SourceModel(Record):
    """The model that was pruned; ``files`` by name with their SHA-256."""

    name: str
    place: str | None
    revision: str | None
    architecture: str
    blocks: str
    files: dict[str, str]


class Pruned(Record):
    """The content of ``prune.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    started: str
    finished: str
    arguments: dict[str, Any]
    model: SourceModel
    target: float
    pattern: str | None
    score: str
    compared: str = Field(description="within what scores decide: row, module or pattern")
    allocation: AllocationRecord
    calibration: CalibrationRecord | None
    modules: list[PrunedModule]
    dtype: str = Field(description="of the weights that were written")
    computed_in: str
    device: str
    weights: str
    layers_resumed: int = 0
    output_files: dict[str, str] = Field(default_factory=dict)
    timings: dict[str, float]
    versions: dict[str, str]
    warnings: list[str]
    statement: str = STATEMENT

    @property
    def layers(self) -> int:
        """How many."""
        return len(self.allocation.wanted)

    @property
    def sparsity(self) -> float:
        """Share of the layers' linear weights that are zero."""
        return sum(module.zeros for module in self.modules) / sum(module.weights for module in self.modules)

    def layer_sparsity(self, layer: int) -> float:
        """Share of a layer's linear weights that are zero."""
        own = [module for module in self.modules if module.layer == layer]
        return sum(module.zeros for module in own) / sum(module.weights for module in own)

    def to_json(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=1) + "\n"


def read_pruned(folder: Path) -> Pruned:
    """Read the manifest of a pruned model.

    Args:
        folder: of the model.

    Returns:
        The manifest.

    Raises:
        UsageError: there is none, or it is damaged or of another paramscope.
    """
    path = folder / DOCUMENT
    try:
        return Pruned.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{folder} holds no pruned model (no {DOCUMENT} in it)") from error
    except ValueError as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else one_line(error)
        raise UsageError(
            f"{path} is damaged or of another paramscope ({fault}); prune again with --overwrite"
        ) from error
