"""A made-up language in which every letter of a marked message is a dot: letters that are left were not translated."""

from __future__ import annotations

import ast
import gettext
import re
from functools import cache
from pathlib import Path

import pytest

import paramscope
from paramscope import language

CODE = "dots"


@cache
def given() -> list[ast.expr]:
    """What ``_``, ``mark`` and ``plural`` are given as messages in the package's sources."""
    sources = [ast.parse(path.read_text("utf-8")) for path in Path(paramscope.__file__).parent.rglob("*.py")]
    calls = [node for source in sources for node in ast.walk(source) if isinstance(node, ast.Call)]
    taken = {"_": 1, "mark": 1, "plural": 2}
    return [arg for each in calls if isinstance(each.func, ast.Name) for arg in each.args[: taken.get(each.func.id, 0)]]


@cache
def marked() -> frozenset[str]:
    """All messages that can be extracted: those that are literals."""
    return frozenset(arg.value for arg in given() if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def dotted(message: str) -> str:
    return re.sub(r"(%\(\w+\)s|%%)|[A-Za-z]", lambda part: part[1] or "·", message)


class Dots(gettext.NullTranslations):
    def gettext(self, message: str) -> str:
        return dotted(message) if message in marked() else message

    def ngettext(self, one: str, many: str, n: int) -> str:
        return self.gettext(one if n == 1 else many)


def speak_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a test ``speaking(CODE)`` speaks the made-up language."""
    spoken = {"en": gettext.NullTranslations(), CODE: Dots()}
    monkeypatch.setattr(language, "_catalogue", spoken.__getitem__)


def letters(text: str) -> set[str]:
    """Words that are left in a text."""
    return set(re.findall(r"[A-Za-z]+", text))
