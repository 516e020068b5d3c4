"""The section "Is it true?": the causal checks of a run as words, tables and figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from paramscope.causal.verdicts import BREAKS, PART_KINDS
from paramscope.causal.verdicts.breaking import told_breaking
from paramscope.causal.verdicts.told import told_place, told_verdict
from paramscope.language import _, mark, plural, term
from paramscope.measures.bands import thirds
from paramscope.report.material import Material
from paramscope.report.sections.damage import DamageFigures, damage_figures
from paramscope.report.sections.fidelity import FidelityFigures, fidelity_figures
from paramscope.report.sections.specific import SpecificFigures, specific_figures
from paramscope.report.tables import Cell, Table, interval_of
from paramscope.report.text import figure, scientific
from paramscope.result.verification import (
    BreakingRecord,
    Checks,
    IntervalRecord,
    PartCorrelationRecord,
    VerdictRecord,
    Verification,
)
from paramscope.wording import sentences

_KINDS = {
    "layer": mark("layer"),
    "head": mark("attention head"),
    "neurons": mark("neurons with the largest activation"),
    "random neurons": mark("random neurons"),
    "weight": mark("single parameter"),
}
_PARTS_OF_A_KIND = 5


@dataclass(frozen=True)
class Judged:
    """One verdict, its numbers as words.

    Attributes:
        status: supported, not supported or undecided.
        text: the claim.
        measured: what was measured, on how much, and what would decide.
        value: the estimate.
        interval: its 95 % interval.
        threshold: that it is compared with.
    """

    status: str
    text: str
    measured: str
    value: str
    interval: str
    threshold: str


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
class CausalChecks:
    """What the causal checks showed; figures are None where nothing of the kind was tried.

    Attributes:
        lead: what was tried.
        count: how many claims have each verdict.
        verdicts: all of them.
        failed: those that are not supported.
        breaks: nats per token that count as broken.
        parts: those with the largest damage.
        correlations: of sums of activations with damage.
        breaking: the worst first.
    """

    lead: str
    count: str
    verdicts: list[Judged]
    failed: list[Judged]
    breaks: float
    fidelity: FidelityFigures | None
    damage: DamageFigures | None
    specific: SpecificFigures | None
    parts: list[PartRow]
    correlations: Table | None
    breaking: list[BreakingRow]


@dataclass(frozen=True)
class TruthSection:
    """All that the section shows; ``checks`` is None where the run was not verified."""

    self_check: str
    checks: CausalChecks | None


def section(material: Material) -> TruthSection:
    """Make the section, in the language that is spoken."""
    return TruthSection(_self_check(material), _causal(material, material.checks) if material.checks else None)


def _self_check(material: Material) -> str:
    check = material.profile.manifest.self_check
    told = _(
        "before the run, one sample (%(sample)s) was measured a second time with plain autograd. The largest relative "
        "error was %(error)s, in %(module)s; up to %(tolerance)s is accepted.",
        sample=_sample(material, check.sample),
        error=scientific(check.largest_relative_error),
        module=material.shown(check.module),
        tolerance=scientific(check.tolerance),
    )
    passed = check.largest_relative_error <= check.tolerance
    return told if passed else sentences(told, _("So this run does NOT pass."))


def _sample(material: Material, sample: str) -> str:
    """``support, sample 3``, as the manifest has it."""
    domain, found, number = sample.rpartition(", sample ")
    return _("%(domain)s, sample %(number)s", domain=material.shown(domain), number=number) if found else sample


def _causal(material: Material, checks: Checks) -> CausalChecks:
    profile, names = material.profile, material.names
    result, bands = checks.result, thirds(profile.layers)
    shown = dict(zip(profile.domains, names, strict=True))
    verdicts = [_judged(record, result) for record in result.verdicts]
    counts = Counter(judged.status for judged in verdicts)
    return CausalChecks(
        lead=_lead(checks),
        count=_(
            "Of %(all)s claims: %(yes)s supported, %(no)s not supported, %(open)s undecided.",
            all=len(verdicts),
            yes=counts["supported"],
            no=counts["not supported"],
            open=counts["undecided"],
        ),
        verdicts=verdicts,
        failed=[judged for judged in verdicts if judged.status == "not supported"],
        breaks=BREAKS,
        fidelity=fidelity_figures(checks, profile.layers),
        damage=damage_figures(checks, profile.domains, bands),
        specific=specific_figures(result, names, bands),
        parts=_parts(checks.parts, shown) if len(checks.parts) else [],
        correlations=_correlations(result.part_correlations, shown),
        breaking=[
            _breaking(record, what, shown) for record, what in zip(result.breaking, told_breaking(checks), strict=True)
        ],
    )


def _lead(checks: Checks) -> str:
    tried = checks.sets if len(checks.sets) else checks.parts
    texts = len(tried[["domain", "sample"]].drop_duplicates()) if len(tried) else 0
    told = _(
        "All above is estimated. Here it is put to the test: parameters were really set to zero, one by one, in groups "
        "and in whole parts, and what the model then lost is held against what the estimate says."
    )
    where = plural(
        "Groups and parts were tried on %(n)s text that the estimate has not seen.",
        "Groups and parts were tried on %(n)s texts that the estimate has not seen.",
        texts,
    )
    return sentences(told, where) if texts else told


def _judged(record: VerdictRecord, result: Verification) -> Judged:
    told = told_verdict(record, result)
    measured = [
        _(
            "Measured: %(measure)s. From %(count)s %(unit)s.",
            measure=told.measure,
            count=f"{record.count:,}",
            unit=told.unit,
        )
    ]
    if record.p_value is not None:
        measured.append(_("Permutation test: p = %(p)s.", p=f"{record.p_value:.2g}"))
    if record.needed is not None:
        measured.append(_("About %(count)s %(unit)s would decide.", count=f"{record.needed:,}", unit=told.unit))
    return Judged(
        record.status,
        told.text,
        sentences(*measured),
        figure(record.value),
        interval_of(record.low, record.high),
        f"{record.threshold:g}",
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
            layer, name = key[1:]
            own = table[(table["layer"] == layer) & (table["name"] == name)].set_index("domain")["damage"]
            worst = own.idxmax() if own.notna().any() else own.index[0]
            known = bool(places[key] == places[key])
            place = _("%(place)s of %(all)s", place=f"{places[key]:.0f}", all=len(every)) if known else ""
            rows.append(
                PartRow(
                    _kind(kind),
                    told_place(kind, int(layer), name),
                    figure(float(damage)),
                    shown.get(worst, worst),
                    figure(float(own[worst])),
                    place,
                )
            )
    return rows


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _kind(kind: str) -> str:
    return _(_KINDS[kind]) if kind in _KINDS else kind


def _correlations(found: Sequence[PartCorrelationRecord], shown: dict[str, str]) -> Table | None:
    """Kinds of part by domains; None where no kind has enough parts for a correlation."""
    rows = []
    for kind, told in PART_KINDS.items():
        values = {record.domain: record for record in found if record.kind == kind}
        if any(record.value is not None for record in values.values()):
            ordered = [values.get(key) for key in (None, *shown)]
            rows.append((_capital(term(told)), [_interval_cell(record) for record in ordered]))
    return Table([Cell(_("All"), _("mean")), *(Cell(name) for name in shown.values())], rows) if rows else None


def _interval_cell(record: IntervalRecord | None) -> Cell:
    if record is None:
        return Cell(figure(None))
    return Cell(figure(record.value), interval_of(record.low, record.high))


def _breaking(record: BreakingRecord, what: str, shown: dict[str, str]) -> BreakingRow:
    # A part that is no set of weights has the number 0 there, and a damage that is no number any more has none.
    weights = f"{record.weights:,}" if record.weights else _("all of it")
    damage = figure(math.inf if record.damage is None else record.damage)
    return BreakingRow(what, weights, shown.get(record.domain, record.domain), damage, record.broken)
