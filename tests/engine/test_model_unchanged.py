"""A run leaves the user's model as it was, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

import paramscope
from paramscope.errors import CheckError
from tests.engine.architectures import random_ids, tiny_model

GIVEN = {"a": random_ids([9, 3, 12]), "b": random_ids([7, 5], seed=1)}
_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
)


def mixed(name: str) -> nn.Module:
    """A model in training, partly frozen, with a gradient from a step before and a user's hook and patch."""
    model = tiny_model(name, dtype=torch.float32)
    model.train()
    blocks = next(part for part in model.modules() if isinstance(part, nn.ModuleList))
    blocks[0].eval()
    for place, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(place % 3 != 0)
        if place % 2:
            parameter.grad = torch.full_like(parameter, float(place)) if parameter.requires_grad else None
    return model


def state(model: nn.Module) -> dict[str, Any]:
    """All that could be changed."""
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "ids": [id(parameter) for parameter in model.parameters()],
        "wanting": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "training": [module.training for module in model.modules()],
        "hooks": [[list(getattr(module, kind).values()) for kind in _HOOKS] for module in model.modules()],
        "grad hooks": [bool(getattr(p, "_post_accumulate_grad_hooks", None)) for p in model.parameters()],
        "own": [{key: value for key, value in vars(module).items() if callable(value)} for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
    }


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    before, grad = state(model), torch.is_grad_enabled()
    yield
    after = state(model)
    for name, tensor in before.pop("weights").items():
        assert torch.equal(after["weights"][name], tensor), name
    for ours, theirs in zip(after.pop("gradients"), before.pop("gradients"), strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.equal(ours, theirs)
    after.pop("weights")
    assert after == before
    assert torch.is_grad_enabled() == grad


@pytest.mark.parametrize("name", ["llama", "gpt2", "opt"])
def test_a_run_leaves_the_model_as_it_was(name: str) -> None:
    model = mixed(name)
    with unchanged(model):
        paramscope.profile(model, GIVEN, samples=3)


def test_hooks_and_patches_of_the_user_stay_and_are_used() -> None:
    model = tiny_model("llama")
    block = model.get_submodule("model.layers.1")
    plain, calls = block.forward, []
    block.forward = lambda *args, **kwargs: calls.append("patch") or plain(*args, **kwargs)  # type: ignore[func-returns-value]
    block.mlp.register_forward_hook(lambda *_: calls.append("hook"))
    with unchanged(model):
        profile = paramscope.profile(model, GIVEN, samples=3)
    assert set(calls) == {"patch", "hook"}
    assert profile.manifest.self_check.largest_relative_error < 1e-9


@pytest.mark.parametrize("stage", ["forward", "backward"])
def test_an_interrupt_leaves_the_model_as_it_was(stage: str) -> None:
    model = mixed("llama")

    def progress(at: str, steps: int) -> None:
        if at == stage:
            raise KeyboardInterrupt

    with unchanged(model), pytest.raises(KeyboardInterrupt):
        paramscope.profile(model, GIVEN, samples=3, progress=progress)


@pytest.mark.parametrize("place", ["model.embed_tokens", "model.layers.1.mlp.down_proj", "model.norm", "lm_head"])
@pytest.mark.parametrize("calls", [2, 3, 4])
def test_an_error_inside_the_model_leaves_it_as_it_was(place: str, calls: int) -> None:
    # The first two calls are in the check that it is causal, the next in the self-check's halves, then in the run.
    model = mixed("llama")
    left = [calls]

    def fail(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("out of memory, let us say")

    model.get_submodule(place).register_forward_pre_hook(fail)
    with unchanged(model), pytest.raises(RuntimeError, match="let us say"):
        paramscope.profile(model, GIVEN, samples=3)


def test_a_failed_self_check_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mixed("llama")
    monkeypatch.setattr("paramscope.engine.selfcheck.TOLERANCES", {torch.float32: -1.0})
    with unchanged(model), pytest.raises(CheckError):
        paramscope.profile(model, GIVEN, samples=3)


def test_a_run_works_where_gradients_are_switched_off() -> None:
    model = tiny_model("llama")
    expected = paramscope.profile(model, GIVEN, samples=3)
    with torch.no_grad(), unchanged(model):
        found = paramscope.profile(model, GIVEN, samples=3)
    assert found.concentration().equals(expected.concentration())


def test_a_gradient_from_before_does_not_disturb_the_self_check() -> None:
    model = tiny_model("llama")
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    profile = paramscope.profile(model, GIVEN, samples=3)
    assert profile.manifest.self_check.largest_relative_error < 1e-9
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
