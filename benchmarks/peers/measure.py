"""One measurement in a process of its own, and how it is started."""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.kinds import KINDS
from benchmarks.peers.libraries import why_missing
from benchmarks.peers.shapes import LIMIT, SHAPES, make_case
from benchmarks.peers.sums import Found
from paramscope.engine.measure import out_of_memory

BROKEN = "broke off"
"""How the failure of a process begins that ended for another reason than memory or a package that is not there."""


@dataclass(frozen=True)
class Task:
    """What one process measures."""

    kind: str
    shape: str
    samples: int
    cosines: bool


@dataclass(frozen=True)
class Measurement:
    """What it measured.

    Attributes:
        seconds: of the work; the model is open and the samples are tokens.
        processor: seconds of all cores that the work took; on a busy machine it says more than ``seconds``.
        memory: peak of the process above what it held before the work, in bytes.
        failure: why there are no numbers, or None.
        found: the result to check; None for plain forward and backward.
    """

    seconds: float = float("nan")
    processor: float = float("nan")
    memory: float = float("nan")
    failure: str | None = None
    found: Found | None = None


def run_apart(task: Task, folder: Path) -> Measurement:
    """Measure in a new process.

    Args:
        task: what.
        folder: for the result, to hand it over.

    Returns:
        The measurement; a process that broke off is one too, so that the others' hours are not lost.
    """
    result = folder / "result.npz"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.measure", task.kind, task.shape]
    command += [str(task.samples), str(int(task.cosines)), str(result)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return Measurement(failure=f"{BROKEN} ({last[0][:200]})")
    told = json.loads(done.stdout.splitlines()[-1])
    found = None
    if result.is_file():
        with np.load(result) as arrays:
            found = Found(arrays["densities"], arrays.get("cosines"))
    return Measurement(**told, found=found)


def measure(task: Task) -> Measurement:
    """Measure in this process, which can do nothing else afterwards: libraries leave their hooks in models."""
    kind = KINDS[task.kind]
    missing = why_missing(kind.package)
    if missing:
        return Measurement(failure=f"not installed ({missing})")
    # A tiny run first, so that nobody's time or memory holds what libraries load when they are first used.
    warm = make_case(SHAPES["tiny"], samples=4, cosines=task.cosines)
    kind.prepare(warm)(warm)
    case = make_case(SHAPES[task.shape], samples=task.samples, cosines=task.cosines)
    work = kind.prepare(case)
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    before = _settle()
    started, used = time.perf_counter(), time.process_time()
    try:
        found = work(case)
    except Exception as error:
        if not out_of_memory(error):
            raise
        return Measurement(failure=f"needs more than {LIMIT >> 30} GiB")
    seconds, processor = time.perf_counter() - started, time.process_time() - used
    return Measurement(seconds, processor, _status("VmHWM") - before, found=found)


def _settle() -> int:
    """Give freed memory back and begin the count of the peak anew; returns bytes in use."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """The other side of ``run_apart``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("samples", type=int)
    parser.add_argument("cosines", type=int)
    parser.add_argument("result", type=Path)
    options = parser.parse_args()
    done = measure(Task(options.kind, options.shape, options.samples, bool(options.cosines)))
    if done.found:
        if done.found.cosines is None:
            np.savez(options.result, densities=done.found.densities)
        else:
            np.savez(options.result, densities=done.found.densities, cosines=done.found.cosines)
    print(json.dumps({name: value for name, value in vars(done).items() if name != "found"}), flush=True)
    os._exit(0)  # some libraries' threads hold the process at its end


if __name__ == "__main__":
    main()
