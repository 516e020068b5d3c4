"""Finished stages of an evaluation on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from paramscope.errors import UsageError
from paramscope.result.manifest import Record
from paramscope.result.store import append_line

Kind = TypeVar("Kind", bound=Record)


def kept_beside(output: Path) -> Path:
    """The file that keeps what is finished until the document of that name is written."""
    return output.with_name(output.name + ".unfinished")


class Kept:
    """A JSON line a stage, under a hash of all that its numbers depend on; so nothing else is ever taken for it."""

    def __init__(self, path: Path | None, common: Mapping[str, Any]) -> None:
        """Read what an interrupted evaluation has left.

        Args:
            path: of the file; None keeps nothing.
            common: what the numbers of all stages depend on, such as the model; must be JSON.

        Raises:
            UsageError: the file cannot be read.
        """
        self._path = path
        self._common = dict(common)
        self._lines: dict[str, list[Any]] = {}
        if path is None or not path.exists():
            return
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read; move it away, then the evaluation begins anew") from error
        for line in text.split("\n")[:-1]:  # what a crash left half written has no end
            with contextlib.suppress(ValueError, TypeError, KeyError):
                found = json.loads(line)
                self._lines[found["key"]] = found["records"]

    def get(self, kind: type[Kind], depends: Mapping[str, Any], measure: Callable[[], list[Kind]]) -> list[Kind]:
        """The records of a stage, measured if they are not there.

        Args:
            kind: of the records.
            depends: what they depend on beside what is common; must be JSON.
            measure: makes them.

        Returns:
            The records.
        """
        text = json.dumps([kind.__name__, self._common, depends], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        with contextlib.suppress(ValueError, TypeError, KeyError):  # a damaged one is measured again
            return [kind.model_validate(record) for record in self._lines[key]]
        found = measure()
        if self._path is not None:
            records = [record.model_dump(mode="json") for record in found]
            append_line(self._path, json.dumps({"key": key, "records": records}))
        return found

    def finish(self) -> None:
        """Remove the file, once the document is written."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
