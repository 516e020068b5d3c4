"""Bands of layers."""

from __future__ import annotations

import itertools

import pytest

from paramscope.measures.bands import layer_bands

ORDER = ["first", "shallow", "middle", "deep", "last"]


@pytest.mark.parametrize("layers", range(1, 70))
def test_every_layer_is_in_one_band_and_bands_follow_the_depth(layers: int) -> None:
    bands = layer_bands(layers)
    assert list(itertools.chain(*bands.values())) == list(range(layers))
    assert list(bands) == [name for name in ORDER if name in bands]
    assert all(bands.values())


@pytest.mark.parametrize("layers", range(9, 70))
def test_shallow_middle_and_deep_are_the_thirds_without_the_first_and_the_last_layer(layers: int) -> None:
    bands = layer_bands(layers)
    assert bands["first"] == [0]
    assert bands["last"] == [layers - 1]
    for name, third in (("shallow", 0), ("middle", 1), ("deep", 2)):
        inside = [k for k in range(1, layers - 1) if third / 3 <= k / layers < (third + 1) / 3]
        assert bands[name] == inside


def test_thirty_layers_have_the_bands_that_the_design_names() -> None:
    bands = layer_bands(30)
    assert (bands["shallow"], bands["deep"]) == (list(range(1, 10)), list(range(20, 29)))


def test_a_single_layer_is_the_first() -> None:
    assert layer_bands(1) == {"first": [0]}
