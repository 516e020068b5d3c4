"""What the benchmark compares comes to the same numbers, so that it compares the same work."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from benchmarks.peers import __main__ as command
from benchmarks.peers.chart import ratios_chart
from benchmarks.peers.kinds import FLOOR, KINDS, REFERENCE
from benchmarks.peers.libraries import why_missing
from benchmarks.peers.measure import BROKEN, Measurement, Task, run_apart
from benchmarks.peers.shapes import SHAPES, make_case
from benchmarks.peers.sums import TOLERANCE, Found
from benchmarks.peers.tables import Row, samples_table, shape_table

SAMPLES = 10
"""More than go at once, and no multiple of that."""


def found(kind: str, cosines: bool) -> Found | None:
    case = make_case(SHAPES["tiny"], samples=SAMPLES, cosines=cosines)
    return KINDS[kind].prepare(case)(case)


@pytest.fixture(scope="module", params=[False, True], ids=["densities", "cosines"])
def reference(request: pytest.FixtureRequest) -> Found:
    result = found(REFERENCE, request.param)
    assert result is not None
    return result


@pytest.mark.filterwarnings("ignore")  # the libraries' own
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (FLOOR, REFERENCE)])
def test_same_numbers(kind: str, reference: Found) -> None:
    missing = why_missing(KINDS[kind].package)
    if missing:
        pytest.skip(missing)
    result = found(kind, reference.cosines is not None)
    assert result is not None
    assert max(result.differences(reference).values()) < TOLERANCE / 10
    assert 0.02 < reference.densities.min() < reference.densities.max() < 0.98


def test_another_number_is_seen(reference: Found) -> None:
    densities = reference.densities.copy()
    densities[0, 0] += 2 * TOLERANCE
    assert dataclasses.replace(reference, densities=densities).differences(reference)["densities"] > TOLERANCE
    densities[0, 0] = np.nan
    assert dataclasses.replace(reference, densities=densities).differences(reference)["densities"] > TOLERANCE


def test_a_process_that_breaks_off_is_told() -> None:
    done = run_apart(Task("no such kind", "tiny", 4, False))
    assert (done.failure or "").startswith(f"{BROKEN} (KeyError: 'no such kind'")


def test_a_process_of_its_own_measures_the_same(reference: Found) -> None:
    done = run_apart(Task(REFERENCE, "tiny", SAMPLES, reference.cosines is not None))
    assert done.failure is None
    assert done.found is not None
    assert max(done.found.differences(reference).values()) == 0


def rows() -> dict[Task, Row]:
    """Two measurements of some ways, one that differs and one that failed."""
    made = {}
    for kind, seconds in ((FLOOR, 1.0), (REFERENCE, 1.25), ("loop", 8.0), ("vmap", 9.0)):
        row = Row([Measurement(seconds, seconds, 2.0**30), Measurement(3 * seconds, seconds, 2.0**29)])
        made[Task(kind, "tiny", 32, False)] = row
    made[Task("loop", "tiny", 32, False)].differences["densities"] = 1e-5
    made[Task("vmap", "tiny", 32, False)].differences["densities"] = 1e-2
    made[Task("opacus", "tiny", 32, False)] = Row([Measurement(failure="not installed (no such thing)")])
    return made


def test_table() -> None:
    lines = {line.split(" | ")[0].strip("| "): line for line in shape_table(rows(), "tiny")}
    assert "| 2.5 (1.25 to 3.75) | 1.25 | 1.00 |" in lines["**paramscope**, densities"]
    assert "| 8.00 | 1.00 | equal (densities 1e-05) |" in lines["the paper's loop, densities"]
    assert "**DIFFERS**" in lines["torch.func, all at once, densities"]
    assert "not installed (no such thing)" in lines["Opacus, densities"]
    assert "| 32 | 2.5 | 78.1 | 1.25 |" in samples_table(rows(), "tiny", [32])


def test_written_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{command.BEGIN}\nold\n{command.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(command, "DOCUMENT", document)
    command.write("new", ratios_chart(rows(), 32))
    assert document.read_text(encoding="utf-8") == f"before\n{command.BEGIN}\n\nnew\n{command.END}\nafter\n"
    svg = (tmp_path / command.PICTURE).read_text(encoding="utf-8")
    assert "1.2 / -" in svg
    assert not re.search("nan|inf", svg)
