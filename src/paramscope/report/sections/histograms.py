"""How the activations of each module are spread, in shallow and in deep layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.measures.histogram import EDGES
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.histogram import Outline, octave_histogram
from paramscope.report.charts.svg import nice_range
from paramscope.report.material import Material
from paramscope.report.text import clean, shorten
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.tables import ALL

MOST_PANELS = 12
"""Modules with a panel: those with the most parameters."""

_A_OCTAVE = 8
_FEW = 0.002
_LOWEST = round(math.log2(EDGES[_A_OCTAVE]))
"""Exponent of 2 at which the second octave of the bins begins; the first one holds what is below normal numbers."""

_DASHES = (None, "5 3")


@dataclass(frozen=True)
class HistogramPanels:
    """One panel a module.

    Attributes:
        panels: name and histogram.
        left_out: how many modules have none.
        two: whether shallow and deep layers are told apart.
    """

    panels: list[tuple[str, Markup]]
    left_out: int
    two: bool


def histogram_panels(material: Material) -> HistogramPanels:
    """Draw them, in the language that is spoken."""
    profile, findings = material.profile, material.findings
    bands = [findings.shallow[1], findings.deep[1]] if findings.comparable else [findings.shallow[1]]
    sizes = profile.modules.groupby("module", sort=False)["parameters"].sum()
    kept = set(sizes.nlargest(MOST_PANELS).index)
    names = [str(name) for name in sizes.index if name in kept]
    shares = octave_shares(profile, names, bands)
    heard = (shares > _FEW).any((0, 1, 2))
    used = np.flatnonzero(heard) if heard.any() else np.array([0, 1])
    first, last = int(used[0]), int(used[-1])
    shares = shares[..., first : last + 1]
    top = nice_range(0.0, float(shares.max()), 0.05)[1]
    marks = [(math.log2(profile.threshold), "level own"), (math.log2(PAPER_THRESHOLD), "level paper")]
    panels = []
    for place, name in enumerate(names):
        told = shorten(clean(name), 40)
        outlines = [outline for thin in (True, False) for outline in _outlines(shares[place], thin=thin)]
        title = _("Activations of %(module)s by size", module=told)
        panels.append(
            (told, octave_histogram(f"histogram-{place}", title, _described(shares[place], first), _LOWEST
                                    - 1 + first, outlines, top, marks))
        )  # fmt: skip
    return HistogramPanels(panels, len(sizes) - len(names), len(bands) == 2)


def octave_shares(profile: Profile, names: Sequence[str], bands: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Share of the weights whose mean activation lies in each octave.

    Args:
        profile: the run.
        names: of modules.
        bands: of layers, over which the modules are pooled.

    Returns:
        ``[modules, bands, domains, octaves]``; the octaves are those of the histograms' bins. Zeros are in none.
    """
    modules = {name: place for place, name in enumerate(names)}
    domains = {name: place for place, name in enumerate(profile.domains)}
    owners = {layer: place for place, band in enumerate(bands) for layer in band}
    octaves = len(EDGES) // _A_OCTAVE
    counts = np.zeros((len(names), len(bands), len(domains), octaves * _A_OCTAVE))
    weights = np.zeros((len(names), len(bands), len(domains)))
    table = profile.tables.histograms
    table = table[(table["group"] == ALL) & table["layer"].isin(list(owners)) & table["module"].isin(list(modules))]
    for layer, module, domain, size, lowest, bins in zip(
        *(table[column] for column in ("layer", "module", "domain", "weights", "first_bin", "counts")), strict=True
    ):
        place = modules[module], owners[layer], domains[domain]
        counts[(*place, slice(lowest, lowest + len(bins)))] += bins
        weights[place] += size
    pooled = counts.reshape(*weights.shape, octaves, _A_OCTAVE).sum(-1)
    return np.divide(pooled, weights[..., None], out=np.zeros_like(pooled), where=weights[..., None] > 0)


def _outlines(shares: NDArray[np.float64], *, thin: bool) -> list[Outline]:
    """Thin lines of all domains, or a thick one of their mean, of each band."""
    return [
        Outline(
            domains if thin else domains.mean(0, keepdims=True),
            series_style(band).css,
            None if thin else _DASHES[band],
            thin,
        )
        for band, domains in enumerate(shares)
    ]


def _described(shares: NDArray[np.float64], first: int) -> str:
    """The octave that holds most, of each band."""
    peaks = [_LOWEST - 1 + first + int(band.mean(0).argmax()) for band in shares]
    if len(peaks) == 1:
        return _("Most weights lie between 2 to the power of %(low)s and the double of it.", low=peaks[0])
    return _(
        "Most weights of shallow layers lie from 2 to the power of %(shallow)s to the double of it, of deep layers "
        "from 2 to the power of %(deep)s.",
        shallow=peaks[0],
        deep=peaks[1],
    )
