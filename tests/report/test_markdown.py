"""The summary for a ticket: the page's findings, and nothing in it is markup that was not meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from paramscope.language import speaking
from paramscope.report import Material
from paramscope.report.markdown import MARK, inert, render_markdown
from paramscope.report.sections import summary
from tests.report.checks import made_up_checks
from tests.report.test_hostile import NASTY, small_profile
from tests.report.test_truth import NAMES, profile_of

PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
MATERIAL = Material(profile_of(*NAMES), made_up_checks(NAMES, 9))


def kinds(document: str) -> set[str]:
    """Of all that a parser of Markdown makes of a document."""
    found = set()
    for token in PARSER.parse(document):
        found |= {token.type, *(child.type for child in token.children or [])}
    return found


@pytest.mark.parametrize("code", ["en", "ja"])
def test_findings_are_those_of_the_page(code: str) -> None:
    document = render_markdown(MATERIAL, [code])
    assert document.startswith(MARK)
    plain = re.sub(r"\\(.)", r"\1", document)
    with speaking(code):
        shown = summary.section(MATERIAL)
    for finding in shown.findings:
        assert finding.sentence in plain
        assert finding.number in plain
        assert finding.interval in plain
    step = shown.next[0][0]
    for words in (step.headline, step.text, step.note):
        assert words in plain


def test_two_languages_follow_one_another() -> None:
    both = render_markdown(MATERIAL, ["en", "ja"])
    assert both.count(MARK) == 2
    assert "推奨する次の一手" in both.split(MARK)[2]


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_are_no_markup(name: str) -> None:
    plain = render_markdown(Material(small_profile(["a", "b"])))
    shown = render_markdown(Material(small_profile([name, "other"], model=name, source=name)))
    assert kinds(shown) <= kinds(plain)
    assert "@" not in inert(name)


@given(st.text(max_size=80))
def test_inert_words_are_one_run_of_text(words: str) -> None:
    inline = PARSER.parseInline(f"x {inert(words)}")[0]
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}


@pytest.mark.parametrize("words", ["@team", "https://example.org", "www.example.org", "<b>", "[a](b)", "a|b", "$x$"])
def test_nothing_calls_people_or_leads_away(words: str) -> None:
    shown = inert(words)
    assert "://" not in shown
    assert "www." not in shown
    assert "@" not in shown
