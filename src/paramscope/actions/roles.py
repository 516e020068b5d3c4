"""What each layer is to the domains: shared, specific, fragile, or spare; each role with the numbers behind it.

A role is given by an interval, not by a value: where the interval leaves it open, so does the role. What was tried by
intervention (``paramscope verify``) goes before what the profile alone says, which is association.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from paramscope.causal.verdicts import BREAKS, LEAST_COUNT
from paramscope.measures.ranks import Interval, mean_interval
from paramscope.measures.resample import Resampler
from paramscope.result.profile import Profile
from paramscope.result.verification import Checks

LEAST_GAP = 0.05
"""Centred cosine by which a domain's texts must be more alike among themselves than to others in a layer of its own."""

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
    NONE = "too little data"


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
        domains: whose own the layer is, the most first; also where another role goes before.
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
    resampler = Resampler(profile)
    names = [profile.domains[place] for place in resampler.domains]
    parts = checks.parts if checks else pd.DataFrame(columns=["layer"])
    found = []
    for layer in range(profile.layers):
        alike = resampler.layers([layer], centred=True)
        gaps = dict(zip(names, alike.gap, strict=True)) if len(names) > 1 else {}
        found.append(_role(layer, gaps, alike.mean_gap, parts[parts["layer"] == layer], profile.domains))
    return found


def _role(layer: int, gaps: dict[str, Interval], mean: Interval, parts: pd.DataFrame, domains: list[str]) -> LayerRole:
    own = sorted((name for name, gap in gaps.items() if gap.low > LEAST_GAP), key=lambda name: -gaps[name].value)
    evidence = []
    for name in own:
        evidence.append(Evidence.of(f"texts of {name} alike among themselves more than to others", gaps[name], GRAM))
    if gaps and not own:
        evidence.append(Evidence.of("domains' texts alike among themselves more than to others", mean, GRAM))
    role, confidence = Role.OPEN, Confidence.NONE
    if own:
        role, confidence = Role.SPECIFIC, Confidence.ASSOCIATION
    elif gaps and mean.high < LEAST_GAP:
        role, confidence = Role.SHARED, Confidence.ASSOCIATION
    whole = _damages(parts[parts["kind"] == "layer"], domains) if len(parts) else {}
    if whole:
        worst = max(whole, key=lambda name: whole[name].value)
        evidence.append(Evidence.of(f"nats per token that {worst} loses without the layer", whole[worst], PARTS))
        tried = parts[parts["kind"] == "layer"].groupby("domain").size().min()
        if tried >= LEAST_COUNT and all(damage.high < MOST_SPARE for damage in whole.values()):
            role, confidence = Role.SPARE, Confidence.TESTED
    breaking = _breaking(parts, domains) if len(parts) else []
    if breaking:
        role, confidence = Role.FRAGILE, Confidence.TESTED
        evidence += [one for one in breaking if one not in evidence]
    return LayerRole(layer, role, tuple(own), confidence, tuple(evidence))


def _damages(parts: pd.DataFrame, domains: list[str]) -> dict[str, Interval]:
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


def _breaking(parts: pd.DataFrame, domains: list[str]) -> list[Evidence]:
    """The parts of a layer that alone break the model on some domain, the worst first."""
    found = []
    for (kind, name), rows in parts.groupby(["kind", "name"], sort=False):
        damages = _damages(rows, domains)
        worst = max(damages, key=lambda each: damages[each].value)
        if damages[worst].value >= BREAKS:
            what = (
                "the layer" if kind == "layer" else f"its {name}" if kind != "weight" else f"its single weight {name}"
            )
            found.append(Evidence.of(f"nats per token that {worst} loses without {what}", damages[worst], PARTS))
    return sorted(found, key=lambda one: -one.value)
