"""Runs of several processes: by torchrun, and, quicker, by a server that has the libraries loaded and forks."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

FAIL = "PARAMSCOPE_TEST_FAIL"
"""Environment variable: HOW:RANK:LAYER, what happens to one process when it comes to reduce a layer."""

_LOADED = [
    "paramscope.cli.profile",
    "paramscope.engine.distributed",
    "paramscope.profiling",
    "paramscope.domains.readers",
    "rich.console",
    "rich.progress",
    "rich.table",
    "tokenizers",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.mixtral.modeling_mixtral",
]
"""What a run imports, most of its time where the model is tiny."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        codes: of each process; of torchrun alone where that started them.
        told: what each wrote to stderr; all of them together where torchrun started them.
    """

    codes: list[int | None]
    told: list[str]


def torchrun(count: int, arguments: Sequence[str], *, fail: str = "") -> Ended:
    """``torchrun --nproc-per-node COUNT -m paramscope ...``."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    module = "tests.engine.processes" if fail else "paramscope"
    paths = [str(ROOT / "src"), str(ROOT)]
    done = subprocess.run(
        [*command, "-m", module, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", FAIL: fail},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    return Ended([done.returncode], [done.stderr])


def forked(count: int, arguments: Sequence[str], folder: Path, *, fail: str = "") -> Ended:
    """The same without torchrun's agent, so that nothing but the processes themselves can end one another.

    Args:
        count: of processes.
        arguments: of the command line.
        folder: for what they say.
        fail: see ``FAIL``.

    Returns:
        How it ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    logs = [folder / f"stderr-{rank}" for rank in range(count)]
    processes = []
    for rank, log in enumerate(logs):
        place = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        variables = {name: str(value) for name, value in place.items()} | {FAIL: fail}
        processes.append(context.Process(target=_child, args=(variables, list(arguments), log)))
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return Ended(codes, [log.read_text(encoding="utf-8") for log in logs])


def _child(variables: dict[str, str], arguments: list[str], log: Path) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= variables
    with log.open("w", encoding="utf-8") as file, contextlib.redirect_stderr(file), contextlib.redirect_stdout(file):
        sys.argv = ["paramscope", *arguments]
        main()


def main() -> None:
    """``paramscope``, in which one process fails where ``FAIL`` says so."""
    from paramscope.cli.main import main as command_line

    if os.environ.get(FAIL):
        how, rank, layer = os.environ[FAIL].split(":")
        if os.environ["RANK"] == rank:
            _fail_at(how, int(layer))
    command_line()


def _fail_at(how: str, layer: int) -> None:
    import paramscope.engine.measure as measuring
    import paramscope.engine.reduce as reducing

    reduce_layer, reduce_pieces = measuring.reduce_layer, reducing._reduce_pieces
    left = [1]

    def failing_rows(*args: Any) -> Any:
        if left[0]:
            left[0] = 0
            raise {"error": ValueError, "memory": MemoryError}[how]("made up")
        return reduce_pieces(*args)

    def failing(number: int, *args: Any) -> Any:
        if number == layer and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if number == layer:
            reducing._reduce_pieces = failing_rows  # type: ignore[assignment]
        return reduce_layer(number, *args)

    measuring.reduce_layer = failing  # type: ignore[assignment]


if __name__ == "__main__":
    main()
