"""Names from outside are shown inert, whatever they hold."""

from __future__ import annotations

import functools
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paramscope.report import Material, render_report
from paramscope.report.text import clean, fit, shorten, text_width
from paramscope.result.profile import Profile
from tests.reference import make_profile
from tests.report.document import Document

NASTY = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "]]></svg><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.exe",
    "a\x00b\x1b[31m\r\n\tc",
    "W" * 5000,
    "z" + "\u0351" * 200,
    "\ufffe\uffff&amp;&#60;",
    "עברית",
    "=HYPERLINK(0)",
]


def small_profile(names: list[str], *, model: str = "model", source: str | None = None) -> Profile:
    layers = [{"up": np.full((len(names), 2, 3), 1e-3)}]
    profile = make_profile(layers, dict.fromkeys(names, 1), model=model, warnings=[model])
    if source is not None:
        for domain in profile.manifest.domains:
            domain.source = source
    profile.manifest.arguments["domain"] = [source, model]
    return profile


@functools.cache
def harmless_tags() -> set[str]:
    return {tag for tag, _ in Document(render_report(Material(small_profile(["a", "b"])))).elements}


def check_inert(page: str, tags: set[str] | None = None) -> None:
    document = Document(page)
    document.charts()
    assert page.encode("utf-8")
    assert {tag for tag, _ in document.elements} <= (tags or harmless_tags())
    assert not [key for _, given in document.elements for key in given if key.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", page)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_are_inert_everywhere(name: str) -> None:
    check_inert(render_report(Material(small_profile([name, "other"], model=name, source=name))))


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.text(min_size=1), min_size=1, max_size=3, unique=True), other=st.text())
def test_any_name_is_inert(names: list[str], other: str) -> None:
    # A domain's name that is no text (a lone surrogate) is refused long before a page is made.
    names = [name.encode("utf-8", "replace").decode() for name in names]
    if len(set(names)) == len(names):
        check_inert(render_report(Material(small_profile(names, model=other, source=other))))


@given(st.text())
def test_clean_text_has_no_character_that_steers_or_hides(text: str) -> None:
    shown = clean(text)
    assert shown.encode("utf-8") is not None
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Co", "Zl", "Zp"}
    assert clean(shown) == shown


def test_clean_keeps_what_people_write() -> None:
    for text in ("customer support", "顧客対応", "पाठ\u200dक", "Prüfung – naïve", "👩\u200d💻"):
        assert clean(text) == text


def test_a_lone_surrogate_is_replaced() -> None:
    assert clean("a\ud800b") == "a\ufffdb"


@given(st.text(max_size=80), st.integers(2, 40))
def test_shortened_names_keep_both_ends(text: str, limit: int) -> None:
    shown = shorten(text, limit)
    assert len(shown) <= limit
    assert shown == text or (shown[0] == text[0] and "…" in shown)


@given(st.text(min_size=1, max_size=200), st.floats(20, 200))
def test_fitted_text_is_no_wider_than_its_room(text: str, room: float) -> None:
    shown = fit(text, room, 12)
    assert text_width(shown, 12) <= room or len(shown) == 1


def test_names_that_differ_in_their_ends_stay_apart() -> None:
    assert fit("customer-support-emea", 100, 13) != fit("customer-support-apac", 100, 13)
