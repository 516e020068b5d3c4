"""Density by layer at any threshold: the stops of the slider, and the pictures at the run's own threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.measures.histogram import BINS, EDGES, quantile
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.frame import NARROW, WIDE, Axis, Series, told_ends
from paramscope.report.charts.heattable import HeatTable, heat_table, packed, permille
from paramscope.report.charts.lines import line_chart
from paramscope.report.findings import Verdict
from paramscope.report.material import Material
from paramscope.report.text import percent, scientific
from paramscope.report.words import word
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.tables import ALL

STOPS = 40
"""Stops of the slider, the run's and the paper's threshold not counted."""

_AXIS = Axis(0.0, 1.0, lambda value: percent(value, 0), percent)
# The table has the numbers, so points need no tool tips, and few markers are enough to tell the lines apart.
_FRAMES = (replace(WIDE, tips=False, room=100.0), replace(NARROW, room=100.0))
_SAME = 1e-3


@dataclass(frozen=True)
class DensityFigures:
    """What the section shows of the density.

    Attributes:
        title: whether it falls with depth.
        lines: the chart at the run's threshold, for wide and for narrow screens.
        heat: domains by layers at the run's threshold.
        words: what is told of a threshold, its places ``{threshold}``, ``{low}`` and ``{high}`` open for the script.
        told: the same of the run's.
        stops: how many the slider has.
        start: which of them is the run's threshold.
        marks: place and words of the marked stops.
    """

    title: str
    lines: Markup
    heat: HeatTable
    words: str
    told: str
    stops: int
    start: int
    marks: list[tuple[int, str]]


def density_figures(material: Material) -> DensityFigures:
    """Draw the density at the run's threshold, in the language that is spoken."""
    profile, density = material.profile, material.density
    value, low, high = (frame.to_numpy(dtype=float) for frame in (density.value, density.low, density.high))
    lines = [
        Series(name, value[:, place], low[:, place], high[:, place], series_style(place))
        for place, name in enumerate(material.names)
    ]
    zones = {word(band): layers for band, layers in profile.bands.items()}
    title = _("Density by layer, one line a domain")
    charts = [
        line_chart(f"density-{frame.css}", title, _description(lines), lines, _AXIS, zones, frame) for frame in _FRAMES
    ]
    shown = [[permille(share) for share in column] for column in value.T]
    heat = heat_table(shown, material.names, range(profile.layers), (_("Domain"), _("Layer")))
    words = _("At the threshold {threshold} the densities of all layers and domains lie between {low}%% and {high}%%.")
    stops = density_stops(profile)
    start, paper = marked_stops(profile, stops)
    marks = [(start, _("this run: %(threshold)s", threshold=scientific(stops[start])))]
    if paper != start:
        marks.append((paper, _("the paper: %(threshold)s", threshold=scientific(stops[paper]))))
    ends = (percent(float(end)).removesuffix("%") for end in (value.min(), value.max()))
    told = words.format(threshold=scientific(stops[start]), low=next(ends), high=next(ends))
    return DensityFigures(_title(material), Markup("").join(charts), heat, words, told, len(stops), start, marks)


def density_data(material: Material) -> dict[str, object]:
    """Densities at all stops for the script.

    Args:
        material: the run.

    Returns:
        ``thresholds`` as they are written, ``values`` packed domain by domain (see ``packed``), and how many
        ``layers``.
    """
    stops = density_stops(material.profile)
    shares = densities_at(material.profile, stops)
    return {
        "thresholds": [scientific(stop) for stop in stops],
        "layers": material.profile.layers,
        "values": [packed([[permille(share) for share in column] for column in at.T.tolist()]) for at in shares],
    }


