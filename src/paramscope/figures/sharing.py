"""What the domains can share: storage by the layers that are each domain's own, and how much of a layer is."""

from __future__ import annotations

import numpy as np

from paramscope.figures.lines import Panel, line_figure
from paramscope.figures.subject import Drawn, LeftOut, Subject
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.frame import Series
from paramscope.report.charts.svg import layer_ticks, nice_range
from paramscope.report.text import percent
from paramscope.result.shared import Shared

_GIB = 2.0**30


def sharing_figure(subject: Subject, shared: Shared | None) -> Drawn | LeftOut:
    """Draw the sharing curve.

    Args:
        subject: the run.
        shared: what its domains can share, if that was told.

    Returns:
        The figure.
    """
    name = "sharing-curve"
    if shared is None:
        return LeftOut(name, "the run has no share.json ('paramscope share RUN' makes it)")
    figure = line_figure([_storage(shared), _own(shared)], least=1.6)
    caption = [
        f"(a) Storage for {len(shared.domains)} domains by the number of layers, those that differ most first, of "
        "which every domain has its own copy, or its own low-rank adapter on one shared model; 'all' stands for whole "
        "copies of the model. Calculated from sizes. (b) Share of each layer's activation that is the domains' own, "
        "with 95 % intervals of a bootstrap over the texts.",
        "No threshold enters.",
        subject.told,
        "The paper has no such figure.",
    ]
    return Drawn(name, "What the domains can share", figure, caption)


def _storage(shared: Shared) -> Panel:
    layers = len(shared.layers)
    gap = max(1.0, 0.07 * layers)
    at = np.array(
        [layers + gap if point.own_layers is None else point.own_layers for point in shared.curve], dtype=float
    )
    columns = {
        "copies": [point.layer_bytes for point in shared.curve],
        "adapters": [point.adapter_bytes for point in shared.curve],
        "copies by group": [point.group_layer_bytes for point in shared.curve],
        "adapters by group": [point.group_adapter_bytes for point in shared.curve],
    }
    lines = []
    for place, (kind, numbers) in enumerate(columns.items()):
        values = np.array(numbers, dtype=float) / _GIB  # null becomes NaN
        if np.isfinite(values).any():
            nothing = np.full(len(values), np.nan)
            lines.append(Series(kind, values, nothing, nothing, series_style(place)))
    top = 1.06 * max(float(np.nanmax(line.values)) for line in lines)
    ticks = layer_ticks(layers + 1, 5)
    places = [*(float(tick) for tick in ticks[:-1]), layers + gap]
    words = [*(str(tick) for tick in ticks[:-1]), "all"]
    digits = 0 if top > 20 else 1 if top > 2 else 2
    return Panel(
        "(a) storage",
        "GiB",
        lines,
        (0.0, top),
        lambda value: f"{value:.{digits}f}",
        at,
        (places, words),
        "Layers of one's own",
    )


def _own(shared: Shared) -> Panel:
    value, low, high = np.array(
        [(layer.own_share.value, layer.own_share.low, layer.own_share.high) for layer in shared.layers], dtype=float
    ).T
    line = Series("", value, low, high, series_style(0))
    every = np.concatenate([value, low, high])
    finite = every[np.isfinite(every)]
    bounds = nice_range(float(finite.min()), float(finite.max()), 0.1) if len(finite) else (0.0, 1.0)
    return Panel("(b) each domain's own", "Share of activation", [line], bounds, lambda v: percent(v, 0))
