"""The numbers of a profile against the activations that it was made of."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from paramscope.errors import UsageError
from paramscope.measures.histogram import EDGES, bin_index
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from tests.reference import made_up_layers, make_profile
from tests.result.conftest import SIZES

NAMES = list(SIZES)
PARTS = dict(zip(NAMES, np.split(np.arange(sum(SIZES.values())), np.cumsum(list(SIZES.values()))[:-1]), strict=True))


@functools.cache
def layers() -> list[dict[str, NDArray[np.float64]]]:
    return made_up_layers(4, SIZES)


@functools.cache
def made() -> Profile:
    return make_profile(layers(), SIZES)


def means(layer: int, domain: str, module: str | None = None) -> NDArray[np.float64]:
    chosen = [a for name, a in layers()[layer].items() if module in (None, name)]
    return np.concatenate([a[PARTS[domain]].mean(0).ravel() for a in chosen])


@pytest.mark.parametrize("threshold", [PAPER_THRESHOLD, float(EDGES[bin_index(np.array([1e-3]))[0]])])
def test_density_is_exact_at_the_runs_thresholds_and_at_edges(threshold: float) -> None:
    density = made().density(threshold)
    assert list(density.columns) == NAMES
    for layer in range(4):
        for domain in NAMES:
            assert density[domain][layer] == (means(layer, domain) > threshold).mean()


@given(st.floats(1e-6, 1.0))
def test_density_at_any_threshold_is_right_within_a_bin(threshold: float) -> None:
    density = made().density(threshold)
    place = bin_index(np.array([threshold]))[0]
    for domain in NAMES:
        values = means(2, domain)
        crowd = (bin_index(values) == place).mean()
        assert abs(density[domain][2] - (values > threshold).mean()) <= crowd + 1e-12


def test_density_by_module_keeps_the_order_of_the_modules() -> None:
    density = made().density(PAPER_THRESHOLD, by="module")
    expected = [(layer, name) for layer in range(4) for name in layers()[layer]]
    assert list(density.index) == expected
    for layer, module in expected:
        direct = (means(layer, "code", module) > PAPER_THRESHOLD).mean()
        assert density["code"][layer, module] == direct


def test_density_without_a_threshold_is_that_of_the_run() -> None:
    pd.testing.assert_frame_equal(made().density(), made().density(made().threshold))


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf"), "2e-5", True])
def test_threshold_that_is_no_positive_number_is_refused(threshold: float) -> None:
    for call in (made().density, made().density_estimate):
        with pytest.raises(UsageError, match=r"is no positive number; give one such as 2e-05"):
            call(threshold)


@given(st.floats(1e-6, 1.0))
def test_intervals_hold_the_density_and_stay_between_zero_and_one(threshold: float) -> None:
    found = made().density_estimate(threshold)
    for domain in NAMES[:2]:
        low, value, high = (getattr(found, part)[domain] for part in ("low", "value", "high"))
        assert ((low >= 0) & (low <= value) & (value <= high) & (high <= 1)).all()


def test_one_sample_has_a_density_and_no_interval() -> None:
    found = made().density_estimate(1e-3)
    assert np.isfinite(found.value[NAMES[2]]).all()
    assert found.low[NAMES[2]].isna().all()
    assert found.high[NAMES[2]].isna().all()


def test_interval_is_the_jackknifes_of_the_densities_without_a_group() -> None:
    """All rows are sampled here (24 of 24), and the threshold is an edge, so nothing is interpolated."""
    threshold = float(EDGES[bin_index(np.array([1e-3]))[0]])
    found = made().density_estimate(threshold)
    activation = np.concatenate([a[PARTS["code"]].reshape(5, -1) for a in layers()[3].values()], axis=1)
    without = [(np.delete(activation, i, axis=0).mean(0) > threshold).mean() for i in range(5)]
    error = np.sqrt(4 / 5 * np.sum((without - np.mean(without)) ** 2))
    value = found.value["code"][3]
    assert found.high["code"][3] - value == pytest.approx(2.776445 * error, rel=1e-5)


def test_concentration_is_that_of_the_activations() -> None:
    found = made().concentration()
    for layer in range(4):
        for domain in NAMES:
            values, row = means(layer, domain), found.xs((layer, domain)).to_dict()
            assert row["total"] == pytest.approx(values.sum())
            assert row["effective_number"] == pytest.approx(values.sum() ** 2 / (values**2).sum())
            assert row["effective_share"] == pytest.approx(row["effective_number"] / len(values))
            largest = np.sort(values)[::-1].cumsum()
            assert row["share_90"] == pytest.approx((largest < 0.9 * largest[-1]).mean(), abs=2e-3)


def test_similarity_is_that_of_the_vectors() -> None:
    rows = np.concatenate([a.reshape(len(a), -1) for a in layers()[1].values()], axis=1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    kernel = unit @ unit.T
    found = made().similarity()
    own = kernel[np.ix_(PARTS["code"], PARTS["code"])]
    assert found.within.value["code"][1] == pytest.approx((own.sum() - 5) / 20)
    across = kernel[np.ix_(PARTS["support"], PARTS["code"])].mean()
    assert found.across.value["support|code"][1] == pytest.approx(across)
    assert list(found.across.value) == ["support|code", f"support|{NAMES[2]}", f"code|{NAMES[2]}"]
    assert found.within.value[NAMES[2]].isna().all()


@pytest.mark.parametrize("centred", [False, True])
def test_similarity_matrix_is_symmetric_and_a_mean_over_layers(centred: bool) -> None:
    profile = made()
    matrix = profile.similarity_matrix([1, 2], centred=centred)
    np.testing.assert_array_equal(matrix, matrix.T)
    found = profile.similarity(centred=centred).across.value["support|code"]
    assert matrix.loc["support", "code"] == pytest.approx(found.loc[[1, 2]].mean())


def test_parameters_count_every_weight_of_a_layer() -> None:
    assert made().parameters.tolist() == [3 * 24 * 16] * 4
    assert made().layers == 4
    assert len(made().samples) == sum(SIZES.values())


def test_a_weight_that_no_sample_reaches_counts_among_the_parameters() -> None:
    quiet = [{name: a.copy() for name, a in layer.items()} for layer in layers()]
    for layer in quiet:
        layer["mlp.up_proj"][:] = 0.0
    density = make_profile(quiet, SIZES).density(1e-12)
    np.testing.assert_allclose(density, 2 / 3)
