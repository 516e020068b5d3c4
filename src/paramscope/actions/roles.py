"""What each layer is to the domains: shared, specific, fragile, or spare; each role with the numbers behind it.

A role is given by an interval, not by a value: where the interval leaves it open, so does the role. What was tried by
intervention (``paramscope verify``) goes before what the profile alone says, which is association. Shared and specific
are against the mean layer: a layer is specific where surely more of its activation is the domains' own (see
``actions.sharing.curve``), shared where surely less is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from paramscope.actions.sharing.curve import own_share_intervals
from paramscope.causal.verdicts import BREAKS, LEAST_COUNT, told_part
from paramscope.language import _
from paramscope.measures.ranks import Interval, mean_interval
from paramscope.result.profile import Profile
from paramscope.result.verification import Checks

GRAM, PARTS = "gram.safetensors", "verify-parts.parquet"
"""Files of the run that evidence comes from."""

MOST_SPARE = 0.1
"""Nats per token that no domain may lose without a layer that is called spare: the right token is 10 % less likely."""


class Role(StrEnum):
    """What a layer is, in the words of the plan."""

    FRAGILE = "do not touch"
    SPARE = "candidate for pruning"
    SPECIFIC = "specific"
    SHARED = "shared"
    OPEN = "undecided"


class Confidence(StrEnum):
    """How a role is known."""

    TESTED = "tested by intervention"
    ASSOCIATION = "association only"
    NONE = "not decided by the data"


@dataclass(frozen=True)
class Evidence:
    """One number behind a role.

    Attributes:
        text: what it is.
        value: the number.
        low: lower end of its 95 % interval, NaN where there is none.
        high: upper end.
        source: file of the run that it comes from.
    """

    text: str
    value: float
    low: float
    high: float
    source: str

    @classmethod
    def of(cls, text: str, found: Interval, source: str) -> Evidence:
        """A number with its interval."""
        return cls(text, found.value, found.low, found.high, source)


@dataclass(frozen=True)
class LayerRole:
    """The role of one layer.

    Attributes:
        layer: its number.
        role: the first of fragile, spare, specific and shared that holds.
        domains: of a layer in which surely more is the domains' own, those whose texts are surely more alike among
            themselves than to others than in the mean layer, the most first; also where another role goes before.
        confidence: how the role is known.
        evidence: the numbers.
    """

    layer: int
    role: Role
    domains: tuple[str, ...]
    confidence: Confidence
    evidence: tuple[Evidence, ...]


def layer_roles(profile: Profile, checks: Checks | None) -> list[LayerRole]:
    """The role of every layer.

    Args:
        profile: of a run.
        checks: of the same run; without them no layer is called fragile or spare, since neither density nor sums of
            activations tell which layers are needed.

    Returns:
        From the input to the output.
    """
    resampler = profile.resampler
    names = [profile.domains[place] for place in resampler.domains]
    nothing = [Interval(math.nan)] * profile.layers
    own, excess = own_share_intervals(profile, resampler) if len(names) > 1 else (nothing, nothing)
    gaps = [resampler.layers([layer], centred=True).gap for layer in range(profile.layers)]
    usual = [_mean(gap[place].value for gap in gaps) for place in range(len(names))]
    parts = checks.parts if checks else pd.DataFrame(columns=["layer"])
    found = []
    for layer in range(profile.layers):
        above = {name: gap for gap, mean, name in zip(gaps[layer], usual, names, strict=True) if gap.low > mean}
        domains = tuple(sorted(above, key=lambda name: -above[name].value))
        here = parts[parts["layer"] == layer]
        found.append(_role(layer, own[layer], excess[layer], domains, here, profile.domains))
    return found


def _mean(values: Iterable[float]) -> float:
    """Of those that are numbers; NaN where none is."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def _role(
    layer: int,
    own: Interval,
    excess: Interval,
    above: tuple[str, ...],
    parts: pd.DataFrame,
    domains: list[str],
) -> LayerRole:
    role, confidence, evidence = Role.OPEN, Confidence.NONE, []
    if math.isfinite(own.value):
        evidence.append(Evidence.of(_("share of its activation that is the domains' own"), own, GRAM))
        evidence.append(Evidence.of(_("own share less the mean layer's"), excess, GRAM))
    if excess.low > 0:
        role, confidence = Role.SPECIFIC, Confidence.ASSOCIATION
    elif excess.high < 0:
        role, confidence = Role.SHARED, Confidence.ASSOCIATION
    whole = part_damages(parts[parts["kind"] == "layer"], domains) if len(parts) else {}
    if whole:
        worst = max(whole, key=lambda name: whole[name].value)
        evidence.append(Evidence.of(_told_loss(worst, "layer", ""), whole[worst], PARTS))
        tried = parts[parts["kind"] == "layer"].groupby("domain").size().min()
        if tried >= LEAST_COUNT and all(damage.high < MOST_SPARE for damage in whole.values()):
            role, confidence = Role.SPARE, Confidence.TESTED
    breaking = _breaking(parts, domains) if len(parts) else []
    if breaking:
        role, confidence = Role.FRAGILE, Confidence.TESTED
        evidence += [one for one in breaking if one not in evidence]
    specific = above if excess.low > 0 else ()
    return LayerRole(layer, role, specific, confidence, tuple(evidence))


