"""Rows and paragraphs out of files: JSON Lines, CSV, TSV, Parquet, plain text."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paramscope.errors import UsageError
from paramscope.wording import listed, one_line

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (*JSON_SUFFIXES, ".csv", ".tsv", ".parquet", ".txt")
"""File types that a SOURCE may have."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Row:
    """One row of a source.

    Attributes:
        origin: file name and line or row number, for messages and the manifest.
        fields: the row's fields, named as in the source.
    """

    origin: str
    fields: Mapping[str, object]


def explicit(path: Path) -> str:
    """Write a path so that it can be nothing else, such as a data set's name.

    Args:
        path: the path.

    Returns:
        The path, with ``./`` before a relative one.
    """
    return str(path) if path.is_absolute() or path.parts[:1] == ("..",) else f"./{path}"


def find_files(path: Path) -> list[Path]:
    """List the files that a file or folder stands for.

    Args:
        path: a file of a known type, or a folder that holds such files.

    Returns:
        The file itself, or the folder's files of known types in the order of their names; other files are passed over.

    Raises:
        UsageError: when nothing of a known type is there.
    """
    known = ", ".join(SUFFIXES)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{path}: unknown file type {path.suffix!r}; expected one of {known}")
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path}: neither a file nor a folder; give one with texts")
    try:
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if {"dataset_info.json", "dataset_dict.json"} & set(names):
        raise UsageError(f"{path}: a folder of the library datasets; name it hf:{explicit(path)}")
    files = [path / name for name in names if Path(name).suffix.lower() in SUFFIXES and (path / name).is_file()]
    if not files:
        there = f"it holds {listed(names, 6)}" if names else "it is empty"
        raise UsageError(f"{path}: no file of a known type in this folder ({there}); expected {known}")
    return files


def read_rows(path: Path) -> list[Row]:
    """Read a file of rows with named fields.

    Args:
        path: a JSON Lines, CSV, TSV or Parquet file.

    Returns:
        Its rows, in the order of the file. A file that cannot be read and a broken row are a ``UsageError``.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    text = read_utf8(path)
    if suffix in JSON_SUFFIXES:
        return parse_json_rows(text, path.name, array=suffix == ".json")
    return _parse_csv(text, path.name, "\t" if suffix == ".tsv" else ",")


def read_paragraphs(path: Path, *, lines: bool = False) -> list[tuple[str, str]]:
    """Read the texts of a plain text file.

    Args:
        path: a text file.
        lines: take every line as a text, not every paragraph. Paragraphs are separated by blank lines.

    Returns:
        Origin and text of each, without the blank lines; line ends become a single newline.
    """
    found: list[tuple[str, str]] = []
    paragraph: list[str] = []
    start = 0
    content = read_utf8(path).replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate([*content.split("\n"), ""], start=1):
        if line.strip():
            start = start if paragraph else number
            paragraph.append(line)
        if paragraph and (lines or not line.strip()):
            found.append((f"{path.name}:{start}", "\n".join(paragraph)))
            paragraph = []
    return found


def read_utf8(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: the file.

    Returns:
        Its content, line ends as they are.

    Raises:
        UsageError: when it cannot be read or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    skipped = len(_BOM) if data.startswith(_BOM) else 0
    try:
        return data[skipped:].decode("utf-8")
    except UnicodeDecodeError as error:
        offset = error.start + skipped
        line = data.count(b"\n", 0, offset) + 1
        raise UsageError(
            f"{path}: byte {offset} (line {line}) is not UTF-8; convert the file, such as with iconv -t UTF-8"
        ) from error


def parse_json_rows(text: str, name: str, *, array: bool = False) -> list[Row]:
    """Read one JSON object a line.

    Args:
        text: the content of the file; blank lines are passed over.
        name: the file's name, for messages.
        array: accept a single JSON array of objects too.

    Returns:
        The rows. A line that is no JSON or no object is a ``UsageError``.
    """
    if array and text.lstrip().startswith("["):
        values = _json_value(text, name)
        assert isinstance(values, list)
        return [_json_row(value, f"{name}:{number}") for number, value in enumerate(values, start=1)]
    # Only "\n" ends a line: str.splitlines would also cut at U+2028 and its like, which JSON strings may hold.
    return [
        _json_row(_json_value(line, f"{name}:{number}"), f"{name}:{number}")
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]


def _json_value(text: str, origin: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column" if error.lineno > 1 else "column"
        raise UsageError(
            f"{origin}: broken JSON at {where} {error.colno} ({error.msg}); expected one JSON object a line"
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of thousands of digits
        raise UsageError(f"{origin}: broken JSON ({one_line(error)}); expected one JSON object a line") from error


def _json_row(value: object, origin: str) -> Row:
    if not isinstance(value, dict):
        raise UsageError(f'{origin}: JSON of type {type(value).__name__}; expected an object such as {{"text": "..."}}')
    return Row(origin, value)


def _parse_csv(text: str, name: str, delimiter: str) -> list[Row]:
    rows: list[Row] = []
    # A field of a document set is easily longer than the module's default of 131,072 characters.
    default_limit = csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            twice = sorted({field for field in header if header.count(field) > 1})
            raise UsageError(f"{name}:1: the header names {listed(twice)} twice; give every column its own name")
        line = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(header):
                raise UsageError(
                    f"{name}:{line}: {len(values)} fields where the header has {len(header)}; "
                    "quote fields that hold the separator or a line end"
                )
            if values:
                rows.append(Row(f"{name}:{line}", dict(zip(header, values, strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"{name}:{reader.line_num}: broken CSV ({error}); check the quotes") from error
    finally:
        csv.field_size_limit(default_limit)
    return rows


def _read_parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet

    try:
        # Not read_table: it would add columns for folders named key=value.
        with pyarrow.parquet.ParquetFile(path) as file:
            values = file.read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as Parquet ({one_line(error)}); write it again") from error
    return [Row(f"{path.name}:{number}", fields) for number, fields in enumerate(values, start=1)]
