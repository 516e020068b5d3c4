"""Bootstrap means over domains against loops, and against the profile's own pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paramscope.measures.resample import within_across
from paramscope.measures.similarity import pair_draws
from tests.reference import made_up_layers, make_profile

SIZES = {"support": 5, "code": 4, "contracts": 6}
PROFILE = make_profile(made_up_layers(7, SIZES, rows=8, columns=6), SIZES)


def slow_means(kernel: np.ndarray, sizes: list[int], drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair by itself, for one draw."""
    parts = np.split(np.arange(len(kernel)), np.cumsum(sizes)[:-1])
    samples = [np.repeat(part, drawn[part].astype(int)) for part in parts]

    def mean(one: np.ndarray, other: np.ndarray) -> float:
        pairs = [kernel[i, j] for i, j in itertools.product(one, other) if i != j and np.isfinite(kernel[i, j])]
        return float(np.mean(pairs)) if pairs else np.nan

    within = [mean(samples[k], samples[k]) for k in range(len(sizes))]
    across = [
        np.nanmean([mean(samples[k], samples[other]) for other in range(len(sizes)) if other != k])
        for k in range(len(sizes))
    ]
    return np.array(within), np.array(across)


def test_means_of_draws_equal_loops_over_pairs() -> None:
    rng = np.random.default_rng(0)
    sizes = [3, 4, 2]
    kernel = rng.normal(size=(9, 9))
    kernel += kernel.T
    draws = np.concatenate([rng.multinomial(size, np.full(size, 1 / size), size=20) for size in sizes], axis=1)
    within, across = within_across(pair_draws(kernel, sizes, draws.astype(float)))
    for place, drawn in enumerate(np.concatenate([np.ones((1, 9)), draws])):
        slow_within, slow_across = slow_means(kernel, sizes, drawn)
        np.testing.assert_allclose(within[place], slow_within, atol=1e-12)
        np.testing.assert_allclose(across[place], slow_across, atol=1e-12)


def test_samples_without_activation_are_left_out() -> None:
    kernel = np.full((6, 6), 0.5)
    np.fill_diagonal(kernel, 1.0)
    kernel[1] = kernel[:, 1] = np.nan
    within, across = within_across(pair_draws(kernel, [3, 3], np.zeros((0, 6))))
    np.testing.assert_allclose(within, 0.5)
    np.testing.assert_allclose(across, 0.5)


@pytest.mark.parametrize("centred", [False, True])
def test_layers_agree_with_the_profile(centred: bool) -> None:
    resampler = PROFILE.resampler
    found = PROFILE.similarity(centred=centred)
    for layer in range(PROFILE.layers):
        alike = resampler.layers([layer], centred=centred)
        for place, one in enumerate(alike.within):
            assert one.value == pytest.approx(found.within.value.iloc[layer, place])
            # Same draws, same interval.
            assert one.low == pytest.approx(found.within.low.iloc[layer, place])
            assert one.high == pytest.approx(found.within.high.iloc[layer, place])
        assert alike.mean_across.value == pytest.approx(found.across.value.iloc[layer].mean())
        assert alike.mean_gap.value == pytest.approx(alike.mean_within.value - alike.mean_across.value)
        assert alike.mean_across.low <= alike.mean_across.value <= alike.mean_across.high or centred


def test_a_change_is_the_difference_of_its_ends() -> None:
    resampler = PROFILE.resampler
    before, after = resampler.layers([1], centred=False), resampler.layers([4, 5], centred=False)
    change = resampler.change([1], [4, 5], centred=False)
    assert change.mean_across.value == pytest.approx(after.mean_across.value - before.mean_across.value)
    assert change.mean_within.value == pytest.approx(after.mean_within.value - before.mean_within.value)
    assert change.mean_across.low < change.mean_across.value < change.mean_across.high


def test_no_change_has_an_interval_of_no_width() -> None:
    change = PROFILE.resampler.change([2], [2], centred=True)
    assert change.mean_within.low == change.mean_within.high == 0.0


def test_layers_with_a_sample_without_activation_are_averaged_without_it() -> None:
    """There the mean over layers is that of the kernels, not of the layers' means."""
    layers = made_up_layers(4, SIZES, rows=8, columns=6)
    layers[2] = {
        name: np.where(np.arange(len(values))[:, None, None] == 1, 0.0, values) for name, values in layers[2].items()
    }
    profile = make_profile(layers, SIZES)
    kernel = np.mean([profile.sample_cosines(layer) for layer in (1, 2)], axis=0)
    expected = pair_draws(kernel, list(SIZES.values()), np.zeros((0, 15)))[0]
    np.testing.assert_allclose(profile.resampler.pairs([1, 2], centred=False)[0], expected, atol=1e-12)
    change = profile.resampler.change([1], [2], centred=False)
    assert np.isfinite(change.mean_across.low)
