"""The figures about LLMDcos: within and across by layer, one panel a domain, and the domains' matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.measures.ranks import Interval
from paramscope.measures.resample import Resampler
from paramscope.measures.similarity import FEWEST
from paramscope.report.colours import GREY, Style, series_style
from paramscope.report.findings import Findings
from paramscope.report.lines import HALF, PANEL, Axis, Series, line_chart
from paramscope.report.matrix import domain_matrix
from paramscope.report.svg import nice_range
from paramscope.report.text import cosine, layer_range
from paramscope.result.profile import Estimate, Profile

_WITHIN, _ACROSS = series_style(0), series_style(1)


@dataclass(frozen=True)
class SimilarityFigures:
    """One kind of LLMDcos, raw or centred.

    Attributes:
        lines: mean within and across by layer.
        panels: the same for each domain; none when there is only one.
        matrices: title and matrix of each band.
        within: the mean lines, for the numbers table.
        across: the same.
    """

    lines: Markup
    panels: list[Markup]
    matrices: list[tuple[str, Markup]]
    within: Series
    across: Series

    @property
    def empty(self) -> bool:
        """Whether there is no pair of texts at all."""
        return not np.isfinite([*self.within.values, *self.across.values]).any()


def similarity_figures(
    profile: Profile, resampler: Resampler, findings: Findings, names: Sequence[str], *, centred: bool
) -> SimilarityFigures:
    """Draw all figures of one kind.

    Args:
        profile: the run.
        resampler: of that run.
        findings: which bands stand for shallow and deep.
        names: of the domains, cleaned.
        centred: the centred cosine instead of the raw one.

    Returns:
        The figures.
    """
    kind = "centred" if centred else "raw"
    word = f"LLMDcos, {kind}"
    own, others, within, across = _lines(profile, resampler, names, centred)
    every = np.concatenate([array for line in (*own, *others) for array in (line.values, line.low, line.high)])
    finite = every[np.isfinite(every)]
    bounds = nice_range(finite.min(), finite.max(), 0.2) if len(finite) else (0.0, 1.0)
    axis = Axis(*bounds, lambda value: f"{value:.1f}".replace("-", "−"), cosine)
    ident = f"similarity-{kind}"
    thin = [replace(line, style=GREY, background=True) for line in own] if len(own) > 1 else []
    zones = profile.bands
    means = [line for line in (across, within) if np.isfinite(line.values).any()] or [within]
    chart = line_chart(ident, f"{word}, by layer", _description(means), [*thin, *means], axis, zones, HALF)
    panels = []
    for place, (line, other) in enumerate(zip(own, others, strict=True)) if len(own) > 1 else ():
        title = f"{word}, by layer: {names[place]} with itself and with the other domains"
        pair = [other, line]
        panels.append(line_chart(f"{ident}-{place}", title, _description(pair), pair, axis, zones, PANEL))
    return SimilarityFigures(chart, panels, _matrices(profile, findings, names, kind), within, across)


def _lines(
    profile: Profile, resampler: Resampler, names: Sequence[str], centred: bool
) -> tuple[list[Series], list[Series], Series, Series]:
    """Lines of each domain with itself and with the others, and the means of both."""
    found = profile.similarity(centred=centred)
    alike = [resampler.layers([layer], centred=centred) for layer in range(profile.layers)]
    sizes = [domain.samples for domain in profile.manifest.domains]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    between = found.across.value.to_numpy()
    own, others = [], []
    for place, name in enumerate(names):
        own.append(_within(found.within, place, name, enough=sizes[place] >= FEWEST))
        style = replace(GREY, dash="6 3")
        if place in resampler.domains and len(resampler.domains) > 1:
            row = resampler.domains.index(place)
            others.append(_series(f"{name} with others", [layer.across[row] for layer in alike], style))
        else:
            mine = [k for k, pair in enumerate(pairs) if place in pair]
            others.append(_plain(f"{name} with others", _row_mean(between[:, mine]), style))
    within = _series("within", [layer.mean_within for layer in alike], _WITHIN)
    if not resampler.domains:
        within = _plain("within", _row_mean(found.within.value.to_numpy()), _WITHIN)
    across = _series("across", [layer.mean_across for layer in alike], _ACROSS)
    if len(resampler.domains) < 2:
        across = _plain("across", _row_mean(between), _ACROSS)
    return own, others, within, across


def _within(found: Estimate, place: int, name: str, *, enough: bool) -> Series:
    value, low, high = (frame.iloc[:, place].to_numpy(dtype=float) for frame in (found.value, found.low, found.high))
    nothing = np.full(len(value), np.nan)
    return Series(name, value, low if enough else nothing, high if enough else nothing, series_style(place))


def _series(name: str, layers: Sequence[Interval], style: Style) -> Series:
    value, low, high = np.array([(layer.value, layer.low, layer.high) for layer in layers], dtype=float).T
    return Series(name, value, low, high, style)


def _plain(name: str, values: NDArray[np.float64], style: Style) -> Series:
    nothing = np.full(len(values), np.nan)
    return Series(name, values, nothing, nothing, style)


def _row_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the columns that have a value; NaN where none has."""
    finite = np.isfinite(values)
    count = finite.sum(1)
    return np.divide(np.where(finite, values, 0.0).sum(1), count, out=np.full(len(values), np.nan), where=count > 0)


def _matrices(profile: Profile, findings: Findings, names: Sequence[str], kind: str) -> list[tuple[str, Markup]]:
    bands = [findings.shallow, findings.deep] if findings.comparable else [findings.shallow]
    matrices = [
        profile.similarity_matrix(members, centred=kind == "centred").to_numpy(dtype=float) for _, members in bands
    ]
    every = np.concatenate([matrix.ravel() for matrix in matrices])
    finite = every[np.isfinite(every)]
    bounds = nice_range(finite.min(), finite.max(), 0.05) if len(finite) else (0.0, 1.0)
    drawn = []
    for (band, members), matrix in zip(bands, matrices, strict=True):
        heading = f"{kind}, {band} {'layer' if len(members) == 1 else 'layers'} ({layer_range(members)})"
        title = f"LLMDcos between domains, {heading}"
        ident = f"matrix-{kind}-{band}"
        drawn.append((heading, domain_matrix(ident, title, _pairs(matrix, names), matrix, names, bounds)))
    return drawn


def _pairs(matrix: NDArray[np.float64], names: Sequence[str]) -> str:
    """The most and the least alike pair, for those who do not see the matrix."""
    pairs = [(matrix[i, j], i, j) for i in range(len(names)) for j in range(i) if np.isfinite(matrix[i, j])]
    if not pairs:
        return "There is no pair of domains."
    (least, a, b), (most, c, d) = min(pairs), max(pairs)
    return (
        f"Most alike: {names[d]} and {names[c]} ({cosine(most)}); "
        f"least alike: {names[b]} and {names[a]} ({cosine(least)})."
    )


def _description(lines: Sequence[Series]) -> str:
    parts = [
        f"{line.name}: {cosine(line.values[0])} in the first layer, {cosine(line.values[-1])} in the last"
        for line in lines
    ]
    return "; ".join(parts) + "."
