"""The data sets that paramscope knows by name: where they are on the hub, and a zero-shot prompt for each.

A prompt ends where the model answers, so questions keep their end when they are cut; running text keeps its start.
The target is the right answer, the foil a wrong one: the other answer, or the next one of several. A row whose answer
is not given (as in the hidden test sets) has neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from paramscope.domains.hub import HubSet
from paramscope.domains.readers import Row
from paramscope.domains.sample import Keep, Text
from paramscope.domains.template import check_fields, field_text
from paramscope.errors import UsageError
from paramscope.wording import quoted


@dataclass(frozen=True)
class BuiltIn:
    """A data set that is known by name.

    Attributes:
        hub: where the library ``datasets`` finds it.
        fields: the fields that a row must have.
        render: makes the text of a row.
        keep: which end of a long text stays.
        answers: whether rows have a target.
        plain: whether a ``.txt`` file can stand in for it.
        wikitext: whether rows are lines of WikiText, where headings and blank lines are no texts.
    """

    hub: HubSet
    fields: tuple[str, ...]
    render: Callable[[Row], Text]
    keep: Keep = "end"
    answers: bool = True
    plain: bool = False
    wikitext: bool = False

    def text(self, row: Row) -> Text:
        """Render a row.

        Args:
            row: the row.

        Returns:
            Its text, with target and foil where the set has answers.
        """
        check_fields(row, self.fields)
        return self.render(row)


def is_running_text(line: str) -> bool:
    """Tell the paragraphs of WikiText from its headings (`` = = Title = = ``) and blank lines.

    Args:
        line: a line of the raw data.

    Returns:
        Whether it is a paragraph.
    """
    return bool(line.strip()) and not re.fullmatch(r"\s*(= )+[^=].*?( =)+\s*", line)


def boolq_prompt(row: Row) -> str:
    """The prompt of BoolQ, that of lm-evaluation-harness."""
    return f"{field_text(row, 'passage')}\nQuestion: {field_text(row, 'question')}?\nAnswer:"


def _boolq(row: Row) -> Text:
    yes = yes_or_no(row, "answer")
    prompt = boolq_prompt(row)
    if yes is None:
        return Text(prompt, origin=row.origin)
    return Text(prompt, " yes" if yes else " no", " no" if yes else " yes", row.origin)


def _humaneval(row: Row) -> Text:
    solution = row.fields.get("canonical_solution")
    return Text(field_text(row, "prompt"), solution if isinstance(solution, str) else None, origin=row.origin)


def _mmlu(row: Row) -> Text:
    choices = string_list(row, "choices")
    question = lettered(field_text(row, "question"), choices)
    if "subject" in row.fields:
        subject = field_text(row, "subject").replace("_", " ")
        question = f"The following is a multiple choice question about {subject}.\n\n{question}"
    letters = [f" {chr(ord('A') + index)}" for index in range(len(choices))]
    return _answered(row, question, letters, answer_number(row, "answer", len(choices)))


def _siqa(row: Row) -> Text:
    choices = [field_text(row, name) for name in ("answerA", "answerB", "answerC")]
    question = lettered(f"{field_text(row, 'context')}\nQuestion: {field_text(row, 'question')}", choices)
    return _answered(row, question, [" A", " B", " C"], answer_number(row, "label", 3, first=1))


def _hellaswag(row: Row) -> Text:
    endings = [f" {without_markup(ending).strip()}" for ending in string_list(row, "endings")]
    prompt = without_markup(f"{field_text(row, 'activity_label')}: {field_text(row, 'ctx')}").strip()
    return _answered(row, prompt, endings, answer_number(row, "label", len(endings)))


def _running(row: Row) -> Text:
    return Text(field_text(row, "text"), origin=row.origin)


def _wikitext(row: Row) -> Text:
    return Text(field_text(row, "text").strip(), origin=row.origin)


def _gsm8k(row: Row) -> Text:
    answer = row.fields.get("answer")
    _, mark, final = answer.rpartition("####") if isinstance(answer, str) else ("", "", "")
    target = f" {final.strip()}" if mark else None
    return Text(f"Question: {field_text(row, 'question')}\nAnswer:", target, origin=row.origin)


def piqa_prompt(row: Row) -> str:
    """The prompt of PIQA, that of lm-evaluation-harness."""
    return f"Question: {field_text(row, 'goal')}\nAnswer:"


def _piqa(row: Row) -> Text:
    solutions = [f" {field_text(row, name).strip()}" for name in ("sol1", "sol2")]
    return _answered(row, piqa_prompt(row), solutions, answer_number(row, "label", 2))


# social_i_qa and piqa themselves hold a loading script, which the library no longer runs: these are copies in Parquet.
BUILT_INS = {
    "boolq": BuiltIn(HubSet("google/boolq", ("", "validation")), ("passage", "question"), _boolq),
    "humaneval": BuiltIn(HubSet("openai/openai_humaneval", ("openai_humaneval", "test")), ("prompt",), _humaneval),
    "mmlu": BuiltIn(HubSet("cais/mmlu", ("all", "test")), ("question", "choices"), _mmlu),
    "siqa": BuiltIn(
        HubSet("lighteval/siqa", ("", "validation")),
        ("context", "question", "answerA", "answerB", "answerC"),
        _siqa,
    ),
    "hellaswag": BuiltIn(
        HubSet("Rowan/hellaswag", ("", "validation")), ("activity_label", "ctx", "endings"), _hellaswag
    ),
    "c4": BuiltIn(
        HubSet("allenai/c4", ("en", "validation")), ("text",), _running, keep="start", answers=False, plain=True
    ),
    "wikitext2": BuiltIn(
        HubSet("Salesforce/wikitext", ("wikitext-2-raw-v1", "test")),
        ("text",),
        _wikitext,
        keep="start",
        answers=False,
        plain=True,
        wikitext=True,
    ),
    "gsm8k": BuiltIn(HubSet("openai/gsm8k", ("main", "test")), ("question",), _gsm8k),
    "piqa": BuiltIn(HubSet("baber/piqa", ("", "validation")), ("goal", "sol1", "sol2"), _piqa),
}


def lettered(question: str, choices: list[str]) -> str:
    """A question with its choices on lettered lines, up to the place of the answer's letter."""
    options = "\n".join(f"{chr(ord('A') + index)}. {choice}" for index, choice in enumerate(choices))
    return f"{question}\n{options}\nAnswer:"


