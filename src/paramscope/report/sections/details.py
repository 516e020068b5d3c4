"""The section "Details for engineers": density at any threshold, modules, heads, neurons, samples, tokens, timings."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.density import DensityFigures, density_figures
from paramscope.report.sections.histograms import HistogramPanels, histogram_panels
from paramscope.report.sections.modules import Choice, head_map, module_map
from paramscope.report.sections.neurons import NeuronFigure, neuron_figure
from paramscope.report.sections.samples import SampleLists, sample_lists
from paramscope.report.tables import Table, concentration_tables, density_table


@dataclass(frozen=True)
class DetailsSection:
    """All that the section shows; ``heads`` and ``neurons`` are None where the run does not tell them."""

    density: DensityFigures
    modules: Choice
    heads: Choice | None
    neurons: NeuronFigure | None
    histograms: HistogramPanels
    concentration: dict[str, Table]
    samples: SampleLists
    timings: list[tuple[str, str]]
    density_table: Table


def section(material: Material) -> DetailsSection:
    """Make the section, in the language that is spoken."""
    profile = material.profile
    return DetailsSection(
        density_figures(material),
        module_map(material),
        head_map(material),
        neuron_figure(material),
        histogram_panels(material),
        concentration_tables(profile, material.concentration, material.names),
        sample_lists(material),
        [(_stage(stage), f"{seconds:,.1f}") for stage, seconds in profile.manifest.timings.items()],
        density_table(material.density, material.names),
    )


def _stage(stage: str) -> str:
    """What was done, in words."""
    told = {
        "opening": _("reading texts and model, laying out the run"),
        "self_check": _("self-check"),
        "forward": _("forward pass"),
        "backward": _("backward pass"),
        "reductions": _("sums, histograms and similarities"),
        "measuring": _("all of the measuring"),
        "total": _("all"),
    }
    return told.get(stage, stage)
