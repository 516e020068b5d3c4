"""The section "What to do": roles of layers, proposals, and what pilots showed, as words and tables."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paramscope.actions.tuning.layers import told_layers
from paramscope.report.tables import Cell, Table, interval_of
from paramscope.report.text import change, figure
from paramscope.result.planned import EvidenceRecord, LayerPlan, PilotPlan, Planned, ProposalRecord
from paramscope.result.share_pilot import Outcome, WayRecord
from paramscope.result.shared import OptionRecord, Shared
from paramscope.result.tuned import EffectRecord, PilotRecord, TunedDomain, Tuning
from paramscope.result.verification import IntervalRecord
from paramscope.wording import told_bytes

_CHIPS: Mapping[str, str] = {
    "measured": "yes",
    "better": "yes",
    "not measured": "open",
    "not supported": "no",
    "worse": "no",
}
"""Class of the chip of each status; open for all others."""

_FIGURES = ("storage", "serving memory", "training time", "money once", "money per month")
"""Of an option's figures, those on the page; all of them are in ``share.json``."""


@dataclass(frozen=True)
class Decisions:
    """What a run's folder holds beside the profile and its checks."""

    planned: Planned
    tuning: Tuning | None = None
    shared: Shared | None = None


@dataclass(frozen=True)
class RoleRow:
    """Neighbouring layers of one role."""

    layers: str
    role: str
    confidence: str
    domains: str
    evidence: str
    proposals: str


@dataclass(frozen=True)
class ProposalRow:
    """A proposal, its numbers as words."""

    record: ProposalRecord
    chip: str
    benefit: Cell
    cost: Cell


@dataclass(frozen=True)
class TrialRow:
    """What was trained, what that changed, and how the plan did against it."""

    name: str
    what: str
    kept: str
    change: Cell
    others: str
    against: Cell
    status: str
    chip: str


@dataclass(frozen=True)
class PilotTable:
    """A pilot: the plan first, then what it was held against."""

    title: str
    told: str
    sentence: str
    rows: list[TrialRow]


@dataclass(frozen=True)
class DecisionSection:
    """All that the section shows."""

    first: PilotPlan | None
    proposals: list[ProposalRow]
    roles: list[RoleRow]
    pilots: list[PilotTable]
    options: Table | None
    option_texts: list[tuple[str, str]]
    limits: list[str]


def decision_section(found: Decisions) -> DecisionSection:
    """Make the section.

    Args:
        found: of the run.

    Returns:
        The section.
    """
    pilots = [_tuned(each, each.pilot) for each in (found.tuning.domains if found.tuning else []) if each.pilot]
    shared = found.shared
    if shared and shared.pilot:
        pilots.append(_sharing(shared, shared.pilot))
    return DecisionSection(
        first=found.planned.pilot,
        proposals=[_proposal(record) for record in found.planned.proposals],
        roles=_roles(found.planned.layers),
        pilots=pilots,
        options=_options(shared.options) if shared else None,
        option_texts=[(option.name, option.text) for option in shared.options] if shared else [],
        limits=[*found.planned.limits, *(shared.limits if shared else [])],
    )


def _proposal(record: ProposalRecord) -> ProposalRow:
    found, benefit = record.benefit, Cell("not measured")
    if found:
        benefit = Cell(figure(found.value), f"{interval_of(found.low, found.high)}; {record.unit}")
    cost = Cell(figure(record.cost), record.cost_unit if record.cost is not None else "")
    return ProposalRow(record, _CHIPS.get(record.status, "open"), benefit, cost)


def _roles(layers: Sequence[LayerPlan]) -> list[RoleRow]:
    """A row for neighbours of one role, confidence and domains."""

    def alike(layer: LayerPlan) -> tuple[str, str, tuple[str, ...], tuple[int, ...]]:
        return layer.role, layer.confidence, tuple(sorted(layer.domains)), tuple(layer.proposals)

    rows = []
    for (role, confidence, _, named), group in itertools.groupby(layers, alike):
        members = list(group)
        told = _evidence(members[0].evidence[-1]) if members[0].evidence else ""
        if told and len(members) > 1:
            told = f"layer {members[0].layer}: {told}"
        where = told_layers([member.layer for member in members])
        rows.append(RoleRow(where, role, confidence, ", ".join(members[0].domains), told, ", ".join(map(str, named))))
    return rows


