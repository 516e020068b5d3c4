"""Decoder blocks and their linear weights, found by structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from paramscope.errors import UsageError


@dataclass(frozen=True)
class LinearWeight:
    """One linear map of a block.

    Attributes:
        name: inside the block, such as ``self_attn.q_proj``.
        module: a ``torch.nn.Linear``, or transformers' ``Conv1D``, which keeps its weight transposed.
    """

    name: str
    module: nn.Linear | Conv1D

    @property
    def kind(self) -> str:
        """The module's class."""
        return type(self.module).__name__

    @property
    def parameter(self) -> nn.Parameter:
        """The weight as the module holds it."""
        return cast(nn.Parameter, self.module.weight)

    @property
    def matrix(self) -> torch.Tensor:
        """The weight as a view ``[out features, in features]``."""
        return self.as_matrix(self.parameter.detach())

    def as_matrix(self, tensor: torch.Tensor) -> torch.Tensor:
        """What is laid out like the weight, such as its gradient, as a view ``[out features, in features]``."""
        return tensor.T if isinstance(self.module, Conv1D) else tensor


@dataclass(frozen=True)
class Block:
    """One decoder block, which paramscope calls a layer.

    Attributes:
        name: inside the model, such as ``model.layers.0``.
        module: the block.
        weights: its linear weights, in the order of the module tree.
    """

    name: str
    module: nn.Module
    weights: tuple[LinearWeight, ...]

    @property
    def parameters(self) -> int:
        """Counted weights."""
        return sum(weight.matrix.numel() for weight in self.weights)


def find_blocks(model: nn.Module) -> list[Block]:
    """Find the decoder blocks: the outermost list of modules that holds most of the linear weights.

    Args:
        model: a causal language model.

    Returns:
        The blocks, from the input to the output.

    Raises:
        UsageError: there is no list of modules with linear weights.
    """
    lists: dict[str, nn.ModuleList] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(outer + ".") for outer in lists)
        if isinstance(module, nn.ModuleList) and not inside:
            lists[name] = module
    sizes = {name: sum(w.matrix.numel() for item in found for w in _linear(item)) for name, found in lists.items()}
    if not any(sizes.values()):
        raise UsageError(
            f"{type(model).__name__} has no list of blocks with linear weights; a causal language model made of "
            "decoder blocks is expected"
        )
    chosen = max(sizes, key=lambda name: sizes[name])
    return [Block(f"{chosen}.{i}", module, _linear(module)) for i, module in enumerate(lists[chosen])]


def _linear(module: nn.Module) -> tuple[LinearWeight, ...]:
    return tuple(
        LinearWeight(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear | Conv1D)
    )


def count_parameters(model: nn.Module, blocks: list[Block]) -> dict[str, int]:
    """Count the model's parameters by place; only the first is measured, a shared one counts where it comes first.

    Args:
        model: the whole model.
        blocks: from ``find_blocks``.

    Returns:
        Numbers by place, places without any left out.
    """
    places: dict[str, int] = {}
    seen: set[int] = set()

    def count(place: str, parameter: torch.Tensor | None) -> None:
        if parameter is not None and id(parameter) not in seen:
            seen.add(id(parameter))
            places[place] = places.get(place, 0) + parameter.numel()

    for block in blocks:
        for weight in block.weights:
            count("linear weights of the layers", weight.parameter)
    for block in blocks:
        for name, parameter in block.module.named_parameters():
            if name.rsplit(".", 1)[-1] == "bias" or parameter.dim() == 1:
                count("biases, norms and other vectors of the layers", parameter)
            else:
                count("other weights of the layers (not measured)", parameter)
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            count("embeddings", module.weight)
    for module in model.modules():
        if isinstance(module, nn.Linear | Conv1D):
            count("head and other linear weights outside the layers", module.weight)
    for parameter in model.parameters():
        count("other parameters outside the layers", parameter)
    return places


def unmeasured_weights(blocks: list[Block]) -> list[str]:
    """Names of weights in the blocks with two or more dimensions that belong to no linear module."""
    names = []
    for block in blocks:
        linear = {id(weight.parameter) for weight in block.weights}
        names += [
            f"{block.name}.{name}"
            for name, parameter in block.module.named_parameters()
            if parameter.dim() > 1 and id(parameter) not in linear
        ]
    return names
