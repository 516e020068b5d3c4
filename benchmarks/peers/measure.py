"""One measurement in a process of its own, and how it is started."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

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


def run_apart(task: Task) -> Measurement:
    """Measure in a new process.

    It is forked from one that has imported the libraries and done nothing else: to import them takes longer than most
    of the work.

    Args:
        task: what.

    Returns:
        The measurement; a process that broke off is one too, so that the others' hours are not lost.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["transformers.models.llama.modeling_llama", __name__])
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=_measure_and_tell, args=(task, there))
    process.start()
    there.close()
    try:
        done: Measurement = here.recv()
    except EOFError:
        process.join()
        done = Measurement(failure=f"{BROKEN} (exit code {process.exitcode})")
    process.join()
    return done


def _measure_and_tell(task: Task, there: Connection) -> None:
    warnings.simplefilter("ignore")  # the libraries' own
    try:
        done = measure(task)
    except Exception as error:
        traceback.print_exc()
        done = Measurement(failure=f"{BROKEN} ({type(error).__name__}: {str(error)[:200]})")
    there.send(done)
    os._exit(0)  # some libraries' threads hold the process at its end


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
