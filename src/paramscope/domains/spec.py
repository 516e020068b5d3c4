"""What a user says of a domain: its name, its source and how to read it; on the command line or in a YAML file."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from paramscope.domains.readers import explicit
from paramscope.domains.sample import Keep
from paramscope.domains.source import parse_source
from paramscope.domains.yaml_file import read_yaml
from paramscope.errors import UsageError
from paramscope.wording import did_you_mean, quoted


@dataclass(frozen=True, eq=False)
class DomainSpec:
    r"""A domain before it is read.

    Attributes:
        name: the user's name for it.
        source: a SOURCE (a path stands for its file or folder, whatever its name), texts (``str`` or ``Text``), or
            samples as token ids: sequences, arrays or tensors of integers.
        field: the field that holds the text.
        template: the text, made of fields: ``{question}\n{answer}``.
        lines: take every line of a ``.txt`` file as a text, not every paragraph.
        chat: put the text into the tokenizer's chat template, as the user's message.
        target: template of the answer that an objective reads; where the source brings its own, in its place.
        foil: the same for the other answer.
        keep: which end of a long text stays; the start where nothing is said, or what a built-in data set says.
    """

    name: str
    source: str | os.PathLike[str] | Iterable[Any]
    field: str | None = None
    template: str | None = None
    lines: bool = False
    chat: bool = False
    target: str | None = None
    foil: str | None = None
    keep: Keep | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if isinstance(self.source, os.PathLike):
            object.__setattr__(self, "source", explicit(Path(self.source)))
        elif isinstance(self.source, bytes | dict) or not isinstance(self.source, Iterable):
            raise UsageError(
                f"domain {self.name!r}: source is of type {type(self.source).__name__}; "
                "expected a SOURCE, a list of texts or a list of token id lists"
            )
        elif not isinstance(self.source, str):
            object.__setattr__(self, "source", tuple(self.source))
        if self.field is not None and self.template is not None:
            raise UsageError(f"domain {self.name!r}: field and template are both given; give one of them")
        if self.keep not in (None, *get_args(Keep)):
            raise UsageError(f"domain {self.name!r}: keep is {quoted(self.keep)}; expected 'start' or 'end'")

    @property
    def given(self) -> tuple[Any, ...]:
        """The texts or samples where they are given in Python, and nothing where ``source`` is a SOURCE."""
        return self.source if isinstance(self.source, tuple) else ()


def parse_domain(
    argument: str,
    *,
    field: str | None = None,
    template: str | None = None,
    lines: bool = False,
    chat: bool = False,
    target: str | None = None,
    foil: str | None = None,
    keep: Keep | None = None,
) -> DomainSpec:
    """Parse ``NAME=SOURCE``.

    The settings are those of a whole call: ``field``, ``template`` and ``lines`` hold for the user's own files,
    ``target`` and ``foil`` for all domains but the built-in data sets with answers; ``chat`` and ``keep`` for all.

    Args:
        argument: the domain's name and its SOURCE.
        field: see ``DomainSpec``.
        template: see ``DomainSpec``.
        lines: see ``DomainSpec``.
        chat: see ``DomainSpec``.
        target: see ``DomainSpec``.
        foil: see ``DomainSpec``.
        keep: see ``DomainSpec``.

    Returns:
        The domain.

    Raises:
        UsageError: when the form is another, the name is not allowed or the source does not exist.
    """
    name, equals, text = argument.partition("=")
    if not equals or not text:
        raise UsageError(f"domain {quoted(argument)}: expected NAME=SOURCE, such as qa=boolq or support=tickets.jsonl")
    try:
        source = parse_source(text)
    except UsageError as error:
        raise UsageError(f"domain {quoted(name)}: {error}") from error
    answered = source.built_in is not None and source.built_in.answers
    return DomainSpec(
        name,
        text,
        field=field if source.own else None,
        template=template if source.own else None,
        lines=lines and source.own and source.path is not None,
        chat=chat,
        target=None if answered else target,
        foil=None if answered else foil,
        keep=keep,
    )


def load_specs(file: str | os.PathLike[str]) -> list[DomainSpec]:
    """Read domains from a YAML file that maps each name to a SOURCE, or to a mapping of the fields of ``DomainSpec``.

    Args:
        file: the file. Relative paths in it start at its folder.

    Returns:
        The domains, in the order of the file.

    Raises:
        UsageError: when the file cannot be read, or holds an unknown key, a value of the wrong type or a source that
            does not exist.
    """
    path = Path(file)
    content = read_yaml(path)
    if not isinstance(content, dict) or not content:
        raise UsageError(f"{path}: expected a mapping of domain names to sources, such as 'qa: boolq'")
    try:
        return specs_of(content, path.parent)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def specs_of(content: dict[Any, Any], base: Path) -> list[DomainSpec]:
    """Make domains of a mapping as ``load_specs`` reads it.

    Args:
        content: of each domain's name to a SOURCE, or to a mapping of the fields of ``DomainSpec``.
        base: folder at which relative paths start.

    Returns:
        The domains, in the mapping's order.

    Raises:
        UsageError: see ``load_specs``.
    """
    for name in content:
        if not isinstance(name, str):
            raise UsageError(f"domain name {quoted(name)} is no text; put it in quotes")
    return [_spec(name, value, base) for name, value in content.items()]


def check_names(specs: Iterable[DomainSpec]) -> None:
    """Refuse two domains of one name.

    Args:
        specs: all domains of a call.

    Raises:
        UsageError: when two have the same name.
    """
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise UsageError(f"domain {spec.name!r} is given twice; give every domain its own name")
        seen.add(spec.name)


def _spec(name: str, value: object, base: Path) -> DomainSpec:
    settings: dict[str, Any] = dict(value) if isinstance(value, dict) else {"source": value}
    types = {
        field.name: bool if field.name in {"lines", "chat"} else str
        for field in dataclasses.fields(DomainSpec)
        if field.name != "name"
    }
    for key, setting in settings.items():
        if key not in types:
            near = did_you_mean(str(key), types)
            raise UsageError(f"domain {name!r}: unknown key {quoted(key)}{near}; known are {', '.join(types)}")
        if not isinstance(setting, types[key]):
            wanted = "true or false" if types[key] is bool else "text; put it in quotes"
            raise UsageError(f"domain {name!r}: {key} is {quoted(setting)}; expected {wanted}")
    if "source" not in settings:
        raise UsageError(f"domain {name!r}: no source; give source: SOURCE")
    settings["source"] = parse_source(settings["source"], base).label
    return DomainSpec(name, **settings)


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or name != name.strip():
        raise UsageError(f"domain name {quoted(name)}: expected text that neither begins nor ends with a blank")
    bad = [char for char in name if char in "|=" or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}]
    if bad:
        raise UsageError(
            f"domain name {quoted(name)}: {bad[0]!r} is not allowed; leave out '|', '=' and control characters"
        )
