"""The sharing curve: what parts of each domain's own cost, from one model for all to a model each."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.actions.sharing.costs import ADAPTERS
from paramscope.actions.tuning.layers import told_layers
from paramscope.language import _, plural
from paramscope.report.charts.colours import GREY, Style, series_style
from paramscope.report.charts.frame import Across, Axis, Frame, Mark, Series
from paramscope.report.charts.lines import line_chart
from paramscope.report.charts.svg import nice_range
from paramscope.report.material import Material
from paramscope.report.sections.ways import live, told_live, way_heading
from paramscope.report.text import percent
from paramscope.result.shared import PointRecord, Shared
from paramscope.wording import told_bytes

_FRAME = Frame(440, 300, 64, 170, 30, 42, 12.5, "half", 5)


@dataclass(frozen=True)
class CurveFigures:
    """The curve, and what the ways on it cost.

    Attributes:
        message: in one sentence.
        chart: memory by the number of own layers.
        own: the recommended own layers.
        costs: of each way to serve the domains, in a sentence.
    """

    message: str
    chart: Markup
    own: str
    costs: Markup


def curve_figures(material: Material) -> CurveFigures | None:
    """Draw the curve of a run's ``share.json``.

    Args:
        material: the run.

    Returns:
        The figures; None where there is no such document.
    """
    shared = material.shared
    if shared is None:
        return None
    own = own_layers(shared)
    steps = [point for point in shared.curve if point.own_layers is not None]
    whole = next(point for point in shared.curve if point.own_layers is None)
    size, unit = (2**30, "GiB") if whole.layer_bytes >= 2**30 else (2**20, "MiB")
    lines = _lines(shared, steps, whole, size)
    top = max(float(line.values.max()) for line in lines)
    axis = Axis(0.0, nice_range(0.0, top, _step(top))[1], lambda value: f"{value:g} {unit}", _told(size))
    numbers = tuple(str(point.own_layers) for point in steps)
    told = tuple(plural("%(n)s own layer", "%(n)s own layers", count) for count in range(len(steps)))
    caption = _("layers that each domain has of its own")
    across = Across(tuple(map(float, range(len(steps)))), 0.5, numbers, told, caption)
    mark = Mark(len(own), plural("%(n)s own layer proposed", "%(n)s own layers proposed", len(own)))
    message = _message(shared, steps[len(own)], steps[0], whole)
    title = _("Memory of all domains’ parameters by the number of own layers: %(told)s", told=message)
    description = " ".join(
        _(
            "%(line)s: %(first)s without own layers, %(last)s with all layers own.",
            line=line.name,
            first=axis.exact(line.values[0]),
            last=axis.exact(line.values[-1]),
        )
        for line in lines
    )
    chart = line_chart("curve", title, description, lines, axis, {}, _FRAME, across, mark)
    where = told_layers(own).replace("-", "–")
    return CurveFigures(message, chart, where, _costs(material, shared))


def own_layers(shared: Shared) -> list[int]:
    """The layers that the document reckons with as the domains' own."""
    return next(option.layers for option in shared.options if option.name == ADAPTERS)


def share_command(material: Material) -> str:
    """What makes ``share.json``."""
    return f"paramscope share {shlex.quote(str(material.folder)) if material.folder else 'RUN'}"


def _lines(shared: Shared, steps: Sequence[PointRecord], whole: PointRecord, size: int) -> list[Series]:
    """In units of ``size`` bytes, the dearest first: whole models, copies, copies by group, adapters."""
    domains = len(shared.domains)
    found: list[tuple[str, list[float | None], Style]] = [
        (_("%(domains)s whole models", domains=domains), [whole.layer_bytes] * len(steps), GREY),
        (_("own copies"), [point.layer_bytes for point in steps], series_style(1)),
        (_("copies by group"), [point.group_layer_bytes for point in steps], series_style(4)),
        (_("own adapters"), [point.adapter_bytes for point in steps], series_style(0)),
    ]
    return [_series(name, values, size, style) for name, values, style in found if None not in values]


def _series(name: str, values: Sequence[float | None], size: int, style: Style) -> Series:
    array: NDArray[np.float64] = np.array(values, dtype=float) / size
    nothing = np.full(len(array), np.nan)
    return Series(name, array, nothing, nothing, style)


def _told(size: int) -> Callable[[float], str]:
    return lambda value: told_bytes(round(value * size))


def _step(top: float) -> float:
    return 10.0 ** math.floor(math.log10(top)) / 2 if top > 0 else 1.0


def _message(shared: Shared, chosen: PointRecord, base: PointRecord, whole: PointRecord) -> str:
    one = base.layer_bytes
    values = {
        "count": chosen.own_layers,
        "layers": len(shared.layers),
        "copies": percent(chosen.layer_bytes / one - 1, 0),
        "domains": len(shared.domains),
        "whole": percent(whole.layer_bytes / one - 1, 0),
    }
    if chosen.adapter_bytes is None:
        return _(
            "Own copies of %(count)s of %(layers)s layers add %(copies)s to the memory of one model, %(domains)s whole "
            "models %(whole)s",
            **values,
        )
    return _(
        "Own adapters on %(count)s of %(layers)s layers add %(adapters)s to the memory of one model, own copies "
        "%(copies)s, %(domains)s whole models %(whole)s",
        adapters=percent(chosen.adapter_bytes / one - 1, 1),
        **values,
    )


def _costs(material: Material, shared: Shared) -> Markup:
    names = [option.name for option in shared.options]
    currency = material.shown(str(shared.prices["currency"]))

    def say(*numbers: str) -> str:
        each = [
            _("%(way)s %(value)s", way=way_heading(name), value=value)
            for name, value in zip(names, numbers, strict=True)
        ]
        return _("In %(currency)s a month: %(ways)s.", currency=currency, ways=_("; ").join(each))

    return told_live(say, *(live(shared, name, "money per month") for name in names))
