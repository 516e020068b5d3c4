"""The nine built-in data sets, on rows made up here with the fields of the real sets."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from paramscope.domains import BUILT_INS, DomainSpec, Text, TextSet, parse_domain, read_texts
from paramscope.domains.builtin import is_running_text
from paramscope.errors import UsageError

ROWS: dict[str, dict[str, object]] = {
    "boolq": {"question": "is ice cold", "passage": "Ice is frozen water.", "answer": True},
    "humaneval": {
        "task_id": "X/0",
        "prompt": "def f():\n",
        "canonical_solution": "    return 1\n",
        "test": "",
    },
    "mmlu": {"question": "Which is even?", "subject": "number_theory", "choices": ["1", "2", "3", "5"], "answer": 1},
    "siqa": {
        "context": "Kim baked.",
        "question": "Why?",
        "answerA": "to eat",
        "answerB": "to run",
        "answerC": "to sleep",
        "label": "3",
    },
    "hellaswag": {
        "ind": 1,
        "activity_label": "Cook rice",
        "ctx_a": "",
        "ctx_b": "",
        "ctx": "[header] How to cook rice [title] Wash it. [step] Use water.",
        "endings": ["Boil it.", "Burn it. [substeps] Now.", "Sing.", "Sleep."],
        "label": "0",
    },
    "c4": {"text": " Some page.", "timestamp": None, "url": None},
    "wikitext2": {"text": " A paragraph , as raw text . \n"},
    "gsm8k": {"question": "2 and 3?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
    "piqa": {"goal": "Open a jar", "sol1": "turn the lid ", "sol2": "bite it", "label": 0},
}

EXPECTED = {
    "boolq": ("Ice is frozen water.\nQuestion: is ice cold?\nAnswer:", " yes", " no"),
    "humaneval": ("def f():\n", "    return 1\n", None),
    "mmlu": (
        "The following is a multiple choice question about number theory.\n\n"
        "Which is even?\nA. 1\nB. 2\nC. 3\nD. 5\nAnswer:",
        " B",
        " C",
    ),
    "siqa": ("Kim baked.\nQuestion: Why?\nA. to eat\nB. to run\nC. to sleep\nAnswer:", " C", " A"),
    "hellaswag": ("Cook rice: How to cook rice. Wash it. Use water.", " Boil it.", " Burn it. Now."),
    "c4": (" Some page.", None, None),
    "wikitext2": ("A paragraph , as raw text .", None, None),
    "gsm8k": ("Question: 2 and 3?\nAnswer:", " 5", None),
    "piqa": ("Question: Open a jar\nAnswer:", " turn the lid", " bite it"),
}

QUESTIONS = sorted(set(ROWS) - {"c4", "wikitext2"})


def read(name: str, path: Path, **settings: object) -> TextSet:
    return read_texts(DomainSpec("d", f"{name}@{path}", **settings))  # type: ignore[arg-type]


def only(texts: TextSet) -> Text:
    (text,) = texts.texts
    return text


@pytest.mark.parametrize("name", ROWS)
def test_prompt_target_and_foil(name: str, write_rows: Callable[..., Path]) -> None:
    texts = read(name, write_rows([ROWS[name]]))
    text = only(texts)
    assert (text.text, text.target, text.foil) == EXPECTED[name]
    assert texts.keep == ("end" if name in QUESTIONS else "start")
    assert (text.target is not None) == BUILT_INS[name].answers


@pytest.mark.parametrize("name", ROWS)
def test_csv_and_parquet_give_the_same_text(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "rows.parquet")
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow({key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()})
    for kind in ("parquet", "csv"):
        text = only(read(name, tmp_path / f"rows.{kind}"))
        assert (text.text, text.target, text.foil) == EXPECTED[name]


@pytest.mark.parametrize("name", QUESTIONS)
def test_row_of_a_hidden_test_set_has_a_prompt_but_no_target(name: str, write_rows: Callable[..., Path]) -> None:
    row = dict(ROWS[name])
    label = next(key for key in ("answer", "label", "canonical_solution") if key in row)
    hidden: dict[str, object] = {"boolq": -1, "mmlu": -1, "piqa": -1, "siqa": "", "hellaswag": ""}
    for value in (None, hidden.get(name)):
        text = only(read(name, write_rows([row | {label: value}])))
        assert (text.text, text.target, text.foil) == (EXPECTED[name][0], None, None)
    del row[label]
    assert only(read(name, write_rows([row]))).target is None


@pytest.mark.parametrize("name", ROWS)
def test_missing_field_is_named_with_those_that_are_there(name: str, write_rows: Callable[..., Path]) -> None:
    path = write_rows([{"other": 1}])
    with pytest.raises(UsageError, match=rf"rows\.jsonl:1: no field '{BUILT_INS[name].fields[0]}'.*there are other"):
        read(name, path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("boolq", {"answer": "perhaps"}, "field 'answer' holds 'perhaps'; expected true or false"),
        ("mmlu", {"answer": 4}, "field 'answer' holds 4; expected a number from 0 to 3"),
        ("mmlu", {"answer": True}, "field 'answer' holds True; expected a number"),
        ("mmlu", {"choices": "1 2"}, "field 'choices' holds '1 2'; expected a list of two strings or more"),
        ("mmlu", {"choices": "[1, 2"}, "field 'choices' holds"),
        ("siqa", {"label": "0"}, "field 'label' holds '0'; expected a number from 1 to 3"),
        ("hellaswag", {"endings": ["one"]}, "expected a list of two strings or more"),
        ("piqa", {"label": "x"}, "field 'label' holds 'x'; expected a number from 0 to 1"),
    ],
)
def test_value_outside_the_set_is_refused(
    name: str, change: dict[str, object], message: str, write_rows: Callable[..., Path]
) -> None:
    path = write_rows([ROWS[name] | change])
    with pytest.raises(UsageError, match=r"rows\.jsonl:1: .*" + message.replace("[", r"\[")):
        read(name, path)


WIKITEXT = """\x20
 = Ice =\x20
