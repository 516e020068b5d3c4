"""Nothing is cut and nothing covers anything: every text lies inside of its figure and apart from all others."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from paramscope.figures.album import draw_figures
from paramscope.figures.lines import Panel, line_figure
from paramscope.figures.style import styled
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.frame import Series
from paramscope.result.profile import Profile
from tests.reference import made_up_layers, make_profile
from tests.report.checks import made_up_checks
from tests.report.test_page import profile_of

SLACK = 1.0
"""Pixels (of 100 an inch) that two boxes may share: a box is a little larger than its letters."""


def texts(figure: Figure) -> list[tuple[str, float, float, float, float]]:
    """All texts that show, with their boxes: left, bottom, right, top."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    hidden = _hidden(figure)
    found = [each for each in figure.findobj(Text) if isinstance(each, Text) and id(each) not in hidden]
    boxes = [(each.get_text(), each.get_window_extent(canvas.get_renderer())) for each in found if each.get_text()]
    return [(words, *box.extents) for words, box in boxes]


def _hidden(figure: Figure) -> set[int]:
    """Texts of ticks that are switched off or beyond the ends of their axis."""
    found = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in axis.get_major_ticks():
                for label in (tick.label1, tick.label2):
                    if not label.get_visible() or not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                        found.add(id(label))
    return found


def check_layout(profile: Profile, *, verified: bool) -> None:
    checks = made_up_checks(profile.domains, profile.layers) if verified else None
    album = draw_figures(profile, checks, None)
    for drawn in album.drawn:
        width, height = drawn.figure.get_size_inches() * drawn.figure.dpi
        with styled(album.subject.letters.families):
            placed = texts(drawn.figure)
        words, left, bottom, right, top = (np.array(column) for column in zip(*placed, strict=True))
        cut = (left < -SLACK) | (bottom < -SLACK) | (right > width + SLACK) | (top > height + SLACK)
        assert not cut.any(), (drawn.name, words[cut])
        across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
        up = np.minimum.outer(top, top) - np.maximum.outer(bottom, bottom)
        covered = np.triu(np.minimum(across, up) > 2 * SLACK, 1)
        assert not covered.any(), (drawn.name, [(words[i], words[k]) for i, k in np.argwhere(covered)])


@pytest.mark.parametrize("shape", ["ordinary", "one text", "one layer", "mixed sizes", "many"])
def test_texts_are_inside_and_apart(shape: str) -> None:
    check_layout(profile_of(shape), verified=shape in {"ordinary", "many"})


def test_long_names_are_shortened_to_their_room() -> None:
    sizes = dict.fromkeys(["W" * 60, "a long name with words and more words", "iiiiiiiiiiiiiii" * 20], 2)
    check_layout(make_profile(made_up_layers(4, sizes, rows=4, columns=4), sizes, threshold=4e-4), verified=True)


def test_counts_of_any_size_have_ticks() -> None:
    for top in (3e-7, 1.0, 42.0, 1.3e12):
        line = Series("a", np.array([0.2, 0.9]) * top, np.full(2, np.nan), np.full(2, np.nan), series_style(0))
        axes = line_figure([Panel("", "", [line], (0.0, top), lambda value: f"{value:g}")]).axes[0]
        assert 2 <= len(axes.get_yticks()) <= 6