def part_damages(parts: pd.DataFrame, domains: list[str]) -> dict[str, Interval]:
    """What each domain loses without one part, from the rows of that part."""
    owner = parts["domain"].map({name: place for place, name in enumerate(domains)})
    found = {}
    for place, name in enumerate(domains):
        damage = parts.loc[owner == place, "damage"].to_numpy(float)
        if len(damage):
            finite = damage[pd.notna(damage) & (damage < math.inf)]
            # A model whose answer is no number any more has lost all there is to lose.
            lost = len(finite) < len(damage)
            found[name] = Interval(math.inf) if lost else mean_interval(finite, np.zeros(len(finite), np.int64), seed=0)
    return found


class Risk(StrEnum):
    """Whether taking away one part breaks the model on some domain."""

    BREAKS = "breaks"
    MAY_BREAK = "may break"
    HOLDS = "holds"


@dataclass(frozen=True)
class PartRisk:
    """One part of a layer that was taken away.

    Attributes:
        kind: of part.
        name: of it, as the checks' table has it.
        risk: ``BREAKS`` where the whole interval of some domain's loss is at ``BREAKS`` nats or above, ``MAY_BREAK``
            where one reaches it, or its mean does and there is no interval.
        domain: that loses most.
        damage: what it loses; without an interval where no text of any domain lost so much.
    """

    kind: str
    name: str
    risk: Risk
    domain: str
    damage: Interval


def part_risks(parts: pd.DataFrame, domains: list[str]) -> list[PartRisk]:
    """The risk of every part of one layer.

    Args:
        parts: of that layer, see ``causal.parts.check_parts``.
        domains: names, of the run.

    Returns:
        One a part, in the order of the table.
    """
    found = []
    for (kind, name), rows in parts.groupby(["kind", "name"], sort=False):
        lost = rows["damage"].fillna(math.inf)
        means = lost.groupby(rows["domain"]).mean()
        # A mean of texts of which none loses so much does not either; a bootstrap of every part would take seconds.
        if lost.max() < BREAKS:
            worst = max((domain for domain in domains if domain in means.index), key=lambda each: means[each])
            found.append(PartRisk(str(kind), str(name), Risk.HOLDS, worst, Interval(float(means[worst]))))
            continue
        damages = part_damages(rows, domains)
        worst = max(damages, key=lambda each: damages[each].value)
        risk = max((_risk(damage) for damage in damages.values()), key=[Risk.HOLDS, Risk.MAY_BREAK, Risk.BREAKS].index)
        found.append(PartRisk(str(kind), str(name), risk, worst, damages[worst]))
    return found


def _risk(damage: Interval) -> Risk:
    if math.isinf(damage.value) or damage.low >= BREAKS:
        return Risk.BREAKS
    reaches = damage.value if math.isnan(damage.high) else damage.high
    return Risk.MAY_BREAK if reaches >= BREAKS else Risk.HOLDS


def _breaking(parts: pd.DataFrame, domains: list[str]) -> list[Evidence]:
    """The parts of a layer that alone surely break the model on some domain, the worst first."""
    found = [
        Evidence.of(_told_loss(one.domain, one.kind, one.name), one.damage, PARTS)
        for one in part_risks(parts, domains)
        if one.risk is Risk.BREAKS
    ]
    return sorted(found, key=lambda one: -one.value)


def _told_loss(domain: str, kind: str, name: str) -> str:
    """What a domain loses without a part of the layer."""
    if kind == "layer":
        return _("nats per token that %(domain)s loses without the layer", domain=domain)
    part = told_part(kind, name)
    if kind == "weight":
        return _("nats per token that %(domain)s loses without its single weight %(part)s", domain=domain, part=part)
    return _("nats per token that %(domain)s loses without its %(part)s", domain=domain, part=part)
