"""The section "Is it true?": the causal checks of a run as words, tables and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from paramscope.causal.verdicts import BREAKS, PART_KINDS
from paramscope.measures.bands import thirds
from paramscope.report.damage import DamageFigures, damage_figures
from paramscope.report.fidelity import FidelityFigures, fidelity_figures
from paramscope.report.specific import SpecificFigures, specific_figures
from paramscope.report.tables import Cell, Table, interval_of
from paramscope.report.text import figure
from paramscope.result.profile import Profile
from paramscope.result.verification import BreakingRecord, Checks, IntervalRecord, PartCorrelationRecord, VerdictRecord

CHIPS = {"supported": "yes", "not supported": "no", "undecided": "open"}
"""Class of the chip of each status."""

_KINDS = {
    "layer": "layer",
    "head": "attention head",
    "neurons": "neurons with the largest activation",
    "random neurons": "random neurons",
    "weight": "single weight",
}
_PARTS_OF_A_KIND = 5


@dataclass(frozen=True)
class Judged:
    """One verdict, its numbers as words.

    Attributes:
        record: the verdict.
        chip: class of its colour.
        value: the estimate.
        interval: its 95 % interval.
        threshold: that it is compared with.
        more: what would decide, or the p-value; "" for nothing.
    """

    record: VerdictRecord
    chip: str
    value: str
    interval: str
    threshold: str
    more: str


@dataclass(frozen=True)
class PartRow:
    """A part of the model that was taken away.

    Attributes:
        what: kind of part.
        where: layer, and name in it.
        mean: damage, mean over domains.
        domain: that loses most.
        worst: what it loses.
        place: of its sum of activations among those of its kind; "" where it has none.
    """

    what: str
    where: str
    mean: str
    domain: str
    worst: str
    place: str


@dataclass(frozen=True)
class BreakingRow:
    """Something that breaks the model when it alone is taken away."""

    what: str
    weights: str
    domain: str
    damage: str
    broken: int


@dataclass(frozen=True)
class CausalSection:
    """All that the section shows; figures are None where nothing of the kind was tried.

    Attributes:
        verdicts: all of them.
        counts: how many have each status, those with any.
        texts: held-out texts that the sets and parts were tried on.
        tokens: that each was cut to; None where that is not known.
        breaks: nats per token that count as broken.
        parts: those with the largest damage.
        correlations: of sums of activations with damage.
        breaking: the worst first.
    """

    verdicts: list[Judged]
    counts: list[tuple[int, str, str]]
    texts: int
    tokens: int | None
    breaks: float
    fidelity: FidelityFigures | None
    damage: DamageFigures | None
    specific: SpecificFigures | None
    parts: list[PartRow]
    correlations: Table | None
    breaking: list[BreakingRow]


def causal_section(profile: Profile, checks: Checks, names: Sequence[str]) -> CausalSection:
    """Make the section.

    Args:
        profile: the run.
        checks: of the run.
        names: of its domains, cleaned.

    Returns:
        The section.
    """
    result, bands = checks.result, thirds(profile.layers)
    shown = dict(zip(profile.domains, names, strict=True))
    tried = checks.sets if len(checks.sets) else checks.parts
    tokens = result.sizes.get("tokens")
    count = [(sum(v.status == status for v in result.verdicts), status, chip) for status, chip in CHIPS.items()]
    return CausalSection(
        verdicts=[_judged(record) for record in result.verdicts],
        counts=[each for each in count if each[0]],
        texts=len(tried[["domain", "sample"]].drop_duplicates()) if len(tried) else 0,
        tokens=tokens if isinstance(tokens, int) else None,
        breaks=BREAKS,
        fidelity=fidelity_figures(checks, profile.layers),
        damage=damage_figures(checks, profile.domains, bands),
        specific=specific_figures(result, names, bands),
        parts=_parts(checks.parts, shown) if len(checks.parts) else [],
        correlations=_correlations(result.part_correlations, shown),
        breaking=[_breaking(record, shown) for record in result.breaking],
    )


def _judged(record: VerdictRecord) -> Judged:
    more = []
    if record.p_value is not None:
        more.append(f"permutation test: p = {record.p_value:.2g}")
    if record.needed is not None:
        more.append(f"about {record.needed:,} {record.unit} would decide")
    return Judged(
        record,
        CHIPS.get(record.status, "open"),
        figure(record.value),
        interval_of(record.low, record.high),
        f"{record.threshold:g}",
        "; ".join(more),
    )


def _parts(parts: pd.DataFrame, shown: dict[str, str]) -> list[PartRow]:
    """Of each kind, those whose loss costs most on the mean over domains."""
    keys = ["kind", "layer", "name"]
    means = parts.groupby([*keys, "domain"], sort=False)[["predicted", "damage"]].mean().reset_index()
    rows = []
    for kind in dict.fromkeys([*_KINDS, *means["kind"]]):
        table = means[means["kind"] == kind]
        if table.empty:
            continue
        every = table.groupby(keys, sort=False)[["predicted", "damage"]].mean()
        places = every["predicted"].rank(ascending=False, method="min")
        for key, damage in every["damage"].sort_values(ascending=False)[:_PARTS_OF_A_KIND].items():
            _, layer, name = key
            own = table[(table["layer"] == layer) & (table["name"] == name)].set_index("domain")["damage"]
            worst = own.idxmax() if own.notna().any() else own.index[0]
            place = f"{places[key]:.0f} of {len(every)}" if places[key] == places[key] else ""
            rows.append(
                PartRow(
                    _KINDS.get(kind, kind),
                    f"layer {layer}{f', {name}' if name else ''}",
                    figure(float(damage)),
                    shown.get(worst, worst),
                    figure(float(own[worst])),
                    place,
                )
            )
    return rows


def _correlations(found: Sequence[PartCorrelationRecord], shown: dict[str, str]) -> Table | None:
    """Kinds of part by domains; None where no kind has enough parts for a correlation."""
    rows = []
    for kind, told in PART_KINDS.items():
        values = {record.domain: record for record in found if record.kind == kind}
        if any(record.value is not None for record in values.values()):
            ordered = [values.get(key) for key in (None, *shown)]
            rows.append((told.capitalize(), [_interval_cell(record) for record in ordered]))
    return Table([Cell("All", "mean"), *(Cell(name) for name in shown.values())], rows) if rows else None


def _interval_cell(record: IntervalRecord | None) -> Cell:
    if record is None:
        return Cell(figure(None))
    return Cell(figure(record.value), interval_of(record.low, record.high))


def _breaking(record: BreakingRecord, shown: dict[str, str]) -> BreakingRow:
    # A part that is no set of weights has the number 0 there, and a damage that is no number any more has none.
    weights = f"{record.weights:,}" if record.weights else "all of it"
    damage = figure(math.inf if record.damage is None else record.damage)
    return BreakingRow(record.what, weights, shown.get(record.domain, record.domain), damage, record.broken)
