r"""The multiple-choice tasks that paramscope knows by name, from local rows or from the hub.

Fields and sources are those of the built-in data sets (``domains.builtin``). Prompts and options are those of
lm-evaluation-harness 0.4, letter by letter, so that the numbers compare with published ones. They are not always the
prompts that a domain of that name has:

- boolq: ``{passage}\nQuestion: {question}?\nAnswer:``; no, yes. The domain's.
- piqa: ``Question: {goal}\nAnswer:``; both solutions as they stand, where the domain strips them of blanks.
- siqa: ``Q: {context} {question}\nA:``; the three answers. The domain shows lettered answers and asks for a letter.
- hellaswag: ``{activity_label}: {ctx_a} {ctx_b}``, ctx_b capitalised, without markup; the four endings. The domain
  takes ``ctx`` as it is.
- mmlu: a line on the subject, examples of it, the question with lettered choices; A, B, C, D. The domain has another
  line and no examples.

MMLU's examples are the first of the same subject in the file or split ``dev``, as is usual. Where there is none they
are drawn, by the seed, from the other rows of the same subject, never the row itself or one that repeats its question.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paramscope.domains.builtin import (
    BUILT_INS,
    answer_number,
    boolq_prompt,
    lettered,
    piqa_prompt,
    string_list,
    without_markup,
    yes_or_no,
)
from paramscope.domains.hub import HubSet, read_hub
from paramscope.domains.readers import Row, find_files, read_rows
from paramscope.domains.source import Source, parse_source
from paramscope.domains.template import check_fields, field_text
from paramscope.errors import UsageError
from paramscope.evaluation.choice import Item, make_item
from paramscope.wording import did_you_mean, quoted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MMLU_SHOTS = 5
"""Examples before a question of MMLU, where nothing else is asked for."""


@dataclass(frozen=True)
class Question:
    """A row as text.

    Attributes:
        prompt: up to the place of the answer.
        options: the answers, without the blank before them.
        right: number of the right one; None where it is not given.
        subject: that examples are taken from; empty where there are none.
    """

    prompt: str
    options: tuple[str, ...]
    right: int | None
    subject: str = ""


@dataclass(frozen=True)
class ChoiceTask:
    """A task, read and tokenised.

    Attributes:
        name: one of ``TASKS``.
        source: as it was read.
        shots: examples before each question.
        examples: where they are from; empty without any.
        rows: that the source has.
        unanswered: rows left out because their answer is not given.
        items: the questions that are asked, in the order of the source.
    """

    name: str
    source: str
    shots: int
    examples: str
    rows: int
    unanswered: int
    items: tuple[Item, ...]


def read_task(
    spec: str, tokenizer: PreTrainedTokenizerBase, *, shots: int | None = None, limit: int | None = None, seed: int = 0
) -> ChoiceTask:
    """Read a task.

    Args:
        spec: ``NAME`` for the hub, ``NAME@PATH`` for a local file or folder.
        tokenizer: of the model.
        shots: examples before each question of MMLU, 5 if None; the others have none.
        limit: ask so many questions only, drawn by the seed; None asks all. (The first rows of a file would not stand
            for it: those of MMLU are of one subject.)
        seed: of the draws.

    Returns:
        The task.

    Raises:
        UsageError: there is no such task, its source cannot be read, or it has no rows with an answer.
    """
    name = spec.partition("@")[0]
    if name not in TASKS:
        near = did_you_mean(name.lower(), TASKS)
        raise UsageError(
            f"task {quoted(spec)}: no task {quoted(name)}{near}; there are {', '.join(TASKS)}, and --harness for all "
            "others"
        )
    count = (MMLU_SHOTS if shots is None else shots) if name == "mmlu" else 0
    rows, dev, label = _read(parse_source(spec), spec, examples=count > 0)
    asked = [(row.origin, question) for row in rows if (question := _question(name, row)).right is not None]
    if not asked:
        raise UsageError(f"task {quoted(spec)}: no row of {label} has an answer; give rows with the right answers")
    examples = [question for row in dev if (question := _question(name, row)).right is not None]
    chosen = _drawn(asked, limit, seed)
    shots_of = _Shots([question for _, question in asked], examples, count, seed) if name == "mmlu" else None
    return ChoiceTask(
        name=name,
        source=label,
        shots=count,
        examples=("dev" if examples else "other rows of the same subject") if count else "",
        rows=len(rows),
        unanswered=len(rows) - len(asked),
        items=tuple(
            make_item(
                tokenizer,
                shots_of.prompt(origin, question) if shots_of else question.prompt,
                question.options,
                question.right or 0,
                origin,
            )
            for origin, question in chosen
        ),
    )


def _question(name: str, row: Row) -> Question:
    fields, read = TASKS[name]
    check_fields(row, fields)
    return read(row)


def _read(source: Source, spec: str, *, examples: bool) -> tuple[list[Row], list[Row], str]:
    """The rows of a source, those that examples are taken from, and the source as it was read."""
    if source.path is not None:
        files, dev = _split(source.path)
        return (
            [row for file in files for row in read_rows(file)],
            [row for file in dev for row in read_rows(file)] if examples else [],
            source.label,
        )
    assert source.hub is not None
    repair = f"use a local file, such as {spec}@path/{spec}.jsonl"
    rows, label = read_hub(source.hub, repair)
    config = source.hub.parts[0]
    dev_rows = read_hub(HubSet(source.hub.path, (config, "dev")), repair)[0] if examples else []
    return rows, dev_rows, label


def _split(path: Path) -> tuple[list[Path], list[Path]]:
    """Files with questions, and files with examples: of a folder those called ``dev``; beside a file its ``dev``.

    ``mmlu/dev.jsonl`` belongs to ``mmlu/test.jsonl``, ``anatomy_dev.csv`` to ``anatomy_test.csv``.

    Raises:
        UsageError: one is a text file.
    """
    files = find_files(path)
    for file in files:
        if file.suffix.lower() == ".txt":
            raise UsageError(f"{file}: a text file without fields; give a .jsonl, .csv or .parquet file")
    if path.is_dir():
        dev = [file for file in files if re.search(r"(^|[_-])dev$", file.stem)]
        return [file for file in files if file not in dev] or files, dev
    beside = path.with_stem(re.sub(r"(^|[_-])test$", r"\1dev", path.stem))
    return files, [beside] if beside != path and beside.is_file() else []


def _drawn(asked: list[tuple[str, Question]], limit: int | None, seed: int) -> list[tuple[str, Question]]:
    """So many questions, those that come first in the order of the seed; they keep the source's order."""
    if limit is None or limit >= len(asked):
        return asked
    ranked = sorted(range(len(asked)), key=lambda number: (_rank(asked[number][1], seed), number))
    return [asked[number] for number in sorted(ranked[:limit])]


