"""The catalogues: every key is there, translated, with the same places and markup, and compiled."""

from __future__ import annotations

import ast
import gettext
import re
from io import BytesIO

import pytest
from babel.messages.mofile import write_mo

from paramscope.language import LANGUAGES, _, language, plural, speaking
from tests.language.catalogue import SOURCE, extracted, path_of, stored

OTHERS = [code for code in LANGUAGES if code != "en"]


def forms(string: object) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, tuple | list) else (str(string or ""),)


def keys_of(catalogue: object) -> set[object]:
    return {message.id for message in catalogue if message.id}  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", OTHERS)
def test_no_key_is_missing_and_none_is_left_over(code: str) -> None:
    wanted, there = keys_of(extracted()), keys_of(stored(code))
    assert not wanted - there, "run `python -m tests.language.catalogue`, then translate what it lists"
    assert not there - wanted, "run `python -m tests.language.catalogue`"


def test_every_message_of_the_sources_is_found() -> None:
    """Also one inside an f-string, where Python 3.11's tokeniser, and so the extraction, sees none."""
    keys = {key for message in extracted() if message.id for key in forms(message.id)}
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="_" | "plural" | "mark"), args=[ast.Constant(value=message), *_rest]):
                    assert message in keys, f"{file}:{node.lineno}"


@pytest.mark.parametrize("code", OTHERS)
def test_every_key_is_translated(code: str) -> None:
    missing = [message.id for message in stored(code) if message.id and not all(forms(message.string))]
    assert not missing
    assert not [message.id for message in stored(code) if message.fuzzy and message.id]


@pytest.mark.parametrize("code", OTHERS)
def test_places_and_markup_are_those_of_the_key(code: str) -> None:
    for message in stored(code):
        if not message.id:
            continue
        *_others, key = forms(message.id)
        for text in forms(message.string):
            for pattern in (r"%\((\w+)\)s", r"\{(\w+)\}"):
                # A translation of a number's forms may leave the number to the words, but names nothing else.
                assert set(re.findall(pattern, text)) == set(re.findall(pattern, key)), message.id
            assert sorted(re.findall(r"</?\w+>", text)) == sorted(re.findall(r"</?\w+>", key)), message.id
            assert text.count("%") == 2 * text.count("%%") + len(re.findall(r"%\(\w+\)s", text)), message.id


@pytest.mark.parametrize("code", OTHERS)
def test_the_compiled_catalogue_is_that_of_the_written_one(code: str) -> None:
    made = BytesIO()
    write_mo(made, stored(code))
    assert made.getvalue() == path_of(code, "mo").read_bytes()
    with path_of(code, "mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Audit") != "Audit"


def test_a_language_is_spoken_within_its_block_only() -> None:
    assert _("Audit") == "Audit"
    with speaking("ja"):
        assert language() == "ja"
        assert _("Audit") == "監査"
        assert plural("%(n)s text", "%(n)s texts", 1234) == "1,234文"
        with speaking("en"):
            assert _("Audit") == "Audit"
        assert _("Audit") == "監査"
    assert plural("%(n)s text", "%(n)s texts", 1) == "1 text"
