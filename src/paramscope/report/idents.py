"""Identifiers that are unique on a page, also where it holds the same sections in two languages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_suffix: ContextVar[str] = ContextVar("suffix", default="")


def ident(name: str) -> str:
    """The identifier of a place on the page."""
    return name + _suffix.get()


@contextmanager
def suffixed(suffix: str) -> Iterator[None]:
    """Put a suffix behind all identifiers.

    Args:
        suffix: such as ``-ja``.

    Yields:
        Nothing.
    """
    before = _suffix.set(suffix)
    try:
        yield
    finally:
        _suffix.reset(before)
