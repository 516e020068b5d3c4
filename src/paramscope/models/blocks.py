"""Decoder blocks and their linear weights, found by structure and by one short run."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from paramscope.errors import UsageError
from paramscope.language import mark
from paramscope.models.products import Product, ProductWatch
from paramscope.models.running import evaluation_mode, vocabulary
from paramscope.models.weights import LinearWeight
from paramscope.models.writers import Writers, writers_of

TRIAL = (3, 7)
"""Samples and tokens of the short run."""


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
        return sum(weight.size for weight in self.weights)


@dataclass(frozen=True)
class Structure:
    """What is known of a model before it is measured.

    Attributes:
        blocks: from the input to the output.
        routes: whether some weight sees some tokens and not others (experts), so that samples cannot be told apart in
            its inputs; such a model takes one sample at a time.
        writers: of each block; none where the model was not run.
    """

    blocks: list[Block]
    routes: bool
    writers: tuple[Writers, ...] = ()


def find_blocks(model: nn.Module) -> list[Block]:
    """Find the decoder blocks: the outermost list of modules that holds most of the linear weights.

    Args:
        model: a causal language model.

    Returns:
        The blocks, from the input to the output, with the weights of their linear modules.

    Raises:
        UsageError: there is no list of modules with linear weights.
    """
    lists: dict[str, nn.ModuleList] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(outer + ".") for outer in lists)
        if isinstance(module, nn.ModuleList) and not inside:
            lists[name] = module
    sizes = {name: sum(w.size for item in found for w in _linear(item)) for name, found in lists.items()}
    if not any(sizes.values()):
        raise UsageError(
            f"{type(model).__name__} has no list of blocks with linear weights; a causal language model made of "
            "decoder blocks is expected"
        )
    chosen = max(sizes, key=lambda name: sizes[name])
    return [Block(f"{chosen}.{i}", module, _linear(module)) for i, module in enumerate(lists[chosen])]


def find_structure(model: nn.Module) -> Structure:
    """Find the blocks, and in one short run the linear weights that no linear module holds.

    A parameter of two or three dimensions that the model multiplies activations by is a linear weight: a router, a
    stack of experts, the gates of a recurrence.

    Args:
        model: a causal language model.

    Returns:
        Blocks with all their linear weights.

    Raises:
        UsageError: there is no list of modules with linear weights.
    """
    blocks = find_blocks(model)
    transposed: dict[int, bool] = {}
    routes = False
    uses: dict[int, list[tuple[int, torch.Tensor]]] = {id(block.module): [] for block in blocks}
    running = id(blocks[0].module)
    samples, tokens = TRIAL

    def tell(product: Product, output: torch.Tensor) -> torch.Tensor:
        nonlocal routes
        transposed[id(product.parameter)] = product.transposed
        routes |= product.per_map(output).shape[1] % (samples * tokens) != 0
        uses[running].append((id(product.parameter), product.inputs))
        return output

    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary(model) or 6, TRIAL, generator=generator).to(device)
    watch = ProductWatch((), tell)

    def know(module: nn.Module, _: object) -> None:
        nonlocal running
        running = id(module)
        watch.go_to(p for p in module.parameters() if p.dim() in (2, 3) and p.is_floating_point())

    handles = [block.module.register_forward_pre_hook(know) for block in blocks]
    try:
        with torch.no_grad(), evaluation_mode(model), watch:
            model(input_ids=ids)
    finally:
        for handle in handles:
            handle.remove()
    found = [dataclasses.replace(block, weights=_all_weights(block, transposed)) for block in blocks]
    writers = []
    for block in found:
        known = {id(weight.parameter): weight for weight in block.weights}
        own = [(known[key], inputs) for key, inputs in uses[id(block.module)] if key in known]
        writers.append(writers_of(model, own))
    return Structure(found, routes, tuple(writers))


def guess_structure(model: nn.Module) -> Structure:
    """What ``find_structure`` would find, as far as it can be known without weights: for estimates.

    Args:
        model: on PyTorch's device ``meta``.

    Returns:
        Blocks with all parameters of two or three dimensions but those of convolutions.

    Raises:
        UsageError: there is no list of modules with linear weights.
    """
    blocks = []
    for block in find_blocks(model):
        weights = tuple(
            LinearWeight(f"{path}.{name}", module, name)
            for path, module in block.module.named_modules()
            if not isinstance(module, nn.Conv1d)
            for name, parameter in module.named_parameters(recurse=False)
            if parameter.dim() in (2, 3)
        )
        blocks.append(dataclasses.replace(block, weights=weights))
    return Structure(blocks, any(weight.stack > 1 for block in blocks for weight in block.weights))


def _linear(module: nn.Module) -> tuple[LinearWeight, ...]:
    return tuple(
        LinearWeight(name, part, transposed=isinstance(part, Conv1D))
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear | Conv1D)
    )


def _all_weights(block: Block, transposed: dict[int, bool]) -> tuple[LinearWeight, ...]:
    """The weights of a block's linear modules and those that were seen at work, in the order of the module tree."""
    known = {id(weight.owner): weight for weight in block.weights}
    weights: list[LinearWeight] = []
    for path, module in block.module.named_modules():
        if id(module) in known:
            weights.append(known[id(module)])
            continue
        for attribute, parameter in module.named_parameters(recurse=False):
            if id(parameter) in transposed:
                name = path if attribute == "weight" and path else f"{path}.{attribute}".lstrip(".")
                weights.append(LinearWeight(name, module, attribute, transposed[id(parameter)]))
    return tuple(weights)


def count_parameters(model: nn.Module, blocks: list[Block]) -> dict[str, int]:
    """Count the model's parameters by place; only the first is measured, a shared one counts where it comes first.

    Args:
        model: the whole model.
        blocks: of the model.

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
            count(mark("linear weights of the layers"), weight.parameter)
    for block in blocks:
        for name, parameter in block.module.named_parameters():
            if name.rsplit(".", 1)[-1] == "bias" or parameter.dim() == 1:
                count(mark("biases, norms and other vectors of the layers"), parameter)
            else:
                count(mark("other weights of the layers (not measured)"), parameter)
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            count(mark("embeddings"), module.weight)
    for module in model.modules():
        if isinstance(module, nn.Linear | Conv1D):
            count(mark("head and other linear weights outside the layers"), module.weight)
    for parameter in model.parameters():
        count(mark("other parameters outside the layers"), parameter)
    return places


def unmeasured_weights(blocks: list[Block]) -> list[str]:
    """Names of weights in the blocks with two or more dimensions that no activations are multiplied by."""
    names = []
    for block in blocks:
        linear = {id(weight.parameter) for weight in block.weights}
        names += [
            f"{block.name}.{name}"
            for name, parameter in block.module.named_parameters()
            if parameter.dim() > 1 and id(parameter) not in linear
        ]
    return names


def shared_weight(blocks: Sequence[Block]) -> tuple[str, str] | None:
    """Two names of one weight, if the blocks have such a weight: the first of its names, and the next one."""
    places: dict[int, str] = {}
    for block in blocks:
        for weight in block.weights:
            name = f"{block.name}.{weight.name}"
            first = places.setdefault(id(weight.parameter), name)
            if first != name:
                return first, name
    return None
