"""The section "Where to invest": options, ways to share with their prices, pilots, and the staged plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.options import PlacedRow, placed_rows
from paramscope.report.sections.pilots import PilotTable, pilot_tables
from paramscope.report.sections.prices import PriceForm, price_form
from paramscope.report.sections.stages import Step, steps
from paramscope.report.sections.ways import WayRow, best_answer, given_gains, way_rows, way_words
from paramscope.sharing import told_limits


@dataclass(frozen=True)
class Ways:
    """The ways to share, and all that their results follow from.

    Attributes:
        rows: of the tables.
        words: sentences for the script.
        best: which way pays most.
        form: the prices.
    """

    rows: list[WayRow]
    words: dict[str, str]
    best: str
    form: PriceForm


@dataclass(frozen=True)
class InvestSection:
    """All that the section shows.

    Attributes:
        options: what can be done.
        ways: to share; None where that was not reckoned.
        given: where the gains of the ways are from that no pilot measured; empty for none.
        share: the command that reckons it; empty where there is one domain alone.
        pilots: that were made.
        steps: of the plan.
        cautions: what to keep in mind.
        limits: what plan and costs cannot show.
    """

    options: list[PlacedRow]
    ways: Ways | None
    given: str
    share: str
    pilots: list[PilotTable]
    steps: list[Step]
    cautions: list[str]
    limits: Sequence[str]


def section(material: Material) -> InvestSection:
    """Make the section, in the language that is spoken."""
    shared = material.shared
    ways = None
    if shared:
        ways = Ways(way_rows(shared), way_words(shared), best_answer(shared), price_form(material, shared))
    share = next((record.command for record in material.planned().proposals if record.name == "share"), "")
    return InvestSection(
        options=placed_rows(material),
        ways=ways,
        given=_("; ").join(given_gains(shared)) if shared else "",
        share=share,
        pilots=pilot_tables(material),
        steps=steps(material),
        cautions=_cautions(material),
        limits=_limits(material),
    )


def _limits(material: Material) -> list[str]:
    """What the plan and the costs cannot show."""
    shared = material.shared
    told = told_limits(shared, material.profile, material.share_pilot) if shared else []
    return [*material.planned().limits, *told]


def _cautions(material: Material) -> list[str]:
    given = material.shared is not None and bool(given_gains(material.shared))
    return [
        _("Zeros in weights make nothing faster or smaller on common serving stacks: pruning alone saves no money."),
        _("Nothing here has a benefit that was not measured or given; “not measured” is not “none”.")
        if given
        else _("Nothing here has a benefit that was not measured on held-out texts; “not measured” is not “none”."),
        _("Prices are assumptions, not quotations: replace those that you know better."),
        _("What controls of equal size do as well is not credited to a plan’s choice of layers."),
    ]
