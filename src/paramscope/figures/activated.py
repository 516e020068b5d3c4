"""The paper's Figures 1, 2 and 4: how many weights of each layer are activated, for tasks and for general corpora."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paramscope.figures.lines import Panel, lettered, line_figure
from paramscope.figures.style import COLUMN, PAGE
from paramscope.figures.subject import JACKKNIFE, Drawn, LeftOut, Subject
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.frame import Series
from paramscope.report.text import compact, scientific
from paramscope.result.profile import PAPER_THRESHOLD, Estimate, Profile

CORPORA = ("c4", "wikitext2")
"""The paper's general corpora, by the names of their built-in templates."""

_HUB = ("hf:allenai/c4", "hf:Salesforce/wikitext")
_TASKS = "BoolQ, HumanEval, MMLU, SIQA and HellaSwag on Llama2-7B, 64 texts each"


def activated_figures(subject: Subject) -> list[Drawn | LeftOut]:
    """Draw them.

    Args:
        subject: the run.

    Returns:
        Figures 1, 2 and 4.
    """
    profile = subject.profile
    tasks, corpora = split_domains(profile)
    paper = profile.density_estimate(PAPER_THRESHOLD)
    alike = bool(np.isclose(profile.threshold, PAPER_THRESHOLD, rtol=1e-3))
    estimates = (
        [(paper, PAPER_THRESHOLD)] if alike else [(paper, PAPER_THRESHOLD), (subject.density, profile.threshold)]
    )
    found: list[Drawn | LeftOut] = []
    for name, places, kind, papers in (
        ("figure-1-tasks", tasks, "tasks", _TASKS),
        ("figure-2-corpora", corpora, "general corpora", "C4 and WikiText-2 on Llama2-7B, 64 texts each"),
    ):
        if not places:
            found.append(LeftOut(name, f"no domain of the run is of the {kind} that the paper's figure is about"))
            continue
        titles = lettered([f"A > {scientific(threshold)}" for _, threshold in estimates])
        panels = [
            _panel(subject, estimate, places, title, first=estimate is paper)
            for title, (estimate, _) in zip(titles, estimates, strict=True)
        ]
        both = "" if alike else f", (a) the paper's, and (b) the run's own, {subject.threshold_told()}"
        caption = [
            f"Number of linear weights of each layer whose activation A, averaged over the texts of a domain, is above "
            f"the threshold: γ = {scientific(PAPER_THRESHOLD)}{both}.",
            JACKKNIFE,
            subject.told,
            f"The paper's figure shows {papers}, at γ = 2e-5 only and without intervals. "
            f"A domain counts as a general corpus where its source is one of {', '.join(CORPORA)}, else as a task.",
        ]
        figure = line_figure(panels, COLUMN if alike else PAGE)
        found.append(Drawn(name, f"Activated weights by layer: {kind}", figure, caption))
    found.append(_side_by_side(subject, paper, tasks, corpora))
    return found


def split_domains(profile: Profile) -> tuple[list[int], list[int]]:
    """Places of the domains that are tasks, and of those that are general corpora, by their sources."""
    general = [
        place
        for place, domain in enumerate(profile.manifest.domains)
        if domain.source.split("@")[0] in CORPORA or domain.source.startswith(_HUB)
    ]
    return [place for place in range(len(profile.domains)) if place not in general], general


def _side_by_side(subject: Subject, paper: Estimate, tasks: Sequence[int], corpora: Sequence[int]) -> Drawn | LeftOut:
    name = "figure-4-model"
    if not (tasks and corpora):
        there = "figure-1-tasks" if tasks else "figure-2-corpora"
        return LeftOut(name, f"without both tasks and general corpora it would repeat {there}")
    panels = [
        _panel(subject, paper, tasks, "(a) tasks", first=True),
        _panel(subject, paper, corpora, "(b) general corpora", first=False),
    ]
    caption = [
        f"Number of linear weights of each layer whose mean activation is above the paper's "
        f"γ = {scientific(PAPER_THRESHOLD)}, for tasks and for general corpora.",
        JACKKNIFE,
        subject.told,
        "The paper's figure shows a second model, Llama3-8B, in this layout. A run has one model, which is drawn here: "
        "for another model, make a run of it and take this figure from there.",
    ]
    return Drawn(name, "Activated weights by layer, tasks beside general corpora", line_figure(panels), caption)


def _panel(subject: Subject, estimate: Estimate, places: Sequence[int], title: str, *, first: bool) -> Panel:
    sizes = subject.profile.parameters.to_numpy(dtype=float)
    value, low, high = (
        frame.to_numpy(dtype=float) * sizes[:, None] for frame in (estimate.value, estimate.low, estimate.high)
    )
    lines = [
        Series(subject.names[place], value[:, place], low[:, place], high[:, place], series_style(place))
        for place in places
    ]
    return Panel(title, "Activated weights" if first else "", lines, (0.0, 1.04 * float(sizes.max())), _count)


def _count(value: float) -> str:
    number, _, letter = compact(value).partition(" ")
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number} {letter}".rstrip()