def _answered(row: Row, prompt: str, answers: list[str], right: int | None) -> Text:
    if right is None:
        return Text(prompt, origin=row.origin)
    return Text(prompt, answers[right], answers[(right + 1) % len(answers)], row.origin)


def without_markup(text: str) -> str:
    """The text without what HellaSwag's articles kept of their source's markup, such as ``[title]``, ``[step]``."""
    return re.sub(r"\[.*?\]", "", text.replace(" [title]", ". ")).replace("  ", " ")


def string_list(row: Row, name: str) -> list[str]:
    """A field that holds a list of texts, or the JSON of one.

    Args:
        row: the row.
        name: of the field, which must be there.

    Returns:
        Two strings or more.

    Raises:
        UsageError: it holds anything else.
    """
    value = row.fields[name]
    if isinstance(value, str) and value.lstrip().startswith("["):  # a CSV file holds lists as JSON
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            value = None
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, str) for item in value):
        raise UsageError(
            f"{row.origin}: field {name!r} holds {quoted(row.fields[name])}; expected a list of two strings or more"
        )
    return value


def answer_number(row: Row, name: str, count: int, first: int = 0) -> int | None:
    """A field that holds the number of the right answer.

    Args:
        row: the row.
        name: of the field.
        count: answers that there are.
        first: number that the field has for the first one.

    Returns:
        The answer, counted from 0; None where it is not given, as in hidden test sets.

    Raises:
        UsageError: it holds anything else.
    """
    value = row.fields.get(name)
    if value is None or value == "" or str(value).strip() == "-1":
        return None
    number = str(value).strip()
    if not number.isdecimal() or not first <= int(number) < first + count:
        raise UsageError(
            f"{row.origin}: field {name!r} holds {quoted(value)}; expected a number from {first} to {first + count - 1}"
        )
    return int(number) - first


def yes_or_no(row: Row, name: str) -> bool | None:
    """A field that holds true or false.

    Args:
        row: the row.
        name: of the field.

    Returns:
        The value; None where it is not given.

    Raises:
        UsageError: it holds anything else.
    """
    value = row.fields.get(name)
    if value is None or value == "" or value == -1:
        return None
    word = str(value).strip().lower()
    if word not in {"true", "yes", "1", "false", "no", "0"}:
        raise UsageError(f"{row.origin}: field {name!r} holds {quoted(value)}; expected true or false")
    return word in {"true", "yes", "1"}
