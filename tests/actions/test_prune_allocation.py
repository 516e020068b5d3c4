"""How sparse each layer is made, by every rule and by lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import paramscope
from tests.actions.pruned import DOMAIN, profiled, pruned
from tests.engine.architectures import tiny_model
from tests.engine.test_streaming import saved


@pytest.mark.parametrize("allocation", ["paper", "owl", "histogram"])
def test_allocations_differ_by_layer_and_have_the_exact_mean(tmp_path: Path, allocation: str) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=5)
    run = profiled(tmp_path / "run", folder) if allocation != "owl" else None
    result = paramscope.prune(
        folder, output=tmp_path / "out", sparsity=0.5, domain=DOMAIN, allocation=allocation, run=run
    )
    weights = sum(module.weights for module in result.modules)
    assert sum(module.zeros for module in result.modules) == round(0.5 * weights)
    assert np.ptp(result.allocation.wanted) > 0.01
    for layer, wanted in enumerate(result.allocation.wanted):
        size = sum(module.weights for module in result.modules if module.layer == layer)
        assert abs(result.layer_sparsity(layer) - wanted) <= 1 / size
    if allocation == "owl":
        assert len(result.allocation.basis or []) == 5
    else:
        assert result.allocation.run_sha256


def test_the_papers_densities_are_the_runs(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=3)
    run = profiled(tmp_path / "run", folder)
    profile = paramscope.Profile.load(run)
    result = paramscope.prune(
        folder, output=tmp_path / "out", sparsity=0.5, score="magnitude", allocation="paper", run=run
    )
    assert result.allocation.basis
    np.testing.assert_allclose(result.allocation.basis, profile.density().mean(axis=1))
    assert result.allocation.constants["threshold"] == profile.threshold


def test_owl_resumes_with_what_it_found_of_the_dense_model(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=4)
    settings: dict[str, Any] = {"domain": DOMAIN, "sparsity": 0.5, "allocation": "owl", "output": tmp_path / "out"}
    seen: list[str] = []

    def interrupt(stage: str, steps: int, total: int) -> None:
        seen.append(stage)
        if seen.count("pruning") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.prune(folder, progress=interrupt, **settings)
    again: list[str] = []
    result = paramscope.prune(folder, resume=True, progress=lambda stage, *_: again.append(stage), **settings)
    assert (seen.count("outliers"), again.count("outliers"), again.count("pruning")) == (4, 0, 4)
    whole = paramscope.prune(folder, **(settings | {"output": tmp_path / "whole"}))
    assert result.allocation == whole.allocation
    assert result.modules == whole.modules


def test_a_list_is_followed(tmp_path: Path) -> None:
    model = tiny_model("llama", num_hidden_layers=2)
    _, result = pruned(model, allocation=[0.25, 0.75])
    assert [result.layer_sparsity(layer) for layer in (0, 1)] == [0.25, 0.75]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"0": 0.25, "1": 0.75}))
    _, same = pruned(model, allocation=path, sparsity=0.5)
    assert same.modules == result.modules
    _, single = pruned(model, allocation=(0.5, 0.5))
    assert single.sparsity == 0.5
