"""A tree of the domains: who joins whom at what similarity, and how surely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from paramscope.report.charts.frame import Axis
from paramscope.report.charts.svg import Scale, element, nice_range, number, picture, value_ticks
from paramscope.report.text import fit, text_width

_WIDTH = 440.0
_ROW = 30.0
_ROOM = 118.0
_FONT = 12.5
_TOP, _BOTTOM = 10.0, 46.0


@dataclass(frozen=True)
class Node:
    """Domains that come together.

    Attributes:
        children: two places: of a leaf, or, counted on from the leaves, of an earlier node.
        value: at which they do.
        told: written at the node; "" for nothing.
        tip: tool tip.
        strong: whether it belongs to what is pointed out.
    """

    children: tuple[int, int]
    value: float
    told: str
    tip: str
    strong: bool


def tree_chart(
    ident: str, title: str, description: str, names: Sequence[str], nodes: Sequence[Node], caption: str, axis: Axis
) -> Markup:
    """Draw a tree from its leaves on the left to its root on the right; values fall to the right.

    Args:
        ident: unique on the page.
        title: for screen readers.
        description: for screen readers.
        names: of the leaves.
        nodes: in the order in which they come together, the root last.
        caption: of the axis.
        axis: how values are written, and a range that holds them all.

    Returns:
        The ``svg`` element.
    """
    left = 16 + min(_ROOM, max(text_width(name, _FONT) for name in names))
    height = _TOP + _ROW * len(names) + _BOTTOM
    bottom = height - _BOTTOM
    x = Scale(axis.high, axis.low, left, _WIDTH - 26)
    middles = _middles(len(names), nodes)
    drawn = list(_axis(axis, x, bottom, caption))
    for place, name in enumerate(names):
        shown = element("tspan", fit(name, _ROOM, _FONT), class_="isolate")
        drawn.append(
            element("text", shown, element("title", name), x=left - 8, y=middles[place] + 4, class_="label end")
        )
    starts = [x.start] * len(names) + [x(node.value) for node in nodes]
    parents = {child: place for place, node in enumerate(nodes) for child in node.children}
    for place, node in enumerate(nodes):
        drawn.append(_node(node, place + len(names), starts, middles, parents, nodes))
    return picture(ident, _WIDTH, height, title, description, *drawn, css="half tree")


def tree_range(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds all values, 0, and some room above them, where the leaves begin."""
    low, high = min(*values, 0.0), max(*values, 0.0)
    return nice_range(low - 0.02, high + 0.08 * (high - low) + 0.01, 0.05)


def _middles(leaves: int, nodes: Sequence[Node]) -> list[float]:
    """Height of every leaf and node; the leaves stand in such an order that no branches cross."""
    order: list[int] = []
    open_places = [leaves + len(nodes) - 1] if nodes else list(range(leaves))
    while open_places:
        place = open_places.pop()
        if place < leaves:
            order.append(place)
        else:
            open_places.extend(reversed(nodes[place - leaves].children))
    middles = [0.0] * leaves
    for rank, place in enumerate(order):
        middles[place] = _TOP + _ROW * (rank + 0.5)
    for node in nodes:
        middles.append((middles[node.children[0]] + middles[node.children[1]]) / 2)
    return middles


def _axis(axis: Axis, x: Scale, bottom: float, caption: str) -> Iterator[Markup]:
    for value in value_ticks(axis.low, axis.high, 6):
        css = "identity" if value == 0 else "grid"
        yield element("line", x1=x(value), x2=x(value), y1=_TOP, y2=bottom, class_=css)
        yield element("text", axis.tick(value), x=x(value), y=bottom + 17, class_="tick middle")
    yield element("line", x1=x.start, x2=x.end, y1=bottom, y2=bottom, class_="axis")
    middle = max((x.start + x.end) / 2, text_width(caption, _FONT) / 2 + 2)
    middle = min(middle, _WIDTH - text_width(caption, _FONT) / 2 - 2)
    yield element("text", caption, x=middle, y=bottom + 37, class_="tick middle")


def _node(
    node: Node,
    place: int,
    starts: Sequence[float],
    middles: Sequence[float],
    parents: dict[int, int],
    nodes: Sequence[Node],
) -> Markup:
    """The bracket around a node's children, and what is told beyond it."""
    at, middle = starts[place], middles[place]
    one, other = node.children
    bracket = (
        f"M{number(starts[one])} {number(middles[one])}H{number(at)}V{number(middles[other])}H{number(starts[other])}"
    )
    parts = [element("title", node.tip), element("path", d=bracket, class_="branch")]
    if node.told:
        # Above the line to the parent where the parent lies below, and the other way round: there nothing crosses.
        parent = parents.get(place)
        above = parent is None or nodes[parent].children[0] == place
        y = middle - 5 if above else middle + 14
        start = min(at + 5, _WIDTH - text_width(node.told, _FONT) - 2)
        parts.append(element("text", node.told, x=start, y=y, class_="label support"))
    return element("g", *parts, class_="c0" if node.strong else "grey")
