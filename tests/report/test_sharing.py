"""The section "What can be shared": its numbers are the profile's and the documents', its pictures whole."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from paramscope.actions.sharing.groups import domain_tree
from paramscope.language import speaking
from paramscope.report.charts.frame import Axis
from paramscope.report.charts.svg import SVG
from paramscope.report.charts.tree import Node, tree_chart, tree_range
from paramscope.report.environment import environment
from paramscope.report.material import Material
from paramscope.report.sections import sharing
from paramscope.report.sections.curve import own_layers
from paramscope.report.sections.groups import tree_of
from paramscope.report.sections.matrices import KINDS, bands_of, matrix_data
from paramscope.report.sections.ways import way_heading
from paramscope.report.text import MISSING, clean, cosine
from paramscope.result.profile import Profile
from paramscope.result.shared import Shared
from paramscope.sharing import share
from paramscope.wording import told_bytes
from tests.reference import made_up_layers, make_profile
from tests.report.document import Document, tips
from tests.report.test_hostile import NASTY, check_inert

SIZES = {"support": 6, "code": 5, "specs": 4, "mail": 4}


def made_up(layers: int = 7, sizes: dict[str, int] | None = None) -> Profile:
    sizes = SIZES if sizes is None else sizes
    return make_profile(made_up_layers(layers, sizes, rows=20, columns=12), sizes)


def render(material: Material) -> str:
    """The section alone, inside a page's element."""
    with speaking("en"):
        shown = sharing.section(material)
        template = environment().get_template("sections/sharing.html.j2")
        return f"<main>{template.render(shown=shown, material=material, names=material.names)}</main>"


@pytest.fixture(scope="module")
def profile() -> Profile:
    return made_up()


@pytest.fixture(scope="module")
def shared(profile: Profile) -> Shared:
    return share(profile, rank=2)


@pytest.fixture(scope="module")
def page(profile: Profile, shared: Shared) -> Document:
    return Document(render(Material(profile, shared=shared, folder=Path("my run"))))


def whole(triangle: list[int | None], count: int) -> np.ndarray[Any, Any]:
    """The matrix of a triangle, null as NaN, in hundredths."""
    matrix = np.full((count, count), np.nan)
    for (row, column), value in zip(itertools.combinations_with_replacement(range(count), 2), triangle, strict=True):
        matrix[row, column] = matrix[column, row] = np.nan if value is None else value
    return matrix


@pytest.mark.parametrize("sizes", [SIZES, {"a": 3, "b": 1}, {"a": 1, "b": 1, "c": 1}])
def test_matrix_of_every_layer_and_band_is_the_profiles(sizes: dict[str, int]) -> None:
    profile = made_up(sizes=sizes)
    data = json.loads(json.dumps(matrix_data(Material(profile)), allow_nan=False))
    bands = bands_of(profile)
    assert set(bands) == {*profile.bands, "all"}
    for kind in KINDS:
        layers = [([layer], triangle) for layer, triangle in enumerate(data["layers"][kind])]
        assert len(layers) == profile.layers
        assert set(data["bands"][kind]) == set(bands)
        for members, triangle in layers + [(bands[band], data["bands"][kind][band]) for band in bands]:
            shown = [cosine(value / 100) for value in whole(triangle, len(sizes)).ravel()]
            truth = profile.similarity_matrix(members, centred=kind == "centred").to_numpy().ravel()
            assert shown == [cosine(value) for value in truth]
            low, high = data["bounds"][kind]
            assert all(low <= value <= high for value in triangle if value is not None)


def test_drawn_matrices_show_the_bands_and_have_no_tool_tips(profile: Profile, page: Document) -> None:
    findings = Material(profile).findings
    for ident, (_, members) in (("matrix-still", findings.shallow), ("matrix-movable", findings.deep)):
        chart = page.chart(ident)
        cells = next(group for group in chart.iter(f"{{{SVG}}}g") if group.get("class") == "cells")
        shown = [text.text for text in cells.iter(f"{{{SVG}}}text")]
        truth = profile.similarity_matrix(members, centred=True).to_numpy().ravel()
        assert shown == [cosine(value) for value in truth]
        assert len(list(cells.iter(f"{{{SVG}}}rect"))) == len(shown)
        assert not list(cells.iter(f"{{{SVG}}}title"))


