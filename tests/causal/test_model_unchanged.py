"""The checks give the model back as it was, bit for bit, whatever happens on the way."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import paramscope
from paramscope.result.profile import Profile
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.test_model_unchanged import mixed, unchanged

GIVEN = {"a": random_ids([9, 5, 12, 8, 6, 7]), "b": random_ids([7, 5, 8, 6, 9, 4], seed=1)}
STAGES = ["single weights", "activations", "sets", "parts"]

pytestmark = pytest.mark.usefixtures("small")


def profiled(model: nn.Module, **settings: Any) -> Profile:
    return paramscope.profile(model, GIVEN, samples=3, held_out=3, **settings)


def buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def config(model: Any) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(model.config.to_dict())
    found["experts"] = getattr(model.config, "_experts_implementation", None)
    return found


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "mamba"])
def test_checks_leave_the_model_as_it_was(name: str, double: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramscope.verifying.fits_in_double", lambda _: double)
    model = mixed(name)
    profile = profiled(model)
    before = buffers(model), config(model)
    with unchanged(model):
        checks = paramscope.verify(profile, model)
    assert checks.result.singles_dtype == ("float64" if double else "float32")
    assert config(model) == before[1]
    for key, buffer in model.named_buffers():
        assert torch.equal(buffer, before[0][key]), key


@pytest.mark.parametrize(
    ("stage", "error", "double"),
    [
        *((stage, KeyboardInterrupt, True) for stage in STAGES),
        ("single weights", KeyboardInterrupt, False),
        ("sets", RuntimeError, False),
    ],
)
def test_checks_that_are_cut_short_leave_the_model_as_it_was(
    stage: str, error: type[BaseException], double: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paramscope.verifying.fits_in_double", lambda _: double)
    model = mixed("gpt2")
    profile = profiled(model)

    def progress(at: str, steps: int, total: int) -> None:
        assert 0 < steps <= total
        if at == stage:
            raise error

    with unchanged(model), pytest.raises(error):
        paramscope.verify(profile, model, progress=progress)


@pytest.mark.parametrize("calls", [3, 8, 20, 40])
@pytest.mark.parametrize("place", ["model.layers.1.mlp.down_proj", "lm_head"])
def test_an_error_inside_the_model_leaves_it_as_it_was(place: str, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramscope.verifying.fits_in_double", lambda _: False)
    model = mixed("llama")
    profile = profiled(model)
    left = [calls]

    def fail(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("out of memory, let us say")

    model.get_submodule(place).register_forward_pre_hook(fail)
    with unchanged(model), pytest.raises(RuntimeError, match="let us say"):
        paramscope.verify(profile, model)


def test_hooks_and_patches_of_the_user_stay_and_are_used() -> None:
    model = tiny_model("llama", dtype=torch.float32)
    block = model.get_submodule("model.layers.1")
    plain, calls = block.forward, []
    block.forward = lambda *args, **kwargs: calls.append("patch") or plain(*args, **kwargs)  # type: ignore[func-returns-value]
    block.mlp.register_forward_hook(lambda *_: calls.append("hook"))
    profile = profiled(model)
    calls.clear()
    with unchanged(model):
        checks = paramscope.verify(profile, model)
    assert set(calls) == {"patch", "hook"}
    # The patch runs this very model, so a copy in float64 would not do.
    assert checks.result.singles_dtype == "float32"


def test_checks_work_where_gradients_are_switched_off() -> None:
    model = tiny_model("llama")
    profile = profiled(model)
    expected = paramscope.verify(profile, model)
    with torch.no_grad(), unchanged(model):
        found = paramscope.verify(profile, model)
    assert found.weights.equals(expected.weights)
    assert found.sets.equals(expected.sets)
    assert found.parts.equals(expected.parts)
