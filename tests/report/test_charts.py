"""Labels that do not overlap, ticks that are few enough, colours that can be told apart."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from markupsafe import Markup

from paramscope.report.charts.colours import (
    DARK,
    LIGHT,
    NIGHT,
    PAPER,
    contrast,
    diverging,
    ink_on,
    luminance,
    ramp,
    series_style,
    shade,
)
from paramscope.report.charts.frame import HALF, NARROW, PANEL, WIDE, Axis, Frame, Series
from paramscope.report.charts.heattable import heat_class
from paramscope.report.charts.labels import spread
from paramscope.report.charts.lines import line_chart
from paramscope.report.charts.svg import SVG, element, layer_ticks, nice_range, value_ticks
from paramscope.report.text import percent, text_width

AXIS = Axis(0.0, 1.0, lambda value: percent(value, 0), percent)
positions = st.lists(st.floats(0, 400), min_size=1, max_size=25)


@given(positions)
def test_spread_labels_keep_their_distance_order_and_bounds(wanted: list[float]) -> None:
    placed = spread(wanted, 15.0, 0.0, 400.0)
    ordered = sorted(placed)
    assert all(after - before >= 15.0 - 1e-6 for before, after in itertools.pairwise(ordered))
    assert ordered[0] >= -1e-6
    assert ordered[-1] <= 400.0 + 1e-6
    for (one, at), (other, there) in itertools.combinations(zip(wanted, placed, strict=True), 2):
        assert one == other or (one < other) == (at < there)


@given(positions)
def test_labels_that_are_apart_already_stay(wanted: list[float]) -> None:
    apart = [15.0 * place + offset / 100 for place, offset in enumerate(sorted(wanted))]
    assert spread(apart, 15.0, 0.0, 500.0) == pytest.approx(apart)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_spreading_moves_labels_as_little_as_possible(wanted: list[float]) -> None:
    placed = spread(wanted, 15.0, -1000.0, 1000.0)
    cost = sum((a - b) ** 2 for a, b in zip(wanted, placed, strict=True))
    rng = np.random.default_rng(0)
    for _ in range(30):
        other = np.array(placed) + rng.normal(size=len(placed))
        order = np.argsort(placed)
        if np.all(np.diff(other[order]) >= 15.0):
            assert cost <= np.sum((np.array(wanted) - other) ** 2) + 1e-6


def test_too_many_labels_share_the_room() -> None:
    placed = spread([50.0] * 30, 15.0, 0.0, 100.0)
    assert np.diff(placed) == pytest.approx(100 / 29)


def line(values: np.ndarray, place: int = 0, name: str | None = None) -> Series:
    nothing = np.full(len(values), np.nan)
    return Series(name or f"domain {place}", values, nothing, nothing, series_style(place))


def parsed(chart: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(chart)


@given(arrays.arrays(float, st.tuples(st.integers(1, 14), st.integers(1, 6)), elements=st.floats(0, 1)))
@pytest.mark.parametrize("frame", [WIDE, NARROW, HALF])
def test_labels_at_the_lines_ends_do_not_overlap(frame: Frame, values: np.ndarray) -> None:
    lines = [line(row, place, f"a rather long name of domain {place}") for place, row in enumerate(values)]
    chart = parsed(line_chart("c", "title", "words", lines, AXIS, {}, frame))
    labels = [text for text in chart.iter(f"{{{SVG}}}text") if text.get("class") == "label"]
    assert len(labels) == len(lines)
    height = float((chart.get("viewBox") or "").split()[3])
    heights = sorted(float(label.get("y") or 0) for label in labels)
    assert all(after - before >= frame.font for before, after in itertools.pairwise(heights))
    assert heights[-1] < height
    for label in labels:
        shown = "".join(part.text or "" for part in label if part.tag.endswith("tspan"))
        assert float(label.get("x") or 0) + text_width(shown, frame.font) <= frame.width


@given(st.integers(1, 200))
def test_layers_at_an_axis_do_not_overlap(layers: int) -> None:
    for frame in (WIDE, NARROW, HALF, PANEL):
        chart = parsed(line_chart("c", "title", "words", [line(np.full(layers, 0.5))], AXIS, {}, frame))
        ticks = [text for text in chart.iter(f"{{{SVG}}}text") if text.get("class") == "tick middle"]
        ends = [
            (float(t.get("x") or 0) - text_width(t.text or "", frame.font) / 2, text_width(t.text or "", frame.font))
            for t in ticks
            if (t.text or "").isdigit()
        ]
        assert all(x + width < other for (x, width), (other, _) in itertools.pairwise(ends))
        assert [t.text for t in ticks if (t.text or "").isdigit()][-1] == str(layers - 1)


@given(st.integers(1, 300), st.integers(2, 30))
def test_layer_ticks_are_few_and_hold_both_ends(layers: int, most: int) -> None:
    ticks = layer_ticks(layers, most)
    assert ticks[0] == 0
    assert ticks[-1] == layers - 1
    assert len(ticks) <= most + 1
    assert ticks == sorted(set(ticks))


@given(st.floats(-1, 1), st.floats(0, 2), st.sampled_from([0.05, 0.1, 0.2]))
def test_nice_ranges_hold_the_values_and_have_ticks(low: float, span: float, step: float) -> None:
    bottom, top = nice_range(low, low + span, step)
    assert bottom - 1e-6 <= low <= low + span <= top + 1e-6
    assert bottom < top
    assert 1 <= len(value_ticks(bottom, top, 6)) <= 6


def test_a_missing_layer_breaks_the_line_and_the_band() -> None:
    values = np.array([0.1, 0.2, np.nan, 0.4, 0.5])
    series = Series("one", values, values - 0.05, values + 0.05, series_style(0))
    chart = parsed(line_chart("c", "title", "words", [series], AXIS, {}, WIDE))
    paths = [path.get("d") or "" for path in chart.iter(f"{{{SVG}}}path") if path.get("class") == "line"]
    assert [path.count("M") for path in paths] == [2]
    assert sum(path.get("class") == "band" for path in chart.iter(f"{{{SVG}}}path")) == 2


def test_ramp_darkens_evenly_and_text_on_it_is_readable() -> None:
    colours = [ramp(share) for share in np.linspace(0, 1, 101)]
    light = [luminance(colour) for colour in colours]
    assert all(after < before for before, after in itertools.pairwise(light))
    assert light[0] > 0.8
    assert light[-1] < 0.06
    assert all(contrast(ink_on(colour), colour) >= 4.5 for colour in colours)
    assert ramp(-3) == ramp(0)
    assert ramp(3) == ramp(1)


def test_values_of_both_signs_have_a_hue_each_and_the_same_lightness() -> None:
    sizes = np.linspace(0, 1, 51)
    above, below = ([diverging(sign * size) for size in sizes] for sign in (1, -1))
    for side in (above, below):
        light = [luminance(colour) for colour in side]
        assert all(after < before for before, after in itertools.pairwise(light))
        assert all(contrast(ink_on(colour), colour) >= 4.5 for colour in side)
    assert all(contrast(one, other) < 1.35 for one, other in zip(above, below, strict=True))
    assert all(int(one[1:3], 16) < int(one[5:7], 16) for one in above[5:])
    assert all(int(one[1:3], 16) > int(one[5:7], 16) for one in below[5:])


@pytest.mark.parametrize("bounds", [(-0.2, 0.25), (-3.0, 0.5), (0.0, 2.0), (0.3, 0.9)])
def test_a_scale_diverges_only_where_it_crosses_zero(bounds: tuple[float, float]) -> None:
    low, high = bounds
    most = max(-low, high)
    for value in np.linspace(low, high, 9):
        expected = diverging(value / most) if low < 0 else ramp((value - low) / (high - low))
        found = shade(float(value), bounds)
        assert contrast(found, expected) < 1.03  # one of 256 steps
        assert heat_class(float(value), bounds)[0] == ("d" if low < 0 else "h")
    if low < 0:
        assert contrast(shade(0.0, bounds), "#ffffff") < 1.05
        assert heat_class(0.0, bounds) == "d10"


def test_lines_stand_out_from_the_page_and_from_one_another() -> None:
    assert all(contrast(colour, PAPER) >= 3 for colour in LIGHT)
    assert all(contrast(colour, NIGHT) >= 3 for colour in DARK)
    assert len(LIGHT) == len(DARK) == len(set(LIGHT)) == len(set(DARK))
    styles = [series_style(place) for place in range(32)]
    assert len({(style.css, style.marker) for style in styles}) == 32
    assert all(one.dash != other.dash and one.css != other.css for one, other in itertools.pairwise(styles))


def test_elements_escape_and_clean() -> None:
    made = element("text", '<b> & "x"\x00', Markup("<tspan/>"), class_='a"b', stroke_width=1.25, fill=None)
    assert made == ('<text class="a&#34;b" stroke-width="1.2">&lt;b&gt; &amp; &#34;x&#34;\ufffd<tspan/></text>')
