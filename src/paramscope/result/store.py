"""The run folder on disk: atomic, resumable, never mixed.

A run grows in ``RUN.unfinished`` next to its place and is moved to ``RUN`` when it is complete. So ``RUN`` is always a
finished run, an interrupted one can be resumed or replaced, and an older run stays until its successor is done.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from paramscope.errors import UsageError
from paramscope.result.layer import LayerResult
from paramscope.result.manifest import Manifest, read_manifest
from paramscope.result.tables import Tables, read_tables, write_tables

MANIFEST = "run.json"


def unfinished_folder(run: Path) -> Path:
    """Where a run grows until it is complete."""
    return run.with_name(run.name + ".unfinished")


def load_run(run: Path) -> tuple[Manifest, Tables]:
    """Read a finished run.

    Args:
        run: its folder.

    Returns:
        Manifest and tables.

    Raises:
        UsageError: there is no finished run, or it is damaged or newer than this paramscope.
    """
    if not (run / MANIFEST).is_file():
        if unfinished_folder(run).is_dir():
            raise UsageError(f"the run {run} is not finished; run the same 'paramscope profile' again with --resume")
        if run.name.endswith(".unfinished"):
            raise UsageError(f"{run} is an unfinished run; run its 'paramscope profile' again with --resume")
        raise UsageError(f"{run} is no run folder (no {MANIFEST} in it); 'paramscope profile ... -o {run}' makes one")
    return read_manifest(run / MANIFEST), read_tables(run)


def check_target(run: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse an output path before any work is done.

    Args:
        run: the folder to make.
        overwrite: a finished or unfinished run there may be replaced.
        resume: an unfinished run there is to be gone on with.

    Raises:
        UsageError: the path is a file, a folder that is no run, or a run that neither flag covers.
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
    unfinished = unfinished_folder(run)
    if unfinished.exists() and not (unfinished / "identity.json").is_file() and any(unfinished.iterdir()):
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
    different = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if different:
        shown = "; ".join(f"{key}: {_short(before.get(key))} there, {_short(now.get(key))} now" for key in different)
        raise UsageError(
            f"{run} was made with other arguments ({shown}); give the same ones, --overwrite, or another folder"
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:60] + f"... ({len(text)} characters)"


class Checkpoint:
    """The unfinished folder of one run.

    Attributes:
        folder: ``RUN.unfinished``.
    """

    def __init__(self, run: Path, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Open or begin it.

        Args:
            run: the folder that the finished run will have.
            identity: all that the numbers depend on; must be JSON.
            overwrite: begin anew whatever is there.

        Raises:
            UsageError: another process works there, or the run there was made with other arguments.
        """
        self._run = run
        self.folder = unfinished_folder(run)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise UsageError(
                f"another paramscope works on {run} at the moment; wait for it or give another folder"
            ) from error
        record = self.folder / "identity.json"
        if record.is_file() and not overwrite:
            try:
                check_same(run, json.loads(record.read_text(encoding="utf-8")), identity)
            except UsageError:
                self._lock.close()
                raise
        else:
            for left in self.folder.iterdir():
                if left.name != "lock":
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            _write_atomically(record, json.dumps(identity, ensure_ascii=False, indent=1))

    def save_layer(self, result: LayerResult) -> None:
        """Keep a finished layer."""
        arrays, plain = result.to_arrays()
        path = self._layer_path(result.layer)
        save_file(arrays, path.with_suffix(".part"), metadata={"modules": json.dumps(plain)})
        path.with_suffix(".part").replace(path)

    def load_layer(self, layer: int) -> LayerResult:
        """Read a finished layer back.

        Args:
            layer: which.

        Returns:
            Its result.

        Raises:
            UsageError: the file is damaged.
        """
        path = self._layer_path(layer)
        try:
            with safe_open(path, framework="numpy") as file:
                plain = json.loads(file.metadata()["modules"])
            return LayerResult.from_arrays(layer, load_file(path), plain)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path} is damaged ({error}); --overwrite begins the run anew") from error

    def save_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep what the next layer needs: the gradients at the finished layers' input."""
        part = self.folder / "state.part"
        save_file(arrays, part)
        part.replace(self.folder / "state.safetensors")

    def load_state(self) -> dict[str, NDArray[Any]]:
        """Read back what ``save_state`` kept; empty when no layer was finished.

        Returns:
            Arrays by name.

        Raises:
            UsageError: the file is damaged.
        """
        path = self.folder / "state.safetensors"
        try:
            return load_file(path) if path.is_file() else {}
        except SafetensorError as error:
            raise UsageError(f"{path} is damaged ({error}); --overwrite begins the run anew") from error

    def finish(self, manifest: Manifest, tables: Tables) -> None:
        """Write the result and move it into place; the former run there goes only then."""
        complete = self.folder / "complete"
        shutil.rmtree(complete, ignore_errors=True)
        complete.mkdir()
        write_run(complete, manifest, tables)
        if (self.folder / "scores").is_dir():
            (self.folder / "scores").replace(complete / "scores")
        replace_folder(complete, self._run)
        self._lock.close()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let go of the folder and leave it for a later ``--resume``."""
        self._lock.close()

    def _layer_path(self, layer: int) -> Path:
        return self.folder / f"layer-{layer:04d}.safetensors"


def write_run(folder: Path, manifest: Manifest, tables: Tables) -> None:
    """Write a run into an existing folder, the manifest last."""
    write_tables(folder, tables)
    _write_atomically(folder / MANIFEST, manifest.to_json())


def save_run(run: Path, manifest: Manifest, tables: Tables, *, overwrite: bool) -> None:
    """Write a profile that is in memory as a run folder.

    Args:
        run: the folder to make.
        manifest: of the profile.
        tables: of the profile.
        overwrite: replace a run that is there.

    Raises:
        UsageError: the path is taken.
    """
    check_target(run, overwrite=overwrite, resume=False)
    run.parent.mkdir(parents=True, exist_ok=True)
    aside = run.with_name(f".{run.name}.{os.getpid()}")
    aside.mkdir()
    try:
        write_run(aside, manifest, tables)
        replace_folder(aside, run)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def replace_folder(new: Path, place: Path) -> None:
    """Move a folder to a place where a run or an empty folder may lie."""
    if not place.is_dir():
        new.replace(place)
        return
    old = place.with_name(f".{place.name}.old.{os.getpid()}")
    place.replace(old)
    new.replace(place)
    shutil.rmtree(old)


def _write_atomically(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
