"""Every architecture against the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import paramscope
from paramscope.models.blocks import count_parameters, find_blocks, unmeasured_weights
from paramscope.result.profile import Profile
from tests.engine.architectures import ARCHITECTURES, random_ids, tiny_model
from tests.engine.autograd import (
    assert_tables_equal,
    drawn,
    expected_tables,
    linear_modules,
    reference,
)

GIVEN = {"a": random_ids([9, 3, 12, 6]), "b": random_ids([7, 1, 10], seed=1)}
"""Seven samples of different lengths, longer and shorter than the sliding windows, one of a single token."""

WARM = 3e-3
"""A threshold in the middle of the activations."""


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_float64_run_equals_the_reference(name: str) -> None:
    model = tiny_model(name)
    profile = paramscope.profile(model, GIVEN, threshold=WARM, batch_size=3, samples=4)
    found = reference(model, ARCHITECTURES[name].blocks, drawn(profile, GIVEN))
    expected = expected_tables(profile, found)
    # Query and key of a single token have activation 0, or what rounding leaves of it, so some counts may differ.
    assert_tables_equal(profile.tables, expected, 1e-9, counts=False)
    assert profile.manifest.self_check.largest_relative_error <= 1e-9
    np.testing.assert_allclose(profile.samples["objective"], found.values, rtol=1e-9)
    for threshold in (*profile.manifest.thresholds.exact, 1e-4, 0.02, 0.3):
        theirs = Profile(profile.manifest, expected).density(threshold)
        np.testing.assert_allclose(profile.density(threshold), theirs, rtol=1e-9)
    for place, samples in enumerate((slice(0, 4), slice(4, 7))):
        for layer in range(profile.layers):
            direct = float((found.mean(layer, samples) > WARM).mean())
            assert profile.density(WARM).iloc[layer, place] == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_all_linear_weights_of_all_blocks_are_measured(name: str) -> None:
    model = tiny_model(name)
    blocks = find_blocks(model)
    assert [block.name for block in blocks] == [
        f"{ARCHITECTURES[name].blocks}.{i}" for i in range(len(model.get_submodule(ARCHITECTURES[name].blocks)))
    ]
    for block in blocks:
        assert {weight.name: weight.module for weight in block.weights} == linear_modules(block.module)
    assert unmeasured_weights(blocks) == []
    counts = count_parameters(model, blocks)
    assert sum(counts.values()) == sum(parameter.numel() for parameter in model.parameters())
    linear = sum(
        math.prod(parameter.shape)
        for block in model.get_submodule(ARCHITECTURES[name].blocks)
        for parameter in block.parameters()
        if parameter.dim() == 2
    )
    assert counts["linear weights of the layers"] == linear == sum(block.parameters for block in blocks)


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2", "opt-projected"])
def test_histograms_and_counts_equal_the_reference(name: str) -> None:
    given = {"a": random_ids([9, 3, 12, 6, 5, 8, 7, 4, 10]), "b": random_ids([7, 10], seed=1), "c": random_ids([8])}
    model = tiny_model(name)
    profile = paramscope.profile(model, given, threshold=WARM, batch_size=5, samples=9)
    found = reference(model, ARCHITECTURES[name].blocks, drawn(profile, given))
    assert_tables_equal(profile.tables, expected_tables(profile, found), 1e-9)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "opt", "bloom", "falcon"])
def test_float32_run_is_near_the_float64_reference(name: str) -> None:
    given = {"a": random_ids([9, 3, 12, 6]), "b": random_ids([7, 4, 10], seed=1)}
    model = tiny_model(name, dtype=torch.float32)
    profile = paramscope.profile(model, given, samples=4)
    found = reference(model, ARCHITECTURES[name].blocks, drawn(profile, given))
    assert profile.tables.sums["0/" + profile.modules["module"][0] + "/rows"].dtype == np.float32
    assert_tables_equal(profile.tables, expected_tables(profile, found), 1e-4, counts=False)
    np.testing.assert_allclose(
        profile.density(1e-3), Profile(profile.manifest, expected_tables(profile, found)).density(1e-3), atol=1e-3
    )
    assert profile.manifest.self_check.largest_relative_error <= 1e-4