\x20
 Ice is frozen water .\x20
 = = Uses = =\x20
\x20
 It cools = drinks =\x20
 = = = Old uses = = =\x20
 It cools = drinks =\x20
"""
PARAGRAPHS = ["Ice is frozen water .", "It cools = drinks ="]


def test_wikitext_file_gives_its_paragraphs_without_headings(tmp_path: Path) -> None:
    path = tmp_path / "raw.txt"
    for content in (WIKITEXT, WIKITEXT.replace(" \n", "\n"), WIKITEXT.replace("\n \n", "\n")):
        path.write_text(content, encoding="utf-8")
        texts = read("wikitext2", path)
        assert [text.text for text in texts.texts] == PARAGRAPHS
        assert (texts.rows, texts.empty, texts.duplicates) == (3, 0, 1)


def test_wikitext_rows_are_treated_as_the_lines_of_the_file(write_rows: Callable[..., Path]) -> None:
    rows = [{"text": "" if not line.strip() else f"{line}\n"} for line in WIKITEXT.split("\n")]
    texts = read("wikitext2", write_rows(rows))
    assert [text.text for text in texts.texts] == PARAGRAPHS
    assert texts.rows == 3


@pytest.mark.parametrize(
    ("line", "running"),
    [
        (" = A = ", False),
        ("= A =", False),
        (" = = A b = = \n", False),
        (" \n", False),
        ("", False),
        (" = A", True),
        ("A = b =", True),
        ("x = 1", True),
        (" == A == ", True),
    ],
)
def test_heading_or_paragraph(line: str, running: bool) -> None:
    assert is_running_text(line) is running


def test_c4_reads_paragraphs_of_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "web.txt"
    path.write_text("a\nb\n\nc", encoding="utf-8")
    assert [text.text for text in read("c4", path).texts] == ["a\nb", "c"]


@pytest.mark.parametrize("name", QUESTIONS)
def test_question_set_takes_no_text_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a", encoding="utf-8")
    with pytest.raises(UsageError, match=rf"a\.txt: a text file without fields; {name} needs the fields "):
        read(name, path)


@pytest.mark.parametrize("setting", [{"field": "question"}, {"template": "{question}"}, {"lines": True}])
def test_own_template_beside_a_built_in_is_refused(setting: dict[str, object], write_rows: Callable[..., Path]) -> None:
    path = write_rows([ROWS["boolq"]])
    with pytest.raises(UsageError, match=r"is given, but the source is a data set with a template of its own"):
        read("boolq", path, **setting)


def test_explicit_answers_and_keep_take_the_place_of_the_built_in_ones(write_rows: Callable[..., Path]) -> None:
    texts = read("boolq", write_rows([ROWS["boolq"]]), target=" {answer}", foil=" ?", keep="start")
    text = only(texts)
    assert (text.target, text.foil, texts.keep) == (" true", " ?", "start")


def test_settings_of_a_call_leave_built_ins_with_answers_alone(write_rows: Callable[..., Path]) -> None:
    settings = {"field": "a", "lines": True, "chat": True, "target": " yes"}
    path = write_rows([ROWS["boolq"]])
    spec = parse_domain(f"qa=boolq@{path}", **settings)  # type: ignore[arg-type]
    assert (spec.field, spec.template, spec.lines, spec.chat, spec.target) == (None, None, False, True, None)
    spec = parse_domain(f"web=c4@{path}", **settings)  # type: ignore[arg-type]
    assert (spec.field, spec.target) == (None, " yes")
    spec = parse_domain(f"own={path}", **settings)  # type: ignore[arg-type]
    assert (spec.field, spec.lines, spec.target) == ("a", True, " yes")
