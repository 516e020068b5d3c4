"""Whose weights they are: what the set chosen for one domain costs the texts of every other, as heat maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.report.damage import band_heading, finite_bounds
from paramscope.report.matrix import domain_matrix
from paramscope.report.text import MISSING, figure, small_percent
from paramscope.result.verification import Verification

CRITERIA = {"activation": "by activation", "ratio": "by ratio"}
"""Ways to choose weights whose matrices are shown."""


@dataclass(frozen=True)
class SpecificFigures:
    """What the page shows of the domains' own weights.

    Attributes:
        matrices: by way of choosing, in words; heading, line below it and heat map of each band.
        share: of a band's weights that the sets have.
    """

    matrices: list[tuple[str, list[tuple[str, str, Markup]]]]
    share: float


def specific_figures(result: Verification, names: Sequence[str], bands: dict[str, list[int]]) -> SpecificFigures | None:
    """Draw the matrices at the largest share, the damage of random weights taken off.

    Args:
        result: of the checks.
        names: of the domains, cleaned.
        bands: of layers, by name.

    Returns:
        The figures; None where there are fewer than two domains, or no matrices.
    """
    if len(names) < 2 or not result.matrices:
        return None
    share = max(record.share for record in result.matrices)
    found = {
        (record.criterion, record.band): np.array(record.damage, dtype=float)  # null becomes NaN
        for record in result.matrices
        if record.share == share
    }
    drawn = []
    for criterion, words in CRITERIA.items():
        matrices = {
            band: found[criterion, band] - found["random", band]
            for band in bands
            if (criterion, band) in found and ("random", band) in found
        }
        if not matrices:
            continue
        bounds = finite_bounds(np.concatenate([matrix.ravel() for matrix in matrices.values()]))
        charts = []
        for band, matrix in matrices.items():
            heading = band_heading(band, bands[band])
            own, others = np.diag(matrix), matrix[~np.eye(len(names), dtype=bool)]
            below = (
                f"Mean: own domain {figure(float(own.mean()))}, others {figure(float(others.mean()))} nats per token"
            )
            title = (
                f"Damage to each domain by the {small_percent(share)} of weights chosen for each, {words}. {heading}"
            )
            told = f"{below}. Rows: the domain that the weights were chosen for; columns: the texts."
            ident = f"specific-{criterion}-{band}"
            chart = domain_matrix(ident, title, told, matrix, names, bounds, _tell(matrix, names))
            charts.append((heading, below, chart))
        drawn.append((words, charts))
    return SpecificFigures(drawn, share) if drawn else None


def _tell(matrix: NDArray[np.float64], names: Sequence[str]) -> Callable[[int, int], str]:
    def tell(row: int, column: int) -> str:
        value = float(matrix[row, column])
        shown = f"{figure(value)} nats per token" if math.isfinite(value) else MISSING
        return f"weights chosen for {names[row]}, texts of {names[column]}: {shown}"

    return tell
