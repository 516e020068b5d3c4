"""The paper's Figure 6: how alike the domains are, as matrices; and the same with centred cosines."""

from __future__ import annotations

import numpy as np

from paramscope.figures.lines import lettered
from paramscope.figures.matrices import Scale, matrix_figure
from paramscope.figures.subject import Drawn, LeftOut, Subject
from paramscope.report.charts.svg import nice_range
from paramscope.report.findings import end_bands
from paramscope.report.text import cosine
from paramscope.report.words import band_name


def alike_figures(subject: Subject) -> list[Drawn | LeftOut]:
    """Draw the matrices of the shallow and of the deep layers.

    Args:
        subject: the run.

    Returns:
        Figure 6 and its centred companion.
    """
    return [
        _matrices(subject, "figure-6-domains", centred=False),
        _matrices(subject, "centred-domains", centred=True),
    ]


def _matrices(subject: Subject, name: str, *, centred: bool) -> Drawn | LeftOut:
    profile = subject.profile
    if len(subject.names) < 2:
        return LeftOut(name, "it compares domains and the run has one")
    shallow, deep = end_bands(profile)
    bands = [shallow] if shallow[1] == deep[1] else [shallow, deep]
    titles = lettered([band_name(band, layers) for band, layers in bands])
    matrices = [profile.similarity_matrix(layers, centred=centred).to_numpy(dtype=float) for _, layers in bands]
    every = np.concatenate([values.ravel() for values in matrices])
    finite = every[np.isfinite(every)]
    if not len(finite):
        return LeftOut(name, "there is no pair of texts")
    word = "Centred LLMDcos" if centred else "LLMDcos"
    scale = Scale(nice_range(float(finite.min()), float(finite.max()), 0.1), cosine, word)
    subtracted = " after the mean of all texts' normalised activations is subtracted," if centred else ","
    caption = [
        f"{word}{subtracted} mean over all pairs of different texts and over the layers named above each matrix. On "
        "the diagonal both texts are of one domain; grey cells have no pair. Cells have no interval here; "
        "'paramscope show RUN --json' tells the cosines layer by layer.",
        subject.told,
        "No threshold enters. The paper has no such figure."
        if centred
        else "No threshold enters. The paper's figure is one matrix of nine data sets on Llama2-7B and does not say "
        "which layers it is of (its Table 3 takes layers 20 to 30 of 32); here the deep third stands beside the "
        "shallow one, both without the first and the last layer.",
    ]
    figure = matrix_figure(titles, matrices, subject.names, scale)
    return Drawn(name, f"{word} between domains", figure, caption)