def _rank(question: Question, seed: int) -> str:
    """Where a question comes in the draw: by its content and the seed, whatever the order of rows."""
    content = json.dumps([seed, question.prompt, question.options])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


class _Shots:
    """Examples before each question of MMLU."""

    def __init__(self, asked: list[Question], examples: list[Question], count: int, seed: int) -> None:
        self._count = count
        pool = examples or sorted(asked, key=lambda question: _rank(question, seed))
        self._by_subject: dict[str, list[Question]] = {}
        for question in pool:
            self._by_subject.setdefault(question.subject, []).append(question)

    def prompt(self, origin: str, question: Question) -> str:
        """The question with its subject's line and examples before it.

        Raises:
            UsageError: the subject has not enough of them.
        """
        there = [one for one in self._by_subject.get(question.subject, []) if one.prompt != question.prompt]
        if len(there) < self._count:
            raise UsageError(
                f"{origin}: {len(there)} examples of the subject {quoted(question.subject)} beside the row itself, and "
                f"{self._count} are asked for; give a file with more, or --shots {len(there)}"
            )
        subject = question.subject.replace("_", " ")
        head = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        shown = "".join(f"{one.prompt} {one.options[one.right or 0]}\n\n" for one in there[: self._count])
        return f"{head}{shown}{question.prompt}"


def _boolq(row: Row) -> Question:
    yes = yes_or_no(row, "answer")
    return Question(boolq_prompt(row), ("no", "yes"), None if yes is None else int(yes))


def _piqa(row: Row) -> Question:
    options = (field_text(row, "sol1"), field_text(row, "sol2"))
    return Question(piqa_prompt(row), options, answer_number(row, "label", 2))


def _siqa(row: Row) -> Question:
    options = tuple(field_text(row, name) for name in ("answerA", "answerB", "answerC"))
    prompt = f"Q: {field_text(row, 'context')} {field_text(row, 'question')}\nA:"
    return Question(prompt, options, answer_number(row, "label", 3, first=1))


def _hellaswag(row: Row) -> Question:
    context = f"{field_text(row, 'ctx_a')} {field_text(row, 'ctx_b').capitalize()}"
    prompt = without_markup(f"{field_text(row, 'activity_label')}: {context}".strip())
    options = tuple(without_markup(ending.strip()) for ending in string_list(row, "endings"))
    return Question(prompt, options, answer_number(row, "label", len(options)))


def _mmlu(row: Row) -> Question:
    choices = string_list(row, "choices")
    letters = tuple(chr(ord("A") + number) for number in range(len(choices)))
    prompt = lettered(field_text(row, "question").strip(), choices)
    return Question(prompt, letters, answer_number(row, "answer", len(choices)), field_text(row, "subject"))


TASKS: Mapping[str, tuple[tuple[str, ...], Callable[[Row], Question]]] = {
    "boolq": (BUILT_INS["boolq"].fields, _boolq),
    "siqa": (BUILT_INS["siqa"].fields, _siqa),
    "piqa": (BUILT_INS["piqa"].fields, _piqa),
    "hellaswag": (("activity_label", "ctx_a", "ctx_b", "endings"), _hellaswag),
    "mmlu": ((*BUILT_INS["mmlu"].fields, "subject"), _mmlu),
}
"""By name: the fields that a row must have, and what makes a question of it."""
