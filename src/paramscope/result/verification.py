"""``verify.json`` and its tables beside a run: what the causal checks found; read without torch."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
from pydantic import Field, ValidationError

from paramscope.errors import UsageError
from paramscope.result.manifest import Record, first_fault
from paramscope.result.place import MANIFEST
from paramscope.wording import one_line

SCHEMA = 1
DOCUMENT = "verify.json"
TABLES = ("weights", "sets", "parts")
"""Kept as ``verify-NAME.parquet``."""


class IntervalRecord(Record):
    """A number with its 95 % interval; null where there is none."""

    value: float | None
    low: float | None
    high: float | None


class VerdictRecord(Record):
    """See ``causal.verdicts.Verdict``."""

    claim: str
    text: str
    status: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    threshold: float
    count: int
    unit: str
    needed: int | None
    p_value: float | None


class FidelityRecord(Record):
    """See ``causal.verdicts.Fidelity``; ``where`` is a layer, a band of them, or null for all together."""

    where: int | str | None
    count: int
    above: float | None
    correlation: IntervalRecord
    slope: IntervalRecord
    low_ratio: IntervalRecord
    median_ratio: IntervalRecord
    high_ratio: IntervalRecord
    worst_ratio: IntervalRecord
    sign: IntervalRecord


class PartCorrelationRecord(IntervalRecord):
    """Rank correlation of predicted and true damage over the parts of a kind; ``domain`` is null for the mean."""

    kind: str
    domain: str | None


class MatrixRecord(Record):
    """Mean damage in nats per token: rows by the domain that the set was chosen for, columns by that of the texts."""

    band: str
    share: float
    criterion: str
    damage: list[list[float | None]]


class BreakingRecord(Record):
    """Something whose removal alone breaks the model, see ``causal.verdicts.breaking``."""

    what: str
    weights: int
    domain: str
    damage: float | None
    broken: int


class Verification(Record):
    """The content of ``verify.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    run_sha256: str
    started: str
    finished: str
    arguments: dict[str, Any]
    sizes: dict[str, Any]
    singles_dtype: str
    noise_floor: float | None
    fidelity: list[FidelityRecord]
    fidelity_free: FidelityRecord | None
    fidelity_integrated: FidelityRecord | None = None
    integrated_cost: float | None = Field(
        default=None, description="operations of the integrated activation over those of first order"
    )
    matrices: list[MatrixRecord]
    part_correlations: list[PartCorrelationRecord]
    breaking: list[BreakingRecord]
    verdicts: list[VerdictRecord]
    timings: dict[str, float]
    warnings: list[str]


@dataclass(frozen=True)
class Checks:
    """What the causal checks found.

    Attributes:
        result: verdicts and the numbers behind them.
        weights: see ``causal.single.check_singles``.
        sets: see ``causal.sets.check_sets``.
        parts: see ``causal.parts.check_parts``.
    """

    result: Verification
    weights: pd.DataFrame
    sets: pd.DataFrame
    parts: pd.DataFrame


def plain(value: Any) -> Any:
    """Numbers that JSON does not have as None, in nested lists and dictionaries."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_verification(run: Path) -> Verification | None:
    """Read what the checks of a run found.

    Args:
        run: its folder.

    Returns:
        The checks; None where there were none.

    Raises:
        UsageError: the file is damaged or of another paramscope.
    """
    path = run / DOCUMENT
    if not path.is_file():
        return None
    try:
        return Verification.model_validate_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else one_line(error)
        raise UsageError(
            f"{path} is damaged or of another paramscope ({fault}); verify the run again with --overwrite"
        ) from error


def read_table(run: Path, name: str) -> pd.DataFrame:
    """Read one of the tables.

    Args:
        run: folder.
        name: one of ``TABLES``.

    Returns:
        The table.

    Raises:
        UsageError: it is missing or damaged.
    """
    path = run / f"verify-{name}.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise UsageError(
            f"{path} is missing or damaged ({one_line(error)}); verify the run again with --overwrite"
        ) from error


def run_digest(run: Path) -> str:
    """SHA-256 of a run's manifest, which the checks are of."""
    return hashlib.sha256((run / MANIFEST).read_bytes()).hexdigest()


def load_checks(run: Path) -> Checks | None:
    """Read the checks of a run, with their tables.

    Args:
        run: its folder.

    Returns:
        The checks; None where there were none.

    Raises:
        UsageError: a file is missing, damaged or of a newer paramscope, or the checks are those of another run.
    """
    result = read_verification(run)
    if result and result.run_sha256 != run_digest(run):
        raise UsageError(f"{run / DOCUMENT} was made of another run; verify this one with --overwrite")
    return Checks(result, *(read_table(run, name) for name in TABLES)) if result else None
