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
from paramscope.result.place import MANIFEST, check_same, check_target, making, resolved, unfinished_folder
from paramscope.result.tables import Tables, read_tables, write_tables


def load_run(run: Path) -> tuple[Manifest, Tables]:
    """Read a finished run.

    Args:
        run: its folder.

    Returns:
        Manifest and tables.

    Raises:
        UsageError: there is no finished run, or it is damaged or newer than this paramscope.
    """
    # os.path and not Path.is_file, which raises for names that are too long and folders that may not be entered.
    if not os.path.isfile(run / MANIFEST):
        if os.path.isdir(unfinished_folder(run)):
            raise UsageError(f"the run {run} is not finished; run the same 'paramscope profile' again with --resume")
        if run.name.endswith(".unfinished") and os.path.isdir(run):
            raise UsageError(f"{run} is an unfinished run; run its 'paramscope profile' again with --resume")
        repair = "give a run's folder" if os.path.exists(run) else f"'paramscope profile ... -o {run}' makes one"
        raise UsageError(f"{run} is no run folder (no {MANIFEST} in it); {repair}")
    return read_manifest(run / MANIFEST), read_tables(run)


class Unfinished:
    """The unfinished folder of one run, whatever is kept in it.

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
            UsageError: the folder cannot be made, another process works there, or the run there was made with other
                arguments.
        """
        self._run = run = resolved(run)
        self.folder = unfinished_folder(run)
        with making(run):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = (self.folder / "lock").open("w")
        try:
            self._begin(identity, overwrite=overwrite)
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, identity: dict[str, Any], *, overwrite: bool) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another paramscope works on {self._run} at the moment; wait for it or give another folder"
            ) from error
        record = self.folder / "identity.json"
        if record.is_file() and not overwrite:
            try:
                before = json.loads(record.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UsageError(f"{record} is damaged ({error}); --overwrite begins the run anew") from error
            check_same(self._run, before, identity)
        else:
            for left in self.folder.iterdir():
                if left.name != "lock":
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            write_atomically(record, json.dumps(identity, ensure_ascii=False, indent=1))

    @property
    def finished_layers(self) -> int:
        """Layers that a later ``--resume`` need not do again."""
        return len(list(self.folder.glob("layer-*.safetensors")))

    def move(self, complete: Path) -> None:
        """Move the finished result, a folder within this one, into place; the former one there goes only then."""
        replace_folder(complete, self._run)
        self._lock.close()
        shutil.rmtree(self.folder)

    def close(self) -> None:
        """Let go of the folder; it stays for a later ``--resume`` if a layer is finished."""
        if not self._lock.closed and not self.finished_layers:
            shutil.rmtree(self.folder)
        self._lock.close()

    def layer_path(self, layer: int) -> Path:
        """The file of a finished layer."""
        return self.folder / f"layer-{layer:04d}.safetensors"


class Checkpoint(Unfinished):
    """The unfinished folder of a profile.

    Attributes:
        folder: ``RUN.unfinished``.
    """

    @property
    def finished_layers(self) -> int:
        """Layers that a later ``--resume`` need not measure again; none without what the next layer needs."""
        return super().finished_layers if self._state.is_file() else 0

    def save_layer(self, result: LayerResult) -> None:
        """Keep a finished layer."""
        arrays, plain = result.to_arrays()
        path = self.layer_path(result.layer)
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
        path = self.layer_path(layer)
        try:
            with safe_open(path, framework="numpy") as file:
                plain = json.loads(file.metadata()["modules"])
            return LayerResult.from_arrays(layer, load_file(path), plain)
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{path} is damaged ({error}); --overwrite begins the run anew") from error

    def save_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep what the next layer needs: the gradients at the finished layers' input."""
        part = self._state.with_suffix(".part")
        save_file(arrays, part)
        part.replace(self._state)

    def load_state(self) -> dict[str, NDArray[Any]]:
        """Read back what ``save_state`` kept; empty when no layer was finished.

        Returns:
            Arrays by name.

        Raises:
            UsageError: the file is damaged.
        """
        try:
            return load_file(self._state) if self._state.is_file() else {}
        except SafetensorError as error:
            raise UsageError(f"{self._state} is damaged ({error}); --overwrite begins the run anew") from error

    def finish(self, manifest: Manifest, tables: Tables) -> None:
        """Write the result and move it into place; the former run there goes only then."""
        complete = self.folder / "complete"
        shutil.rmtree(complete, ignore_errors=True)
        complete.mkdir()
        write_run(complete, manifest, tables)
        if (self.folder / "scores").is_dir():
            (self.folder / "scores").replace(complete / "scores")
        make_readable(complete, MANIFEST)
        self.move(complete)

    @property
    def _state(self) -> Path:
        return self.folder / "state.safetensors"


def write_run(folder: Path, manifest: Manifest, tables: Tables) -> None:
    """Write a run into an existing folder, the manifest last."""
    write_tables(folder, tables)
    write_atomically(folder / MANIFEST, manifest.to_json())


def save_run(run: Path, manifest: Manifest, tables: Tables, *, overwrite: bool) -> None:
    """Write a profile that is in memory as a run folder.

    Args:
        run: the folder to make.
        manifest: of the profile.
        tables: of the profile.
        overwrite: replace a run that is there.

    Raises:
        UsageError: the path is taken or cannot be made.
    """
    check_target(run, overwrite=overwrite, resume=False)
    run = resolved(run)
    aside = run.with_name(f".{run.name}.{os.getpid()}")
    with making(run):
        run.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
    try:
        write_run(aside, manifest, tables)
        make_readable(aside, MANIFEST)
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


def make_readable(folder: Path, manifest: str) -> None:
    """Give all files the manifest's mode: safetensors writes its own for their owner's eyes only."""
    mode = (folder / manifest).stat().st_mode & 0o777
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file of lines, and see it on the disk; what a crash left half written stays a line of its own."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode("utf-8") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is whole or not there."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