def _evidence(record: EvidenceRecord) -> str:
    within = f" ({interval_of(record.low, record.high)})" if record.low is not None else ""
    return f"{record.text}: {figure(record.value)}{within}"


def _changed(found: IntervalRecord) -> Cell:
    value = float("nan") if found.value is None else found.value
    return Cell(_change(value), interval_of(found.low, found.high, _change))


def _change(value: float) -> str:
    return change(value, 3)


def _tuned(tuned: TunedDomain, pilot: PilotRecord) -> PilotTable:
    sizes = pilot.sizes
    against = {each.control: each for each in pilot.comparisons}
    rows = []
    for effect in pilot.effects:
        plans = pilot.controls.get(effect.plan)
        # Of several draws there is no one set of layers to name.
        where = tuned.plan if plans is None else plans[0] if len(plans) == 1 else None
        others = [each.value for each in effect.others.values() if each.value is not None]
        comparison = against.get(effect.plan)
        rows.append(
            TrialRow(
                name=effect.plan if plans else f"the plan ({tuned.plan.rule})",
                what=(f"layers {told_layers(where.layers)}" if where else f"{len(plans or [])} draws") + _rate(effect),
                kept=f"{where.parameters:,}" if where else f"{(plans or [tuned.plan])[0].parameters:,}",
                change=_changed(effect.domain),
                others=_change(sum(others) / len(others)) if others else "",
                against=_changed(comparison) if comparison else Cell(""),
                status=comparison.status if comparison else "",
                chip=_CHIPS.get(comparison.status, "open") if comparison else "",
            )
        )
    told = (
        f"LoRA adapters of equal size, trained {sizes.steps} steps of {sizes.batch} texts of up to {sizes.tokens} "
        f"tokens, {sizes.seeds} seeds; tested on up to {sizes.test} texts of {tuned.domain} that nothing was chosen by."
    )
    return PilotTable(f"Tuning for {tuned.domain}", told, pilot.sentence, rows)


def _sharing(shared: Shared, pilot: Outcome) -> PilotTable:
    against = {each.control: each for each in pilot.comparisons}
    size = float(shared.prices["adapter_bytes_per_parameter"])
    rows = []
    for way in pilot.ways:
        comparison = against.get(way.name)
        own = f"own layers {told_layers(way.layers[0])}" if way.layers[0] else "no own layers"
        each = [f"{name} {_changed(found).main}" for name, found in way.domains.items()]
        rows.append(
            TrialRow(
                name=way.name,
                what=(own if len(way.layers) == 1 else f"{len(way.layers)} draws") + _rate(way),
                kept=told_bytes(round(size * way.parameters)),
                change=_changed(way.change),
                others="; ".join(each),
                against=_changed(comparison) if comparison else Cell(""),
                status=comparison.status if comparison else "",
                chip=_CHIPS.get(comparison.status, "open") if comparison else "",
            )
        )
    told = (
        "Adapters trained on the texts of all domains, the same texts and steps for every way; loss on held-out texts "
        "of all domains."
    )
    return PilotTable("Sharing", told, pilot.sentence, rows)


def _rate(tried: EffectRecord | WayRecord) -> str:
    return f"; rate {tried.rate:g}" + (", at the edge of those tried" if tried.at_edge else "")


def _options(options: Sequence[OptionRecord]) -> Table:
    rows = []
    for name in _FIGURES:
        unit = options[0].figure(name).unit
        head = name if unit in ("bytes",) or unit in name else f"{name}, {unit}"
        values = [option.figure(name).value for option in options]
        rows.append((head, [Cell(told_bytes(round(v)) if unit == "bytes" else figure(v)) for v in values]))
    return Table([Cell(option.name) for option in options], rows)
