"""Single weights in a figure and a table: what was estimated, and what zeroing each of them really changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _, plural
from paramscope.measures.bands import thirds
from paramscope.report.charts.svg import Scale, element, number, picture, value_ticks
from paramscope.report.tables import Cell, Table
from paramscope.report.text import figure, interval, layer_range, percent, scientific
from paramscope.report.words import band_name, word
from paramscope.result.verification import Checks, FidelityRecord, IntervalRecord, Verification
from paramscope.wording import sentences

FACTOR = 2.0
"""Half width of the strip around the line of equality."""

MOST_POINTS = 800
"""That a chart draws: more would cover each other, and make the page large."""

_DECADES = 14
"""The most that an axis shows."""

_SIDE, _LEFT, _RIGHT, _TOP, _BOTTOM = 440.0, 56.0, 14.0, 30.0, 48.0
_FONT = 12.5


@dataclass(frozen=True)
class FidelityFigures:
    """What the page shows of single weights.

    Attributes:
        title: the figure's message.
        told: how to read it.
        scatters: heading and chart: with the token fixed and, where the objective has one, free.
        table: the numbers, of all layers and of each third.
    """

    title: str
    told: str
    scatters: list[tuple[str, Markup]]
    table: Table


def fidelity_figures(checks: Checks, layers: int) -> FidelityFigures | None:
    """Draw single weights.

    Args:
        checks: of the run.
        layers: of the model.

    Returns:
        The figures; None where no weight was tried.
    """
    weights, result = checks.weights, checks.result
    floor = result.noise_floor if result.noise_floor is not None else math.nan
    size = weights["estimate"].abs() if len(weights) else pd.Series(dtype=float)
    if not (np.isfinite(size) & (size > 0)).any():
        return None
    bands = thirds(layers)
    kinds = [(_("Token as in the estimate"), "change", "fixed")]
    if result.fidelity_free:
        kinds = [(kinds[0][0], "change", "fixed"), (_("Any token may be the largest"), "change_free", "free")]
    bounds = _bounds(weights, [column for _, column, _ in kinds])
    drawn = weights.iloc[:: -(-len(weights) // MOST_POINTS)]
    scatters = [
        (heading, _scatter(f"fidelity-{ident}", heading, drawn, column, bands, bounds, floor))
        for heading, column, ident in kinds
    ]
    least = 10.0 ** bounds[0]
    return FidelityFigures(
        _title(result),
        _told(
            floor=floor,
            below=int((size <= floor).sum()),
            unchanged=int(((size >= least) & (weights["change"].abs() < least)).sum()),
            left_out=int((size < least).sum()),
            drawn=len(drawn),
            count=len(weights),
            two=len(kinds) > 1,
        ),
        scatters,
        _table(checks.result, bands),
    )


def _title(result: Verification) -> str:
    found = next((record.correlation for record in result.fidelity if record.where is None), None)
    if found is None or found.value is None:
        return _("Single parameters: the estimate and the truth")
    return _("Single parameters: rank correlation of estimate and truth %(value)s", value=figure(found.value))


def _told(*, floor: float, below: int, unchanged: int, left_out: int, drawn: int, count: int, two: bool) -> str:
    """How to read the charts; ``two`` where the token is once fixed and once free."""
    told = [
        _(
            "Each point is one parameter, set to zero on one text: across, the change that was estimated; up, the "
            "change that came. Points on the line are estimated exactly, those in the strip within a factor of "
            "%(factor)s.",
            factor=f"{FACTOR:g}",
        )
    ]
    if drawn < count:
        told.append(_("Drawn: every n-th of them, %(drawn)s of %(count)s.", drawn=f"{drawn:,}", count=f"{count:,}"))
    if below:
        told.append(
            plural(
                "Shaded: below the noise of %(floor)s, where nothing is claimed (%(n)s parameter).",
                "Shaded: below the noise of %(floor)s, where nothing is claimed (%(n)s parameters).",
                below,
                floor=scientific(floor),
            )
        )
    if unchanged:
        told.append(
            plural(
                "%(n)s parameter at the lower edge changed less than the axis shows.",
                "%(n)s parameters at the lower edge changed less than the axis shows.",
                unchanged,
            )
        )
    if left_out:
        told.append(
            plural(
                "%(n)s parameter with a smaller estimate is not drawn.",
                "%(n)s parameters with smaller estimates are not drawn.",
                left_out,
            )
        )
    if two:
        told.append(
            _(
                "What is measured is the largest score: once it is that of the token that was the largest before, once "
                "any token may take its place."
            )
        )
    return sentences(*told)


def _bounds(weights: pd.DataFrame, columns: Sequence[str]) -> tuple[int, int]:
    """Decades of both axes."""
    size = weights["estimate"].abs().to_numpy(float)
    every = np.abs(weights[["estimate", *columns]].to_numpy(float))
    every, size = every[np.isfinite(every) & (every > 0)], size[np.isfinite(size) & (size > 0)]
    high = math.ceil(math.log10(every.max()) + 1e-9)
    low = min(math.floor(math.log10(size.min())), high - 1)
    return max(low, high - _DECADES), high


def _scatter(
    ident: str,
    heading: str,
    weights: pd.DataFrame,
    column: str,
    bands: dict[str, list[int]],
    bounds: tuple[int, int],
    floor: float,
) -> Markup:
    x = Scale(*bounds, _LEFT, _SIDE - _RIGHT)
    y = Scale(*bounds, _SIDE - _BOTTOM, _TOP)
    drawn = [*_ground(x, y, floor)]
    at = _LEFT
    for place, (band, layers) in enumerate(bands.items()):
        part = weights[weights["layer"].isin(layers)]
        drawn.append(_points(place, _log(part["estimate"], bounds), _log(part[column], bounds), x, y))
        words = f"{word(band)} ({layer_range(layers)})"
        drawn.append(_points(place, np.array([0.0]), np.array([0.0]), Scale(0, 1, at + 6, 0), Scale(0, 1, 11, 0)))
        drawn.append(element("text", words, x=at + 14, y=15, class_="label"))
        at += (_SIDE - _LEFT) / 3
    title = _("Estimated and true change of single parameters: %(heading)s", heading=heading)
    told = _(
        "%(count)s parameters; both axes are logarithmic, from %(low)s to %(high)s. The nearer a point is to the "
        "diagonal, the better the estimate. The numbers stand in the table below.",
        count=len(weights),
        low=scientific(10.0 ** bounds[0]),
        high=scientific(10.0 ** bounds[1]),
    )
    return picture(ident, _SIDE, _SIDE, title, told, *drawn, css="half scatter")


def _ground(x: Scale, y: Scale, floor: float) -> Iterator[Markup]:
    low, high = x.low, x.high
    if 10.0**low < floor:
        edge = x(min(math.log10(floor), high))
        tip = element("title", _("below the noise (%(floor)s): nothing is claimed here", floor=scientific(floor)))
        yield element("rect", tip, x=x.start, y=y.end, width=edge - x.start, height=y.start - y.end, class_="noise")
    for value in value_ticks(low, high, 7):
        if value != round(value):
            continue
        yield element("line", x1=x(value), x2=x(value), y1=y.start, y2=y.end, class_="grid")
        yield element("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="grid")
        shown = scientific(10.0**value)
        yield element("text", shown, x=x(value), y=y.start + 17, class_="tick middle")
        yield element("text", shown, x=x.start - 6, y=y(value) + 4, class_="tick end")
    off = math.log10(FACTOR)
    strip = ((low, low), (low, low + off), (high - off, high), (high, high), (high, high - off), (low + off, low))
    points = "L".join(f"{number(x(across))} {number(y(up))}" for across, up in strip)
    yield element("path", d=f"M{points}Z", class_="strip")
    yield element("line", x1=x(low), y1=y(low), x2=x(high), y2=y(high), class_="identity")
    yield element(
        "text", _("estimated change (the activation)"), x=(x.start + x.end) / 2, y=_SIDE - 10, class_="tick middle"
    )
    turn = f"translate(11 {number((y.start + y.end) / 2)}) rotate(-90)"
    yield element("text", _("true change"), transform=turn, class_="tick middle")


def _log(values: pd.Series, bounds: tuple[int, int]) -> NDArray[np.float64]:
    """Decades, those below the axis at its end."""
    size = np.abs(values.to_numpy(float))
    found: NDArray[np.float64] = np.log10(np.maximum(size, 10.0 ** bounds[0] * (1 - 1e-9)))
    return found


def _points(place: int, across: NDArray[np.float64], up: NDArray[np.float64], x: Scale, y: Scale) -> Markup:
    """All points of a third in one path; the thirds differ in colour and shape."""
    shapes = ("h0", "h0", "m-2.8 2.3h5.6l-2.8-4.8z")
    # What lies left of the axis is not drawn; what lies below stands at its edge.
    kept = np.isfinite(across) & np.isfinite(up) & (across >= x.low)
    where = zip(across[kept], np.maximum(up[kept], y.low), strict=True)
    path = "".join(f"M{number(x(a))} {number(y(b))}{shapes[place]}" for a, b in where)
    return element("path", d=path, class_=f"dots {('round', 'square', 'triangle')[place]} c{(0, 1, 2)[place]}")


def _heads() -> list[Cell]:
    return [
        Cell(_("Parameters"), _("above the noise")),
        Cell(_("Same order?"), _("rank correlation")),
        Cell(_("Slope"), _("1 is right")),
        Cell(_("True / estimated"), _("median")),
        Cell(_("Nine in ten"), _("5%% to 95%% of true / estimated")),
        Cell(_("Same sign"), _("share of the parameters")),
    ]


def _table(result: Verification, bands: dict[str, list[int]]) -> Table:
    records = {record.where: record for record in result.fidelity}
    rows = [(_("All layers"), _recorded(records[None]))]
    if result.fidelity_free:
        rows.append((_("All layers, any token"), _recorded(result.fidelity_free)))
    if result.fidelity_integrated:
        told = _("Integrated")
        if result.integrated_cost:
            told = _("Integrated (%(times)s × as costly)", times=f"{result.integrated_cost:.0f}")
        rows.append((told, _recorded(result.fidelity_integrated)))
    for band, layers in bands.items():
        if band in records:
            rows.append((band_name(band, layers), _recorded(records[band])))
    return Table(_heads(), rows)


def _recorded(found: FidelityRecord) -> list[Cell]:
    return [
        Cell(f"{found.count:,}", percent(found.above) if found.above is not None else ""),
        _cell(found.correlation),
        _cell(found.slope),
        _cell(found.median_ratio),
        Cell(_("%(low)s to %(high)s", low=figure(found.low_ratio.value), high=figure(found.high_ratio.value))),
        Cell(_share(found.sign.value)),
    ]


def _cell(found: IntervalRecord) -> Cell:
    low, high = (math.nan if end is None else end for end in (found.low, found.high))
    return Cell(figure(found.value), interval(low, high, figure))


def _share(value: float | None) -> str:
    return percent(math.nan if value is None else value)
