"""Sentences in another language than English, and those of documents made again in it."""

from __future__ import annotations

import ast
import re

import pytest

from paramscope.language import _, again, plural, speaking, term
from paramscope.wording import joined, listed, sentences, told_share
from tests.language.spoken import CODE, given, letters, marked, speak_dots

_dots = pytest.fixture(autouse=True)(speak_dots)


def one_of(*numbers: int) -> list[str]:
    return [_("layer %(layer)s", layer=number) for number in numbers]


def test_messages_are_whole_literals_with_named_places() -> None:
    for message in marked():
        assert "%" not in re.sub(r"%\(\w+\)s|%%", "", message), message
    for argument in given():
        assert not isinstance(argument, ast.JoinedStr | ast.BinOp), ast.unparse(argument)


def test_english_says_the_messages_themselves() -> None:
    assert _("layer %(layer)s", layer=3) == "layer 3"
    assert plural("%(n)s thing", "%(n)s things", 1200) == "1,200 things"
    assert term("% of the layers' parameters trained") == "% of the layers' parameters trained"
    assert told_share(0.01) == "1 %"
    assert sentences("One.", "", "Two.") == "One. Two."
    assert sentences() == ""
    assert joined(["a", "b"]) == "a, b"
    assert listed(range(14)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more"


def test_words_of_documents_are_looked_up_with_their_percent_signs() -> None:
    with speaking(CODE):
        assert term("% of the layers' parameters trained") == "% ·· ··· ······' ·········· ·······"
        assert term("USD % off") == "USD % off"
        assert term("") == ""
        assert not letters(listed(range(14)))


def test_a_sentence_of_a_document_is_made_again_where_it_is_among_those_that_may_stand_there() -> None:
    assert again("layer 2", lambda: one_of(1, 2)) == "layer 2"
    with speaking(CODE):
        assert again("layer 2", lambda: one_of(1, 2)) == "····· 2"
        assert again("layer 3", lambda: one_of(1, 2)) == "layer 3"
        assert again("layer 3", list) == "layer 3"
        assert _("layer %(layer)s", layer=1) == "····· 1"
    assert _("layer %(layer)s", layer=1) == "layer 1"
