"""paramscope against other ways to the same numbers, side by side on the same samples.

    python -m benchmarks.peers                            all shapes, five times
    python -m benchmarks.peers --shapes 256x16 --repeats 1
    python -m benchmarks.peers --write                    into docs/performance.md, with a picture

Every way computes the share of each layer's weights whose mean activation |w dD/dw| over a domain exceeds a threshold,
for the largest next-token logit with its token fixed; with cosines also those of all pairs of samples in each layer.
Every result is compared with paramscope's; one that differs by more than 1e-3 is said in the table and is a failure.
Every measurement is a process of its own, and the ways take turns.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path

import torch

from benchmarks.peers.chart import ratios_chart
from benchmarks.peers.kinds import FLOOR, KINDS, REFERENCE
from benchmarks.peers.measure import BROKEN, Measurement, Task, run_apart
from benchmarks.peers.shapes import SHAPES
from benchmarks.peers.sums import TOLERANCE
from benchmarks.peers.tables import Row, samples_table, shape_table

SAMPLES = 32
COUNTS = (8, 16, 32, 64)
COUNTED = ("256x16", "256x128")
DOCUMENT, PICTURE = Path("docs/performance.md"), "peers.svg"
BEGIN, END = "<!-- peers: made by `python -m benchmarks.peers --write` -->", "<!-- /peers -->"
PACKAGES = ("torch", "transformers", "opacus", "kronfluence", "bergson")


def tasks_of(shapes: list[str], kinds: list[str]) -> list[Task]:
    """All measurements of one round, in their order: paramscope before those that are compared with it."""
    chosen = [kind for kind in KINDS if kind in (FLOOR, REFERENCE) or kind in kinds]
    tasks: dict[Task, None] = {}
    for shape in shapes:
        for cosines in (False, True):
            for kind in chosen:
                if kind != FLOOR or not cosines:
                    tasks[Task(kind, shape, SAMPLES, cosines)] = None
    for shape in COUNTED:
        if shape in shapes:
            for count in COUNTS:
                tasks |= dict.fromkeys(Task(kind, shape, count, False) for kind in (FLOOR, REFERENCE))
    return list(tasks)


def take_turns(tasks: list[Task], repeats: int) -> dict[Task, Row]:
    """Measure everything, round after round; what failed once is not tried again."""
    rows = {task: Row() for task in tasks}
    for turn in range(repeats):
        for task, row in rows.items():
            if row.failure:
                continue
            done = run_apart(task)
            row.runs.append(done)
            _compare(row, done, rows[Task(REFERENCE, task.shape, task.samples, task.cosines)])
            told = done.failure or (
                f"{done.seconds:.3f} s, {done.processor:.3f} s of processors, {done.memory / 2**30:.2f} GiB, "
                f"differences {row.differences}"
            )
            print(f"{turn + 1}/{repeats} {task}: {told}", file=sys.stderr, flush=True)
    return rows


def _compare(row: Row, done: Measurement, reference: Row) -> None:
    if done.found is None or not reference.runs or reference.runs[0].found is None:
        return
    for name, value in done.found.differences(reference.runs[0].found).items():
        row.differences[name] = max(value, row.differences.get(name, 0.0))


def machine() -> str:
    """Date, machine, versions and the command, in one paragraph."""
    cpu = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    return (
        f"{datetime.datetime.now(datetime.UTC).date()}, {cpu}, {torch.get_num_threads()} threads, Python "
        f"{platform.python_version()}, {', '.join(versions)}: "
        f"`{shlex.join(['python', '-m', 'benchmarks.peers', *sys.argv[1:]])}`"
    )


def write(text: str, picture: str) -> None:
    """Put the tables between the marks in the document, and the picture beside it."""
    document = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else f"# Performance\n\n{BEGIN}\n{END}\n"
    if BEGIN not in document:
        document += f"\n{BEGIN}\n{END}\n"
    before, rest = document.split(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    DOCUMENT.with_name(PICTURE).write_text(picture, encoding="utf-8")


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes, peers = [name for name in SHAPES if name != "tiny"], [k for k in KINDS if k not in (FLOOR, REFERENCE)]
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", choices=[*shapes, "tiny"], default=shapes)
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    options = parser.parse_args()
    rows = take_turns(tasks_of(options.shapes, options.peers), options.repeats)
    lines = [f"Medians of {options.repeats}. {machine()}.", ""]
    for shape in options.shapes:
        lines += shape_table({task: row for task, row in rows.items() if task.samples == SAMPLES}, shape)
    for shape in COUNTED:
        if shape in options.shapes:
            lines += samples_table(rows, shape, COUNTS)
    print("\n".join(lines))
    if options.write:
        title = "## Beside other ways to the same numbers"
        write("\n".join([title, "", f"![Time of each way]({PICTURE})", "", *lines]), ratios_chart(rows, SAMPLES))
    wrong = [task for task, row in rows.items() if max(row.differences.values(), default=0) > TOLERANCE]
    broken = [task for task, row in rows.items() if (row.failure or "").startswith(BROKEN)]
    if wrong or broken:
        sys.exit(f"differ from paramscope: {wrong}\nbroke off: {broken}")


if __name__ == "__main__":
    main()
