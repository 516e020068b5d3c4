"""Half precision: products and sums are float32, and what its own type would have lost is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import paramscope
from tests.engine.architectures import random_ids, tiny_model

GIVEN = {"a": random_ids([9, 7, 12, 6, 5, 8, 11, 10]), "b": random_ids([7, 12, 10, 9, 6, 8, 5, 11], seed=1)}


def faint(dtype: torch.dtype) -> Any:
    """A model whose head is so small that |w g| would be 0 in float16: its objective is of the size of 1e-5."""
    model = tiny_model("llama", dtype=torch.float16)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(2.0**-14)
    return model.to(dtype)


def test_activations_that_vanish_in_float16_are_measured_and_counted() -> None:
    half = paramscope.profile(faint(torch.float16), GIVEN)
    full = paramscope.profile(faint(torch.float32), GIVEN)
    counts = half.tables.activation["underflows"]
    smallest = float(torch.finfo(torch.float16).smallest_normal * torch.finfo(torch.float16).eps)
    below = 1 - half.density(smallest, by="module").stack().reindex(
        half.tables.activation.set_index(["layer", "module", "domain"]).index
    )
    sizes = half.tables.activation.merge(half.modules, on=["layer", "module"])["parameters"]
    zeros = half.tables.activation["zeros"]
    np.testing.assert_allclose(counts + zeros, below.to_numpy() * sizes, atol=0.02 * sizes.max())
    assert counts.sum() > 0.05 * sizes.sum()  # in float16 all of these would have been 0
    assert full.tables.activation["underflows"].sum() == 0
    for threshold in (smallest / 4, smallest, 4 * smallest):
        estimate = full.density_estimate(threshold)
        inside = (estimate.low <= half.density(threshold)) & (half.density(threshold) <= estimate.high)
        assert inside.to_numpy().all()
        np.testing.assert_allclose(half.density(threshold), full.density(threshold), atol=0.02)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_types_with_a_wide_range_lose_nothing(dtype: torch.dtype) -> None:
    profile = paramscope.profile(faint(dtype), GIVEN)
    assert profile.tables.activation["underflows"].sum() == 0
