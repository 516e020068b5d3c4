"""The paper's Figures 3 and 5: LLMDcos by layer, pair of domains by pair, and within against across domains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from paramscope.figures.boxes import MOST_POINTS, Box, box_figure, box_of
from paramscope.figures.lines import Panel, line_figure
from paramscope.figures.style import COLUMN
from paramscope.figures.subject import BOOTSTRAP, Drawn, LeftOut, Subject, marked
from paramscope.measures.resample import Resampler
from paramscope.report.charts.svg import nice_range
from paramscope.report.sections.similarity import similarity_lines
from paramscope.result.profile import Profile

OF_THE_PAPER = ("boolq", "humaneval", "mmlu")
"""Domains of the paper's Figure 3."""

_MOST = 3


def cosine_figures(subject: Subject) -> list[Drawn | LeftOut]:
    """Draw them.

    Args:
        subject: the run.

    Returns:
        Figures 3 and 5, and what Figure 5 looks like with centred cosines.
    """
    resampler = subject.profile.resampler
    return [
        _pairs(subject),
        _by_layer(subject, resampler, "figure-5-within-across", centred=False),
        _by_layer(subject, resampler, "centred-within-across", centred=True),
    ]


def chosen_domains(profile: Profile) -> list[int]:
    """Places of the three domains of Figure 3: the paper's where the run has them, else the first ones."""
    names = profile.domains
    if set(OF_THE_PAPER) <= set(names):
        return [names.index(name) for name in OF_THE_PAPER]
    return list(range(min(_MOST, len(names))))


def pair_values(cosines: NDArray[np.float64], sizes: list[int], one: int, other: int) -> NDArray[np.float64]:
    """Cosines of all pairs of different samples of two domains.

    Args:
        cosines: ``[N, N]``, samples of a domain next to each other.
        sizes: samples of each domain.
        one: place of a domain.
        other: place of another, or the same.

    Returns:
        One number a pair.
    """
    edges = np.cumsum([0, *sizes])
    block = cosines[edges[one] : edges[one + 1], edges[other] : edges[other + 1]]
    return block[np.triu_indices(len(block), 1)] if one == other else block.ravel()


def _pairs(subject: Subject) -> Drawn | LeftOut:
    name = "figure-3-pairs"
    profile, names = subject.profile, subject.names
    chosen = chosen_domains(profile)
    pairs = [(place, place) for place in chosen]
    pairs += [(one, other) for k, one in enumerate(chosen) for other in chosen[k + 1 :]]
    sizes = [domain.samples for domain in profile.manifest.domains]
    boxes: list[list[Box | None]] = [[] for _ in pairs]
    for layer in range(profile.layers):
        cosines = profile.sample_cosines(layer)
        for found, (one, other) in zip(boxes, pairs, strict=True):
            found.append(box_of(pair_values(cosines, sizes, one, other)))
    there = [place for place, found in enumerate(boxes) if any(found)]
    if not there:
        return LeftOut(name, "there is no pair of texts")
    titles = [(names[one], names[other]) for one, other in pairs]
    columns = 1 if len(there) == 1 else min(_MOST, len(there))
    figure, points = box_figure([titles[k] for k in there], [boxes[k] for k in there], columns, "LLMDcos")
    which = ", ".join(marked(names[place]) for place in chosen)
    caption = [
        "LLMDcos of pairs of texts in each layer: quartiles, whiskers to the last value within 1.5 times the height of "
        f"the box{', and the values beyond' if points else ''}. All pairs of different texts of the two domains named "
        "above a panel; boxes show the spread of the pairs and are no intervals of a mean.",
        *([] if points else [f"More than {MOST_POINTS:,} values lie beyond the whiskers and are not drawn."]),
        *([f"Of the run's {len(names)} domains these are {which}."] if len(names) > len(chosen) else []),
        subject.told,
        "No threshold enters. The paper's figure shows BoolQ, HumanEval and MMLU on Llama2-7B, and pairs the i-th text "
        "of one source with the i-th of the other, 64 pairs (16 for HumanEval with itself).",
    ]
    return Drawn(name, "LLMDcos by layer, of pairs of domains", figure, caption)


def _by_layer(subject: Subject, resampler: Resampler, name: str, *, centred: bool) -> Drawn | LeftOut:
    own, within, across = similarity_lines(subject.profile, resampler, subject.names, centred=centred)
    means = [line for line in (across, within) if np.isfinite(line.values).any()]
    if not means:
        one = centred and len(subject.names) == 1
        return LeftOut(name, "centred cosines need two domains" if one else "there is no pair of texts")
    thin = [replace(line, background=True) for line in own] if len(own) > 1 else []
    lines = [*thin, *means]
    every = np.concatenate([array for line in lines for array in (line.values, line.low, line.high)])
    finite = every[np.isfinite(every)]
    bounds = nice_range(float(finite.min()), float(finite.max()), 0.1)
    word = "Centred LLMDcos" if centred else "LLMDcos"
    figure = line_figure([Panel("", word, lines, bounds, _one_digit)], COLUMN, 1.7)
    subtracted = ", after the mean of all texts' normalised activations is subtracted," if centred else ""
    caption = [
        f"{word} of each layer{subtracted} as the mean over pairs of different texts of one domain (within) and of two "
        f"domains (across){'; thin grey lines are the single domains within' if thin else ''}.",
        BOOTSTRAP,
        subject.told,
        "No threshold enters. The paper has no such figure."
        if centred
        else "No threshold enters. The paper's figure shows box plots as in Figure 3 for further models (Qwen-7B, "
        "Llama2-13B, Llama3-8B). A run has one model: this is the summary of it that can be laid beside that of other "
        "runs; the box plots of this model are in figure-3-pairs.",
    ]
    return Drawn(name, f"{word} by layer, within and across domains", figure, caption)


def _one_digit(value: float) -> str:
    return f"{round(value, 6) + 0.0:.1f}".replace("-", "−")
