"""Files: what is read, and what is said of files that cannot be read."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from paramscope.domains import DomainSpec, TextSet, read_texts
from paramscope.errors import UsageError


def read(path: Path, **settings: object) -> TextSet:
    return read_texts(DomainSpec("d", path, **settings))  # type: ignore[arg-type]


def words(path: Path, **settings: object) -> list[str]:
    return [text.text for text in read(path, **settings).texts]


def refused(path: Path, message: str, **settings: object) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(path, **settings)
    assert "\n" not in str(caught.value)


ROWS = [{"text": 'one, "two"\nthree'}, {"text": "四 é 🙂"}, {"text": " four "}]
EXPECTED = [row["text"] for row in ROWS]


def write_as(kind: str, folder: Path) -> Path:
    path = folder / f"rows.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif kind in {"csv", "tsv"}:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text"], delimiter="\t" if kind == "tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        path.write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"])
def test_every_file_type_gives_the_same_texts(kind: str, tmp_path: Path) -> None:
    assert words(write_as(kind, tmp_path)) == EXPECTED


def test_json_file_may_be_one_array(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS, indent=2), encoding="utf-8")
    assert words(path) == EXPECTED


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_byte_order_mark_and_crlf_change_nothing(kind: str, tmp_path: Path) -> None:
    content = {"jsonl": '{"text": "a"}\r\n\r\n{"text": "b"}\r\n', "csv": "text\r\na\r\nb\r\n", "txt": "a\r\n\r\nb\r\n"}
    path = tmp_path / f"rows.{kind}"
    path.write_bytes(b"\xef\xbb\xbf" + content[kind].encode())
    assert words(path) == ["a", "b"]


def test_line_separator_inside_a_json_string_ends_no_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a\u2028b\u0085c"}\n', encoding="utf-8")
    assert words(path) == ["a\u2028b\u0085c"]


def test_text_file_gives_paragraphs_or_lines(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("\n\n first\nsecond\n \t\nthird\n\n\nfourth", encoding="utf-8")
    assert words(path) == [" first\nsecond", "third", "fourth"]
    assert words(path, lines=True) == [" first", "second", "third", "fourth"]
    assert [text.origin for text in read(path).texts] == ["prose.txt:3", "prose.txt:6", "prose.txt:9"]


def test_long_csv_field_is_read_and_the_limit_of_the_module_restored(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = tmp_path / "long.csv"
    path.write_text("id,text\n1," + "x" * 200_000 + "\n", encoding="utf-8")
    assert len(words(path)[0]) == 200_000
    assert csv.field_size_limit() == limit


def test_folder_reads_known_types_in_the_order_of_names(tmp_path: Path, write_rows: Callable[..., Path]) -> None:
    write_rows([{"text": "b"}], "in/b.jsonl")
    write_rows([{"text": "c"}], "in/c.JSONL")
    write_rows([{"text": "hidden"}], "in/.old.jsonl")
    (tmp_path / "in" / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "in" / "README.md").write_text("not read", encoding="utf-8")
    assert words(tmp_path / "in") == ["a", "b", "c"]


def test_folder_named_like_a_partition_adds_no_fields_to_parquet(tmp_path: Path) -> None:
    folder = tmp_path / "text=wrong"
    folder.mkdir()
    assert words(write_as("parquet", folder)) == EXPECTED


def test_origin_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text\n"a\nb"\n\nc\n', encoding="utf-8")
    assert [text.origin for text in read(path).texts] == ["rows.csv:2", "rows.csv:5"]


def test_empty_and_repeated_rows_are_left_out_and_counted(write_rows: Callable[..., Path]) -> None:
    texts = read(write_rows([{"text": text} for text in ("a", " \n", "b", "a", None, "a")]))
    assert [text.text for text in texts.texts] == ["a", "b"]
    assert (texts.rows, texts.empty, texts.duplicates) == (6, 2, 2)


def test_rows_that_differ_in_target_alone_are_both_kept(write_rows: Callable[..., Path]) -> None:
    path = write_rows([{"text": "a", "answer": "x"}, {"text": "a", "answer": "y"}])
    assert len(read(path, target="{answer}").texts) == 2
    assert len(read(path).texts) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", r"domain 'd': no rows in .*a\.jsonl; expected one text or more"),
        ("a.txt", b"\n \n", r"no rows in"),
        ("a.csv", b"text\n", r"no rows in"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', r"a\.jsonl:2: broken JSON at column 10 \(Expecting value\)"),
        ("a.jsonl", b'{"text": "a"}\n["a"]\n', r'a\.jsonl:2: JSON of type list; expected an object such as \{"text"'),
        ("a.json", b'[{"text": "a"},\n 3]', r"a\.json:2: JSON of type int; expected an object"),
        ("a.json", b'[{"text": "a"},\n 3', r"a\.json: broken JSON at line 2, column 3"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: broken JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n', r"a\.jsonl: byte 24 \(line 2\) is not UTF-8; convert"),
        ("a.txt", b"\xef\xbb\xbfab\xff", r"a\.txt: byte 5 \(line 1\) is not UTF-8"),
        ("a.csv", b"id,text\n1,a\n2,b,c\n", r"a\.csv:3: 3 fields where the header has 2; quote fields"),
        ("a.csv", b"id,text\n1,a\n2\n", r"a\.csv:3: 1 fields where the header has 2"),
        ("a.csv", b"text,text\na,b\n", r"a\.csv:1: the header names text twice"),
        ("a.csv", b'text\n"a\nb\n', r"a\.csv:3: broken CSV \(unexpected end of data\); check the quotes"),
        ("a.parquet", b"PAR1 but no", r"a\.parquet: cannot be read as Parquet .*; write it again"),
        ("a.parquet", b"", r"a\.parquet: cannot be read as Parquet .*; write it again"),
        ("a.docx", b"", r"a\.docx: unknown file type '\.docx'; expected one of \.jsonl, \.ndjson, \.json, \.csv"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', r"a\.jsonl:1: half of a surrogate pair at character 1; expected Unicode"),
    ],
)
def test_broken_file_is_refused_with_its_place(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(path, message)


def test_folder_without_a_known_file_is_refused_and_says_what_is_there(tmp_path: Path) -> None:
    refused(tmp_path, r"no file of a known type in this folder \(it is empty\); expected \.jsonl")
    (tmp_path / "notes.md").touch()
    (tmp_path / "sub").mkdir()
    refused(tmp_path, r"\(it holds notes\.md, sub\)")


def test_folder_saved_by_the_library_datasets_is_named(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}", encoding="utf-8")
    refused(tmp_path, rf"a folder of the library datasets; name it hf:{re.escape(str(tmp_path))}")


@pytest.mark.parametrize("setting", [{"field": "text"}, {"template": "{text}"}])
def test_text_file_takes_no_field_and_no_template(setting: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a", encoding="utf-8")
    refused(path, rf"{next(iter(setting))} is given, but the source is .*a\.txt, a text file without fields", **setting)


def test_text_file_takes_literal_answers_only(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a", encoding="utf-8")
    assert read(path, target=" {{yes}}", foil=" no").texts[0].target == " {yes}"
    refused(path, r"target '\{answer\}' uses the field 'answer', but the texts have no fields", target="{answer}")


def test_lines_without_a_text_file_is_refused(write_rows: Callable[..., Path]) -> None:
    refused(write_rows([{"text": "a"}]), r"lines is given, but holds for \.txt files only", lines=True)
