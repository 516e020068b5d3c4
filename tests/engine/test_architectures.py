"""Every architecture against the reference."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import paramscope
from paramscope.errors import CheckError
from paramscope.models.blocks import count_parameters, find_structure, unmeasured_weights
from paramscope.result.profile import Profile
from tests.engine.architectures import ARCHITECTURES, REFUSED, random_ids, tiny_model
from tests.engine.autograd import (
    assert_tables_equal,
    drawn,
    expected_tables,
    linear_weights,
    reference,
)
from tests.engine.table import examine

GIVEN = {"a": random_ids([9, 3, 12, 6]), "b": random_ids([7, 1, 10], seed=1)}
"""Seven samples of different lengths, longer and shorter than the sliding windows, one of a single token."""

WARM = 3e-3
"""A threshold in the middle of the activations."""


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_float64_run_equals_the_reference(name: str) -> None:
    model = tiny_model(name)
    together = None if ARCHITECTURES[name].alone else 3
    profile = paramscope.profile(model, GIVEN, threshold=WARM, batch_size=together, samples=4)
    found = reference(model, ARCHITECTURES[name].blocks, drawn(profile, GIVEN), bare=ARCHITECTURES[name].bare)
    expected = expected_tables(profile, found)
    tolerance = ARCHITECTURES[name].tolerance
    # Query and key of a single token have activation 0, or what rounding leaves of it, so some counts may differ.
    assert_tables_equal(profile.tables, expected, tolerance, counts=False)
    assert profile.manifest.self_check.largest_relative_error <= tolerance
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
    structure = find_structure(model)
    blocks = structure.blocks
    assert [block.name for block in blocks] == [
        f"{ARCHITECTURES[name].blocks}.{i}" for i in range(len(model.get_submodule(ARCHITECTURES[name].blocks)))
    ]
    for block in blocks:
        found = {weight.name: (weight.parameter, weight.transposed) for weight in block.weights}
        expected = linear_weights(block.module, ARCHITECTURES[name].bare)
        assert list(found) == list(expected)
        assert all(found[key][0] is expected[key][0] and found[key][1] == expected[key][1] for key in found)
    left_out = {path.rsplit(".", 1)[-1] if "conv" not in path else "convolution" for path in unmeasured_weights(blocks)}
    assert left_out == set(ARCHITECTURES[name].left_out)
    assert structure.routes == ARCHITECTURES[name].routes
    counts = count_parameters(model, blocks)
    assert sum(counts.values()) == sum(parameter.numel() for parameter in model.parameters())
    linear = sum(
        math.prod(parameter.shape)
        for block in model.get_submodule(ARCHITECTURES[name].blocks)
        for parameter, _ in linear_weights(block, ARCHITECTURES[name].bare).values()
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


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused_before_the_run(name: str) -> None:
    with pytest.raises(CheckError, match=r"are one shared weight, so this model cannot be measured layer by layer"):
        paramscope.profile(tiny_model(name), GIVEN)


def test_the_table_of_the_documentation_has_every_architecture_within_its_bound() -> None:
    page = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip() for row in rows] == list(ARCHITECTURES)
    assert len(rows) >= 35
    assert all(float(row[2]) <= 1e-4 for row in rows)
    assert all(f"- {name}: " in page for name in REFUSED)


@pytest.mark.parametrize("name", ["mixtral", "gpt-oss", "mamba", "recurrent-gemma", "gemma3n", "llama4"])
def test_a_line_of_the_table_is_what_its_command_gives(name: str) -> None:
    line = examine(name)
    assert 0 < line.error <= 1e-4
    page = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")
    (row,) = [each for each in page.splitlines() if each.startswith(f"| {name} |")]
    assert f"| {100 * line.covered:.0f} % |" in row
    assert all(f"`{bare}`" in row for bare in line.bare)
    assert row.endswith(f"| {', '.join(line.left_out)} |")


def test_experts_that_a_text_does_not_reach_have_activation_zero_and_are_counted() -> None:
    model = tiny_model("mixtral")
    profile = paramscope.profile(model, {"a": random_ids([2]), "b": random_ids([3], seed=5)})
    stacks = profile.tables.activation.query("module == 'mlp.experts.down_proj'")
    sizes = profile.modules.query("module == 'mlp.experts.down_proj'")["parameters"].unique().tolist()
    assert sizes == [4 * 16 * 24]
    # Two tokens choose two experts each, so at most all four, and some text leaves one out.
    assert stacks["zeros"].max() >= 16 * 24
    assert all(zeros % (16 * 24) == 0 for zeros in stacks["zeros"])
    shares = profile.density(1e-12, by="module").xs("mlp.experts.down_proj", level="module")
    np.testing.assert_allclose(shares.to_numpy().ravel(), 1 - stacks["zeros"].to_numpy() / sizes[0], atol=1e-12)
