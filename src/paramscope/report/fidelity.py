"""Single weights in a figure and a table: what was estimated, and what zeroing each of them really changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.measures.bands import thirds
from paramscope.report.damage import band_heading
from paramscope.report.svg import Scale, element, number, picture, value_ticks
from paramscope.report.tables import Cell, Table
from paramscope.report.text import figure, interval, layer_range, percent, scientific
from paramscope.result.verification import Checks, FidelityRecord, IntervalRecord, Verification

FACTOR = 2.0
"""Half width of the strip around the line of equality."""

_DECADES = 14
"""The most that an axis shows."""

_SIDE, _LEFT, _RIGHT, _TOP, _BOTTOM = 440.0, 56.0, 14.0, 30.0, 48.0
_FONT = 12.5


@dataclass(frozen=True)
class FidelityFigures:
    """What the page shows of single weights.

    Attributes:
        scatters: heading and chart: with the token fixed and, where the objective has one, free.
        table: the numbers, of all layers and of each third.
        floor: activation below which nothing is claimed.
        below: weights below it.
        unchanged: weights whose true change is too small for the charts; they stand at the lower edge.
        left_out: weights whose activation is too small for the charts.
    """

    scatters: list[tuple[str, Markup]]
    table: Table
    floor: float
    below: int
    unchanged: int
    left_out: int


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
    kinds = [("Token as in the estimate", "change", "fixed")]
    if result.fidelity_free:
        kinds = [(kinds[0][0], "change", "fixed"), ("Any token may be the largest", "change_free", "free")]
    bounds = _bounds(weights, [column for _, column, _ in kinds])
    scatters = [
        (heading, _scatter(f"fidelity-{ident}", heading, weights, column, bands, bounds, floor))
        for heading, column, ident in kinds
    ]
    least = 10.0 ** bounds[0]
    return FidelityFigures(
        scatters,
        _table(checks.result, bands),
        floor,
        int((size <= floor).sum()),
        int(((size >= least) & (weights["change"].abs() < least)).sum()),
        int((size < least).sum()),
    )


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
        words = f"{band} ({layer_range(layers)})"
        drawn.append(_points(place, np.array([0.0]), np.array([0.0]), Scale(0, 1, at + 6, 0), Scale(0, 1, 11, 0)))
        drawn.append(element("text", words, x=at + 14, y=15, class_="label"))
        at += (_SIDE - _LEFT) / 3
    title = f"Estimated and true change of single weights. {heading}"
    told = (
        f"{len(weights)} weights; both axes are logarithmic, from {scientific(10.0 ** bounds[0])} to "
        f"{scientific(10.0 ** bounds[1])}. The nearer a point is to the diagonal, the better the estimate. "
        "The numbers stand in the table beside or below."
    )
    return picture(ident, _SIDE, _SIDE, title, told, *drawn, css="half scatter")


def _ground(x: Scale, y: Scale, floor: float) -> Iterator[Markup]:
    low, high = x.low, x.high
    if 10.0**low < floor:
        edge = x(min(math.log10(floor), high))
        tip = element("title", f"below the noise ({scientific(floor)}): nothing is claimed here")
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
        "text", "estimated change (the activation)", x=(x.start + x.end) / 2, y=_SIDE - 10, class_="tick middle"
    )
    turn = f"translate(11 {number((y.start + y.end) / 2)}) rotate(-90)"
    yield element("text", "true change", transform=turn, class_="tick middle")


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


_HEADS = (
    Cell("Weights", "above the noise"),
    Cell("Same order?", "rank correlation"),
    Cell("Slope", "1 is right"),
    Cell("True / estimated", "median"),
    Cell("Nine in ten", "5% to 95% of true / estimated"),
    Cell("Same sign", "share of weights"),
)


def _table(result: Verification, bands: dict[str, list[int]]) -> Table:
    records = {record.where: record for record in result.fidelity}
    rows = [("All layers", _recorded(records[None]))]
    if result.fidelity_free:
        rows.append(("All layers, any token", _recorded(result.fidelity_free)))
    if result.fidelity_integrated:
        dearer = f" ({result.integrated_cost:.0f} × as dear)" if result.integrated_cost else ""
        rows.append((f"Integrated{dearer}", _recorded(result.fidelity_integrated)))
    for band, layers in bands.items():
        if band in records:
            rows.append((band_heading(band, layers), _recorded(records[band])))
    return Table(list(_HEADS), rows)


def _recorded(found: FidelityRecord) -> list[Cell]:
    return [
        Cell(f"{found.count:,}", percent(found.above) if found.above is not None else ""),
        _cell(found.correlation),
        _cell(found.slope),
        _cell(found.median_ratio),
        Cell(f"{figure(found.low_ratio.value)} to {figure(found.high_ratio.value)}"),
        Cell(_share(found.sign.value)),
    ]


def _cell(found: IntervalRecord) -> Cell:
    low, high = (math.nan if end is None else end for end in (found.low, found.high))
    return Cell(figure(found.value), interval(low, high, figure))


def _share(value: float | None) -> str:
    return percent(math.nan if value is None else value)
