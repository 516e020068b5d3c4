r"""Templates such as ``{question}\n{answer}``: the fields of a row put into a text, and nothing else.

What stands between two braces is a field's name, letter by letter: ``{a.b}`` asks for a field that is called ``a.b``.
There is no attribute access, no indexing, no conversion and no format specification. ``{{`` and ``}}`` are braces;
``\n``, ``\t`` and ``\\``, typed as two characters, are a newline, a tab and a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from paramscope.domains.readers import Row
from paramscope.errors import UsageError
from paramscope.wording import did_you_mean, listed, quoted

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|\\[nt\\]")
_LITERAL = {"{{": "{", "}}": "}", "\\n": "\n", "\\t": "\t", "\\\\": "\\"}


@dataclass(frozen=True)
class Template:
    """A parsed template: literal pieces and field names in turn.

    Attributes:
        source: the template as the user wrote it.
        pieces: pairs of a literal and the field that follows it, ``None`` after the last literal.
    """

    source: str
    pieces: tuple[tuple[str, str | None], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that the template uses."""
        return tuple(field for _, field in self.pieces if field is not None)

    def render(self, row: Row) -> str:
        """Put the fields of a row into the template.

        Args:
            row: the row.

        Returns:
            The text.
        """
        return "".join(
            literal + (field_text(row, field) if field is not None else "") for literal, field in self.pieces
        )


def parse_template(source: str, setting: str = "template") -> Template:
    """Parse a template.

    Args:
        source: the template.
        setting: what the user calls it, for messages.

    Returns:
        The parsed template.

    Raises:
        UsageError: when braces do not pair or a field has no name.
    """
    pieces: list[tuple[str, str | None]] = []
    literal, position = "", 0
    for match in _PIECE.finditer(source):
        literal += source[position : match.start()]
        position = match.end()
        found = match.group()
        if found in _LITERAL:
            literal += _LITERAL[found]
        elif match.group(1):
            pieces.append((literal, match.group(1)))
            literal = ""
        else:
            what = "an empty {}" if found == "{}" else f"a single {found!r}"
            raise UsageError(
                f"{setting} {quoted(source)} has {what} at character {match.start() + 1}; "
                "expected {field}, and {{ or }} for a brace"
            )
    pieces.append((literal + source[position:], None))
    return Template(source, tuple(pieces))


def field_template(name: str) -> Template:
    """Make the template that consists of one field.

    Args:
        name: the field's name.

    Returns:
        The template.
    """
    return Template(name, (("", name),))


def default_template(row: Row) -> Template:
    """Find the field to use where the user names none: ``text``, ``prompt``, or the only field that is a string.

    Args:
        row: the first row of the source.

    Returns:
        The template of that field.

    Raises:
        UsageError: when there is no such field.
    """
    for name in ("text", "prompt"):
        if name in row.fields:
            return field_template(name)
    strings = [name for name, value in row.fields.items() if isinstance(value, str)]
    if len(strings) != 1:
        raise UsageError(
            f"{row.origin}: no field 'text' or 'prompt'; give --field NAME or --template with the fields that are "
            f"there: {listed(row.fields)}"
        )
    return field_template(strings[0])


def field_text(row: Row, name: str) -> str:
    """Write a field's value as text.

    Args:
        row: the row.
        name: the field's name.

    Returns:
        A string as it is, a number as Python writes it, ``true`` or ``false``, the lines of a list of strings, and
        nothing for a null.

    Raises:
        UsageError: when the field is missing or holds anything else.
    """
    check_fields(row, (name,))
    value = row.fields[name]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    kind = "a list with other things than strings" if isinstance(value, list) else f"a value of type {_kind(value)}"
    raise UsageError(
        f"{row.origin}: field {name!r} holds {kind}; expected text, a number, true or false, or a list of strings"
    )


def check_fields(row: Row, names: tuple[str, ...]) -> None:
    """Refuse a row that lacks a field.

    Args:
        row: the row.
        names: the fields that it must have.

    Raises:
        UsageError: when one is missing; the message lists the fields that are there.
    """
    for name in names:
        if name not in row.fields:
            there = f"the fields there are {listed(row.fields)}" if row.fields else "the row has no fields"
            raise UsageError(f"{row.origin}: no field {quoted(name)}{did_you_mean(name, row.fields)}; {there}")


def _kind(value: object) -> str:
    return "object" if isinstance(value, Mapping) else type(value).__name__
