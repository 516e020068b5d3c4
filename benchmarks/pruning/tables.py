"""The tables of the study, from its records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.special import stdtrit

from benchmarks.pruning.study import BASELINE, VARIANTS, Record


def interval(values: Iterable[float]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval (Student's t); NaN for less than two values."""
    numbers = np.array(list(values))
    if len(numbers) < 2:
        return float(numbers.mean()), math.nan
    return float(numbers.mean()), float(
        stdtrit(len(numbers) - 1, 0.975) * numbers.std(ddof=1) / math.sqrt(len(numbers))
    )


def perplexity_table(records: Sequence[Record], sizes: Record) -> list[str]:
    """The table of variants: mean over the seeds, and what each costs beyond uniform Wanda of the same seed.

    Args:
        records: of all sizes.
        sizes: keys that a record must have, where it has them at all.

    Returns:
        Lines of Markdown.
    """
    found: dict[str, dict[int | None, Record]] = {}
    for record in records:
        key = record["key"]
        if "perplexity" in key and all(key[name] == value for name, value in sizes.items() if name in key):
            found.setdefault(key["perplexity"], {})[key.get("seed")] = record
    lines = [
        "| pruned | seeds | perplexity | nats per token, mean over seeds | more than uniform Wanda, same seed |",
        "|---|---|---|---|---|",
    ]
    base = found.get(BASELINE, {})
    for variant in VARIANTS:
        own = found.get(variant.name)
        if not own:
            continue
        mean, half = interval(record["nats"] for record in own.values())
        text = _with_margin(mean, half)
        if not variant.seeded:
            once = next(iter(own.values()))
            half = float(stdtrit(once["blocks"] - 1, 0.975)) * once["standard_error"]
            text = f"{mean:.4f} (texts: ± {half:.3f})"
        common = [seed for seed in own if seed in base]
        told = ""
        if variant.seeded and variant.name != BASELINE and common:
            told = _with_margin(*interval(own[seed]["nats"] - base[seed]["nats"] for seed in common), sign="+")
        lines.append(
            f"| {variant.name} | {len(own) if variant.seeded else ''} | {math.exp(mean):.2f} | {text} | {told} |"
        )
    return [*lines, ""]


def matrix_table(records: Sequence[Record], sizes: Record) -> list[str]:
    """Nats per token that each domain's held-out texts lose, rows by what was calibrated on.

    Args:
        records: of all sizes.
        sizes: see ``perplexity_table``.

    Returns:
        Lines of Markdown.
    """
    found = {
        record["key"]["calibrated_on"]: record["nats"]
        for record in records
        if "calibrated_on" in record["key"]
        and all(record["key"][name] == value for name, value in sizes.items() if name in record["key"])
    }
    dense = found.pop("dense", None)
    if dense is None:
        return []
    names = list(dense)
    lines = [
        "| calibrated on | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        "| *dense: nats per token* | " + " | ".join(f"{np.mean(dense[name]):.3f}" for name in names) + " |",
    ]
    for row, lost in found.items():
        cells = [_with_margin(*interval(np.subtract(lost[name], dense[name])), sign="+", digits=3) for name in names]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _with_margin(mean: float, half: float, *, sign: str = "", digits: int = 4) -> str:
    told = f"{mean:{sign}.{digits}f}"
    return told if math.isnan(half) else f"{told} ± {half:.{digits}f}"
