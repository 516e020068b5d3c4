"""Domains compared with each other: a matrix for any layer or band, raw or centred.

The script writes and colours the same hundredths that are drawn here, so that what it shows for a layer is what
``paramscope show --json`` says at the same precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.report.charts.colours import Bounds, ink_on, shades
from paramscope.report.charts.matrix import domain_matrix, matrix_form, matrix_side
from paramscope.report.material import KINDS, Material
from paramscope.report.text import cosine
from paramscope.report.words import band_name
from paramscope.result.profile import Profile

ALL = "all"
"""The band of all layers."""


@dataclass(frozen=True)
class Matrix:
    """One matrix.

    Attributes:
        band: whose means it shows.
        where: that in words.
        heading: likewise, with the kind.
        told: its most and its least alike pair.
        chart: the picture.
    """

    band: str
    where: str
    heading: str
    told: str
    chart: Markup


@dataclass(frozen=True)
class MatrixFigures:
    """What is drawn, and what the script can change it to.

    Attributes:
        still: the shallow band; None where the model has one layer.
        movable: at first the deep band.
        bands: all bands and their names, for the choice.
        layers: of the model.
    """

    still: Matrix | None
    movable: Matrix
    bands: list[tuple[str, str]]
    layers: int


def matrix_figures(material: Material) -> MatrixFigures | None:
    """Draw the matrices of the shallow and of the deep band, centred.

    Args:
        material: the run.

    Returns:
        The figures; None where there are no two domains, or no two texts of any were compared.
    """
    if not material.matrix_scales:
        return None
    findings, profile = material.findings, material.profile
    bands = bands_of(profile)
    scales = list(material.matrix_scales.items())
    return MatrixFigures(
        still=_matrix(material, findings.shallow[0], scales, "matrix-still") if findings.comparable else None,
        movable=_matrix(material, findings.deep[0], scales, "matrix-movable"),
        bands=[(band, band_words(band, members)) for band, members in bands.items()],
        layers=profile.layers,
    )


def matrix_data(material: Material) -> dict[str, Any] | None:
    """What the script needs: upper triangles of all layers and bands, row by row, in hundredths; null for no pair.

    Args:
        material: the run.

    Returns:
        Plain JSON; None where there is nothing to compare.
    """
    if not material.matrix_scales:
        return None
    profile = material.profile
    scales = material.matrix_scales
    colours = {kind: shades(bounds) for kind, bounds in scales.items()}
    return {
        "names": material.names,
        "layers": {kind: [_triangle(profile, [k], kind) for k in range(profile.layers)] for kind in KINDS},
        "bands": {
            kind: {band: _triangle(profile, members, kind) for band, members in bands_of(profile).items()}
            for kind in KINDS
        },
        "bounds": {kind: [round(100 * end) for end in bounds] for kind, bounds in scales.items()},
        "shades": {kind: "".join(shade.removeprefix("#") for shade in each) for kind, each in colours.items()},
        "dark": {
            kind: "".join("1" if ink_on(shade) == "#ffffff" else "0" for shade in each)
            for kind, each in colours.items()
        },
        "form": matrix_form(matrix_side(material.names))(0.25),
    }


def bands_of(profile: Profile) -> dict[str, list[int]]:
    """The bands, and all layers together."""
    return profile.bands | {ALL: list(range(profile.layers))}


def band_words(band: str, members: list[int]) -> str:
    """A band as a heading."""
    return _("All layers") if band == ALL else band_name(band, members)


def hundredths(profile: Profile, layers: Sequence[int], *, centred: bool) -> NDArray[np.float64]:
    """``profile.similarity_matrix`` as it is shown, times 100."""
    matrix = profile.similarity_matrix(layers, centred=centred).to_numpy(dtype=float)
    return np.array([[round(value, 2) if np.isfinite(value) else np.nan for value in row] for row in matrix]) * 100


def _triangle(profile: Profile, layers: Sequence[int], kind: str) -> list[int | None]:
    matrix = hundredths(profile, layers, centred=kind == "centred")
    upper = matrix[np.triu_indices(len(matrix))]
    return [round(value) if np.isfinite(value) else None for value in upper.tolist()]


def _matrix(material: Material, band: str, scales: Sequence[tuple[str, Bounds]], ident: str) -> Matrix:
    profile, names = material.profile, material.names
    where = band_words(band, profile.bands[band])
    heading = _("%(band)s, centred", band=where)
    values = hundredths(profile, profile.bands[band], centred=True) / 100
    told = pairs_told(values, names)
    title = _("LLMDcos of every two domains. %(heading)s", heading=heading)
    chart = domain_matrix(ident, title, told, values, names, scales[0][1], others=scales)
    return Matrix(band, where, heading, told, chart)


def pairs_told(matrix: NDArray[np.float64], names: Sequence[str]) -> str:
    """The most and the least alike pair in words.

    Args:
        matrix: of the domains.
        names: of the domains.

    Returns:
        A sentence; the first pair of several that are equal, row by row.
    """
    pairs = [
        (matrix[i, j], i, j) for i in range(len(names)) for j in range(i + 1, len(names)) if np.isfinite(matrix[i, j])
    ]
    if not pairs:
        return _("There is no pair of domains.")
    most, least = max(pairs, key=lambda pair: pair[0]), min(pairs, key=lambda pair: pair[0])
    if len(pairs) == 1:
        return _("%(one)s and %(other)s: %(value)s.", one=names[0], other=names[1], value=cosine(most[0]))
    return _(
        "Most alike: %(one)s and %(other)s (%(most)s). Least alike: %(third)s and %(fourth)s (%(least)s).",
        one=names[most[1]],
        other=names[most[2]],
        most=cosine(most[0]),
        third=names[least[1]],
        fourth=names[least[2]],
        least=cosine(least[0]),
    )
