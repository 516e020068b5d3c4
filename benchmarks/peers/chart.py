"""The picture: time of each way against plain forward and backward, one panel a shape."""

from __future__ import annotations

import math

from markupsafe import Markup

from benchmarks.peers.kinds import FLOOR, KINDS, REFERENCE
from benchmarks.peers.measure import Task
from benchmarks.peers.shapes import SHAPES
from benchmarks.peers.tables import Rows, ratio
from paramscope.report.charts.svg import Scale, element, picture

WIDTH, LEFT, RIGHT, HEAD, LINE, GAP = 900, 190, 150, 40, 22, 20
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
INK, MUTED, GRID, OURS, THEIRS = "#222222", "#666666", "#dddddd", "#d55e00", "#0072b2"


def ratios_chart(rows: Rows, samples: int) -> str:
    """Draw it.

    Args:
        rows: all measurements.
        samples: of those that are drawn.

    Returns:
        An SVG file's text.
    """
    drawn = {task: ratio(rows, task) for task, row in rows.items() if task.samples == samples and not row.failure}
    top = max(tick for tick in TICKS if tick < max(drawn.values()) * 2)
    x = Scale(math.log(TICKS[0]), math.log(top), LEFT, WIDTH - RIGHT)
    parts, y = [], 30.0
    parts += [_dot(LEFT, y - 6, THEIRS, filled=True), _text("densities", LEFT + 10, y - 2)]
    parts += [_dot(LEFT + 100, y - 6, THEIRS, filled=False), _text("with cosines of all pairs", LEFT + 110, y - 2)]
    parts.append(_text("times plain forward + backward", WIDTH - RIGHT, y - 2, anchor="end", colour=MUTED))
    for shape in dict.fromkeys(task.shape for task in drawn):
        y += GAP
        parts.append(_text(SHAPES[shape].title, 10, y + 12, weight="bold"))
        y += HEAD
        kinds = [kind for kind in KINDS if kind != FLOOR]
        for tick in TICKS:
            if tick <= top:
                place = x(math.log(tick))
                parts.append(element("line", x1=place, x2=place, y1=y, y2=y + LINE * len(kinds), stroke=GRID))
                parts.append(_text(f"{tick:g}", place, y - 4, anchor="middle", colour=MUTED))
        for kind in kinds:
            parts += _row(kind, shape, samples, drawn, x, y + LINE / 2)
            y += LINE
    height = y + GAP
    background = element("rect", width=WIDTH, height=height, fill="#ffffff")
    title = "Time of each way to densities and cosines, against plain forward and backward"
    description = "Dots on a logarithmic axis, one panel a shape; the numbers are in the tables."
    drawing = element("g", *parts, font_family="sans-serif", font_size="13")
    return str(picture("peers", WIDTH, height, title, description, background, drawing)) + "\n"


def _row(kind: str, shape: str, samples: int, drawn: dict[Task, float], x: Scale, y: float) -> list[Markup]:
    colour = OURS if kind == REFERENCE else THEIRS
    parts = [_text(KINDS[kind].title.strip("*"), LEFT - 12, y + 4, anchor="end", colour=INK)]
    told = []
    for cosines in (False, True):
        value = drawn.get(Task(kind, shape, samples, cosines))
        told.append("-" if value is None else f"{value:.1f}")
        if value is not None:
            parts.append(_dot(x(math.log(max(value, TICKS[0]))), y, colour, filled=not cosines))
    return [*parts, _text(" / ".join(told), WIDTH - RIGHT + 20, y + 4, colour=colour)]


def _dot(x: float, y: float, colour: str, *, filled: bool) -> Markup:
    return element("circle", cx=x, cy=y, r=5, fill=colour if filled else "#ffffff", stroke=colour, stroke_width=2)


def _text(
    text: str, x: float, y: float, *, anchor: str = "start", colour: str = INK, weight: str | None = None
) -> Markup:
    return element("text", text, x=x, y=y, text_anchor=anchor, fill=colour, font_weight=weight)
