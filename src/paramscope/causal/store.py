"""Where the checks of a run are kept: finished stages on the way, and the result in the run's folder."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow

from paramscope.errors import UsageError
from paramscope.result.place import check_same, resolved
from paramscope.result.store import write_atomically
from paramscope.result.verification import DOCUMENT, TABLES, Verification

UNFINISHED = "verify.unfinished"


def unfinished_arguments(run: Path) -> dict[str, Any] | None:
    """What checks of a run were begun with that are not finished.

    Args:
        run: its folder.

    Returns:
        The identity that ``Stages`` was given; None where there are none, or it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((run / UNFINISHED / "identity.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


class Stages:
    """The checks' stages, each a table; with a folder, a finished one is kept and not done again."""

    def __init__(self, run: Path | None, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Open the folder.

        Args:
            run: folder of the run; None keeps nothing.
            identity: all that the tables depend on; must be JSON.
            overwrite: begin anew whatever is there.

        Raises:
            UsageError: the stages there were made with other arguments, or another process is at them.
        """
        self._folder: Path | None = None
        self._lock: IO[str] | None = None
        if run is None:
            return
        self._run = resolved(run)
        self._folder = self._run / UNFINISHED
        if self._folder.exists() and not self._folder.is_dir():
            raise UsageError(f"{self._folder} is a file and in the way of the checks; move it")
        self._folder.mkdir(exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin(self._folder, identity, overwrite=overwrite)
        except BlockingIOError as error:
            self._lock.close()
            raise UsageError(f"another paramscope verifies {run} at the moment; wait for it") from error
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, folder: Path, identity: dict[str, Any], *, overwrite: bool) -> None:
        record = folder / "identity.json"
        if record.is_file() and not overwrite:
            try:
                before = json.loads(record.read_text(encoding="utf-8"))
            except ValueError as error:
                raise UsageError(f"{record} is damaged ({error}); --overwrite begins the checks anew") from error
            check_same(folder, before, identity)
            return
        for left in folder.iterdir():
            if left.name != "lock":
                left.unlink()
        write_atomically(record, json.dumps(identity, ensure_ascii=False, indent=1))

    def table(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """A stage's table: read back, or made and kept.

        Args:
            name: of the stage.
            make: makes it.

        Returns:
            The table.

        Raises:
            UsageError: the file is damaged.
        """
        if self._folder is None:
            return make()
        path = self._folder / f"{name}.parquet"
        if path.is_file():
            try:
                return pd.read_parquet(path)
            except (OSError, ValueError, pyarrow.ArrowException) as error:
                raise UsageError(f"{path} is damaged ({error}); --overwrite begins the checks anew") from error
        table = make()
        _write_table(path, table)
        return table

    def finish(self, result: Verification, tables: dict[str, pd.DataFrame]) -> None:
        """Write the result into the run's folder, the document last, and let the stages go."""
        if self._folder is None or self._lock is None:
            return
        (self._run / DOCUMENT).unlink(missing_ok=True)
        for name in TABLES:
            _write_table(self._run / f"verify-{name}.parquet", tables[name])
        write_atomically(self._run / DOCUMENT, result.model_dump_json(indent=1) + "\n")
        self._lock.close()
        shutil.rmtree(self._folder)

    def close(self) -> None:
        """Let go of the folder; finished stages stay."""
        if self._folder is not None and self._lock is not None and not self._lock.closed:
            if not list(self._folder.glob("*.parquet")):
                shutil.rmtree(self._folder)
            self._lock.close()


def _write_table(path: Path, table: pd.DataFrame) -> None:
    part = path.with_name(path.name + ".part")
    table.to_parquet(part, index=False, compression="zstd")
    part.replace(path)
