"""How a model is run: in evaluation mode, without a cache, and what its forward takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

Forward = Callable[..., Any]


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without weight gradients; afterwards every module and parameter is as it was.

    No cache is kept: the keys of a block that is run again would stand in it twice. Experts run one after the other, as
    the model itself defines them: transformers' grouped products of all experts at once hide which activations meet
    which weights, and take no float64.
    """
    training = [module for module in model.modules() if module.training]
    wanting = [parameter for parameter in model.parameters() if parameter.requires_grad]
    configs = {id(config): config for module in model.modules() if (config := getattr(module, "config", None))}
    wanted = {"use_cache": False, "_experts_implementation": "eager"}
    # Some recurrent models leave their last state, graph and all, in their modules.
    states = [(vars(module), dict(vars(module))) for module in model.modules()]
    before = [
        (config, name, value)
        for config in configs.values()
        for name in wanted
        if (value := getattr(config, name, None)) is not None
    ]
    model.eval()
    for config, name, _ in before:
        setattr(config, name, wanted[name])
    for parameter in wanting:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in wanting:
            parameter.requires_grad_(True)
        for config, name, value in before:
            setattr(config, name, value)
        for state, former in states:
            for key in [key for key, value in state.items() if isinstance(value, torch.Tensor)]:
                state[key] = former.get(key)


@contextmanager
def replaced_forwards(modules: Sequence[nn.Module], replacement: Callable[[int, Forward], Forward]) -> Iterator[None]:
    """Within it, other functions stand for the modules' forward; afterwards each has its own again, or its own patch.

    Args:
        modules: one may stand in the list twice.
        replacement: makes the other function of a module's number and its forward.

    Yields:
        Nothing.
    """
    originals = [module.forward for module in modules]
    patches = [vars(module).get("forward") for module in modules]
    try:
        for number, (module, original) in enumerate(zip(modules, originals, strict=True)):
            module.forward = replacement(number, original)
        yield
    finally:
        for module, patch in zip(modules, patches, strict=True):
            if patch is None:
                vars(module).pop("forward", None)  # a module that stands in the list twice has none left
            else:
                module.forward = patch


def output_head(model: nn.Module) -> nn.Module | None:
    """The module that makes logits of hidden states, where the model names one."""
    getter = getattr(model, "get_output_embeddings", None)
    return getter() if callable(getter) else None


def vocabulary(model: nn.Module) -> int:
    """Number of tokens that a model knows; 0 where it does not tell."""
    getter = getattr(model, "get_input_embeddings", None)
    return int(getattr(getter() if callable(getter) else None, "num_embeddings", 0))


def accepts(model: nn.Module, argument: str) -> bool:
    """Whether the model's forward takes a named argument."""
    return argument in inspect.signature(model.forward).parameters
