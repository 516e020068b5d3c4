"""What the figures draw is what the profile, the checks and the sharing document say."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from paramscope.figures.activated import split_domains
from paramscope.figures.album import Album, draw_figures
from paramscope.figures.boxes import box_of
from paramscope.figures.cosines import chosen_domains, pair_values
from paramscope.figures.density import FACTORS, mean_over_domains, module_densities
from paramscope.figures.histograms import octave_shares
from paramscope.figures.sharing import sharing_figure
from paramscope.figures.subject import Drawn
from paramscope.measures.bands import thirds
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.verification import Checks
from paramscope.sharing import share
from tests.reference import made_up_layers, make_profile
from tests.report.checks import made_up_checks

SIZES = {"boolq": 4, "code": 5, "c4": 3, "humaneval": 4}


@functools.cache
def profile() -> Profile:
    found = make_profile(made_up_layers(7, SIZES, rows=8, columns=6), SIZES, threshold=4e-4)
    for domain in found.manifest.domains:
        if domain.name == "c4":
            domain.source = "c4@texts/c4.jsonl"
    return found


@functools.cache
def checks() -> Checks:
    return made_up_checks(list(SIZES), 7)


@functools.cache
def album() -> Album:
    return draw_figures(profile(), checks(), None)


def figure(name: str) -> Figure:
    return next(drawn.figure for drawn in album().drawn if drawn.name == name)


def drawn_lines(axes: Axes) -> list[NDArray[np.float64]]:
    """Heights of the lines with points, in the order they were drawn; grey ones in the background have none."""
    return [np.asarray(line.get_ydata(), dtype=float) for line in _lines(axes) if line.get_marker() != "None"]


def _lines(axes: Axes) -> list[Line2D]:
    """Without the threads that lead to names."""
    return [line for line in axes.lines if line.get_label() != "thread"]


def bands(axes: Axes) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Lower and upper ends of the shaded bands."""
    found = []
    for collection in axes.collections:
        if isinstance(collection, FillBetweenPolyCollection):
            corners = np.asarray(collection.get_paths()[0].vertices)
            ends = [np.sort(corners[corners[:, 0] == layer, 1]) for layer in np.unique(corners[:, 0])]
            found.append((np.array([each[0] for each in ends]), np.array([each[-1] for each in ends])))
    return found


def cells(axes: Axes) -> NDArray[np.float64]:
    mesh = next(each for each in axes.collections if isinstance(each, QuadMesh))
    return np.ma.filled(np.ma.asarray(mesh.get_array(), dtype=float), np.nan)


def test_activated_weights_are_density_times_weights() -> None:
    sizes = profile().parameters.to_numpy(dtype=float)[:, None]
    tasks, corpora = split_domains(profile())
    assert [profile().domains[place] for place in corpora] == ["c4"]
    for name, places in (("figure-1-tasks", tasks), ("figure-2-corpora", corpora)):
        axes = figure(name).axes
        for each, threshold in zip(axes, (PAPER_THRESHOLD, profile().threshold), strict=True):
            wanted = profile().density_estimate(threshold)
            np.testing.assert_array_equal(np.transpose(drawn_lines(each)), wanted.value.to_numpy()[:, places] * sizes)
            for (low, high), place in zip(bands(each), places, strict=True):
                np.testing.assert_allclose(low, wanted.low.to_numpy()[:, place] * sizes[:, 0])
                np.testing.assert_allclose(high, wanted.high.to_numpy()[:, place] * sizes[:, 0])
    both = figure("figure-4-model").axes
    counts = profile().density(PAPER_THRESHOLD).to_numpy() * sizes
    np.testing.assert_array_equal(np.transpose(drawn_lines(both[0])), counts[:, tasks])
    np.testing.assert_array_equal(np.transpose(drawn_lines(both[1])), counts[:, corpora])


def test_boxes_are_the_quartiles_of_all_pairs_of_different_texts() -> None:
    chosen = chosen_domains(profile())
    assert chosen == [0, 1, 2]
    sizes = list(SIZES.values())
    medians = []
    for axes in figure("figure-3-pairs").axes:
        lines = next(each for each in axes.collections if each.get_label() == "medians")
        assert isinstance(lines, LineCollection)
        medians.append([segment[0, 1] for segment in lines.get_segments()])
    edges = np.cumsum([0, *sizes])
    for drawn, (one, other) in zip(medians, [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)], strict=True):
        for layer, median in enumerate(drawn):
            cosines = profile().sample_cosines(layer)
            values = [
                cosines[i, j]
                for i in range(edges[one], edges[one + 1])
                for j in range(edges[other], edges[other + 1])
                if one != other or i < j
            ]
            assert median == pytest.approx(np.median(values))


def test_box_has_whiskers_inside_of_its_reach_and_all_other_values_beyond() -> None:
    box = box_of(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 11.0, np.nan]))
    assert box is not None
    assert (box.low, box.first, box.median, box.third, box.high) == (0.0, 1.25, 2.5, 3.75, 4.0)
    assert box.beyond.tolist() == [11.0]
    assert box_of(np.array([np.nan])) is None


def test_pairs_of_a_domain_with_itself_leave_out_the_diagonal() -> None:
    cosines = np.arange(25.0).reshape(5, 5)
    assert pair_values(cosines, [2, 3], 1, 1).tolist() == [13.0, 14.0, 19.0]
    assert pair_values(cosines, [2, 3], 0, 1).tolist() == [2.0, 3.0, 4.0, 7.0, 8.0, 9.0]


