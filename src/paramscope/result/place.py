"""Where a run may be written: refused before any work is done, or when it would mix two runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paramscope.errors import UsageError
from paramscope.result.manifest import read_manifest
from paramscope.wording import listed

MANIFEST = "run.json"

TABLES = ("samples", "held_out", "modules", "activation", "histograms")
"""The Parquet tables of a run, by name."""

RUN_FILES = frozenset(
    {MANIFEST, "report.html", "verify.json", "verify.unfinished", "scores", "gram.safetensors", "sums.safetensors"}
    | {"plan.json", "share.json", "share-pilot.json", "share-pilot.unfinished"}
    | {"tune.json", "tune.unfinished"}
    | {f"{table}.parquet" for table in TABLES}
    | {f"verify-{table}.parquet" for table in ("weights", "sets", "parts")}
)
"""All that a run's folder holds; with anything else in it, it is not replaced."""


def resolved(run: str | os.PathLike[str]) -> Path:
    """A run's folder without symbolic links, so that what is moved into place lands where they point.

    Raises:
        UsageError: the links lead in a circle.
    """
    try:
        return Path(run).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle, before Python 3.13
        raise UsageError(f"output {run} cannot be made (its links lead in a circle); give another with -o") from error


def unfinished_folder(run: Path) -> Path:
    """Where a run grows until it is complete: beside the folder itself, not beside a link to it."""
    run = resolved(run)
    return run.parent / (run.name + ".unfinished")


def check_target(run: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse an output path before any work is done.

    Args:
        run: the folder to make.
        overwrite: a finished or unfinished run there may be replaced.
        resume: an unfinished run there is to be gone on with.

    Raises:
        UsageError: the path is a file, a folder that is no run, or a run that neither flag covers.
    """
    if overwrite and resume:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    with making(run):
        _check_place(run, overwrite=overwrite, resume=resume)


@contextmanager
def making(run: Path) -> Iterator[None]:
    """Tell the user of a path that the system refuses.

    Raises:
        UsageError: it does.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"output {run} cannot be made ({error.strerror}); give another path with -o") from error


def _check_place(run: Path, *, overwrite: bool, resume: bool) -> None:
    """See ``check_target``.

    Raises:
        UsageError: the path is taken.
    """
    for part in run.absolute().parents:
        if part.exists() and not part.is_dir():
            raise UsageError(f"output {run} cannot be made: {part} is a file; give another path with -o")
    if run.exists() and not run.is_dir():
        raise UsageError(f"output {run} is a file, a folder is expected; give another path with -o")
    finished = (run / MANIFEST).is_file()
    if run.is_dir() and not finished and any(run.iterdir()):
        raise UsageError(
            f"output {run} holds files but no run, so it is left alone; give a new or empty folder with -o"
        )
    if finished and not overwrite and not resume:
        raise UsageError(f"{run} holds a finished run; --overwrite replaces it, -o OTHER keeps both")
    if finished and overwrite:
        strange = sorted({path.name for path in run.iterdir()} - RUN_FILES)
        if strange:
            raise UsageError(
                f"{run} holds {strange[0]}, which is not of a run, so it is not replaced; move that, or give another -o"
            )
        read_manifest(run / MANIFEST)
    unfinished = unfinished_folder(run)
    foreign = unfinished.exists() and {path.name for path in unfinished.iterdir()} - {"lock", "identity.json.part"}
    if foreign and not (unfinished / "identity.json").is_file():
        raise UsageError(f"{unfinished} is in the way and is no unfinished run; move it or give another path with -o")
    if (unfinished / "identity.json").is_file() and not overwrite and not resume:
        raise UsageError(f"{unfinished} holds an unfinished run; --resume finishes it, --overwrite replaces it")


def check_same(run: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to mix results of different arguments.

    Args:
        run: the folder, for the message.
        before: what the run there was made with.
        now: what is asked for.

    Raises:
        UsageError: they differ; both values are shown.
    """
    shown = "; ".join(_differences("", before, now))
    if shown:
        raise UsageError(
            f"{run} was made with other arguments ({shown}); give the same ones, --overwrite, or another folder"
        )


def _differences(name: str, before: Any, now: Any) -> list[str]:
    """What differs between two trees of JSON values, one phrase each."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            phrase
            for key in sorted({*before, *now})
            for phrase in _differences(f"{name}.{key}" if name else key, before.get(key), now.get(key))
        ]
    if before == now:
        return []
    if isinstance(before, list) and isinstance(now, list):
        common = len({*map(json.dumps, before)} & {*map(json.dumps, now)})
        return [f"{name}: {len(before)} there, {len(now)} now, {common} of them the same"]
    return [f"{name}: {_short(before)} there, {_short(now)} now"]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{listed(value, 4)}}}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:40]}...{text[-30:]}"
