"""What zeroing sets of weights costs the domain that they were chosen for: curves over their size, or points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.causal.verdicts import SetDamages
from paramscope.measures.ranks import mean_interval
from paramscope.report.colours import GREY, Style, series_style
from paramscope.report.lines import HALF, Across, Axis, Series, line_chart
from paramscope.report.svg import Scale, element, nice_range, number, picture, value_ticks
from paramscope.report.tables import Cell, Table
from paramscope.report.text import figure, interval, layer_range, small_percent
from paramscope.result.verification import Checks

CRITERIA: dict[str, tuple[str, Style]] = {
    "activation": ("activation", series_style(0)),
    "ratio": ("ratio", series_style(2)),
    "difference": ("difference", series_style(3)),
    "magnitude": ("magnitude", series_style(1)),
    "input-norm": ("input norm", series_style(4)),
    "lowest": ("lowest", series_style(5)),
    "random": ("random", replace(GREY, dash="6 3")),
}
"""Name and style of each way to choose weights."""

WORDS = {
    "activation": "the estimate itself",
    "ratio": "activation over that of the other domains",
    "difference": "activation less that of the other domains",
    "magnitude": "size of the weight, the same for all domains",
    "input-norm": "size of the weight times the norm of its input",
    "lowest": "the smallest activations",
    "random": "as many of the same modules, drawn by chance",
}
"""What each way takes, in words."""


_FRAME = replace(HALF, right=132, top=12)


@dataclass(frozen=True)
class DamageFigures:
    """What the page shows of sets.

    Attributes:
        charts: heading and chart, by band.
        criteria: ways to choose weights that were tried, with what each takes.
        shares: sizes.
        table: the numbers of all charts.
        missing: numbers that are none, because the model's answer was none any more.
    """

    charts: list[tuple[str, Markup]]
    criteria: list[tuple[str, str]]
    shares: list[float]
    table: Table
    missing: int


def damage_figures(checks: Checks, domains: Sequence[str], bands: dict[str, list[int]]) -> DamageFigures | None:
    """Draw the damage of sets to the texts of the domain that they were chosen for.

    Args:
        checks: of the run.
        domains: names, as in the tables.
        bands: of layers, by name.

    Returns:
        The figures; None where no set was tried.
    """
    if checks.sets.empty:
        return None
    damages = SetDamages(checks.sets, domains, list(bands))
    seed = int(checks.result.arguments["seed"])
    criteria = [criterion for criterion in CRITERIA if damages.has(criterion)]
    found = {band: [_series(damages, band, criterion, seed) for criterion in criteria] for band in damages.bands}
    axis = _axis([line for lines in found.values() for line in lines])
    charts = []
    for band, lines in found.items():
        heading = band_heading(band, bands[band])
        ident, title = f"damage-{band}", f"Damage by share of the weights zeroed. {heading}"
        if len(damages.shares) == 1:
            chart = _points(ident, title, lines, axis)
        else:
            chart = line_chart(ident, title, _told(lines), lines, axis, {}, _FRAME, _across(damages.shares))
        charts.append((heading, chart))
    every = np.concatenate([line.values for lines in found.values() for line in lines])
    told = [(CRITERIA[criterion][0], WORDS[criterion]) for criterion in criteria]
    missing = int((~np.isfinite(every)).sum())
    return DamageFigures(charts, told, damages.shares, _table(found, damages.shares), missing)


def _series(damages: SetDamages, band: str, criterion: str, seed: int) -> Series:
    """Mean damage by share with its interval, as the verdicts have it."""
    own = np.stack([damages.own(damages.matrix(band, share, criterion)) for share in damages.shares])
    usable = np.isfinite(own).all(1)
    value, low, high = np.full((3, len(own)), np.nan)
    for place in np.flatnonzero(usable):
        found = mean_interval(own[place], damages.owner, seed=seed)
        value[place], low[place], high[place] = found.value, found.low, found.high
    name, style = CRITERIA[criterion]
    return Series(name, value, low, high, style)


def _axis(lines: Sequence[Series]) -> Axis:
    every = np.concatenate([each for line in lines for each in (line.values, line.low, line.high)])
    finite = np.append(every[np.isfinite(every)], 0.0)
    span = float(np.ptp(finite))
    step = 10.0 ** math.floor(math.log10(span)) / 2 if span > 0.02 else 0.01
    return Axis(*nice_range(float(finite.min()), float(finite.max()), step), _tick, figure)


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _across(shares: Sequence[float]) -> Across:
    shown = tuple(small_percent(share) for share in shares)
    at = tuple(math.log10(share) for share in shares)
    told = tuple(f"{share} of the weights" for share in shown)
    return Across(at, 0.2 * (at[-1] - at[0]), shown, told, "share of weights set to zero")


def _told(lines: Sequence[Series]) -> str:
    parts = [f"{line.name}: {figure(line.values[-1])}" for line in lines]
    return f"Nats per token at the largest share. {'; '.join(parts)}. All numbers stand in the table below."


def _points(ident: str, title: str, lines: Sequence[Series], axis: Axis) -> Markup:
    """One row a criterion, for a single share: a point with whiskers."""
    row, top, left = 30.0, 8.0, 92.0
    bottom = top + row * len(lines)
    x = Scale(axis.low, axis.high, left, HALF.width - 22)
    return picture(
        ident, HALF.width, bottom + 44, title, _told(lines), *_rows(lines, axis, x, top, row, bottom), css="half"
    )


def _rows(lines: Sequence[Series], axis: Axis, x: Scale, top: float, row: float, bottom: float) -> Iterator[Markup]:
    for value in value_ticks(axis.low, axis.high, 6):
        css = "axis" if value == 0 else "grid"
        yield element("line", x1=x(value), x2=x(value), y1=top, y2=bottom, class_=css)
        yield element("text", axis.tick(value), x=x(value), y=bottom + 17, class_="tick middle")
    caption = "loss, nats per token"
    yield element("text", caption, x=(x.start + x.end) / 2, y=bottom + 36, class_="tick middle")
    for place, line in enumerate(lines):
        at = top + row * (place + 0.5)
        yield element("text", line.name, x=x.start - 12, y=at + 4, class_="label end")
        value, low, high = float(line.values[0]), float(line.low[0]), float(line.high[0])
        if not math.isfinite(value):
            yield element("text", "no number any more", x=x.start + 6, y=at + 4, class_="tick")
            continue
        parts = [element("title", f"{line.name}: {figure(value)} (95% interval {interval(low, high, figure)})")]
        if math.isfinite(low) and math.isfinite(high):
            ends = f"M{number(x(low))} {number(at)}H{number(x(high))}"
            caps = "".join(f"M{number(x(end))} {number(at - 5)}v10" for end in (low, high))
            parts.append(element("path", d=ends + caps, class_="whisker"))
        turn = f"translate({number(x(value))} {number(at)})"
        parts.append(element("path", d=line.style.marker, transform=turn, class_="marker"))
        yield element("g", *parts, class_=f"series {line.style.css}")


def _table(found: dict[str, list[Series]], shares: Sequence[float]) -> Table:
    lines = next(iter(found.values()))
    rows = [
        (
            f"{band}, {small_percent(share)}",
            [
                Cell(
                    figure(float(line.values[place])), interval(float(line.low[place]), float(line.high[place]), figure)
                )
                for line in several
            ],
        )
        for band, several in found.items()
        for place, share in enumerate(shares)
    ]
    return Table([Cell(line.name) for line in lines], rows)


def band_heading(band: str, layers: Sequence[int]) -> str:
    """``Shallow layers (0–9)``."""
    return f"{band.capitalize()} {'layer' if len(layers) == 1 else 'layers'} ({layer_range(layers)})"


def finite_bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of a colour scale for some damages: whole steps, no wider than they need."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    step = max(10.0 ** math.floor(math.log10(max(high - low, 0.1))) / 2, 0.05)
    return nice_range(low, high, step)
