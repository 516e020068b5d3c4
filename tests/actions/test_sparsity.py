"""Allocation rules against cases worked out by hand, and totals that are exact to the weight."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies
from numpy.typing import NDArray

from paramscope.actions.pruning import sparsity as rules
from paramscope.errors import UsageError
from paramscope.measures.histogram import BINS, EDGES, bin_index

SIZES = strategies.lists(strategies.integers(1, 5_000), min_size=1, max_size=12)
TARGETS = strategies.floats(0.02, 0.98)


def histogram_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.bincount(bin_index(values), minlength=BINS)


def test_the_papers_rule_by_hand() -> None:
    # Mean 0.5, population standard deviation 0.1; alpha / i = 2 and 1.
    first, second = 1 / (1 + math.exp(-(1 + 2))), 1 / (1 + math.exp(-(-1 + 1)))
    expected = [0.5 + 0.2 * 0.5 * (1 - 2 * part / (first + second)) for part in (first, second)]
    found = rules.paper(np.array([0.6, 0.4]), 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found, [0.46884, 0.53116], atol=5e-6)
    assert found.mean() == pytest.approx(0.5, abs=1e-15)


def test_equal_densities_leave_the_papers_rule_its_second_term() -> None:
    squashed = np.array([1 / (1 + math.exp(-2 / i)) for i in (1, 2, 3)])
    expected = 0.6 + 0.2 * 0.6 * (1 - squashed * 3 / squashed.sum())
    np.testing.assert_allclose(rules.paper(np.full(3, 0.7), 0.6), expected, rtol=1e-12)


def test_owl_by_hand() -> None:
    # Scaled to 0, 0.04 and 0.16; mean 0.2 / 3.
    found = rules.owl(np.array([0.01, 0.02, 0.05]), 0.7)
    np.testing.assert_allclose(found, 0.7 - (np.array([0.0, 0.04, 0.16]) - 0.2 / 3), rtol=1e-12)
    assert found.max() - found.min() == pytest.approx(2 * rules.OWL_LAMBDA)
    np.testing.assert_array_equal(rules.owl(np.full(4, 0.03), 0.5), np.full(4, 0.5))


def test_equal_loss_takes_the_same_share_of_activation_from_every_layer() -> None:
    rng = np.random.default_rng(0)
    values = [np.sort(rng.lognormal(0, spread, 4_000)) for spread in (0.5, 1.0, 2.0)]
    found = rules.equal_loss([histogram_of(each) for each in values], [0, 0, 0], 0.5)
    assert found.mean() == pytest.approx(0.5, abs=1e-9)
    lost = [each[: round(share * len(each))].sum() / each.sum() for each, share in zip(values, found, strict=True)]
    np.testing.assert_allclose(lost, np.mean(lost), atol=2e-3)
    assert found[0] < found[1] < found[2]  # where few weights carry all, more can go


def test_equal_loss_by_hand() -> None:
    # One layer has all its weights in one bin; of the other, half weigh nothing.
    counts = np.zeros((2, BINS), dtype=np.int64)
    place = int(bin_index(np.array([1.0]))[0])
    assert EDGES[place] == 1.0
    counts[0, place], counts[1, place] = 100, 50
    # Layer 0 loses its sparsity s; layer 1 loses 2 (t - 0.5). Equal, with (s + t) / 2 = 0.5: s = 1/3, t = 2/3.
    np.testing.assert_allclose(rules.equal_loss(list(counts), [0, 50], 0.5), [1 / 3, 2 / 3], atol=1e-9)


def test_layers_whose_zeros_alone_are_more_than_the_target_are_shifted_to_it() -> None:
    counts = np.zeros((2, BINS), dtype=np.int64)
    counts[:, 1000] = 10
    found = rules.equal_loss(list(counts), [90, 90], 0.5)
    np.testing.assert_allclose(found, [0.9, 0.9], atol=1e-6)
    np.testing.assert_allclose(rules.settle(found, [100, 100], 0.5), [0.5, 0.5], atol=1e-12)


@given(SIZES, TARGETS, strategies.data())
def test_the_mean_over_the_weights_is_the_target_and_the_bounds_hold(
    sizes: list[int], target: float, data: strategies.DataObject
) -> None:
    wanted = np.array([data.draw(strategies.floats(-0.5, 1.5)) for _ in sizes])
    found = rules.settle(wanted, sizes, target)
    assert found @ np.array(sizes) / sum(sizes) == pytest.approx(target, abs=1e-9)
    assert found.min() >= 0
    assert found.max() <= rules.most_sparse(target) < 1
    # Whoever is within the bounds was shifted by the same number, and nobody's place in the order changed.
    inside = (found > 1e-12) & (found < rules.most_sparse(target) - 1e-12)
    shifts = (found - wanted)[inside]
    assert np.ptp(shifts) < 1e-9 if len(shifts) else True
    assert (np.diff(found[np.argsort(wanted, kind="stable")]) >= -1e-12).all()


def test_what_has_the_mean_stays_as_it_is() -> None:
    wanted = np.array([0.25, 0.75])
    np.testing.assert_array_equal(rules.settle(wanted, [10, 10], 0.5), wanted)
    # Weights are counted, not layers: the large layer weighs more.
    np.testing.assert_allclose(rules.settle(wanted, [30, 10], 0.5), wanted + 0.125, atol=1e-12)


def test_what_a_bound_takes_the_others_bear() -> None:
    found = rules.settle(np.array([1.2, 0.4, 0.2]), [10, 10, 10], 0.6)
    np.testing.assert_allclose(found, [0.95, 0.525, 0.325], atol=1e-12)


@given(SIZES, TARGETS, strategies.data())
def test_zeros_are_exact_for_the_model_and_within_one_for_each_layer(
    sizes: list[int], target: float, data: strategies.DataObject
) -> None:
    wanted = np.array([data.draw(strategies.floats(0, 1)) for _ in sizes])
    settled = rules.settle(wanted, sizes, target)
    zeros = rules.count_zeros(settled, sizes, target)
    assert zeros.sum() == round(target * sum(sizes))
    assert (np.abs(zeros - settled * sizes) < 1 + 1e-6).all()
    assert ((zeros >= 0) & (zeros <= sizes)).all()


@given(strategies.lists(strategies.integers(1, 3_000), min_size=1, max_size=9), strategies.data())
def test_zeros_of_modules_and_rows_add_up(sizes: list[int], data: strategies.DataObject) -> None:
    zeros = data.draw(strategies.integers(0, sum(sizes)))
    modules = rules.divide(zeros, sizes)
    assert modules.sum() == zeros
    assert ((modules >= 0) & (modules <= sizes)).all()
    for size, own in zip(sizes, modules.tolist(), strict=True):
        rows = data.draw(strategies.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
        each = rules.spread_over_rows(own, rows)
        assert each.sum() == own
        assert each.max() - each.min() <= 1
        assert each.max() <= size // rows


def test_a_list_and_a_mapping_say_the_same() -> None:
    expected = np.array([0.1, 0.2, 0.3])
    np.testing.assert_array_equal(rules.given([0.1, 0.2, 0.3], 3), expected)
    np.testing.assert_array_equal(rules.given({"2": 0.3, "0": 0.1, "1": 0.2}, 3), expected)
    np.testing.assert_array_equal(rules.given({2: 0.3, 0: 0.1, 1: 0.2}, 3), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([0.5], "has 1 sparsities, the model 2 layers"),
        ([0.5, 0.5, 0.5], "has 3 sparsities"),
        ({"0": 0.5, "7": 0.5}, "layer '7' is unknown; the model's 2 layers are 0 to 1"),
        ({"0": 0.5}, "nothing is said of layer 1"),
        ([0.5, 1.0], "the sparsity 1.0 of layer 1 is no share"),
        ([0.5, -0.1], "the sparsity -0.1 of layer 1"),
        ([0.5, True], "the sparsity True of layer 1"),
        ([0.5, "0.5"], "the sparsity '0.5' of layer 1"),
        ([float("nan"), 0.5], "the sparsity nan of layer 0"),
        ("0.5", "is of type str"),
        (None, "is of type NoneType"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(content: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rules.given(content, 2)


def test_the_target_of_a_list_is_its_mean_over_the_weights() -> None:
    listed = np.array([0.2, 0.6])
    assert rules.mean_of(listed, [30, 10], None) == pytest.approx(0.3)
    assert rules.mean_of(listed, [30, 10], 0.302) == 0.302
    with pytest.raises(UsageError, match=r"the mean over the weights is 0\.3, --sparsity says 0\.5"):
        rules.mean_of(listed, [30, 10], 0.5)
    with pytest.raises(UsageError, match="nothing would be pruned"):
        rules.mean_of(np.zeros(2), [30, 10], None)
