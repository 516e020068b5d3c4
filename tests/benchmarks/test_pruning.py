"""The tables of the pruning study, from made-up records, and its memory of what is measured."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from benchmarks.pruning.study import BASELINE, Results
from benchmarks.pruning.tables import interval, matrix_table, perplexity_table


def record(variant: str, nats: float, seed: int | None = None, **key: Any) -> dict[str, Any]:
    made = {"perplexity": variant, "context": 8, **key} | ({} if seed is None else {"seed": seed, "samples": 4})
    return {"key": made, "nats": nats, "standard_error": 0.1, "blocks": 5}


def test_an_interval_by_hand() -> None:
    # Standard deviation 1, t with 2 degrees of freedom 4.303.
    assert interval([1.0, 2.0, 3.0]) == (2.0, pytest.approx(4.3027 / math.sqrt(3), rel=1e-4))
    assert interval([2.0])[0] == 2.0
    assert math.isnan(interval([2.0])[1])


def test_variants_are_compared_seed_by_seed_and_sizes_are_kept_apart() -> None:
    records = [
        record("dense", 3.0),
        record(BASELINE, 4.0, 0),
        record(BASELINE, 5.0, 1),
        record("50 %, Wanda, OWL", 3.9, 0),
        record("50 %, Wanda, OWL", 4.9, 1),
        {**record(BASELINE, 9.0, 2), "key": {**record(BASELINE, 9.0, 2)["key"], "samples": 64}},
    ]
    dense, uniform, owl = perplexity_table(records, {"context": 8, "samples": 4, "profile": [1, 1]})[2:5]
    assert dense == "| dense |  | 20.09 | 3.0000 (texts: ± 0.278) |  |"  # t with 4 degrees of freedom: 2.776
    assert uniform.startswith(f"| {BASELINE} | 2 | 90.02 | 4.5000 ± 6.3531 |")
    assert owl.endswith("| -0.1000 ± 0.0000 |")


def test_losses_are_paired_by_text() -> None:
    def matrix(name: str, own: list[float]) -> dict[str, Any]:
        return {"key": {"calibrated_on": name, "samples": 4}, "nats": {"a": own}}

    lines = matrix_table([matrix("dense", [1.0, 3.0]), matrix("a", [1.5, 3.5])], {"samples": 4})
    assert lines[2:4] == ["| *dense: nats per token* | 2.000 |", "| a | +0.500 ± 0.000 |"]
    assert matrix_table([matrix("a", [1.5])], {"samples": 4}) == []


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first = Results(path).get({"a": 1}, lambda: {"nats": 2.0})
    with path.open("a") as file:
        file.write('{"key": {"b"')  # what a killed process leaves

    def never() -> dict[str, Any]:
        raise AssertionError

    again = Results(path)
    assert again.get({"a": 1}, never) == first == json.loads(path.read_text().splitlines()[0])
    assert len(again.records) == 1
    third = again.get({"c": 1}, lambda: {"nats": 3.0})
    assert Results(path).records == [first, third]
