"""Density beyond the paper: all domains in one picture, over thresholds, and module by module."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from paramscope.figures.lines import Panel, line_figure
from paramscope.figures.matrices import Scale, heat_figure
from paramscope.figures.subject import JACKKNIFE, Drawn, LeftOut, Subject, marked
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.frame import Series
from paramscope.report.charts.svg import nice_range
from paramscope.report.text import percent, scientific
from paramscope.result.profile import PAPER_THRESHOLD, Estimate

FACTORS = (1 / 16, 1 / 4, 1.0, 4.0, 16.0)
"""Thresholds that are drawn, over the run's."""

MOST_MODULES = 12

_NOT_IN_PAPER = "The paper has no such figure."


def density_figures(subject: Subject) -> list[Drawn | LeftOut]:
    """Draw them.

    Args:
        subject: the run.

    Returns:
        Lines and heat map of all domains, thresholds, modules.
    """
    return [_lines(subject), _heat(subject), _thresholds(subject), _modules(subject)]


def mean_over_domains(estimate: Estimate) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The mean over the domains, with its interval: their texts differ, so their margins add in squares.

    Args:
        estimate: layers by domains.

    Returns:
        Value, low and high by layer; no interval where a domain has none.
    """
    value, low, high = (frame.to_numpy(dtype=float) for frame in (estimate.value, estimate.low, estimate.high))
    mean, domains = value.mean(1), value.shape[1]
    below, above = (np.sqrt(((end - value) ** 2).sum(1)) / domains for end in (low, high))
    return mean, mean - below, mean + above


def _share(value: float) -> str:
    return percent(value, 0)


def _lines(subject: Subject) -> Drawn:
    value, low, high = (
        frame.to_numpy(dtype=float) for frame in (subject.density.value, subject.density.low, subject.density.high)
    )
    lines = [
        Series(name, value[:, place], low[:, place], high[:, place], series_style(place))
        for place, name in enumerate(subject.names)
    ]
    caption = [
        f"Density: share of each layer's linear weights whose activation, averaged over the texts of a domain, is "
        f"above {subject.threshold_told()}.",
        JACKKNIFE,
        subject.told,
        "The paper's Figures 1 and 2 show numbers of weights at γ = 2e-5 instead; figure-1-tasks and figure-2-corpora "
        "do as well.",
    ]
    figure = line_figure([Panel("", "Density", lines, (0.0, 1.0), _share)], least=2.0)
    return Drawn("density-lines", "Density by layer", figure, caption)


def _heat(subject: Subject) -> Drawn:
    values = subject.density.value.to_numpy(dtype=float)
    bounds = nice_range(float(values.min()), float(values.max()), 0.1)
    figure = heat_figure(values.T, subject.names, Scale(bounds, lambda value: f"{100 * value:.0f}", "Density, %"))
    caption = [
        f"Density in percent, layers by domains, at {subject.threshold_told()}. Intervals are in density-lines.",
        subject.told,
        _NOT_IN_PAPER,
    ]
    return Drawn("density-heat", "Density of layers by domains", figure, caption)


def _thresholds(subject: Subject) -> Drawn:
    profile = subject.profile
    thresholds = [profile.threshold * factor for factor in FACTORS]
    if not np.isclose(thresholds, PAPER_THRESHOLD, rtol=1e-3).any():
        thresholds.append(PAPER_THRESHOLD)
    lines = []
    for place, threshold in enumerate(sorted(thresholds)):
        mean, low, high = mean_over_domains(profile.density_estimate(threshold))
        told = " (paper)" if np.isclose(threshold, PAPER_THRESHOLD, rtol=1e-3) else ""
        told = " (run)" if threshold == profile.threshold else told
        lines.append(Series(f"{scientific(threshold)}{told}", mean, low, high, series_style(place)))
    caption = [
        f"Density by layer, mean over the domains, at several thresholds γ: the run's, {subject.threshold_told()}, "
        f"quarters and fourfold of it, and the paper's, {scientific(PAPER_THRESHOLD)}.",
        JACKKNIFE,
        subject.told,
        "The paper shows γ = 2e-5 only (5e-6 for models of 40 layers).",
    ]
    figure = line_figure([Panel("", "Density", lines, (0.0, 1.0), _share)], least=2.0)
    return Drawn("density-thresholds", "Density by layer at several thresholds", figure, caption)


def module_densities(subject: Subject) -> tuple[dict[str, NDArray[np.float64]], int]:
    """Density of each module by layer, mean over the domains.

    Args:
        subject: the run.

    Returns:
        By the module's name in the run, NaN where a layer lacks it; and how many modules there are. The largest
        ``MOST_MODULES`` are kept.
    """
    profile = subject.profile
    table = profile.density(by="module").mean(axis=1).unstack("module").reindex(range(profile.layers))
    sizes = profile.modules.groupby("module", sort=False)["parameters"].sum()
    kept = set(sizes.sort_values(ascending=False, kind="stable").index[:MOST_MODULES])
    return {name: table[name].to_numpy(dtype=float) for name in sizes.index if name in kept}, len(sizes)


def _modules(subject: Subject) -> Drawn:
    found, count = module_densities(subject)
    nothing = np.full(subject.profile.layers, np.nan)
    lines = [
        Series(subject.letters.modules[name], values, nothing, nothing, series_style(place))
        for place, (name, values) in enumerate(found.items())
    ]
    names = ", ".join(marked(name) for name in found)
    some = f" The largest {len(found)} of {count} kinds are shown." if count > len(found) else ""
    caption = [
        f"Density of each linear module by layer, mean over the domains, at {subject.threshold_told()}: {names}.{some} "
        "Modules have no intervals.",
        subject.told,
        "The paper takes all modules of a layer together.",
    ]
    figure = line_figure([Panel("", "Density", lines, (0.0, 1.0), _share)], least=2.0)
    return Drawn("density-modules", "Density by layer and module", figure, caption)
