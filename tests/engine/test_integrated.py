"""The path-integrated activation against plain autograd with the weights scaled, one sample at a time."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

import paramscope
from paramscope.engine.integrated import scaled
from paramscope.errors import UsageError
from paramscope.models.blocks import find_structure
from tests.engine.architectures import ARCHITECTURES, tiny_model
from tests.engine.autograd import (
    Case,
    Reference,
    assert_same_tables,
    assert_tables_equal,
    drawn,
    expected_tables,
    linear_weights,
)

GIVEN = {"a": [[3, 5, 7, 11, 2], [4, 9], [8, 6, 1, 13]], "b": [[7, 7, 2], [12, 3, 9, 10, 5, 6]]}
STEPS = 3


def integrated_reference(name: str, model: torch.nn.Module, cases: list[Case]) -> tuple[Reference, list[float]]:
    """Activations of every sample by itself, and the completeness error of every layer."""
    own = copy.deepcopy(model).double().eval()
    own.config.use_cache = False
    layers, errors = [], []
    for block in own.get_submodule(ARCHITECTURES[name].blocks).children():
        weights = linear_weights(block, ARCHITECTURES[name].bare)
        original = {key: weight.detach().clone() for key, (weight, _) in weights.items()}
        found: dict[str, list[np.ndarray]] = {key: [] for key in weights}
        missed = change = 0.0
        for case in cases:
            ids = torch.tensor([case.ids])
            with torch.no_grad():
                token = own(input_ids=ids).logits[0, -1].argmax()
                whole = own(input_ids=ids).logits[0, -1, token].item()
            mean = {key: torch.zeros_like(weight) for key, weight in original.items()}
            for step in range(STEPS):
                for key, (weight, _) in weights.items():
                    weight.data = original[key] * (step + 0.5) / STEPS
                own.zero_grad(set_to_none=True)
                own(input_ids=ids).logits[0, -1, token].backward()
                for key, (weight, _) in weights.items():
                    if weight.grad is not None:
                        mean[key] += weight.grad / STEPS
            with torch.no_grad():
                for weight, _ in weights.values():
                    weight.zero_()
                without = own(input_ids=ids).logits[0, -1, token].item()
                for key, (weight, _) in weights.items():
                    weight.data = original[key]
            total = sum(float((original[key] * mean[key]).sum()) for key in mean)
            missed += abs(total - (whole - without))
            change += abs(whole - without)
            for key, (_, transposed) in weights.items():
                activation = (original[key] * mean[key]).abs().numpy()
                activation = np.swapaxes(activation, -1, -2) if transposed else activation
                found[key].append(activation.reshape(-1, activation.shape[-1]))
        layers.append({key: np.stack(parts) for key, parts in found.items()})
        errors.append(missed / change)
    return Reference(layers, []), errors


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt", "gemma3"])
def test_integrated_run_equals_the_reference(name: str) -> None:
    model = tiny_model(name)
    profile = paramscope.profile(model, GIVEN, activation="integrated", steps=STEPS, batch_size=2)
    found, errors = integrated_reference(name, model, drawn(profile, GIVEN))
    assert_tables_equal(profile.tables, expected_tables(profile, found), 1e-7, counts=False)
    assert profile.manifest.completeness == pytest.approx(errors, rel=1e-6)


def test_more_steps_are_more_complete() -> None:
    model = tiny_model("llama")
    few, many = (
        paramscope.profile(model, GIVEN, activation="integrated", steps=steps).manifest.completeness
        for steps in (1, 32)
    )
    assert few is not None
    assert many is not None
    assert max(many) < 0.02
    assert max(many) < min(few)


def test_first_order_has_no_completeness() -> None:
    assert paramscope.profile(tiny_model("llama"), GIVEN).manifest.completeness is None


def test_resumed_integrated_run_is_the_same(tmp_path: Path) -> None:
    model = tiny_model("llama")
    whole = paramscope.profile(model, GIVEN, activation="integrated", steps=2)

    def stop(stage: str, _: int) -> None:
        steps.append(stage)
        if steps.count("backward") == 2:
            raise KeyboardInterrupt

    steps: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        paramscope.profile(model, GIVEN, activation="integrated", steps=2, output=tmp_path / "run", progress=stop)
    resumed = paramscope.profile(model, GIVEN, activation="integrated", steps=2, output=tmp_path / "run", resume=True)
    assert resumed.manifest.engine.layers_resumed > 0
    assert resumed.manifest.completeness == whole.manifest.completeness
    assert_same_tables(resumed.tables, whole.tables)


def test_weights_come_back_bit_for_bit_also_after_an_error() -> None:
    model = tiny_model("gpt2")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = find_structure(model).blocks[1].weights

    def fail() -> None:
        with scaled(weights, 0.3):
            assert not all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_streamed_weights_are_refused(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="activation integrated runs every block many times"):
        paramscope.profile(tiny_model, {"a": ["red blue"]}, activation="integrated", weights="streamed")


def test_steps_must_be_positive() -> None:
    with pytest.raises(UsageError, match="steps 0 is out of range"):
        paramscope.profile(tiny_model("llama"), GIVEN, activation="integrated", steps=0)
