"""Several runs side by side: aligned by depth, differences with intervals, against slow references in float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import t as student

from paramscope.errors import UsageError
from paramscope.measures.ranks import Interval
from paramscope.report.comparison.align import band_weights, combined, depth_bands, depth_parts, overlaps
from paramscope.report.comparison.differences import KEYS, Differences, judge_difference
from paramscope.report.comparison.measured import Histograms, density
from paramscope.report.comparison.page import render_comparison
from paramscope.report.comparison.runs import Runs, restricted
from paramscope.report.comparison.sampled import Estimates, Grouped
from paramscope.report.comparison.tables import difference_rows
from paramscope.report.findings import Verdict
from paramscope.result.profile import Profile
from paramscope.result.tables import pooled_median
from tests.reference import made_up_layers, make_profile
from tests.report.compared import SIZES, Layers, other_texts, profile_of
from tests.report.document import Document


def arrays(found: Estimates) -> tuple[NDArray[np.float64], ...]:
    return found.value, found.low, found.high


# Alignment


@given(st.integers(1, 100), st.integers(1, 24), st.integers(0, 2**32 - 1))
def test_the_mean_over_parts_of_the_depth_is_the_mean_over_layers(layers: int, parts: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=layers)
    weights = overlaps(parts, layers)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose((weights @ values).mean(), values.mean(), atol=1e-12)


@given(st.integers(1, 60), st.integers(1, 24))
def test_a_part_takes_from_a_layer_what_lies_in_it(layers: int, parts: int) -> None:
    # As many thin slices as both edges need: each slice lies in one part and in one layer.
    slices = np.arange(parts * layers)
    counted = np.zeros((parts, layers))
    np.add.at(counted, (slices // layers, slices // parts), 1)
    np.testing.assert_allclose(overlaps(parts, layers), counted / layers, atol=1e-12)


@given(st.integers(1, 60))
def test_as_many_parts_as_layers_are_the_layers(layers: int) -> None:
    np.testing.assert_array_equal(overlaps(layers, layers), np.eye(layers))


@given(st.lists(st.integers(1, 100), min_size=2, max_size=4))
def test_bands_are_thirds_and_hold_every_part_once(layers: list[int]) -> None:
    parts = depth_parts(layers)
    assert parts <= max(12, 3)
    bands = depth_bands(parts)
    thirds = [members for name, members in bands.items() if name != "all"] or [bands["all"]]
    assert sorted(itertools.chain(*thirds)) == bands["all"] == list(range(parts))
    np.testing.assert_allclose(band_weights(bands, parts).sum(1), 1)


def test_a_place_without_weight_does_not_count_even_where_it_is_no_number() -> None:
    assert combined(np.array([[0.0, 1.0]]), np.array([np.nan, 2.0])).tolist() == [2.0]


# Which runs compare


def test_only_domains_of_all_runs_compare_and_the_others_are_named() -> None:
    more = {"code": 8, "legal": 8, "support": 8}
    runs = Runs.of([profile_of(model="one"), profile_of(4, more, seed=1, model="two")])
    assert runs.domains == ["support", "code"]
    page = Document(render_comparison(runs)).text
    assert "of run A contracts" in page
    assert "of run B legal" in page


def test_runs_without_a_common_domain_are_refused_with_what_they_have() -> None:
    with pytest.raises(
        UsageError, match=r"no domain in common \(run 1 has support, code, .*; run 2 has legal\); profile"
    ):
        Runs.of([profile_of(), profile_of(2, {"legal": 3}, model="other")])


def test_a_run_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="'run 2' is the same run as 'run 1'"):
        Runs.of([profile_of(), profile_of()])


@pytest.mark.parametrize("count", [1, 9])
def test_too_few_and_too_many_runs_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="give 2 to 8"):
        Runs.of([profile_of(model=f"model {place}") for place in range(count)])


def test_a_restricted_profile_is_as_if_no_other_domain_had_been_measured() -> None:
    whole, few = made_up_layers(4, SIZES, rows=8, columns=6), ["contracts", "support"]
    rows = np.r_[16:24, 0:8]
    alone = make_profile(
        [{name: values[rows] for name, values in layer.items()} for layer in whole], dict.fromkeys(few, 8)
    )
    found = restricted(make_profile(whole, SIZES), few)
    np.testing.assert_allclose(found.density(1e-3), alone.density(1e-3))
    shares = found.concentration()
    np.testing.assert_allclose(shares, alone.concentration().loc[shares.index])
    for centred in (False, True):
        for layer in range(4):
            np.testing.assert_allclose(
                found.sample_cosines(layer, centred=centred), alone.sample_cosines(layer, centred=centred)
            )


def test_half_of_all_weights_are_above_the_own_threshold() -> None:
    runs = Runs.of([profile_of(), profile_of(4, seed=1, model="other")])
    for run in runs.runs:
        shares = run.shared.density(run.shared.threshold).to_numpy()
        weights = run.shared.parameters.to_numpy()[:, None]
        assert (shares * weights).sum() / weights.sum() / shares.shape[1] == pytest.approx(0.5, abs=1e-9)


# Differences


def test_a_run_differs_from_its_own_copy_by_nothing_and_surely() -> None:
    found = Differences(Runs.of([profile_of(), profile_of(model="copy")]))
    assert all(map(all, found.runs.same_texts))
    assert set(found.measures) == set(KEYS)
    for measure in found.measures.values():
        for each in (*measure.part_differences, *measure.band_differences):
            for part in arrays(each):
                assert np.nanmax(np.abs(part), initial=0.0) < 1e-12
    assert {row.status for row in difference_rows(found)} == {Verdict.NOT_SUPPORTED}
    for each in found.by_layer(0).values():
        assert np.nanmax(np.abs(each.high)) < 1e-12


@pytest.mark.parametrize("texts", [None, other_texts(SIZES)])
def test_the_order_of_the_runs_swaps_signs(texts: list[str] | None) -> None:
    one, two = profile_of(), profile_of(4, seed=1, model="other", texts=texts)
    there, back = (Differences(Runs.of(pair)) for pair in ((one, two), (two, one)))
    for key in KEYS:
        if key == "density_common":
            continue  # its threshold is the first run's
        ahead, behind = (found.measures[key].band_differences[0] for found in (there, back))
        np.testing.assert_allclose(ahead.value, -behind.value, atol=1e-12)
        if texts is None or key in ("density", "share_90", "gini"):  # of other texts, the draws are others
            np.testing.assert_allclose(ahead.low, -behind.high, atol=1e-12)
            np.testing.assert_allclose(ahead.high, -behind.low, atol=1e-12)


def naive_density(
    profile: Profile, layers: Layers, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``[L, D]`` of all texts and ``[G, L, D]`` without each group (all rows: modules here have fewer than 64)."""
    groups = profile.samples["group"].to_numpy()
    rows = [np.flatnonzero(profile.samples["domain"] == name) for name in profile.domains]
    vectors = [np.concatenate([a.reshape(len(a), -1) for a in layer.values()], axis=1) for layer in layers]

    def shares(keep: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.array([[(v[r[keep[r]]].mean(0) > threshold).mean() for r in rows] for v in vectors])

    every = np.ones(len(groups), dtype=bool)
    return shares(every), np.stack([shares(groups != group) for group in range(groups.max() + 1)])


@pytest.mark.parametrize("same", [True, False])
def test_density_differences_are_those_of_a_slow_jackknife(same: bool) -> None:
    one, two = made_up_layers(6, SIZES, rows=8, columns=6), made_up_layers(4, SIZES, seed=1, rows=8, columns=6)
    texts = None if same else other_texts(SIZES)
    profiles = [make_profile(one, SIZES, model="one"), make_profile(two, SIZES, model="two", texts=texts)]
    runs = Runs.of(profiles)
    threshold = 2.0**-11  # the edge of a bin, where nothing is interpolated
    weights = [overlaps(6, len(layers)) for layers in (one, two)]
    measured = [
        density(Histograms(run.shared), threshold, [0, 1, 2]).over(w) for run, w in zip(runs.runs, weights, strict=True)
    ]
    moved = measured[1].less(measured[0], runs.same_texts[0])
    wholes, deleted = [], []
    for profile, layers, w in zip(profiles, (one, two), weights, strict=True):
        whole, without = naive_density(profile, layers, threshold)
        wholes.append(w @ whole)
        deleted.append(np.stack([w @ each for each in without]))
    count = len(deleted[0])

    def spread(estimates: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt((count - 1) / count * ((estimates - estimates.mean(0)) ** 2).sum(0))

    error = spread(deleted[1] - deleted[0]) if same else np.hypot(spread(deleted[0]), spread(deleted[1]))
    margin = student.ppf(0.975, count - 1) * error
    value = wholes[1] - wholes[0]
    np.testing.assert_allclose(moved.value, np.column_stack([value.mean(1), value]), atol=1e-12)
    whole_margin = np.sqrt((margin**2).sum(1)) / 3
    for end, sign in ((moved.high, 1), (moved.low, -1)):
        np.testing.assert_allclose(end - moved.value, sign * np.column_stack([whole_margin, margin]), atol=1e-12)


def test_without_a_group_of_texts_the_own_threshold_is_that_of_the_others() -> None:
    layers = made_up_layers(4, SIZES, rows=8, columns=6)
    profile = make_profile(layers, SIZES)
    found = Histograms(restricted(profile, list(SIZES))).own_density([0, 1, 2])
    for domain, group in ((0, 3), (2, 0)):
        keep = np.arange(24) != 8 * domain + group  # eight texts, so each is a group
        sizes = {name: 7 if place == domain else 8 for place, name in enumerate(SIZES)}
        rest = make_profile([{name: values[keep] for name, values in layer.items()} for layer in layers], sizes)
        wanted = rest.density(pooled_median(rest.tables))
        np.testing.assert_allclose(found.deleted[domain][:, group], wanted, atol=1e-9)


def naive_similarity(layers: Layers, weights: NDArray[np.float64], sizes: Sequence[int]) -> NDArray[np.float64]:
    """``[parts, D]`` mean cosine within, and ``[parts, D]`` with the other domains, by a loop over all pairs."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    within, across = np.zeros((2, len(layers), len(sizes)))
    for place, layer in enumerate(layers):
        vectors = np.concatenate([a.reshape(len(a), -1) for a in layer.values()], axis=1)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        means = np.zeros((len(sizes), len(sizes)))
        for a, b in itertools.product(range(len(sizes)), repeat=2):
            pairs = [
                vectors[i] @ vectors[j]
                for i in np.flatnonzero(owner == a)
                for j in np.flatnonzero(owner == b)
                if i != j
            ]
            means[a, b] = np.mean(pairs)
        within[place] = np.diag(means)
        across[place] = (means.sum(1) - np.diag(means)) / (len(sizes) - 1)
    return np.stack([weights @ within, weights @ across])


def test_similarity_differences_are_those_of_a_slow_loop() -> None:
    one, two = made_up_layers(5, SIZES, rows=8, columns=6), made_up_layers(4, SIZES, seed=1, rows=8, columns=6)
    found = Differences(Runs.of([make_profile(one, SIZES, model="one"), make_profile(two, SIZES, model="two")]))
    first, second = (naive_similarity(each, overlaps(found.parts, len(each)), [8, 8, 8]) for each in (one, two))
    within, across = second - first
    for key, wanted in (("within", within), ("across", across), ("gap", within - across)):
        moved = found.measures[key].part_differences[0]
        np.testing.assert_allclose(moved.value[:, 1:], wanted, atol=1e-9)
        np.testing.assert_allclose(moved.value[:, 0], wanted.mean(1), atol=1e-9)
        assert (moved.low <= moved.value).all()
        assert (moved.value <= moved.high).all()
    shares = [1 - each[1].mean(1) / each[0].mean(1) for each in (first, second)]
    np.testing.assert_allclose(
        found.measures["own_share"].part_differences[0].value[:, 0], shares[1] - shares[0], atol=1e-9
    )


def test_what_a_text_does_to_both_runs_cancels_out_of_paired_differences() -> None:
    rng = np.random.default_rng(3)
    # Every text is stronger or weaker as a whole, in both runs alike.
    strength = np.exp(rng.normal(0, 1.0, size=(24, 1, 1)))
    base = made_up_layers(4, SIZES, rows=8, columns=6)
    one = [{name: values * strength for name, values in layer.items()} for layer in base]
    two = [{name: values * 1.05 for name, values in layer.items()} for layer in one]
    first = make_profile(one, SIZES, model="one")
    paired = Differences(Runs.of([first, make_profile(two, SIZES, model="two")]))
    apart = Differences(Runs.of([first, make_profile(two, SIZES, model="two", texts=other_texts(SIZES))]))
    for key in ("density_common", "share_90", "within"):
        narrow, wide = (found.measures[key].band_differences[0] for found in (paired, apart))
        np.testing.assert_allclose(narrow.value, wide.value, atol=1e-12)
        assert ((narrow.high - narrow.low) < 0.5 * (wide.high - wide.low)).all()


def test_the_same_texts_in_other_groups_are_not_paired() -> None:
    dealt = profile_of(model="other")
    dealt.tables.samples["group"] = dealt.tables.samples["group"].to_numpy()[::-1].copy()
    assert Runs.of([profile_of(), dealt]).same_texts == [[False, False, False]]


def test_one_domain_may_be_paired_and_another_not() -> None:
    texts = [f"text {place}" if place < 8 else f"other {place}" for place in range(24)]
    runs = Runs.of([profile_of(), profile_of(seed=1, model="other", texts=texts)])
    assert runs.same_texts == [[True, False, False]]
    assert "Comparisons of a domain: 3, of which 1 of the same texts" in Document(render_comparison(runs)).text


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.01, 0.2))
def test_a_verdict_is_the_same_in_both_directions_and_right(value: float, margin: float, step: float) -> None:
    found = judge_difference(Interval(value, value - margin, value + margin), step)
    assert judge_difference(Interval(-value, -value - margin, -value + margin), step) == found
    if found == Verdict.SUPPORTED:
        assert abs(value) > step
    if found == Verdict.NOT_SUPPORTED:
        assert abs(value) < step


def test_without_an_interval_nothing_is_decided() -> None:
    assert judge_difference(Interval(3.0), 0.05) == Verdict.UNDECIDED


def test_the_mean_keeps_to_domains_with_an_interval() -> None:
    sizes = np.array([1.0, 1.0])
    grouped = Grouped(
        np.array([[0.2, 0.9]]),
        [np.array([[[0.1, 0.9], [0.3, 0.9]]]), np.zeros((1, 0, 2))],
        [sizes, np.zeros(0)],
        counted=[0],
    )
    assert grouped.estimates().value.tolist() == [[0.2, 0.2, 0.9]]
    assert np.isnan(grouped.estimates().high[0, 2])
    assert np.isfinite(grouped.estimates().high[0, :2]).all()
