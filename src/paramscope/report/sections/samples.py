"""Texts that are typical of their domain and texts that are odd in it, by how they use the deep layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from paramscope.report.material import Material
from paramscope.report.text import clean, cosine
from paramscope.result.profile import Profile

EACH = 2
"""Typical texts of a domain, and odd ones."""

LONGEST_TEXT = 300
MOST_LINES = 12


@dataclass(frozen=True)
class ShownSample:
    """One sample.

    Attributes:
        number: as in the table of samples, counted from 0 in its domain.
        value: its mean LLMDcos with the other samples of its domain.
        text: shortened; None where texts are left out, empty where the run has none.
    """

    number: int
    value: str
    text: Markup | None


@dataclass(frozen=True)
class DomainSamples:
    """Samples of one domain; none of either kind where it has too few."""

    name: str
    typical: list[ShownSample]
    odd: list[ShownSample]


@dataclass(frozen=True)
class SampleLists:
    """Typical and odd samples of all domains.

    Attributes:
        domains: in the order of the run.
        layers: of the band.
        centred: whether the cosines are centred; there is nothing to centre on in a run of one domain.
        with_text: whether texts are shown.
    """

    domains: list[DomainSamples]
    layers: list[int]
    centred: bool
    with_text: bool


def sample_lists(material: Material) -> SampleLists:
    """Choose the samples."""
    profile = material.profile
    layers = material.findings.deep[1]
    scores = belonging(profile, layers)
    owners = profile.samples["domain"].to_numpy()
    numbers = profile.samples["index"].to_numpy()
    texts = profile.samples["text"].to_numpy()
    domains = []
    for domain, name in zip(profile.domains, material.names, strict=True):
        mine = np.flatnonzero((owners == domain) & np.isfinite(scores))
        ranked = mine[np.argsort(-scores[mine], kind="stable")]
        each = min(EACH, len(ranked) // 2)

        def shown(place: int) -> ShownSample:
            text = shown_text(str(texts[place])) if material.with_text else None
            return ShownSample(int(numbers[place]), cosine(float(scores[place])), text)

        typical, odd = ranked[:each], ranked[len(ranked) - each :][::-1]
        domains.append(DomainSamples(name, [shown(k) for k in typical], [shown(k) for k in odd]))
    return SampleLists(domains, layers, len(profile.domains) > 1, material.with_text)


def belonging(profile: Profile, layers: list[int]) -> NDArray[np.float64]:
    """How much each sample uses some layers as the others of its domain do.

    Args:
        profile: the run.
        layers: over which is averaged.

    Returns:
        Mean LLMDcos of each sample with the other samples of its domain, centred where there are several domains; NaN
        where there is no pair.
    """
    centred = len(profile.domains) > 1
    whole = np.mean([profile.sample_cosines(layer, centred=centred) for layer in layers], axis=0)
    owners = profile.samples["domain"].to_numpy()
    pairs = (owners[:, None] == owners[None, :]) & ~np.eye(len(owners), dtype=bool) & np.isfinite(whole)
    total, count = np.where(pairs, whole, 0.0).sum(1), pairs.sum(1)
    return np.divide(total, count, out=np.full(len(owners), np.nan), where=count > 0)


def shown_text(text: str) -> Markup:
    """The beginning of a text, its lines and spaces as they are, nothing in it that steers or hides."""
    start = text[:LONGEST_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    lines = start.split("\n")
    kept = [clean(line.replace("\t", "    ")) for line in lines[:MOST_LINES]]
    more = "…" if len(text) > LONGEST_TEXT or len(lines) > MOST_LINES else ""
    return escape("\n".join(kept).strip("\n") + more)
