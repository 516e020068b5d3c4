"""LLMDcos from a Gram matrix against the vectors themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from paramscope.measures.intervals import bootstrap_draws
from paramscope.measures.similarity import DRAWS, FEWEST, centred_cosines, cosines, pair_means

shapes = st.tuples(st.integers(2, 9), st.integers(2, 30), st.integers(0, 2**32 - 1))


def vectors(samples: int, weights: int, seed: int) -> NDArray[np.float64]:
    """Activations: positive, of very different sizes."""
    rng = np.random.default_rng(seed)
    return rng.lognormal(size=(samples, weights)) * rng.lognormal(0, 3, size=(samples, 1))


def direct_cosines(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([[a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for b in rows] for a in rows])


def direct_means(kernel: NDArray[np.float64], members: list[list[int]]) -> NDArray[np.float64]:
    """Means over pairs of different samples; ``members`` may name a sample several times, as a draw does."""
    means = np.full((len(members), len(members)), np.nan)
    for (i, one), (j, other) in itertools.product(enumerate(members), repeat=2):
        pairs = itertools.permutations(one, 2) if i == j else itertools.product(one, other)
        values = [kernel[a, b] for a, b in pairs if a != b]
        if values:
            means[i, j] = np.mean(values)
    return means


@given(shapes)
def test_cosines_are_those_of_the_vectors(shape: tuple[int, int, int]) -> None:
    rows = vectors(*shape)
    np.testing.assert_allclose(cosines(rows @ rows.T), direct_cosines(rows), atol=1e-12)


@given(shapes)
def test_centred_cosines_are_those_of_the_normalised_vectors_less_their_mean(shape: tuple[int, int, int]) -> None:
    rows = vectors(*shape)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centred = unit - unit.mean(0)
    np.testing.assert_allclose(centred_cosines(rows @ rows.T), direct_cosines(centred), atol=1e-6)


def test_scale_of_a_sample_changes_nothing() -> None:
    rows = vectors(5, 20, 1)
    other = rows * np.array([[1.0], [1e-6], [30.0], [1e4], [2.0]])
    for measure in (cosines, centred_cosines):
        np.testing.assert_allclose(measure(other @ other.T), measure(rows @ rows.T), atol=1e-9)


@pytest.mark.parametrize("measure", [cosines, centred_cosines])
def test_sample_without_activation_has_no_cosine_and_leaves_the_others_alone(measure: type) -> None:
    rows = vectors(6, 20, 2)
    dead = np.insert(rows, 3, 0.0, axis=0)
    found, expected = measure(dead @ dead.T), measure(rows @ rows.T)
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()
    np.testing.assert_allclose(np.delete(np.delete(found, 3, 0), 3, 1), expected, atol=1e-12)


@pytest.mark.parametrize("measure", [cosines, centred_cosines])
def test_no_sample_with_activation_gives_nan_without_a_warning(measure: type) -> None:
    assert np.isnan(measure(np.zeros((3, 3)))).all()


def test_samples_that_equal_the_mean_have_no_centred_cosine() -> None:
    rows = np.repeat(vectors(1, 20, 3), 4, axis=0)
    assert np.isnan(centred_cosines(rows @ rows.T)).all()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_means_are_those_over_pairs_of_different_samples(sizes: list[int], seed: int) -> None:
    rows = vectors(sum(sizes), 12, seed)
    edges = np.cumsum([0, *sizes])
    members = [list(range(a, b)) for a, b in itertools.pairwise(edges)]
    kernel = cosines(rows @ rows.T)
    np.testing.assert_allclose(pair_means(kernel, sizes).matrix, direct_means(kernel, members), atol=1e-12)


@pytest.mark.parametrize("dead", [None, 4])
def test_interval_is_that_of_draws_in_which_no_sample_meets_itself(dead: int | None) -> None:
    sizes, seed = [3, 4], 11
    rows = vectors(7, 12, 4)
    if dead is not None:
        rows[dead] = 0.0
    kernel = cosines(rows @ rows.T)
    draws = bootstrap_draws(tuple(sizes), DRAWS, seed).astype(int)
    values = []
    for draw in draws:
        expanded = [i for i, times in enumerate(draw) for _ in range(times) if i != dead]
        members = [[i for i in expanded if i < 3], [i for i in expanded if i >= 3]]
        values.append(direct_means(kernel, members))
    low, high = np.nanquantile(values, [0.025, 0.975], axis=0)
    found = pair_means(kernel, sizes, seed)
    np.testing.assert_allclose(found.low, low, atol=1e-12)
    np.testing.assert_allclose(found.high, high, atol=1e-12)


def test_one_sample_has_no_pair_within_but_pairs_across() -> None:
    rows = vectors(4, 12, 5)
    found = pair_means(cosines(rows @ rows.T), [1, 3])
    assert np.isnan(found.matrix[0, 0])
    assert np.isfinite(found.matrix[[0, 1, 1], [1, 0, 1]]).all()


def test_too_few_samples_have_a_mean_but_no_interval() -> None:
    few = FEWEST - 1
    rows = vectors(few + 5, 12, 6)
    found = pair_means(cosines(rows @ rows.T), [few, 5])
    assert np.isfinite(found.matrix).all()
    assert np.isnan(found.low[0]).all()
    assert np.isnan(found.high[:, 0]).all()
    assert found.low[1, 1] < found.matrix[1, 1] < found.high[1, 1]


def test_samples_without_activation_do_not_count_towards_an_interval() -> None:
    rows = vectors(8, 12, 7)
    rows[[0, 1]] = 0.0
    found = pair_means(cosines(rows @ rows.T), [4, 4])
    assert np.isfinite(found.matrix).all()
    assert np.isnan(found.low[0]).all()


def test_interval_of_a_mean_cosine_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    covered = 0
    for trial in range(100):
        # Independent directions around a common one: the cosine's expectation across is |mean|^2 of the unit vectors.
        rows = rng.normal(0.5, 1.0, size=(24, 10))
        found = pair_means(cosines(rows @ rows.T), [12, 12], seed=trial)
        covered += found.low[0, 1] <= TRUTH <= found.high[0, 1]
    assert covered >= 85


def _expected_cosine() -> float:
    rows = np.random.default_rng(9).normal(0.5, 1.0, size=(200_000, 10))
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(0)
    return float(mean @ mean)


TRUTH = _expected_cosine()
