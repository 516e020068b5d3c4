"""What zeroing sets of weights costs the domain that they were chosen for: curves over their size, or points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.causal.verdicts import SetDamages
from paramscope.language import _, mark
from paramscope.measures.ranks import mean_interval
from paramscope.report.charts.colours import GREY, Style, series_style
from paramscope.report.charts.frame import HALF, Across, Axis, Series
from paramscope.report.charts.lines import line_chart
from paramscope.report.charts.svg import Scale, element, nice_range, number, picture, value_ticks
from paramscope.report.tables import Cell, Table
from paramscope.report.text import figure, interval, small_percent, told_value
from paramscope.report.words import band_name, word
from paramscope.result.verification import Checks
from paramscope.wording import sentences

CRITERIA: dict[str, tuple[str, Style]] = {
    "activation": (mark("activation"), series_style(0)),
    "ratio": (mark("ratio"), series_style(2)),
    "difference": (mark("difference"), series_style(3)),
    "magnitude": (mark("magnitude"), series_style(1)),
    "input-norm": (mark("input norm"), series_style(4)),
    "lowest": (mark("lowest"), series_style(5)),
    "random": (mark("random"), replace(GREY, dash="6 3")),
}
"""Name and style of each way to choose weights."""

WORDS = {
    "activation": mark("the estimate itself"),
    "ratio": mark("activation over that of the other domains"),
    "difference": mark("activation less that of the other domains"),
    "magnitude": mark("size of the parameter, the same for all domains"),
    "input-norm": mark("size of the parameter times the norm of its input"),
    "lowest": mark("the smallest activations"),
    "random": mark("as many of the same modules, drawn by chance"),
}
"""What each way takes, in words."""


_FRAME = replace(HALF, right=132, top=12)


@dataclass(frozen=True)
class DamageFigures:
    """What the page shows of sets.

    Attributes:
        title: the message of all charts.
        charts: heading and chart, by band.
        criteria: ways to choose weights that were tried, with what each takes.
        shares: sizes.
        table: the numbers of all charts.
        told: how to read them.
    """

    title: str
    charts: list[tuple[str, Markup]]
    criteria: list[tuple[str, str]]
    shares: list[float]
    table: Table
    told: str


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
        heading = band_name(band, bands[band])
        ident, title = (
            f"damage-{band}",
            _("Damage by share of the parameters set to zero: %(heading)s", heading=heading),
        )
        if len(damages.shares) == 1:
            chart = _points(ident, title, lines, axis)
        else:
            chart = line_chart(ident, title, _told(lines), lines, axis, {}, _FRAME, _across(damages.shares))
        charts.append((heading, chart))
    every = np.concatenate([line.values for lines in found.values() for line in lines])
    told = [(_(CRITERIA[criterion][0]), _(WORDS[criterion])) for criterion in criteria]
    missing = int((~np.isfinite(every)).sum())
    return DamageFigures(
        _title(found, damages.shares[-1]),
        charts,
        told,
        damages.shares,
        _table(found, damages.shares),
        _read(damages.shares, missing),
    )


def _series(damages: SetDamages, band: str, criterion: str, seed: int) -> Series:
    """Mean damage by share with its interval, as the verdicts have it."""
    own = np.stack([damages.own(damages.matrix(band, share, criterion)) for share in damages.shares])
    usable = np.isfinite(own).all(1)
    value, low, high = np.full((3, len(own)), np.nan)
    for place in np.flatnonzero(usable):
        found = mean_interval(own[place], damages.owner, seed=seed)
        value[place], low[place], high[place] = found.value, found.low, found.high
    name, style = CRITERIA[criterion]
    return Series(_(name), value, low, high, style)


def _read(shares: Sequence[float], missing: int) -> str:
    """How to read the charts."""
    if len(shares) == 1:
        told = [
            _(
                "Loss on held-out texts of the domain that the group was chosen for, in nats per token, mean over "
                "domains, when %(share)s of the band’s parameters are set to zero. Whiskers: 95%% interval over the "
                "texts.",
                share=small_percent(shares[0]),
            )
        ]
    else:
        told = [
            _(
                "Loss on held-out texts of the domain that the group was chosen for, in nats per token, mean over "
                "domains, by the share of the band’s parameters that is set to zero. Shaded: 95%% interval over the "
                "texts."
            )
        ]
    if missing:
        told.append(_("Where a point is missing, the model’s answer was no number any more."))
    return sentences(*told)


def _title(found: dict[str, list[Series]], share: float) -> str:
    """What the weights chosen by activation cost at the largest share, and as many random ones, mean over the bands."""
    lines = [line for several in found.values() for line in several]
    last = {
        key: np.array([line.values[-1] for line in lines if line.name == _(CRITERIA[key][0])])
        for key in ("activation", "random")
    }
    if not all(len(values) and np.isfinite(values).all() for values in last.values()):
        return _("Removing groups: what a domain loses without the parameters chosen for it, and the controls")
    return _(
        "Without the %(share)s of parameters chosen for it by activation a domain loses %(chosen)s nats per token, "
        "without as many random ones %(random)s",
        share=small_percent(share),
        chosen=figure(float(last["activation"].mean())),
        random=figure(float(last["random"].mean())),
    )


def _axis(lines: Sequence[Series]) -> Axis:
    every = np.concatenate([each for line in lines for each in (line.values, line.low, line.high)])
    finite = np.append(every[np.isfinite(every)], 0.0)
    span = float(np.ptp(finite))
    step = 10.0 ** math.floor(math.log10(span)) / 2 if span > 0.02 else 0.01
    low, high = nice_range(float(finite.min()), float(finite.max()), step)
    if finite.min() > -0.05 * span:  # what is hardly below zero needs no step below it
        low = min(float(finite.min()), 0.0) - 0.02 * span
    return Axis(low, high, _tick, figure)


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _across(shares: Sequence[float]) -> Across:
    shown = tuple(small_percent(share) for share in shares)
    at = tuple(math.log10(share) for share in shares)
    told = tuple(_("%(share)s of the parameters", share=share) for share in shown)
    return Across(at, 0.2 * (at[-1] - at[0]), shown, told, _("share of parameters set to zero"))


def _told(lines: Sequence[Series]) -> str:
    parts = [f"{line.name}: {figure(line.values[-1])}" for line in lines]
    return _(
        "Nats per token at the largest share: %(values)s. All numbers stand in the table below.",
        values="; ".join(parts),
    )


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
    caption = _("loss, nats per token")
    yield element("text", caption, x=(x.start + x.end) / 2, y=bottom + 36, class_="tick middle")
    for place, line in enumerate(lines):
        at = top + row * (place + 0.5)
        yield element("text", line.name, x=x.start - 12, y=at + 4, class_="label end")
        value, low, high = float(line.values[0]), float(line.low[0]), float(line.high[0])
        if not math.isfinite(value):
            yield element("text", _("no number any more"), x=x.start + 6, y=at + 4, class_="tick")
            continue
        parts = [element("title", told_value(line.name, value, low, high, figure))]
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
            _("%(band)s, %(share)s", band=word(band), share=small_percent(share)),
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


def finite_bounds(values: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of a colour scale for some damages: whole steps, no wider than they need."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    step = max(10.0 ** math.floor(math.log10(max(high - low, 0.1))) / 2, 0.05)
    return nice_range(low, high, step)
