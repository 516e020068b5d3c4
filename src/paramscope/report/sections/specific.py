"""Whose parameters they are: what the group chosen for one domain costs the texts of every other, as heat maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from paramscope.language import _, mark
from paramscope.report.charts.heattable import HeatCell, heat_class
from paramscope.report.sections.damage import finite_bounds
from paramscope.report.text import cosine, figure
from paramscope.report.words import band_name
from paramscope.result.verification import Verification

CRITERIA = {"activation": mark("chosen by activation"), "ratio": mark("chosen by ratio")}
"""Ways to choose parameters whose matrices are shown."""


@dataclass(frozen=True)
class DamageMap:
    """One band and way of choosing: nats per token, a row a domain that was chosen for, a column a domain's texts."""

    heading: str
    below: str
    rows: list[tuple[str, list[HeatCell]]]


@dataclass(frozen=True)
class SpecificFigures:
    """What the page shows of the domains' own parameters.

    Attributes:
        title: the message of the maps.
        kinds: by way of choosing the map of each band; a kind shares one scale.
        share: of a band's parameters that the groups have.
    """

    title: str
    kinds: list[list[DamageMap]]
    share: float


def specific_figures(result: Verification, names: Sequence[str], bands: dict[str, list[int]]) -> SpecificFigures | None:
    """Make the maps at the largest share, the damage of random parameters taken off.

    Args:
        result: of the checks.
        names: of the domains, cleaned.
        bands: of layers, by name.

    Returns:
        The maps; None where there are fewer than two domains, or no matrices.
    """
    if len(names) < 2 or not result.matrices:
        return None
    share = max(record.share for record in result.matrices)
    found = {
        (record.criterion, record.band): np.array(record.damage, dtype=float)  # null becomes NaN
        for record in result.matrices
        if record.share == share
    }
    kinds = []
    for criterion, words in CRITERIA.items():
        matrices = {
            band: found[criterion, band] - found["random", band]
            for band in bands
            if (criterion, band) in found and ("random", band) in found
        }
        if not matrices:
            continue
        bounds = finite_bounds(np.concatenate([matrix.ravel() for matrix in matrices.values()]))
        kinds.append(
            [
                _map(
                    _("%(band)s, %(chosen)s", band=band_name(band, bands[band]), chosen=_(words)), matrix, names, bounds
                )
                for band, matrix in matrices.items()
            ]
        )
    return SpecificFigures(_title(found, bands), kinds, share) if kinds else None


def _title(found: dict[tuple[str, str], NDArray[np.float64]], bands: dict[str, list[int]]) -> str:
    """What groups cost their own domain and the others, mean over the bands; by ratio where that was tried."""
    criterion = "ratio" if any(key == "ratio" for key, _band in found) else "activation"
    matrices = [
        found[criterion, band] - found["random", band]
        for band in bands
        if (criterion, band) in found and ("random", band) in found
    ]
    own = np.mean([np.diag(matrix).mean() for matrix in matrices])
    others = np.mean([matrix[~np.eye(len(matrix), dtype=bool)].mean() for matrix in matrices])
    return _(
        "Are they the domain’s own? Groups %(chosen)s cost their own domain %(own)s nats per token and others "
        "%(others)s",
        chosen=_(CRITERIA[criterion]),
        own=figure(float(own)),
        others=figure(float(others)),
    )


def _map(heading: str, matrix: NDArray[np.float64], names: Sequence[str], bounds: tuple[float, float]) -> DamageMap:
    own, others = np.diag(matrix), matrix[~np.eye(len(names), dtype=bool)]
    below = _(
        "Mean: own domain %(own)s, others %(others)s nats per token",
        own=figure(float(own.mean())),
        others=figure(float(others.mean())),
    )
    rows = [
        (name, [_cell(float(value), bounds, own=row == column) for column, value in enumerate(matrix[row])])
        for row, name in enumerate(names)
    ]
    return DamageMap(heading, below, rows)


def _cell(value: float, bounds: tuple[float, float], *, own: bool) -> HeatCell:
    colour = heat_class(value, bounds) if np.isfinite(value) else ""
    return HeatCell(cosine(value), f"{colour}{' own' if own else ''}".strip())
