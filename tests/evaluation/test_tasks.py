"""The tasks: prompts, examples, draws, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from paramscope.domains.hub import HubSet
from paramscope.domains.readers import Row
from paramscope.errors import UsageError
from paramscope.evaluation import tasks
from paramscope.evaluation.tasks import read_task
from tests.evaluation.models import made_tokenizer
from tests.evaluation.rows import DEV, ROWS, write_rows

TOKENIZER = made_tokenizer()


def prompts(task: tasks.ChoiceTask) -> list[str]:
    return [TOKENIZER.decode(list(item.context)) for item in task.items]


def other_subject(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"subject": "lamps", "question": f"Which lamp {number}?"} for number, row in enumerate(rows)]


def test_zero_shot_prompts_and_options(tmp_path: Path) -> None:
    row = {"context": "Kim baked.", "question": "Why?", "answerA": "to eat", "answerB": "to run", "answerC": "so"}
    path = write_rows(tmp_path / "siqa.jsonl", [row | {"label": "3"}, row | {"label": ""}])
    found = read_task(f"siqa@{path}", TOKENIZER)
    assert prompts(found) == ["Q: Kim baked. Why?\nA:"]
    assert [TOKENIZER.decode(list(option)) for option in found.items[0].options] == [" to eat", " to run", " so"]
    assert (found.items[0].right, found.items[0].lengths) == (2, (6, 6, 2))
    assert (found.rows, found.unanswered, found.shots, found.examples) == (2, 1, 0, "")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_examples_drawn_from_other_rows_are_never_the_row_itself(tmp_path: Path, seed: int) -> None:
    repeated = {**ROWS["mmlu"][0], "choices": ["9", "8", "7", "6"]}
    rows = [*ROWS["mmlu"], ROWS["mmlu"][0], repeated, *other_subject(ROWS["mmlu"][:5])]
    found = read_task(f"mmlu@{write_rows(tmp_path / 'mmlu.jsonl', rows)}", TOKENIZER, shots=4, seed=seed)
    assert (found.shots, found.examples) == (4, "other rows of the same subject")
    for row, prompt in zip(rows, prompts(found), strict=True):
        subject = row["subject"].replace("_", " ")
        head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        assert prompt.startswith(head)
        *examples, asked = prompt.removeprefix(head).split("\n\n")
        assert asked.startswith(row["question"].strip())
        assert asked.endswith("\nAnswer:")
        assert len(examples) == 4
        choices = "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=True))
        assert all(f"{row['question'].strip()}\n{choices}" not in example for example in examples)
        own = [other["question"].strip() for other in rows if other["subject"] == row["subject"]]
        assert all(example.split("\n")[0] in own and example[-2:] in {" A", " B", " C", " D"} for example in examples)


def test_drawn_examples_follow_from_the_seed_and_not_from_the_order_of_rows(tmp_path: Path) -> None:
    rows = ROWS["mmlu"]
    given = write_rows(tmp_path / "mmlu.jsonl", rows)
    turned = write_rows(tmp_path / "turned.jsonl", rows[::-1])
    found = prompts(read_task(f"mmlu@{given}", TOKENIZER))
    assert prompts(read_task(f"mmlu@{turned}", TOKENIZER)) == found[::-1]
    assert prompts(read_task(f"mmlu@{given}", TOKENIZER, seed=1)) != found


@pytest.mark.parametrize("files", [("mmlu/test.jsonl", "mmlu/dev.jsonl"), ("cold_test.jsonl", "cold_dev.jsonl")])
@pytest.mark.parametrize("folder", [False, True])
def test_examples_are_the_first_of_the_dev_file(tmp_path: Path, files: tuple[str, str], folder: bool) -> None:
    test = write_rows(tmp_path / files[0], ROWS["mmlu"])
    write_rows(tmp_path / files[1], [*other_subject(DEV), *DEV])
    found = read_task(f"mmlu@{test.parent if folder else test}", TOKENIZER, shots=2)
    assert (found.examples, len(found.items)) == ("dev", len(ROWS["mmlu"]))
    for prompt in prompts(found):
        _, first, second, _ = prompt.split("\n\n")
        assert first.startswith(DEV[0]["question"].strip())
        assert second.startswith(DEV[1]["question"].strip())


def test_no_shots_still_name_the_subject(tmp_path: Path) -> None:
    found = read_task(f"mmlu@{write_rows(tmp_path / 'mmlu.jsonl', ROWS['mmlu'])}", TOKENIZER, shots=0)
    assert prompts(found)[1].startswith("The following are multiple choice questions (with answers) about cold rivers.")
    assert (found.shots, found.examples) == (0, "")


def test_a_limit_is_a_draw_that_a_larger_one_contains(tmp_path: Path) -> None:
    given = write_rows(tmp_path / "boolq.jsonl", ROWS["boolq"])
    turned = write_rows(tmp_path / "turned.jsonl", ROWS["boolq"][::-1])
    three, five = (set(prompts(read_task(f"boolq@{given}", TOKENIZER, limit=limit))) for limit in (3, 5))
    assert (len(three), len(five)) == (3, 5)
    assert three < five
    assert set(prompts(read_task(f"boolq@{turned}", TOKENIZER, limit=3))) == three
    others = [set(prompts(read_task(f"boolq@{given}", TOKENIZER, limit=3, seed=seed))) for seed in (1, 2, 3)]
    assert any(other != three for other in others)
    assert len(read_task(f"boolq@{given}", TOKENIZER, limit=99).items) == len(ROWS["boolq"])


def test_the_hub_gives_rows_and_the_split_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read_hub(hub: HubSet, repair: str) -> tuple[list[Row], str]:
        asked.append(hub.label)
        rows = DEV if hub.parts[-1] == "dev" else ROWS["mmlu"]
        return [Row(f"{hub.label}:{number}", row) for number, row in enumerate(rows)], hub.label

    monkeypatch.setattr(tasks, "read_hub", read_hub)
    found = read_task("mmlu", TOKENIZER)
    assert asked == ["hf:cais/mmlu:all:test", "hf:cais/mmlu:all:dev"]
    assert (found.shots, found.examples, found.source) == (5, "dev", "hf:cais/mmlu:all:test")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "bolq@x",
            r"no task 'bolq' \(did you mean 'boolq'\?\); there are boolq, siqa, piqa, hellaswag, mmlu, and --har",
        ),
        ("humaneval", "no task 'humaneval'"),
        ("boolq@nowhere.jsonl", "no such file or folder"),
    ],
)
def test_unknown_tasks_and_files_are_named(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_task(spec, TOKENIZER)


@pytest.mark.parametrize(
    ("task", "rows", "message"),
    [
        ("boolq", [{"question": "q", "passage": "p"}], "no row of .* has an answer; give rows with the right answers"),
        ("boolq", [{"question": "q", "answer": True}], "boolq.jsonl:1: no field 'passage'"),
        ("piqa", [ROWS["piqa"][0] | {"label": 2}], "field 'label' holds 2; expected a number from 0 to 1"),
        ("mmlu", ROWS["mmlu"][:4], r"mmlu.jsonl:1: 3 examples of the subject 'cold_rivers' .* or --shots 3"),
        ("mmlu", [{"question": "q", "choices": ["1", "2"], "answer": 0}], "no field 'subject'"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, task: str, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_task(f"{task}@{write_rows(tmp_path / f'{task}.jsonl', rows)}", TOKENIZER)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "boolq.txt").write_text("text", encoding="utf-8")
    with pytest.raises(UsageError, match="a text file without fields; give a"):
        read_task(f"boolq@{tmp_path / 'boolq.txt'}", TOKENIZER)


def test_csv_rows_are_read_alike(tmp_path: Path) -> None:
    import csv

    with (tmp_path / "mmlu.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(list(ROWS["mmlu"][0]))
        writer.writerows([json.dumps(v) if isinstance(v, list) else v for v in row.values()] for row in ROWS["mmlu"])
    given = write_rows(tmp_path / "mmlu.jsonl", ROWS["mmlu"])
    assert prompts(read_task(f"mmlu@{tmp_path / 'mmlu.csv'}", TOKENIZER)) == prompts(
        read_task(f"mmlu@{given}", TOKENIZER)
    )
