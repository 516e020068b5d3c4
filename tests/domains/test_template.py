"""Templates: fields are looked up by name, and nothing else happens."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramscope.domains import DomainSpec, read_texts
from paramscope.domains.readers import Row
from paramscope.domains.template import parse_template
from paramscope.errors import UsageError


def render(template: str, **fields: object) -> str:
    return parse_template(template).render(Row("rows.jsonl:1", fields))


@given(st.text())
def test_literal_text_survives_when_braces_and_backslashes_are_doubled(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace("{", "{{").replace("}", "}}")
    assert render(escaped) == text


@given(st.text(min_size=1).filter(lambda name: not set(name) & set("{}")), st.text(), st.text())
def test_any_field_name_is_looked_up_letter_by_letter(name: str, value: str, other: str) -> None:
    row = Row("r", {name: value, f"{name}x": other})
    assert parse_template(f"<{{{name}}}>").render(row) == f"<{value}>"


class Trap:
    """Records any attempt to look into it."""

    touched = False

    def __getattribute__(self, name: str) -> object:
        if name not in {"__class__"}:
            Trap.touched = True
        return object.__getattribute__(self, name)

    def __getitem__(self, key: object) -> str:
        Trap.touched = True
        return "leaked"


@given(st.sampled_from([".a", ".__class__", "[0]", "[a]", "!r", "!s", ":>9", ":{a}", ".a.b", "()", " "]))
def test_nothing_but_a_field_name_is_evaluated(suffix: str) -> None:
    Trap.touched = False
    with pytest.raises(UsageError):
        render(f"{{a{suffix}}}", a=Trap())
    assert not Trap.touched


def test_field_whose_name_looks_like_an_attribute_is_found() -> None:
    assert render("{a.b} {c[0]}", **{"a.b": "x", "c[0]": "y"}) == "x y"


def test_value_is_never_a_template_itself() -> None:
    assert render("{a}", a="{b} \\n {{", b="no") == "{b} \\n {{"


def test_typed_escapes_become_characters() -> None:
    assert render(r"{a}\n\t\\n\x", a="1") == "1\n\t\\n\\x"


def test_triple_braces_put_braces_around_a_field() -> None:
    assert render("{{{a}}}", a="1") == "{1}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a", "a"), (3, "3"), (2.5, "2.5"), (True, "true"), (False, "false"), (None, ""), (["a", "b"], "a\nb"), ([], "")],
)
def test_values_as_text(value: object, shown: str) -> None:
    assert render("{a}", a=value) == shown


@pytest.mark.parametrize(
    ("value", "kind"),
    [({"b": 1}, "a value of type object"), ([1], "a list with other things than strings"), (b"x", "of type bytes")],
)
def test_other_values_are_refused(value: object, kind: str) -> None:
    with pytest.raises(UsageError, match=rf"rows.jsonl:1: field 'a' holds .*{kind}; expected text, a number"):
        render("{a}", a=value)


@pytest.mark.parametrize(("template", "what"), [("{", "a single '{'"), ("a}", "a single '}'"), ("{}", "an empty {}")])
def test_unpaired_braces_are_refused(template: str, what: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"has {what} at character")):
        parse_template(template)


def test_missing_field_names_the_nearest_and_all_that_are_there() -> None:
    message = r"rows.jsonl:1: no field 'qestion' \(did you mean 'question'\?\); the fields there are id, question"
    with pytest.raises(UsageError, match=message):
        render("{qestion}", id=1, question="a")


def texts(path: Path, **settings: object) -> list[str]:
    return [text.text for text in read_texts(DomainSpec("d", path, **settings)).texts]  # type: ignore[arg-type]


def test_field_and_template_make_the_text(write_rows: Callable[..., Path]) -> None:
    path = write_rows([{"a": "1", "b": "2", "text": "3"}])
    assert texts(path) == ["3"]
    assert texts(path, field="a") == ["1"]
    assert texts(path, template=r"{a}\n{b}") == ["1\n2"]


@pytest.mark.parametrize("row", [{"id": 1, "prompt": "p", "x": "y"}, {"id": 1, "only": "p"}])
def test_field_is_found_where_it_is_clear(row: dict[str, object], write_rows: Callable[..., Path]) -> None:
    assert texts(write_rows([row])) == ["p"]


def test_field_must_be_named_where_it_is_not_clear(write_rows: Callable[..., Path]) -> None:
    message = r"rows\.jsonl:1: no field 'text' or 'prompt'; give --field NAME or --template .* there: question, answer"
    with pytest.raises(UsageError, match=message):
        texts(write_rows([{"question": "a", "answer": "b"}]))


def test_template_without_a_field_is_refused(write_rows: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="template 'hello' has no field, so all texts would be the same"):
        texts(write_rows([{"text": "a"}]), template="hello")


def test_target_and_foil_are_templates(write_rows: Callable[..., Path]) -> None:
    spec = DomainSpec("d", write_rows([{"text": "a", "right": "b"}]), target=" {right}", foil=" no")
    (text,) = read_texts(spec).texts
    assert (text.target, text.foil) == (" b", " no")
