"""The tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.kinds import FLOOR, KINDS, REFERENCE
from benchmarks.peers.measure import Measurement, Task
from benchmarks.peers.shapes import SHAPES
from benchmarks.peers.sums import TOLERANCE


@dataclass
class Row:
    """All measurements of one task.

    Attributes:
        runs: in the order in which they were taken.
        differences: largest ones from paramscope's result over all runs, by what is compared.
    """

    runs: list[Measurement] = field(default_factory=list)
    differences: dict[str, float] = field(default_factory=dict)

    @property
    def failure(self) -> str | None:
        """Why there are no numbers."""
        return next((run.failure for run in self.runs if run.failure), None)

    @property
    def seconds(self) -> float:
        """Median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def memory(self) -> float:
        """Largest, in GiB."""
        return max(run.memory for run in self.runs) / 2**30


Rows = Mapping[Task, Row]


def ratio(rows: Rows, task: Task) -> float:
    """Median time against that of plain forward and backward of the same samples."""
    return rows[task].seconds / rows[Task(FLOOR, task.shape, task.samples, False)].seconds


def shape_table(rows: Rows, shape: str) -> list[str]:
    """The table of one shape: plain forward and backward, then densities alone, then with cosines."""
    lines = [
        f"### {SHAPES[shape].title}",
        "",
        "| what | how | seconds: median (least to most) | against forward + backward | peak memory on top, GiB "
        "| largest difference from paramscope |",
        "|---|---|---|---|---|---|",
    ]
    for task, row in rows.items():
        if task.shape != shape:
            continue
        kind = KINDS[task.kind]
        what = kind.title if task.kind == FLOOR else f"{kind.title}, {'with cosines' if task.cosines else 'densities'}"
        how = kind.pairs if task.cosines else kind.way
        if row.failure:
            lines.append(f"| {what} | {how} | {row.failure} | | | |")
            continue
        least, most = min(run.seconds for run in row.runs), max(run.seconds for run in row.runs)
        lines.append(
            f"| {what} | {how} | {_seconds(row.seconds)} ({_seconds(least)} to {_seconds(most)}) "
            f"| {ratio(rows, task):.2f} | {row.memory:.2f} | {_checked(task, row)} |"
        )
    return [*lines, ""]


def _checked(task: Task, row: Row) -> str:
    if task.kind in (FLOOR, REFERENCE):
        return ""
    found = ", ".join(f"{name} {value:.0e}" for name, value in row.differences.items())
    return f"equal ({found})" if max(row.differences.values()) <= TOLERANCE else f"**DIFFERS** ({found})"


def samples_table(rows: Rows, shape: str, counts: Sequence[int]) -> list[str]:
    """Time of densities by number of samples."""
    lines = [
        f"### Samples: {SHAPES[shape].title}",
        "",
        "| samples | paramscope, densities: seconds | milliseconds a sample | against forward + backward |",
        "|---|---|---|---|",
    ]
    for count in counts:
        task = Task(REFERENCE, shape, count, False)
        seconds = rows[task].seconds
        lines.append(f"| {count} | {_seconds(seconds)} | {1000 * seconds / count:.1f} | {ratio(rows, task):.2f} |")
    return [*lines, ""]


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
