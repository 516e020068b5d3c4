"""A step of the staged plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Note:
    """A sentence of a step, with a status or a command where it has one, and where it stands for some cases only."""

    text: str
    status: str = ""
    command: str = ""
    attributes: Markup = field(default_factory=Markup)


@dataclass(frozen=True)
class Step:
    """A step of the plan."""

    heading: str
    notes: list[Note]