def test_missing_pairs_are_shown_as_missing() -> None:
    chart = Document(render(Material(made_up(sizes={"a": 4, "b": 1})))).chart("matrix-movable")
    cells = next(group for group in chart.iter(f"{{{SVG}}}g") if group.get("class") == "cells")
    assert [text.text for text in cells.iter(f"{{{SVG}}}text")][3] == MISSING


def test_tree_shows_every_record(profile: Profile, page: Document) -> None:
    material = Material(profile)
    tree = domain_tree(profile, material.resampler, "all", list(range(profile.layers)))
    assert tree is not None
    chart = page.chart("tree")
    names = [title.text for text in chart.iter(f"{{{SVG}}}text") for title in text.iter(f"{{{SVG}}}title")]
    assert sorted(name or "" for name in names) == sorted(profile.domains)
    support = [text.text for text in chart.iter(f"{{{SVG}}}text") if "support" in (text.get("class") or "")]
    assert support == [f"{100 * node.support:.0f}%" for node in tree.nodes if node.support is not None]
    told = [tip for tip in tips(chart) if "come together" in tip]
    assert len(told) == len(tree.nodes) == len(profile.domains) - 1
    for tip, node in zip(told, tree.nodes, strict=True):
        assert node.alike.value is not None
        assert tip.startswith(f"{', '.join(node.domains)} come together at {cosine(node.alike.value)} ")


def test_tree_of_the_document_is_the_profiles(profile: Profile, shared: Shared) -> None:
    assert tree_of(Material(profile, shared=shared)) == tree_of(Material(profile))


def test_branches_of_a_tree_do_not_cross() -> None:
    # Joins 0 with 3 and 1 with 2, so the leaves cannot stand in their own order.
    values = [0.3, 0.2, -0.1]
    nodes = [
        Node(children, value, "", "", False) for children, value in zip([(0, 3), (1, 2), (4, 5)], values, strict=True)
    ]
    axis = Axis(*tree_range(values), str, str)
    chart = ElementTree.fromstring(tree_chart("t", "title", "words", list("abcd"), nodes, "caption", axis))
    heights = {
        (title.text or ""): float(text.get("y") or "nan")
        for text in chart.iter(f"{{{SVG}}}text")
        for title in text.iter(f"{{{SVG}}}title")
    }
    assert sorted(heights, key=heights.__getitem__) in (list("adbc"), list("dabc"))
    paths = [path.get("d") or "" for path in chart.iter(f"{{{SVG}}}path")]
    ends = [float(re.findall(r"V([\d.]+)", path)[0]) for path in paths]
    starts = [float(re.findall(r"M[\d.]+ ([\d.]+)", path)[0]) for path in paths]
    spans = sorted(tuple(sorted(pair)) for pair in zip(starts[:2], ends[:2], strict=True))
    assert spans[0][1] < spans[1][0]


def test_curve_points_are_the_documents(shared: Shared, page: Document) -> None:
    chart = page.chart("curve")
    description = "".join(chart.find(f"{{{SVG}}}desc").itertext())  # type: ignore[union-attr]
    last = [point for point in shared.curve if point.own_layers is not None][-1]
    assert last.adapter_bytes is not None
    for value in (shared.curve[0].layer_bytes, last.layer_bytes, last.adapter_bytes, shared.curve[-1].layer_bytes):
        assert told_bytes(round(value)) in description
    chosen = shared.curve[len(own_layers(shared))]
    assert chosen.layers == own_layers(shared)
    assert chosen.adapter_bytes is not None
    title = "".join(chart.find(f"{{{SVG}}}title").itertext())  # type: ignore[union-attr]
    assert f"{100 * (chosen.adapter_bytes / shared.curve[0].layer_bytes - 1):.1f}%" in title


