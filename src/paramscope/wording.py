"""Pieces of messages and sentences: values in one short line, nearest names, lists of names, sentences in a row."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable

from paramscope.language import _


def quoted(value: object, width: int = 60) -> str:
    """Show a value in quotes, in one line and shortened.

    Args:
        value: anything.
        width: the longest representation that is shown whole.

    Returns:
        The representation, its middle replaced by ``...`` where it is longer than ``width``.
    """
    shown = repr(value)
    return shown if len(shown) <= width else f"{shown[: width - 13]}...{shown[-10:]}"


def one_line(error: object, width: int = 200) -> str:
    """Show the message of another library's error in one line.

    Args:
        error: the error.
        width: the most characters that are kept.

    Returns:
        The message with every run of white space made one blank.
    """
    message = " ".join(str(error).split())
    return message if len(message) <= width else f"{message[: width - 3]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the nearest known word.

    Args:
        word: what the user wrote.
        known: what would have been valid.

    Returns:
        `` (did you mean 'x'?)``, or nothing where no known word is near.
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(names: Iterable[object], most: int = 12) -> str:
    """List names for a message.

    Args:
        names: the names.
        most: how many are shown.

    Returns:
        ``a, b, c``, with ``and 5 more`` where there are more than ``most``.
    """
    shown = [
        name if isinstance(name, str) and name.isprintable() and len(name) <= 40 else quoted(name, 40) for name in names
    ]
    rest = len(shown) - most
    told = joined(shown[:most])
    return _("%(names)s and %(count)s more", names=told, count=rest) if rest > 0 else told


def joined(words: Iterable[str]) -> str:
    """Words of the package's own in a row: ``a, b, c``."""
    return _(", ").join(words)


def sentences(*parts: str) -> str:
    """Whole sentences, one behind the other; those that are empty are left out."""
    there = [part for part in parts if part]
    return functools.reduce(lambda one, other: _("%(one)s %(other)s", one=one, other=other), there) if there else ""


def in_python(message: str) -> str:
    """Reword a message that names flags of the command line for a caller from Python.

    Args:
        message: such as ``raise --max-tokens``.

    Returns:
        The message with the arguments' names in Python: ``raise max_tokens``.
    """
    names = re.sub(r"(?<![\w-])--([a-z][a-z-]*[a-z])", lambda flag: flag[1].replace("-", "_"), message)
    return re.sub(r"(?<![\w-])-o\b(?= [A-Z]+\b)?", "output", names)


def told_bytes(size: int) -> str:
    """A size of memory for people: ``2.4 GiB`` or ``130 MiB``."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(size / 2**20, 1):.0f} MiB"


def told_time(seconds: float) -> str:
    """A span of time for people: ``40 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def told_share(share: float) -> str:
    """A share in percent, three digits at most: ``1 %``, ``0.001 %``."""
    return _("%(number)s %%", number=f"{100 * share:.3g}")
