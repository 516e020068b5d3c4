"""The Japanese page speaks Japanese: no English sentence is left on it, and its numbers are the English page's."""

from __future__ import annotations

import functools
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from paramscope.cli.report import write_report
from tests.report.document import VOID
from tests.report.runs import full_run

_SILENT = {"script", "style", "code", "pre", "bdi"}
"""What is no sentence: names from outside, commands, programs."""

_NAMES = re.compile(
    r"They are its own|"
    r"paramscope[\w .-]*|[\w./-]+\.(?:json|parquet|yaml|html|safetensors)|--[\w-]+|Wang, Dai, Yang, Ma, Sui"
    r"|Exploring Activation Patterns of Parameters in Language Models|AAAI 2025|arXiv [\d.]+|dD/dw"
)
_ENGLISH = re.compile(r"[A-Za-z’']+(?:[ ,;:]+[A-Za-z’']+){2,}")
"""Three Latin words in a row."""


class Spoken(HTMLParser):
    """All that a reader of a page sees or hears, but names and commands."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.said: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        css = (given.get("class") or "").split()
        foreign = given.get("lang") == "en" and tag not in {"html", "div"}
        silent = foreign or tag in _SILENT or "code" in css or "glossary" in css
        silent = silent or bool(self._open and self._open[-1][1])
        if not silent:
            self.said += [value for key, value in attrs if value and self._is_spoken(key)]
        if tag not in VOID:
            self._open.append((tag, silent))

    @staticmethod
    def _is_spoken(key: str) -> bool:
        return key in {"title", "alt", "placeholder", "aria-label", "aria-description"} or key.startswith("data-words")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if not (self._open and self._open[-1][1]):
            self.said.append(data)


@functools.cache
def pages(folder: Path) -> dict[str, str]:
    run = full_run(folder / "run")
    made = {code: write_report(run, folder / f"{code}.html", languages=[code]) for code in ("en", "ja")}
    return {code: path.read_text("utf-8") for code, path in made.items()}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return pages(tmp_path_factory.mktemp("pages"))


def test_no_english_sentence_is_on_the_japanese_page(both: dict[str, str]) -> None:
    found = [words for said in Spoken(both["ja"]).said for words in _ENGLISH.findall(_NAMES.sub("", said))]
    assert not found


def test_the_english_page_would_fail_that(both: dict[str, str]) -> None:
    assert any(_ENGLISH.search(_NAMES.sub("", said)) for said in Spoken(both["en"]).said)


def test_no_place_is_left_open(both: dict[str, str]) -> None:
    for page in both.values():
        assert not re.search(r"%\(\w+\)s|%%", page)


def test_both_pages_have_the_same_numbers(both: dict[str, str]) -> None:
    def shares(page: str) -> list[str]:
        return sorted(re.findall(r"\d+\.\d%", " ".join(Spoken(page).said)))

    assert shares(both["en"]) == shares(both["ja"])