def test_the_papers_domains_come_first_in_figure_3() -> None:
    sizes = dict.fromkeys(["c4", "mmlu", "boolq", "humaneval"], 2)
    found = make_profile(made_up_layers(2, sizes, rows=4, columns=4), sizes)
    assert [found.domains[place] for place in chosen_domains(found)] == ["boolq", "humaneval", "mmlu"]


@pytest.mark.parametrize("centred", [False, True])
def test_cosines_within_and_across_are_the_profiles(centred: bool) -> None:
    name = "centred-within-across" if centred else "figure-5-within-across"
    found = profile().similarity(centred=centred)
    axes = figure(name).axes[0]
    across, within = drawn_lines(axes)
    np.testing.assert_allclose(within, found.within.value.mean(axis=1).to_numpy())
    np.testing.assert_allclose(across, found.across.value.mean(axis=1).to_numpy())
    thin = [line for line in _lines(axes) if line.get_marker() == "None"]
    for line, domain in zip(thin, SIZES, strict=True):
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), found.within.value[domain].to_numpy())
    alike = [profile().resampler.layers([layer], centred=centred).mean_across for layer in range(7)]
    low, high = bands(axes)[0]
    np.testing.assert_allclose(low, [each.low for each in alike])
    np.testing.assert_allclose(high, [each.high for each in alike])


@pytest.mark.parametrize("centred", [False, True])
def test_matrices_are_the_profiles(centred: bool) -> None:
    axes = figure("centred-domains" if centred else "figure-6-domains").axes
    for each, band in zip(axes, ("shallow", "deep"), strict=False):
        wanted = profile().similarity_matrix(profile().bands[band], centred=centred)
        np.testing.assert_array_equal(cells(each), wanted.to_numpy())
        assert [label.get_text() for label in each.get_xticklabels()] == list(SIZES)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == list(SIZES)


def test_density_figures_are_the_profiles() -> None:
    density = profile().density()
    np.testing.assert_array_equal(np.transpose(drawn_lines(figure("density-lines").axes[0])), density.to_numpy())
    np.testing.assert_array_equal(cells(figure("density-heat").axes[0]), density.to_numpy().T)
    thresholds = sorted([*(profile().threshold * factor for factor in FACTORS), PAPER_THRESHOLD])
    for drawn, threshold in zip(drawn_lines(figure("density-thresholds").axes[0]), thresholds, strict=True):
        np.testing.assert_allclose(drawn, profile().density(threshold).mean(axis=1).to_numpy())
    modules = profile().density(by="module").mean(axis=1)
    for drawn, name in zip(
        drawn_lines(figure("density-modules").axes[0]), profile().modules["module"].unique(), strict=True
    ):
        np.testing.assert_array_equal(drawn, modules.xs(name, level="module").to_numpy())


def test_interval_of_a_mean_over_domains_adds_margins_in_squares() -> None:
    estimate = profile().density_estimate()
    mean, low, high = mean_over_domains(estimate)
    margins = (estimate.value - estimate.low).to_numpy()
    np.testing.assert_allclose(mean - low, np.sqrt((margins**2).sum(1)) / len(SIZES))
    assert (high >= mean).all()


def test_modules_that_a_layer_lacks_have_no_number_there() -> None:
    rng = np.random.default_rng(0)
    layers = [{"up": rng.random((2, 4, 4)), "down": rng.random((2, 4, 4))}, {"up": rng.random((2, 4, 4))}]
    drawn = draw_figures(make_profile(layers, {"a": 2}), None, None)
    found, count = module_densities(drawn.subject)
    assert count == 2
    assert np.isfinite(found["down"]).tolist() == [True, False]


def test_octaves_hold_every_weight_once() -> None:
    layers = [{"up": np.array([[[0.0, 0.25, 0.3, 0.49], [0.5, 1.0, 1.5, 0.0]]])}]
    found = make_profile(layers, {"a": 1})
    share, zeros = octave_shares(found, "up", [0])
    assert zeros == pytest.approx(0.25)
    assert share[share > 0].tolist() == [3 / 8, 1 / 8, 2 / 8]


def test_sharing_curve_is_the_documents() -> None:
    shared = share(profile(), rank=2)
    drawn = sharing_figure(album().subject, shared)
    assert isinstance(drawn, Drawn)
    storage, own = drawn.figure.axes
    np.testing.assert_array_equal(drawn_lines(storage)[0] * 2**30, [point.layer_bytes for point in shared.curve])
    np.testing.assert_array_equal(drawn_lines(own)[0], [layer.own_share.value for layer in shared.layers])
    low, high = bands(own)[0]
    np.testing.assert_allclose(low, np.array([layer.own_share.low for layer in shared.layers], dtype=float))
    np.testing.assert_allclose(high, np.array([layer.own_share.high for layer in shared.layers], dtype=float))


def test_damage_is_that_of_the_checks_less_that_of_random_weights() -> None:
    records = {(r.criterion, r.band): np.array(r.damage) for r in checks().result.matrices if r.share == 1e-2}
    for criterion in ("activation", "ratio"):
        for axes, band in zip(figure(f"damage-by-{criterion}").axes, thirds(7), strict=False):
            np.testing.assert_allclose(cells(axes), records[criterion, band] - records["random", band])
