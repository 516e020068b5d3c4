"""A finding: one sentence of evidence, with its number, interval and verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One sentence of evidence.

    Attributes:
        status: supported, not supported, undecided, or not tested.
        sentence: what was found.
        number: the number behind it.
        interval: its 95 % interval; "" where there is none.
        what: what the number is.
        more: what to know beside it.
        section: of the page, where the evidence stands.
    """

    status: str
    sentence: str
    number: str
    interval: str
    what: str
    more: str
    section: str
