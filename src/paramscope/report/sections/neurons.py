"""How few neurons carry half of a layer's activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.report.charts.colours import GREY, series_style
from paramscope.report.charts.frame import HALF, Axis, Series
from paramscope.report.charts.lines import line_chart
from paramscope.report.charts.svg import nice_range
from paramscope.report.material import Material
from paramscope.report.text import clean, percent, shorten
from paramscope.report.words import word
from paramscope.result.profile import Profile


@dataclass(frozen=True)
class NeuronFigure:
    """How few neurons carry half of a layer's activation.

    Attributes:
        chart: by layer.
        module: whose input features the neurons are.
        least: layer with the smallest mean share, the share, and how many of how many neurons that are.
        most: the same of the largest.
    """

    chart: Markup
    module: str
    least: tuple[int, float, int, int]
    most: tuple[int, float, int, int]


def neuron_figure(material: Material) -> NeuronFigure | None:
    """Draw it, in the language that is spoken; None where no layer has a module that gathers neurons."""
    profile = material.profile
    found = half_neurons(profile)
    if not found:
        return None
    shares = np.full((profile.layers, len(profile.domains)), np.nan)
    for layer, (_module, counts, size) in found.items():
        shares[layer] = counts / size
    nothing = np.full(profile.layers, np.nan)
    lines = [
        Series(name, shares[:, place], nothing, nothing, GREY, background=True)
        for place, name in enumerate(material.names)
    ]
    mean = shares.mean(1)
    lines.append(Series(_("mean"), mean, nothing, nothing, series_style(0)))
    axis = Axis(0.0, nice_range(0.0, float(np.nanmax(shares)), 0.1)[1], lambda value: percent(value, 0), percent)
    zones = {word(band): layers for band, layers in profile.bands.items()}
    ends = {layer: float(mean[layer]) for layer in found}
    low, high = min(ends, key=ends.__getitem__), max(ends, key=ends.__getitem__)
    description = _(
        "Fewest in layer %(low)s: %(fewest)s of the neurons; most in layer %(high)s: %(most)s.",
        low=low,
        high=high,
        fewest=percent(ends[low]),
        most=percent(ends[high]),
    )
    title = _("Smallest share of the neurons that carries half of the activation, by layer")
    chart = line_chart("neurons", title, description, lines, axis, zones, HALF)

    def told(layer: int) -> tuple[int, float, int, int]:
        _module, counts, size = found[layer]
        return layer, ends[layer], round(float(counts.mean())), size

    names = sorted({module for module, _counts, _size in found.values()})
    return NeuronFigure(chart, ", ".join(shorten(clean(name), 40) for name in names[:3]), told(low), told(high))


def half_neurons(profile: Profile) -> dict[int, tuple[str, NDArray[np.int64], int]]:
    """How few neurons carry half of the activation of the module that gathers them.

    That is the module with the most input features of those that have more of them than outputs: the projection back
    from the MLP's inside.

    Args:
        profile: the run.

    Returns:
        By layer: the module, the number of neurons for each domain, and how many there are. Layers without such a
        module are left out.
    """
    found = {}
    modules = profile.modules
    gathering = modules[modules["columns"] > modules["rows"]]
    largest = gathering.sort_values("columns", kind="stable").drop_duplicates("layer", keep="last").sort_values("layer")
    for layer, module, size in zip(largest["layer"], largest["module"], largest["columns"], strict=True):
        sums = np.asarray(profile.tables.sums[f"{layer}/{module}/columns"], dtype=np.float64)
        carried = np.cumsum(-np.sort(-sums, axis=1), axis=1)
        counts = (carried < carried[:, -1:] / 2).sum(1) + 1
        found[int(layer)] = (str(module), counts, int(size))
    return found
