"""Documents beside a run: JSON files in its folder, each of that very run, read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from paramscope.errors import UsageError
from paramscope.result.manifest import Record, first_fault
from paramscope.result.store import write_atomically
from paramscope.result.verification import run_digest
from paramscope.wording import one_line


class RunDocument(Record):
    """A document about a run; ``run_sha256`` is that of the run's manifest."""

    run_sha256: str


Document = TypeVar("Document", bound=RunDocument)


def write_document(run: Path, name: str, document: RunDocument) -> None:
    """Write a document, in place of one that is there."""
    write_atomically(run / name, document.model_dump_json(indent=1) + "\n")


def read_document(run: Path, name: str, kind: type[Document], repair: str) -> Document | None:
    """Read a document.

    Args:
        run: folder of the run.
        name: of the file.
        kind: what it holds.
        repair: what the user can do where it cannot be read.

    Returns:
        The document; None where there is none.

    Raises:
        UsageError: the file is damaged, of another paramscope, or of another run.
    """
    path = run / name
    if not path.is_file():
        return None
    try:
        document = kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else one_line(error)
        raise UsageError(f"{path} is damaged or of another paramscope ({fault}); {repair}") from error
    if document.run_sha256 != run_digest(run):
        raise UsageError(f"{path} was made of another run; {repair}")
    return document
