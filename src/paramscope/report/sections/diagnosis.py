"""The section "Diagnosis table": one row a layer, or a band of them where there are many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paramscope.actions.roles import Confidence, Risk, Role, part_damages
from paramscope.language import _, plural
from paramscope.measures.ranks import Interval
from paramscope.report.charts.heattable import STEPS
from paramscope.report.material import Material
from paramscope.report.text import MISSING, cosine, figure, interval, machine, percent, scientific
from paramscope.report.words import band_name, word
from paramscope.result.planned import LayerPlan
from paramscope.result.profile import Estimate
from paramscope.wording import listed

_FEW = 2
"""Domains that a role names."""

MANY = 48
"""Layers above which the table has a row a band, and the layers are one step further down."""


@dataclass(frozen=True)
class Head:
    """Head of a column; ``named`` where it is a name from outside."""

    text: str
    below: str = ""
    help: str = ""
    number: bool = True
    named: bool = False


@dataclass(frozen=True)
class DiagnosisCell:
    """A cell.

    Attributes:
        text: as it is shown.
        value: by which the script sorts, and what is copied: a plain number, or words.
        below: a smaller line.
        tip: tool tip.
        css: class.
    """

    text: str
    value: str
    below: str = ""
    tip: str = ""
    css: str = ""


@dataclass(frozen=True)
class DiagnosisRow:
    """A row, and the role by which it is found."""

    role: str
    cells: list[DiagnosisCell]


@dataclass(frozen=True)
class DiagnosisTable:
    """A table."""

    caption: str
    heads: list[Head]
    rows: list[DiagnosisRow]


@dataclass(frozen=True)
class DiagnosisSection:
    """All that the section shows; ``bands`` is None where the layers are few enough."""

    lead: str
    bands: DiagnosisTable | None
    layers: DiagnosisTable


def section(material: Material) -> DiagnosisSection:
    """Make the section, in the language that is spoken."""
    profile = material.profile
    each = {str(layer): [layer] for layer in range(profile.layers)}
    bands = {band_name(band, layers): layers for band, layers in profile.bands.items()}
    many = profile.layers > MANY
    return DiagnosisSection(
        _lead(material),
        _table(material, _("One row a band of layers"), bands, _("Band")) if many else None,
        _table(material, _("One row a layer, from the input (0) to the output"), each, _("Layer")),
    )


def _lead(material: Material) -> str:
    """How many layers have which role, in a sentence."""
    planned = material.planned().layers
    counts = Counter(layer.role for layer in planned)
    told = [_("%(role)s: %(count)s", role=word(role), count=count) for role in Role if (count := counts[role])]
    tested = sum(layer.confidence == Confidence.TESTED for layer in planned)
    return _(
        "Roles of the layers (%(layers)s in all): %(told)s. Settled by intervention: %(tested)s; all other "
        "roles rest on association, or are open.",
        layers=len(planned),
        told=_(", ").join(told),
        tested=tested,
    )


def _table(material: Material, caption: str, groups: dict[str, list[int]], corner: str) -> DiagnosisTable:
    density, planned = material.density, material.planned().layers
    rows = []
    for name, layers in groups.items():
        cells = [DiagnosisCell(name, str(layers[0]))]
        cells += _role([planned[layer] for layer in layers], material)
        cells += [_risk(material, layers), _damage(material, layers)]
        cells += [_measured(material.own_shares, layers, percent), _measured(material.across, layers, cosine)]
        cells += [_density(density, layers, place) for place in range(len(material.names))]
        roles = Counter(planned[layer].role for layer in layers)
        rows.append(DiagnosisRow(word(roles.most_common(1)[0][0]), cells))
    # What follows stands first: a reader who stops at the third column has read what matters.
    heads = [
        Head(corner),
        Head(_("Role"), number=False),
        Head(_("Confidence"), number=False),
        Head(_("Fail-safe risk"), number=False),
        Head(_("Causal damage"), below=_("nats per token")),
        Head(_("Specificity"), below=_("own share")),
        Head(_("Similarity"), below=_("across domains")),
    ]
    threshold = scientific(material.profile.threshold)
    for label in material.names:
        told = _(
            "%(name)s: share of the layer’s parameters with an activation above %(threshold)s",
            name=label,
            threshold=threshold,
        )
        heads.append(Head(label, below=_("density"), help=told, named=True))
    return DiagnosisTable(caption, heads, rows)


def _density(density: Estimate, layers: Sequence[int], place: int) -> DiagnosisCell:
    """The intervals stand in the table of all densities."""
    value = float(np.mean(density.value.iloc[list(layers), place]))
    return DiagnosisCell(percent(value), machine(value), css=f"h{round(STEPS * value)}")


def _measured(found: Sequence[Interval], layers: Sequence[int], form: Callable[[float], str]) -> DiagnosisCell:
    """The mean of some layers; the interval where it is of one."""
    values = [found[layer].value for layer in layers if math.isfinite(found[layer].value)]
    if not values:
        return DiagnosisCell(MISSING, "")
    value = sum(values) / len(values)
    one = found[layers[0]]
    return DiagnosisCell(form(value), machine(value), interval(one.low, one.high, form) if len(layers) == 1 else "")


def _damage(material: Material, layers: Sequence[int]) -> DiagnosisCell:
    """The largest loss of any domain without one of the layers."""
    if material.checks is None:
        return DiagnosisCell(MISSING, "", tip=_("not tried"))
    parts = material.checks.parts
    whole = parts[(parts["kind"] == "layer") & parts["layer"].isin(layers)]
    found = [
        (damage.value, domain, damage)
        for _layer, rows in whole.groupby("layer")
        for domain, damage in part_damages(rows, material.profile.domains).items()
    ]
    if not found:
        return DiagnosisCell(MISSING, "", tip=_("not tried"))
    value, domain, damage = max(found, key=lambda one: one[0])
    told = _(
        "%(name)s loses most: 95%% interval %(interval)s",
        name=material.shown(domain),
        interval=interval(damage.low, damage.high, figure),
    )
    return DiagnosisCell(figure(value), machine(value), material.shown(domain), told)


def _risk(material: Material, layers: Sequence[int]) -> DiagnosisCell:
    """Whether the layers, or parts of them, break a domain when they are taken away alone."""
    counts = Counter(one.risk for layer in layers for one in material.risks.get(layer, []))
    tried = sum(counts.values())
    if not tried:
        return DiagnosisCell(_("not tested"), "0", css="words risk-open")
    if counts[Risk.BREAKS]:
        told = _("breaks by %(broken)s of %(tried)s tested parts", broken=counts[Risk.BREAKS], tried=tried)
        return DiagnosisCell(_("high"), "3", told, css="words risk-high")
    if counts[Risk.MAY_BREAK]:
        told = _("%(broken)s of %(tried)s tested parts may break it", broken=counts[Risk.MAY_BREAK], tried=tried)
        return DiagnosisCell(_("possible"), "2", told, css="words risk-possible")
    told = plural("%(n)s part tried", "%(n)s parts tried", tried)
    return DiagnosisCell(_("none found"), "1", told, css="words risk-low")


def _role(roles: Sequence[LayerPlan], material: Material) -> list[DiagnosisCell]:
    """The role and how it is known; of several layers how many have each."""
    if len(roles) == 1:
        role = roles[0]
        names = [material.shown(name) for name in role.domains]
        shown, value, tip = word(role.role), word(role.role), ""
        if role.role == Role.SPECIFIC and names:
            shown = _("specific to %(domains)s", domains=listed(names, _FEW))
            value = tip = _("specific to %(domains)s", domains=listed(names, len(names)))
        elif names:
            tip = _("mostly %(domains)s", domains=listed(names, len(names)))
        return [
            DiagnosisCell(shown, value, tip=tip, css=f"words role-{Role(role.role).name.lower()}"),
            DiagnosisCell(word(role.confidence), word(role.confidence), css="words"),
        ]
    told = []
    for counts in (Counter(role.role for role in roles), Counter(role.confidence for role in roles)):
        told.append(_(", ").join(f"{word(name)} × {count}" for name, count in counts.most_common()))
    return [DiagnosisCell(words, words, css="words") for words in told]
