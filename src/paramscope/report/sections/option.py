"""A row of the table of options."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.report.tables import Cell

Verdict = tuple[str, str]
"""A control in words, and how the plan did against it."""


@dataclass(frozen=True)
class OptionRow:
    """An option.

    Attributes:
        heading: what it is, in a word or two.
        text: in sentences.
        status: of its benefit, for the chip.
        benefit: as measured, with its interval; else what there is to say of it.
        measured: whether there is a benefit.
        cost: of it.
        payback: when it pays back, or why that is not told.
        evidence: verdicts of its pilot.
        untested: why there are none.
        command: that carries it out or tries it.
    """

    heading: str
    text: str
    status: str
    benefit: Cell
    measured: bool
    cost: Cell
    payback: str
    evidence: list[Verdict]
    untested: str
    command: str
