"""Messages in the sources, and the Japanese catalogue that must have all of them.

    python -m tests.language.catalogue

puts new messages into the catalogue, takes out those that are gone, and compiles it; what is not translated yet is
listed, and the tests fail on it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from paramscope.language import DOMAIN, LANGUAGES, LOCALE

SOURCE = LOCALE.parent
_METHODS = [("**.py", "python"), ("**/templates/**.html.j2", "jinja2.ext:babel_extract")]
_KEYWORDS = {"_": None, "plural": (1, 2), "ngettext": (1, 2), "mark": None}
_HEADER = "# Japanese. Terms and style: docs/languages.md."


def extracted() -> Catalog:
    """All messages of the sources, with the files they stand in."""
    catalogue = Catalog(project="paramscope", charset="utf-8")
    found = extract_from_dir(SOURCE, _METHODS, keywords=_KEYWORDS)
    for file, _line, message, comments, context in found:
        catalogue.add(message, None, [(file, 0)], auto_comments=comments, context=context)
    return catalogue


def path_of(code: str, ending: str) -> Path:
    """The catalogue of a language, ``po`` or ``mo``."""
    return LOCALE / code / "LC_MESSAGES" / f"{DOMAIN}.{ending}"


def stored(code: str) -> Catalog:
    """The catalogue of a language as it is kept."""
    with path_of(code, "po").open("rb") as file:
        return read_po(file, locale=code)


def update(code: str) -> list[str]:
    """Bring a catalogue up to date with the sources, and compile it.

    Args:
        code: of the language.

    Returns:
        Messages that are not translated.
    """
    place = path_of(code, "po")
    catalogue = stored(code) if place.exists() else Catalog(locale=code, charset="utf-8")
    catalogue.update(extracted(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.header_comment = _HEADER
    catalogue.fuzzy = False
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        write_po(file, catalogue, width=0, sort_by_file=True, omit_header=False, include_lineno=False)
    compiled(code)
    return [str(message.id) for message in catalogue if message.id and not all(_forms(message.string))]


def compiled(code: str) -> None:
    """Write the catalogue in the form that ``gettext`` reads."""
    with path_of(code, "mo").open("wb") as file:
        write_mo(file, stored(code))


def _forms(string: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(string) if isinstance(string, tuple | list) else (string or "",)


if __name__ == "__main__":
    missing = [message for code in LANGUAGES if code != "en" for message in update(code)]
    sys.stderr.write("".join(f"not translated: {message}\n" for message in missing))
    sys.exit(1 if missing else 0)
