"""The document of results, which several benchmarks write into, each between marks of its own."""

from __future__ import annotations

import datetime
import platform
import shlex
import sys
from pathlib import Path

import torch

DOCUMENT = Path("docs/results.md")

_FOLDERS = ("--data", "--work", "--run")


def made_by(benchmark: str) -> str:
    """When, on what and by which command something was measured, without the paths of this machine."""
    told, rest = [], iter(sys.argv[1:])
    for argument in rest:
        told.append(argument)
        if argument in _FOLDERS:
            next(rest)
            told.append("DIR")
    command = shlex.join(["python", "-m", f"benchmarks.{benchmark}", *told])
    return (
        f"{datetime.datetime.now(datetime.UTC).date()}, {platform.machine()}, {torch.get_num_threads()} "
        f"{'thread' if torch.get_num_threads() == 1 else 'threads'}, PyTorch {torch.__version__}: `{command}`."
    )


def write(benchmark: str, text: str) -> None:
    """Put a benchmark's text between its marks in the document."""
    begin, end = f"<!-- {benchmark}: made by `python -m benchmarks.{benchmark} --write` -->", f"<!-- /{benchmark} -->"
    content = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else "# Results\n"
    if begin not in content:
        content += f"\n{begin}\n{end}\n"
    before, rest = content.split(begin)
    DOCUMENT.write_text(f"{before}{begin}\n\n{text.rstrip()}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
