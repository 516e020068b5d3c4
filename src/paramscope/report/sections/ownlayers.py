"""How much of each layer is the domains' own, and which layers surely are more so than the mean layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from paramscope.actions.tuning.layers import told_layers
from paramscope.language import _, plural
from paramscope.report.charts.bars import Line, layer_bars
from paramscope.report.charts.frame import Axis
from paramscope.report.charts.svg import nice_range
from paramscope.report.material import Material
from paramscope.report.text import percent


@dataclass(frozen=True)
class OwnFigure:
    """The own share by layer.

    Attributes:
        message: in one sentence.
        specific: layers that surely are above the mean layer.
        chart: bars.
    """

    message: str
    specific: list[int]
    chart: Markup


def own_figure(material: Material) -> OwnFigure | None:
    """Draw the own share by layer.

    Args:
        material: the run.

    Returns:
        The figure; None where there is no number.
    """
    own, excess = material.own_and_excess
    values = np.array([(share.value, share.low, share.high) for share in own], dtype=float)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    mean = float(np.nanmean(values[:, 0]))
    standing_out = [more.low > 0 for more in excess]
    specific = [layer for layer, out in enumerate(standing_out) if out]
    step = 0.2 if finite.max() > 0.5 else 0.1
    low, high = nice_range(min(0.0, float(finite.min())), float(finite.max()), step)
    axis = Axis(low, high, lambda share: percent(share, 0), percent)
    level = Line(mean, _("mean %(share)s", share=percent(mean, 0)))
    message = (
        plural(
            "%(n)s layer is more the domains’ own than the mean layer: %(layers)s",
            "%(n)s layers are more the domains’ own than the mean layer: %(layers)s",
            len(specific),
            layers=told_layers(specific).replace("-", "–"),
        )
        if specific
        else _("No layer is surely more the domains’ own than the mean layer")
    )
    highest = max((layer for layer in range(len(own)) if math.isfinite(own[layer].value)), key=lambda k: own[k].value)
    told = _(
        "Mean %(mean)s; highest in layer %(layer)s: %(share)s.",
        mean=percent(mean),
        layer=highest,
        share=percent(own[highest].value),
    )
    title = _("Own share of each layer: %(told)s", told=message)
    return OwnFigure(message, specific, layer_bars("own-share", title, told, own, standing_out, axis, level))
