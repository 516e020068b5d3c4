"""Whether the paper's pattern is in a run: each claim judged from the run's numbers and their intervals.

Wang et al. find that shallow layers are dense and deep layers sparse, and that shallow layers are alike across domains
where deep layers differ, while deep layers stay alike within a domain. Each of these is a change from the shallow to
the deep band of layers. A claim is *supported* when the whole 95 % interval of the change is on its side of a smallest
change that counts, *not supported* when the whole interval is on the other side, and *undecided* in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from paramscope.measures.ranks import Interval
from paramscope.measures.resample import Resampler
from paramscope.measures.similarity import FEWEST
from paramscope.result.profile import Estimate, Profile

DENSITY_STEP = 0.05
"""Smallest change of a density that counts."""

COSINE_STEP = 0.05
"""Smallest change of a cosine that counts."""


class Verdict(StrEnum):
    """What the numbers say about a claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judged:
    """A claim's numbers, for all domains together or for one.

    Attributes:
        domain: place of the domain in the profile, None for all together.
        shallow: mean over the shallow band.
        deep: mean over the deep band.
        change: from shallow to deep, with its interval.
        verdict: what follows.
    """

    domain: int | None
    shallow: float
    deep: float
    change: Interval
    verdict: Verdict


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        key: ``density``, ``across``, ``within``, ``gap`` or ``gap_centred``.
        overall: all domains together.
        domains: each by itself.
    """

    key: str
    overall: Judged
    domains: list[Judged]

    def count(self, verdict: Verdict) -> int:
        """Number of domains with a verdict."""
        return sum(judged.verdict == verdict for judged in self.domains)


@dataclass(frozen=True)
class Findings:
    """All claims of a run.

    Attributes:
        shallow: name and layers of the band that stands for the shallow layers.
        deep: name and layers of the one that stands for the deep layers.
        claims: by key: the paper's three, then that domains part with depth, raw and centred.
        paper_threshold: the claim about density at the paper's threshold, if that is not the run's.
        left_out: domains with too few samples for an interval of their similarities.
        fewest: smallest number of samples among the others.
    """

    shallow: tuple[str, list[int]]
    deep: tuple[str, list[int]]
    claims: dict[str, Claim]
    paper_threshold: Claim | None
    left_out: list[str]
    fewest: int

    @property
    def comparable(self) -> bool:
        """Whether there are two bands to compare."""
        return self.shallow[1] != self.deep[1]

    @property
    def stand_ins(self) -> bool:
        """Whether the model is too small for a shallow and a deep third, so that other layers stand for them."""
        return (self.shallow[0], self.deep[0]) != ("shallow", "deep")


def judge(change: Interval, step: float, *, falls: bool | None) -> Verdict:
    """Judge a change by its interval.

    Args:
        change: from shallow to deep.
        step: smallest change that counts.
        falls: the claim is that the value falls (True), that it rises (False), or that it does not fall (None).

    Returns:
        The verdict; undecided without an interval.
    """
    low, high = (-change.high, -change.low) if falls else (change.low, change.high)
    bound = -step if falls is None else step
    if low > bound:
        return Verdict.SUPPORTED
    if high < bound:
        return Verdict.NOT_SUPPORTED
    return Verdict.UNDECIDED


def end_bands(profile: Profile) -> tuple[tuple[str, list[int]], tuple[str, list[int]]]:
    """Name and layers of the shallow and of the deep band; the outermost bands where a small model has none."""
    bands = profile.bands
    names = list(bands)
    shallow = "shallow" if "shallow" in bands else names[0]
    deep = "deep" if "deep" in bands else names[-1]
    return (shallow, bands[shallow]), (deep, bands[deep])


def find(profile: Profile, resampler: Resampler, density: Estimate, paper_density: Estimate | None) -> Findings:
    """Judge all claims.

    Args:
        profile: the run.
        resampler: of that run.
        density: at the run's threshold.
        paper_density: at the paper's threshold, None if that is the same.

    Returns:
        The findings.
    """
    shallow, deep = end_bands(profile)
    ends = (shallow[1], deep[1])
    raw, centred = (_similarity_claims(resampler, *ends, centred=centred) for centred in (False, True))
    sizes = [domain.samples for domain in profile.manifest.domains]
    return Findings(
        shallow,
        deep,
        {claim.key: claim for claim in (density_claim(density, *ends), *raw, centred[-1])},
        None if paper_density is None else density_claim(paper_density, *ends),
        [name for name, size in zip(profile.domains, sizes, strict=True) if size < FEWEST],
        min((size for size in sizes if size >= FEWEST), default=0),
    )


def density_claim(density: Estimate, shallow: Sequence[int], deep: Sequence[int]) -> Claim:
    """Shallow layers are denser than deep ones.

    The profile has one interval a layer. How the layers' errors move together is not in it, so the intervals here are
    the widest that those of the layers allow: a band's margin is the mean of its layers' margins, a difference's the
    sum of both. Different domains have different texts, so their margins add in squares.

    Args:
        density: with its intervals.
        shallow: layers.
        deep: layers.

    Returns:
        The claim; domains without an interval are left out of the overall change.
    """
    value, low, high = (frame.to_numpy(dtype=float) for frame in (density.value, density.low, density.high))
    margins = np.maximum(high - value, value - low)  # an end clipped to 0 or 1 would make the margin too small
    domains, sizes = [], []
    for place in range(value.shape[1]):
        before, after = (float(value[list(band), place].mean()) for band in (shallow, deep))
        size = sum(float(margins[list(band), place].mean()) for band in (shallow, deep))
        sizes.append(math.nan if list(shallow) == list(deep) else size)
        domains.append(_judged(place, before, after, _around(after - before, sizes[-1]), DENSITY_STEP, True))
    counted = [place for place, size in enumerate(sizes) if math.isfinite(size)]
    used = counted or list(range(len(sizes)))
    before, after = (float(np.mean([getattr(domains[k], end) for k in used])) for end in ("shallow", "deep"))
    size = math.sqrt(sum(sizes[k] ** 2 for k in counted)) / len(counted) if counted else math.nan
    overall = _judged(None, before, after, _around(after - before, size), DENSITY_STEP, True)
    return Claim("density", overall, domains)


def _around(value: float, size: float) -> Interval:
    return Interval(value, value - size, value + size)


def _similarity_claims(resampler: Resampler, shallow: list[int], deep: list[int], *, centred: bool) -> list[Claim]:
    before, after = (resampler.layers(band, centred=centred) for band in (shallow, deep))
    change = resampler.change(shallow, deep, centred=centred)
    claims = []
    for field, falls in (("across", True), ("within", None), ("gap", False)):
        numbers = [
            (None, *(getattr(part, f"mean_{field}") for part in (before, after, change))),
            *zip(resampler.domains, *(getattr(part, field) for part in (before, after, change)), strict=True),
        ]
        overall, *domains = [
            _judged(domain, one.value, other.value, Interval(0.0) if shallow == deep else moved, COSINE_STEP, falls)
            for domain, one, other, moved in numbers
        ]
        claims.append(Claim(f"{field}_centred" if centred else field, overall, domains))
    return claims


def _judged(
    domain: int | None, before: float, after: float, change: Interval, step: float, falls: bool | None
) -> Judged:
    return Judged(domain, before, after, change, judge(change, step, falls=falls))
