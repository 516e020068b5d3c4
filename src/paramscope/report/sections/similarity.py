"""Similarity by depth: LLMDcos within and across domains by layer, raw and centred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.measures.ranks import Interval
from paramscope.measures.resample import Resampler
from paramscope.report.charts.colours import GREY, Style, series_style
from paramscope.report.charts.frame import HALF, Axis, Series, told_ends
from paramscope.report.charts.lines import line_chart
from paramscope.report.charts.svg import nice_range
from paramscope.report.material import Material
from paramscope.report.text import cosine
from paramscope.report.words import word
from paramscope.result.profile import Profile

_WITHIN, _ACROSS = series_style(0), series_style(1)


@dataclass(frozen=True)
class SimilarityFigure:
    """One kind of LLMDcos, raw or centred.

    Attributes:
        chart: mean within and across by layer.
        within: the lines, for the table of numbers.
        across: the same.
    """

    chart: Markup
    within: Series
    across: Series

    @property
    def empty(self) -> bool:
        """Whether there is no pair of texts at all."""
        return not np.isfinite([*self.within.values, *self.across.values]).any()


def similarity_figure(material: Material, *, centred: bool) -> SimilarityFigure:
    """Draw one kind.

    Args:
        material: the run.
        centred: the centred cosine instead of the raw one.

    Returns:
        The figure.
    """
    own, within, across = similarity_lines(material.profile, material.resampler, material.names, centred=centred)
    thin = [replace(line, background=True) for line in own] if len(own) > 1 else []
    every = np.concatenate([each for line in (*thin, within, across) for each in (line.values, line.low, line.high)])
    finite = every[np.isfinite(every)]
    bounds = nice_range(finite.min(), finite.max(), 0.2) if len(finite) else (0.0, 1.0)
    axis = Axis(*bounds, lambda value: f"{value:.1f}".replace("-", "−"), cosine)
    means = [line for line in (across, within) if np.isfinite(line.values).any()] or [within]
    title = (
        _("How alike texts use each layer: centred LLMDcos, within a domain and across domains")
        if centred
        else _("How alike texts use each layer: LLMDcos, within a domain and across domains")
    )
    zones = {word(band): members for band, members in material.profile.bands.items()}
    ident = "similarity-centred" if centred else "similarity-raw"
    chart = line_chart(ident, title, told_ends(means, cosine), [*thin, *means], axis, zones, HALF)
    return SimilarityFigure(chart, within, across)


def similarity_lines(
    profile: Profile, resampler: Resampler, names: Sequence[str], *, centred: bool
) -> tuple[list[Series], Series, Series]:
    """Lines of each domain with itself, and the means within and across.

    Args:
        profile: the run.
        resampler: of that run.
        names: of the domains, cleaned.
        centred: the centred cosine instead of the raw one.

    Returns:
        One line a domain, without intervals; the mean within; the mean across.
    """
    found = profile.similarity(centred=centred)
    alike = [resampler.layers([layer], centred=centred) for layer in range(profile.layers)]
    values = found.within.value.to_numpy(dtype=float)
    own = [_plain(name, values[:, place], GREY) for place, name in enumerate(names)]
    within = _series(_("within"), [layer.mean_within for layer in alike], _WITHIN)
    if not resampler.domains:
        within = _plain(within.name, _row_mean(values), _WITHIN)
    across = _series(_("across"), [layer.mean_across for layer in alike], _ACROSS)
    if len(resampler.domains) < 2:
        across = _plain(across.name, _row_mean(found.across.value.to_numpy(dtype=float)), _ACROSS)
    return own, within, across


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