def test_curve_is_drawn_at_the_documents_values(shared: Shared, page: Document) -> None:
    steps = [point for point in shared.curve if point.own_layers is not None]
    paths = [path.get("d") or "" for path in page.chart("curve").iter(f"{{{SVG}}}path") if path.get("class") == "line"]
    copies = np.array([point.layer_bytes for point in steps])
    lines = [np.full(len(steps), shared.curve[-1].layer_bytes), copies]
    if all(point.group_layer_bytes is not None for point in steps):
        lines.append(np.array([point.group_layer_bytes for point in steps], dtype=float))
    lines.append(np.array([point.adapter_bytes for point in steps], dtype=float))
    drawn = [[float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path)] for path in paths]
    assert [len(heights) for heights in drawn] == [len(steps)] * len(lines)
    # The scale is straight, so two heights give all others.
    per_byte = (drawn[0][0] - drawn[1][0]) / (lines[0][0] - copies[0])
    for heights, values in zip(drawn, lines, strict=True):
        assert np.abs(drawn[1][0] + per_byte * (values - copies[0]) - heights).max() < 0.15


def test_ways_are_told_with_their_costs(shared: Shared, page: Document) -> None:
    for option in shared.options:
        assert f"{way_heading(option.name)} {option.figure('money per month').value:,.0f}" in page.text


def test_without_the_document_the_command_is_told(profile: Profile) -> None:
    document = Document(render(Material(profile, folder=Path("my run"))))
    assert "paramscope share 'my run'" in document.text
    assert not [chart for chart in document.charts() if chart.get("aria-labelledby") == "curve-title"]


def test_specific_layers_are_those_of_the_document(profile: Profile, shared: Shared) -> None:
    found = sharing.own_figure(Material(profile))
    assert found is not None
    assert found.specific == [record.layer for record in shared.layers if record.stands_out]


def test_own_share_bars_tell_the_documents_numbers(shared: Shared, page: Document) -> None:
    told = tips(page.chart("own-share"))
    for record, tip in zip(shared.layers, told, strict=True):
        assert record.own_share.value is not None
        assert tip.startswith(f"layer {record.layer}: {100 * record.own_share.value:.1f}%".replace("-", "−"))


def test_every_chart_says_what_it_shows(page: Document) -> None:
    for chart in page.charts():
        for tag in ("title", "desc"):
            found = chart.find(f"{{{SVG}}}{tag}")
            assert found is not None
            assert "".join(found.itertext()).strip()


def test_nothing_is_styled_or_scripted_in_place(page: Document) -> None:
    assert not [key for _, given in page.elements for key in given if key == "style" or key.startswith("on")]


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        (1, {"a": 1}),
        (1, {"a": 4, "b": 4}),
        (2, {"a": 5}),
        (4, {"a": 1, "b": 1}),
        (3, {"a": 4, "b": 2}),
        (130, {"a": 3, "b": 3}),
        (2, {f"domain number {k}": 3 for k in range(40)}),
    ],
)
def test_small_and_large_runs_have_the_section(layers: int, sizes: dict[str, int]) -> None:
    profile = make_profile(made_up_layers(layers, sizes, rows=4, columns=3), sizes)
    document = Document(render(Material(profile)))
    document.charts()
    assert "nan" not in document.text.split()
    assert (matrix_data(Material(profile)) is None) == (len(sizes) < 2)


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_are_inert(name: str) -> None:
    profile = made_up(3, {name: 3, "other": 3, "third": 3})
    plain = made_up(3, {"a": 3, "other": 3, "third": 3})
    tags = {tag for tag, _ in Document(render(Material(plain, shared=share(plain, rank=2)))).elements}
    shared = share(profile, rank=2)
    check_inert(render(Material(profile, shared=shared)), tags | {"bdi"})
    data = matrix_data(Material(profile))
    assert data is not None
    assert all(each == clean(each) for each in data["names"])
