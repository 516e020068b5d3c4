"""The option to share: by money where a gain has a value, else by what the pilot changed, else by costs."""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.actions.share_proposal import beside_plan, way_sentence
from paramscope.actions.sharing.costs import ADAPTERS
from paramscope.actions.sharing.outcome import RANDOM, chosen_way
from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.amounts import fixed
from paramscope.report.sections.cases import PAYS, SHORT, UNTOLD, Case
from paramscope.report.sections.option import OptionRow, Verdict
from paramscope.report.sections.pilots import verdict_of
from paramscope.report.sections.ways import given_gains, live, told_live, way_heading, way_words
from paramscope.report.tables import Cell, interval_of
from paramscope.report.text import clean
from paramscope.result.planned import ProposalRecord
from paramscope.result.share_pilot import Outcome
from paramscope.result.shared import Shared
from paramscope.wording import sentences


def share_row(material: Material, case: Case, record: ProposalRecord) -> OptionRow:
    """The row of a case.

    Args:
        material: of the page.
        case: that holds.
        record: the proposal to share, of that case.

    Returns:
        The row. Its money is markup, since it follows edited prices.
    """
    shared, command = material.shared, pilot_command(record)
    if shared is None:
        unknown = Cell(_("not measured"), _("the command of this row would"))
        return OptionRow(
            heading=_("Share"),
            text=record.text,
            status=record.status,
            benefit=unknown,
            measured=False,
            cost=Cell(_("not reckoned")),
            payback=_("not reckoned"),
            evidence=[],
            untested=_("no pilot"),
            command=command,
        )
    way = case.way or _tried(shared, record)
    named = bool(case.way) or (bool(way) and record.status == "measured")
    return OptionRow(
        heading=_("Share: %(way)s", way=way_heading(way)) if named else _("Share"),
        # The other columns have the rest of the proposal's sentences.
        text=_text(shared, case, way) if named else record.text,
        status=_status(shared, case, record),
        benefit=_benefit(shared, case, record),
        measured=bool(case.way) or record.benefit is not None,
        cost=_cost(shared, way),
        payback=_payback(shared, case, way),
        evidence=_evidence(shared.pilot, way) if shared.pilot else [],
        untested=_untested(shared),
        command=command,
    )


def pilot_command(record: ProposalRecord) -> str:
    """What measures the ways to share, not only what they cost."""
    return record.command if "--pilot" in record.command else f"{record.command} --pilot"


def unvalued(shared: Shared | None, case: Case) -> bool:
    """Whether gains were given, and only the value of a request is missing to hold them against their costs."""
    return case.kind == UNTOLD and shared is not None and bool(given_gains(shared))


def _tried(shared: Shared, record: ProposalRecord) -> str:
    """The way that a proposal about losses is about; empty where nothing was measured."""
    return "" if record.benefit is None or shared.pilot is None else chosen_way(shared.pilot.comparisons)


def _costed(shared: Shared, way: str) -> str:
    """The way whose costs are those of another: layers drawn at random take what as many chosen ones do."""
    costed = ADAPTERS if way == RANDOM else way
    return costed if any(each.option == costed for each in shared.break_even) else ""


def _text(shared: Shared, case: Case, way: str) -> str:
    """What a way is; where money speaks for it, also what the pilot's losses say beside that."""
    beside = beside_plan(shared, way) if case.way else ""
    return sentences(way_sentence(shared, way), beside)


def _status(shared: Shared, case: Case, record: ProposalRecord) -> str:
    if case.kind == SHORT:
        return "does not pay in time"
    if unvalued(shared, case):
        return "undecided"
    return "given" if case.kind == PAYS and given_gains(shared) else record.status


def _benefit(shared: Shared, case: Case, record: ProposalRecord) -> Cell:
    if case.way:
        currency = clean(str(shared.prices["currency"]))
        return Cell(
            told_live(
                lambda number: _("%(money)s %(currency)s a month", money=number, currency=currency),
                live(shared, case.way, "benefit"),
            ),
            live(shared, case.way, "benefit interval"),
        )
    if unvalued(shared, case):
        return Cell(way_words(shared)["valueless"], _("gains were given"))
    found = record.benefit
    if found is None or found.value is None:
        return Cell(_("not measured"), _("the command of this row would"))
    return loss_cell(found.value, found.low, found.high)


def loss_cell(value: float, low: float | None, high: float | None) -> Cell:
    """A fall of a loss with its interval; a rise is told as such."""
    if value < 0:
        ends = (None if high is None else -high, None if low is None else -low)
        return Cell(
            _("%(loss)s nats per token more", loss=fixed(-value, 3)), interval_of(*ends, lambda end: fixed(end, 3))
        )
    return Cell(
        _("%(loss)s nats per token less", loss=fixed(value, 3)), interval_of(low, high, lambda each: fixed(each, 3))
    )


def _cost(shared: Shared, way: str) -> Cell:
    costed = _costed(shared, way)
    if not costed:
        return Cell(_("depends on the way"), _("see the ways to share"))
    currency = clean(str(shared.prices["currency"]))
    return Cell(
        told_live(
            lambda number: _("%(money)s %(currency)s once", money=number, currency=currency),
            live(shared, costed, "extra once"),
        ),
        told_live(
            lambda number: _("and %(money)s %(currency)s more each month", money=number, currency=currency),
            live(shared, costed, "extra month"),
        ),
    )


def _payback(shared: Shared, case: Case, way: str) -> str:
    if case.way:
        return live(shared, case.way, "pays back")
    return way_words(shared)["valueless"] if way or unvalued(shared, case) else _("unknown without a measured gain")


def _untested(shared: Shared) -> str:
    sources = _("; ").join(given_gains(shared))
    return _("no pilot; gains were given from: %(sources)s", sources=sources) if sources else _("no pilot")


def _evidence(pilot: Outcome, way: str) -> list[Verdict]:
    against = [
        (_("Own adapters on some layers, against: %(control)s", control=way_heading(each.control)), each.status)
        for each in pilot.comparisons
    ]
    return [*_changed(pilot, way), *against]


def _changed(pilot: Outcome, option: str) -> Iterator[Verdict]:
    """What the way that is proposed changed by itself, against no training."""
    for way in pilot.ways:
        change = way.change
        if way.name == option and change.value is not None and change.high is not None and change.low is not None:
            told = _(
                "%(way)s, against no training: %(change)s (%(interval)s) nats per token",
                way=way_heading(way.name),
                change=fixed(change.value, 3),
                interval=interval_of(change.low, change.high, lambda value: fixed(value, 3)),
            )
            yield told, verdict_of(change)
