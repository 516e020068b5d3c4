"""Line charts over the layers, or over other places, with error bands and labels at the lines' ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.report.charts.frame import Across, Axis, Frame, Mark, Series
from paramscope.report.charts.labels import spread
from paramscope.report.charts.svg import Scale, element, layer_ticks, number, picture, value_ticks
from paramscope.report.text import fit, interval, text_width

_LABEL_GAP = 17.0
_LEADER = 18.0
_FEW = 6


def _layers(count: int) -> Across:
    numbers, told = zip(*((str(layer), _("layer %(layer)s", layer=layer)) for layer in range(count)), strict=True)
    # Half a layer of room at both ends keeps the columns of a heat map below in line with the points.
    return Across(tuple(map(float, range(count))), 0.5, numbers, told, _("layer, from the input (0) on"))


@dataclass(frozen=True)
class _Places(Scale):
    """Maps the number of a place to its coordinate; between two layers too."""

    at: tuple[float, ...]

    def __call__(self, value: float) -> float:
        whole = int(value)
        return super().__call__(self.at[whole] if whole == value else value)


def line_chart(
    ident: str,
    title: str,
    description: str,
    series: Sequence[Series],
    axis: Axis,
    zones: dict[str, list[int]],
    frame: Frame,
    across: Across | None = None,
    mark: Mark | None = None,
) -> Markup:
    """Draw lines over the layers.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        series: what is drawn, the last on top.
        axis: the vertical one.
        zones: bands of layers that are set off by their background, by name.
        frame: size.
        across: the horizontal axis; the layers if None.
        mark: a place that is pointed out.

    Returns:
        The ``svg`` element.
    """
    across = across or _layers(len(series[0].values))
    labelled = [line for line in series if not line.background] if frame.labels else []
    height = max(frame.height, frame.top + frame.bottom + len(labelled) * _LABEL_GAP)
    longest = max((text_width(_label(line), frame.font) for line in labelled), default=0.0)
    right = min(frame.right, longest + _LEADER + 28) if labelled else frame.right
    x = _Places(across.at[0] - across.pad, across.at[-1] + across.pad, frame.left, frame.width - right, across.at)
    y = Scale(axis.low, axis.high, height - frame.bottom, frame.top)
    drawn = [*_zones(zones, x, y, frame), *_axes(across, axis, x, y, frame), *_marked(mark, x, y, frame)]
    ends = _label_places(labelled, y, frame, height)
    order = {id(line): place for place, line in enumerate(labelled)}
    for line in series:
        label = _end_label(line, ends[order[id(line)]], x, y, frame) if id(line) in order else Markup()
        drawn.append(_line(line, order.get(id(line), 0), len(labelled), across, axis, x, y, frame, label))
    # From which the script redraws the lines: the first and the last place, the lowest and the highest value.
    plot = " ".join(number(at) for at in (x(0), x(len(across.at) - 1), y(axis.low), y(axis.high)))
    css = f"lines {frame.css}"
    return picture(ident, frame.width, height, title, description, *drawn, css=css, data_plot=plot)


def _zones(zones: dict[str, list[int]], x: Scale, y: Scale, frame: Frame) -> Iterator[Markup]:
    for place, (name, members) in enumerate(zones.items()):
        left, right = x(members[0] - 0.5), x(members[-1] + 0.5)
        css = "zone odd" if place % 2 else "zone"
        yield element("rect", x=left, y=y.end, width=right - left, height=y.start - y.end, class_=css)
        # The first and the last layer are bands of their own, too narrow for a word.
        if frame.top > 20 and text_width(name, frame.font - 1) < right - left:
            yield element("text", name, x=(left + right) / 2, y=y.end - 8, class_="zone-name")


def _marked(mark: Mark | None, x: Scale, y: Scale, frame: Frame) -> Iterator[Markup]:
    if mark is None:
        return
    at, half = x(mark.place), text_width(mark.told, frame.font) / 2
    yield element("line", x1=at, x2=at, y1=y.end - 4, y2=y.start, class_="mark")
    middle = min(max(at, half + 2), frame.width - half - 2)
    yield element("text", mark.told, x=middle, y=y.end - 9, class_="label middle")


def _axes(across: Across, axis: Axis, x: Scale, y: Scale, frame: Frame) -> Iterator[Markup]:
    for value in value_ticks(axis.low, axis.high, frame.ticks):
        at = y(value)
        yield element("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid")
        yield element("text", axis.tick(value), x=x.start - 8, y=at + 0.35 * frame.font, class_="tick end")
    for layer in _ticks(across, x, frame):
        yield element("line", x1=x(layer), x2=x(layer), y1=y.start, y2=y.start + 4, class_="axis")
        yield element("text", across.ticks[layer], x=x(layer), y=y.start + 6 + frame.font, class_="tick middle")
    yield element("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis")
    if frame.bottom > 30:
        yield element("text", across.caption, x=(x.start + x.end) / 2, y=y.start + 37, class_="tick middle")


def _ticks(across: Across, x: Scale, frame: Frame) -> list[int]:
    count = len(across.ticks)
    widest = max(text_width(tick, frame.font) for tick in across.ticks)
    if count <= _FEW and all(x(place + 1) - x(place) > widest + 6 for place in range(count - 1)):
        return list(range(count))
    return layer_ticks(count, int((x.end - x.start) / max(2 * widest, 26)))


def _line(
    line: Series,
    place: int,
    count: int,
    across: Across,
    axis: Axis,
    x: Scale,
    y: Scale,
    frame: Frame,
    label: Markup,
) -> Markup:
    path = _path(line.values, x, y)
    css = f"series {line.style.css}"
    if line.background:
        return element("g", element("path", d=path, class_="line"), class_=f"{css} background")
    parts = list(_band(line, x, y))
    if path:
        parts.append(element("path", d=path, class_="line", stroke_dasharray=line.style.dash))
    layers = len(line.values)
    # Markers on many layers would hide the lines; those of neighbouring lines stand at different layers.
    room = frame.room / (2 if count <= 4 else 1)
    step = max(1, round(layers * room / (x.end - x.start)))
    for layer in np.flatnonzero(np.isfinite(line.values)):
        shown = layers == 1 or (layer - place) % step == 0
        if shown or frame.tips:
            parts.append(_marker(line, int(layer), across, axis, x, y, tip=frame.tips, shown=shown))
    return element("g", *parts, label, class_=css)


def _marker(
    line: Series, layer: int, across: Across, axis: Axis, x: Scale, y: Scale, *, tip: bool, shown: bool
) -> Markup:
    value, low, high = line.values[layer], line.low[layer], line.high[layer]
    inner = []
    if tip:
        told = {"line": line.name, "place": across.told[layer], "value": axis.exact(value)}
        words = (
            _(
                "%(line)s, %(place)s: %(value)s (95%% interval %(within)s)",
                within=interval(low, high, axis.exact),
                **told,
            )
            if math.isfinite(low)
            else _("%(line)s, %(place)s: %(value)s", **told)
        )
        inner.append(element("title", words))
    if not shown:
        return element("circle", *inner, cx=x(layer), cy=y(value), r=4, class_="hit")
    place = f"translate({number(x(layer))} {number(y(value))})"
    return element("path", *inner, d=line.style.marker, transform=place, class_="marker")


def _path(values: NDArray[np.float64], x: Scale, y: Scale) -> str:
    """A path through the points; it breaks where a value is missing, and a single point needs no path."""
    return "".join(
        "M" + "L".join(f"{number(x(layer))} {number(y(values[layer]))}" for layer in run)
        for run in _runs(np.isfinite(values))
        if len(run) > 1
    )


def _band(line: Series, x: Scale, y: Scale) -> Iterator[Markup]:
    for run in _runs(np.isfinite(line.values) & np.isfinite(line.low) & np.isfinite(line.high)):
        if len(run) == 1:
            at, bottom, top = x(run[0]), y(line.low[run[0]]), y(line.high[run[0]])
            yield element("path", d=f"M{number(at)} {number(bottom)}V{number(top)}", class_="bar")
            continue
        edge = [(layer, line.high[layer]) for layer in run] + [(layer, line.low[layer]) for layer in reversed(run)]
        points = "L".join(f"{number(x(layer))} {number(y(value))}" for layer, value in edge)
        yield element("path", d=f"M{points}Z", class_="band")


def _runs(wanted: NDArray[np.bool_]) -> list[list[int]]:
    """Neighbouring places where ``wanted`` holds, run by run."""
    runs: list[list[int]] = []
    for place in np.flatnonzero(wanted):
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(int(place))
        else:
            runs.append([int(place)])
    return runs


def _label_places(labelled: Sequence[Series], y: Scale, frame: Frame, height: float) -> list[float]:
    wanted = []
    for line in labelled:
        finite = line.values[np.isfinite(line.values)]
        wanted.append(y(float(finite[-1])) if len(finite) else y.start)
    return spread(wanted, _LABEL_GAP, frame.top + 2, height - frame.bottom - 4)


def _label(line: Series) -> str:
    return line.name if np.isfinite(line.values).any() else _("%(line)s (none)", line=line.name)


def _end_label(line: Series, at: float, x: Scale, y: Scale, frame: Frame) -> Markup:
    finite = np.flatnonzero(np.isfinite(line.values))
    swatch = x.end + _LEADER + 6
    parts = []
    if len(finite):
        # From the last point across the half layer to the edge of the plot, then to the label.
        start = f"M{number(x(int(finite[-1])) + 5)} {number(y(line.values[finite[-1]]))}"
        leader = f"{start}L{number(x.end + 3)} {number(y(line.values[finite[-1]]))}L{number(swatch - 7)} {number(at)}"
        parts.append(element("path", d=leader, class_="leader"))
    place = f"translate({number(swatch)} {number(at)})"
    parts.append(element("path", d=line.style.marker, transform=place, class_="marker"))
    room = frame.width - swatch - 10
    name = _label(line)
    shown = element("tspan", fit(name, room, frame.font), class_="isolate")
    parts.append(element("text", shown, element("title", name), x=swatch + 9, y=at + 0.35 * frame.font, class_="label"))
    return Markup("").join(parts)