def density_stops(profile: Profile) -> list[float]:
    """Thresholds of the slider, from where nearly all weights count as active to where nearly none do.

    Args:
        profile: the run.

    Returns:
        Rising; even steps of the logarithm, rounded to what is written, and among them the run's threshold and the
        paper's, unrounded.
    """
    pooled = _counts(profile).sum((0, 1))
    zeros = float(profile.tables.activation["zeros"].sum())
    used = np.flatnonzero(pooled)
    fixed = [profile.threshold, PAPER_THRESHOLD]
    if len(used):
        ends = [quantile(pooled, zeros, 0.01) or EDGES[used[0]], quantile(pooled, zeros, 0.99) or EDGES[used[-1] + 1]]
    else:
        ends = fixed
    low, high = (min(*ends, *fixed), max(*ends, *fixed))
    grid = [float(f"{stop:.2e}") for stop in np.geomspace(low, high, STOPS)]
    stops = [profile.threshold]
    for stop in (PAPER_THRESHOLD, *grid):
        if not any(math.isclose(stop, other, rel_tol=_SAME) for other in stops):
            stops.append(stop)
    return sorted(stops)


def marked_stops(profile: Profile, stops: list[float]) -> tuple[int, int]:
    """Places of the run's threshold and of the paper's, which may be the same."""
    start = stops.index(profile.threshold)
    return start, stops.index(PAPER_THRESHOLD) if PAPER_THRESHOLD in stops else start


def densities_at(profile: Profile, thresholds: list[float]) -> NDArray[np.float64]:
    """What ``Profile.density`` gives for many thresholds at once.

    Args:
        profile: the run.
        thresholds: positive.

    Returns:
        ``[thresholds, layers, domains]``.
    """
    counts = _counts(profile)
    above = np.zeros((*counts.shape[:2], BINS + 1))
    above[..., :-1] = counts[..., ::-1].cumsum(-1)[..., ::-1]
    levels = np.asarray(thresholds)
    places = np.clip(np.searchsorted(EDGES, levels, side="right") - 1, 0, BINS - 1)
    inside = np.minimum(1.0, (levels - EDGES[places]) / (EDGES[places + 1] - EDGES[places]))
    kept = above[..., places + 1] + (1.0 - inside) * counts[..., places]
    shares = np.moveaxis(kept, -1, 0) / profile.parameters.to_numpy()[:, None]
    for place, threshold in enumerate(thresholds):
        if threshold in profile.manifest.thresholds.exact:
            shares[place] = profile.density(threshold).to_numpy()
    return shares


def _counts(profile: Profile) -> NDArray[np.int64]:
    """``[layers, domains, BINS]`` histograms of the layers."""
    table = profile.tables.histograms
    table = table[table["group"] == ALL]
    places = {name: place for place, name in enumerate(profile.domains)}
    counts = np.zeros((profile.layers, len(places), BINS), dtype=np.int64)
    for layer, domain, first, bins in zip(
        table["layer"], table["domain"], table["first_bin"], table["counts"], strict=True
    ):
        counts[layer, places[domain], first : first + len(bins)] += bins
    return counts


def _title(material: Material) -> str:
    findings = material.findings
    claim = findings.claims["density"].overall
    if not findings.comparable:
        return _("Density of the one layer")
    shallow, deep = percent(claim.shallow, 0), percent(claim.deep, 0)
    if claim.verdict == Verdict.SUPPORTED:
        return _(
            "Density falls from %(shallow)s in shallow layers to %(deep)s in deep ones", shallow=shallow, deep=deep
        )
    if claim.verdict == Verdict.NOT_SUPPORTED:
        return _(
            "Density does not fall with depth: %(shallow)s in shallow layers, %(deep)s in deep ones",
            shallow=shallow,
            deep=deep,
        )
    return _(
        "Whether density falls with depth is undecided: %(shallow)s in shallow layers, %(deep)s in deep ones",
        shallow=shallow,
        deep=deep,
    )


def _description(lines: list[Series]) -> str:
    return " ".join([told_ends(lines, percent), _("All numbers stand in the table below.")])
