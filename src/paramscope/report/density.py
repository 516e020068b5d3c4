"""The figures about density: lines, one panel a domain, heat map, and the lines at the paper's threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from paramscope.report.colours import GREY, series_style
from paramscope.report.heatmap import heat_map
from paramscope.report.lines import NARROW, PANEL, SHORT, WIDE, Axis, Frame, Series, line_chart
from paramscope.report.svg import nice_range
from paramscope.report.text import percent
from paramscope.result.profile import Estimate

LITTLE_TO_SEE = 0.95
"""Density above which a layer counts as full: the domains can hardly differ there."""

_AXIS = Axis(0.0, 1.0, lambda value: percent(value, 0), percent)
_FEW = 3


@dataclass(frozen=True)
class DensityFigures:
    """What the section about density shows.

    Attributes:
        lines: the chart, for wide and for narrow screens.
        panels: one a domain, in the order of the domains; none when there are so few that the chart itself is clear.
        heat: the heat map, for wide and for narrow screens.
        spread: density of the layer and domain with the lowest and the highest.
    """

    lines: Markup
    panels: list[Markup]
    heat: Markup
    spread: tuple[float, float]


@dataclass(frozen=True)
class PaperThreshold:
    """What the paper's threshold would show.

    Attributes:
        lines: the chart, for wide and for narrow screens.
        spread: density of the layer and domain with the lowest and the highest.
        full: layers in which every domain is above ``LITTLE_TO_SEE``.
    """

    lines: Markup
    spread: tuple[float, float]
    full: int


def density_figures(density: Estimate, names: Sequence[str], zones: dict[str, list[int]]) -> DensityFigures:
    """Draw the density at the run's threshold.

    Args:
        density: layers by domains.
        names: of the domains, cleaned.
        zones: bands of layers.

    Returns:
        The figures.
    """
    lines = _series(density, names)
    values = density.value.to_numpy()
    bounds = nice_range(float(values.min()), float(values.max()), 0.1)
    title = "Density of each layer, domains by layers"
    heat = [
        heat_map(f"heat-{kind}", title, _description(lines), values, names, bounds, upright=kind == "narrow")
        for kind in ("wide", "narrow")
    ]
    panels = []
    for place, line in enumerate(lines) if len(lines) > _FEW else ():
        others = [replace(other, style=GREY, background=True) for other in lines if other is not line]
        title = f"Density by layer: {line.name} among all domains"
        panels.append(line_chart(f"density-{place}", title, _description([line]), [*others, line], _AXIS, zones, PANEL))
    chart = _chart("density", lines, zones, (WIDE, NARROW))
    return DensityFigures(chart, panels, Markup("").join(heat), _spread(values))


def paper_figures(density: Estimate, names: Sequence[str], zones: dict[str, list[int]]) -> PaperThreshold:
    """Draw the density at the paper's threshold.

    Args:
        density: layers by domains, at that threshold.
        names: of the domains, cleaned.
        zones: bands of layers.

    Returns:
        The chart and what to say about it.
    """
    values = density.value.to_numpy()
    full = int((values > LITTLE_TO_SEE).all(axis=1).sum())
    chart = _chart("paper", _series(density, names), zones, (SHORT, replace(NARROW, height=260)))
    return PaperThreshold(chart, _spread(values), full)


def _series(density: Estimate, names: Sequence[str]) -> list[Series]:
    value, low, high = (frame.to_numpy(dtype=float) for frame in (density.value, density.low, density.high))
    return [
        Series(name, value[:, place], low[:, place], high[:, place], series_style(place))
        for place, name in enumerate(names)
    ]


def _chart(ident: str, lines: Sequence[Series], zones: dict[str, list[int]], frames: tuple[Frame, Frame]) -> Markup:
    title = "Density by layer, one line a domain"
    both = [
        line_chart(f"{ident}-{frame.css}", title, _description(lines), lines, _AXIS, zones, frame) for frame in frames
    ]
    return Markup("").join(both)


def _description(lines: Sequence[Series]) -> str:
    parts = [
        f"{line.name}: {percent(line.values[0])} in the first layer, {percent(line.values[-1])} in the last"
        for line in lines
    ]
    return "; ".join(parts) + ". All numbers stand in the table at the end of the page."


def _spread(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
