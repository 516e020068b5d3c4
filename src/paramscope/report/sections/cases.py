"""What the page recommends, case by case: at other prices another way to share may pay, or none.

The script reckons with edited prices which case holds, and shows what was written for it here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from paramscope.actions.proposals import by_priority
from paramscope.actions.proposing import MEASURED, MONEY, UNSUPPORTED, Words
from paramscope.actions.share_proposal import best_way, share_proposal, surely_pays
from paramscope.report.material import Material
from paramscope.report.sections.formulas import can_be_edited
from paramscope.result.planned import ProposalRecord
from paramscope.result.shared import Shared

UNTOLD, PAYS, SHORT = "untold", "pays", "short"

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """What may hold of sharing.

    Attributes:
        kind: ``untold`` where no measured gain has a value in money; else whether the way that leaves most money
            surely ``pays`` back in time or falls ``short``.
        way: that leaves most money; empty where untold.
        proposals: by priority, as they would be then.
    """

    kind: str
    way: str
    proposals: list[ProposalRecord]

    @property
    def name(self) -> str:
        """For the script."""
        return f"{self.kind}:{self.way}" if self.way else self.kind

    @property
    def first(self) -> ProposalRecord | None:
        """What is recommended to carry out: the first proposal that was measured to help."""
        return next((proposal for proposal in self.proposals if proposal.status == MEASURED), None)


def stored_case(material: Material) -> Case:
    """The case at the stored prices."""
    shared, proposals = material.shared, material.planned().proposals
    best = best_way(shared) if shared else None
    if shared is None or best is None:
        return Case(UNTOLD, "", proposals)
    return Case(PAYS if surely_pays(shared, best) else SHORT, best.option, proposals)


def cases(material: Material) -> list[Case]:
    """All cases that edited prices can lead to, the stored one first."""
    shared, stored = material.shared, stored_case(material)
    measured = [record.option for record in shared.break_even if record.gain] if shared else []
    if shared is None or not measured or not can_be_edited(shared):
        return [stored]
    others = [proposal for proposal in stored.proposals if proposal.name != "share"]
    untold = share_proposal(Words(material.profile, material.folder), _without_value(shared))
    found = [Case(UNTOLD, "", by_priority([*others, untold]))]
    for kind, status in ((PAYS, MEASURED), (SHORT, UNSUPPORTED)):
        # The numbers are the script's; what they lead to is the status, and with it the order.
        share = untold.model_copy(
            update={"status": status, "benefit": None, "unit": MONEY, "cost": None, "cost_unit": MONEY}
        )
        found += [Case(kind, way, by_priority([*others, share])) for way in measured]
    return [stored, *(case for case in found if case.name != stored.name)]


def by_case(material: Material, make: Callable[[Case], T]) -> list[tuple[T, Markup]]:
    """What the page says in each case, the same only once.

    Args:
        material: of the page.
        make: what is said in a case.

    Returns:
        Each with the attributes of the element that it stands in; none where it is said in all cases.
    """
    told: list[tuple[T, list[str]]] = []
    every = cases(material)
    for case in every:
        made = make(case)
        names = next((names for other, names in told if other == made), None)
        if names is None:
            told.append((made, names := []))
        names.append(case.name)
    if len(told) == 1:
        return [(told[0][0], Markup(""))]
    return [
        (made, Markup(' data-when="{}"{}').format(" ".join(names), _hidden(every[0].name not in names)))
        for made, names in told
    ]


def _hidden(hidden: bool) -> Markup:
    return Markup(" hidden") if hidden else Markup("")


def _without_value(shared: Shared) -> Shared:
    """As it would be had no request a value."""
    unvalued = {"needed": None, "benefit": None, "months": None, "requests": None}
    return shared.model_copy(
        update={"break_even": [record.model_copy(update=unvalued) for record in shared.break_even]}
    )
