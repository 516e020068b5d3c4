"""In which language words are: English by default, another one within ``speaking``.

Every sentence for people who read the page is an English message with named places, ``_("%(count)s texts", count=4)``,
which stands for itself in English and is looked up in the catalogue of another language
(``locale/LANGUAGE/LC_MESSAGES/paramscope.po``). What is written into documents is written outside of ``speaking``,
so always in English; the page makes the same sentences again from the same numbers.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "ja": "日本語"}
"""By code: the language's name in itself."""

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "paramscope"

_spoken: ContextVar[str] = ContextVar("language", default="en")


def language() -> str:
    """Code of the language that is spoken."""
    return _spoken.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak a language.

    Args:
        code: one of ``LANGUAGES``.

    Yields:
        Nothing; inside, ``_`` and ``plural`` give that language.
    """
    before = _spoken.set(code)
    try:
        yield
    finally:
        _spoken.reset(before)


def _(message: str, **values: Any) -> str:
    """A message in the language that is spoken.

    Args:
        message: in English, with places such as ``%(name)s``; a percent sign is written ``%%``.
        **values: for the places.

    Returns:
        The sentence.
    """
    return lookup(message) % values


def plural(one: str, many: str, n: int, **values: Any) -> str:
    """A message that depends on a number, ``%(n)s`` in it with separators.

    Args:
        one: in English, for 1.
        many: for all other numbers.
        n: the number.
        **values: for further places.

    Returns:
        The sentence.
    """
    return lookup_plural(one, many, n) % {"n": f"{n:,}", **values}


def mark(message: str) -> str:
    """Mark a message for the catalogue that is looked up later."""
    return message


def term(known: str) -> str:
    """A word of a document, such as a unit or a name of an option, in the language that is spoken.

    Args:
        known: what the document says; its percent signs are single, those of the message that was marked are doubled.

    Returns:
        The word; as it stands where the catalogue has none such.
    """
    return _(known.replace("%", "%%")) if known else known


def again(stored: str, make: Callable[[], Sequence[str]]) -> str:
    """A sentence of a document, which is in English, in the language that is spoken.

    A document holds its numbers rounded or not at all where only a sentence took them. So all sentences that may stand
    there are made, and the one that is the document's in English is told.

    Args:
        stored: the sentence.
        make: makes the sentences that may stand there, in any language in the same order.

    Returns:
        The sentence; as it stands where none of them is it, as in a document of another version.
    """
    if language() == "en":
        return stored
    with speaking("en"):
        known = list(make())
    return make()[known.index(stored)] if stored in known else stored


def lookup(message: str) -> str:
    """A message in the language that is spoken, its places still open."""
    return _catalogue(language()).gettext(message)


def lookup_plural(one: str, many: str, n: int) -> str:
    """Likewise of a message that depends on a number."""
    return _catalogue(language()).ngettext(one, many, n)


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.NullTranslations() if code == "en" else gettext.translation(DOMAIN, LOCALE, [code])
