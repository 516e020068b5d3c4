"""What the weights chosen for one domain cost every other when they are set to zero: matrices of causal damage."""

from __future__ import annotations

import numpy as np

from paramscope.figures.lines import lettered
from paramscope.figures.matrices import Scale, matrix_figure
from paramscope.figures.subject import Drawn, LeftOut, Subject
from paramscope.measures.bands import thirds
from paramscope.report.sections.damage import finite_bounds
from paramscope.report.sections.specific import CRITERIA
from paramscope.report.text import small_percent
from paramscope.report.words import band_name
from paramscope.result.verification import Checks

_CHOSEN = {
    "activation": "the largest activation for each domain",
    "ratio": "the largest ratio of a domain's activation to that of the others",
}


def damage_figures(subject: Subject, checks: Checks | None) -> list[Drawn | LeftOut]:
    """Draw the matrices at the largest share, the damage of random weights taken off.

    Args:
        subject: the run.
        checks: of the run, if it was verified.

    Returns:
        One figure a way of choosing weights.
    """
    return [_damage(subject, checks, criterion) for criterion in CRITERIA]


def _damage(subject: Subject, checks: Checks | None, criterion: str) -> Drawn | LeftOut:
    name = f"damage-by-{criterion}"
    if checks is None:
        return LeftOut(name, "the run was not verified ('paramscope verify RUN' does)")
    if len(subject.names) < 2:
        return LeftOut(name, "it compares domains and the run has one")
    records = checks.result.matrices
    share = max((record.share for record in records), default=0.0)
    found = {
        (record.criterion, record.band): np.array(record.damage, dtype=float)
        for record in records
        if record.share == share
    }
    bands = {
        band: layers
        for band, layers in thirds(subject.profile.layers).items()
        if (criterion, band) in found and ("random", band) in found
    }
    if not bands:
        return LeftOut(name, "the checks of the run tried no such sets of weights")
    titles = lettered([band_name(band, layers) for band, layers in bands.items()])
    matrices = [found[criterion, band] - found["random", band] for band in bands]
    bounds = finite_bounds(np.concatenate([values.ravel() for values in matrices]))
    captions = ("Weights chosen for", "Texts of")
    digits = 1 if max(map(abs, bounds)) > 1 else 2
    scale = Scale(bounds, lambda value: _number(value, digits), "Damage, nats per token")
    figure = matrix_figure(titles, matrices, subject.names, scale, captions)
    held_out = int(checks.sets[["domain", "sample"]].drop_duplicates().shape[0])
    caption = [
        f"Causal check: loss in nats per token, on {held_out} held-out texts that nothing was chosen by, when the "
        f"{small_percent(share)} of a band's weights with {_CHOSEN[criterion]} are set to zero, less the same for as "
        "many random weights of the same modules. Rows: the domain that the weights were chosen for; columns: the "
        "texts. Grey: the model's answer was no number any more. No threshold and no intervals; the verdicts in "
        "verify.json have intervals.",
        subject.told,
        "The paper has no interventions on single sets of weights.",
    ]
    return Drawn(name, f"Causal damage, weights {CRITERIA[criterion]}", figure, caption)


def _number(value: float, digits: int) -> str:
    digits = 0 if abs(value) >= 99.95 else digits
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
