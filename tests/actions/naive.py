"""Wanda as one would write it for models in memory: plain hooks, one text at a time, everything sorted in float64."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from paramscope.models.blocks import find_blocks

Squares = dict[str, torch.Tensor]
"""By name of the weight inside the block ``[E, in]``: sum of the squared inputs."""


def naive_wanda(model: nn.Module, texts: list[list[int]], sparsity: float) -> nn.Module:
    """A pruned copy: block by block, by |w| ||x||_2 within each row, inputs from the pruned blocks before."""
    pruned = copy.deepcopy(model).eval()
    for block in find_blocks(pruned):
        for name, squares in input_squares(pruned, block.module, texts).items():
            for parameter in [pruned.get_parameter(f"{block.name}.{name}")]:
                turned = isinstance(pruned.get_submodule(f"{block.name}.{name}".rsplit(".", 1)[0]), Conv1D)
                prune_rows(parameter, squares, sparsity, turned=turned)
    return pruned


@torch.no_grad()
def prune_rows(parameter: torch.Tensor, squares: torch.Tensor, sparsity: float, *, turned: bool) -> None:
    """Set the lowest scores of each row to zero; the row's inputs are a whole number times the sparsity."""
    stack = parameter if parameter.dim() == 3 else parameter[None]
    for matrix, sums in zip(stack, squares, strict=True):
        rows = matrix.T if turned else matrix
        count = round(sparsity * rows.shape[1])
        assert count == sparsity * rows.shape[1]
        norms = sums.sqrt() if bool(sums.any()) else torch.ones_like(sums)
        for row in rows:
            row[(row.double().abs() * norms).argsort()[:count]] = 0


def input_squares(model: nn.Module, block: nn.Module, texts: list[list[int]]) -> Squares:
    """Sums of squared inputs of all linear weights of a block."""
    found: dict[str, Any] = defaultdict(float)
    handles = []

    def add(name: str, inputs: torch.Tensor) -> None:
        found[name] = found[name] + inputs.reshape(-1, inputs.shape[-1]).double().square().sum(0)[None]

    def linear(name: str) -> Any:
        return lambda module, args, output: add(f"{name}.weight", args[0])

    def experts(name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            hidden, chosen, _ = args
            for kind, width in (("gate_up_proj", hidden.shape[-1]), ("down_proj", module.down_proj.shape[-1])):
                found.setdefault(f"{name}.{kind}", torch.zeros(len(module.down_proj), width).double())
            for token, state in enumerate(hidden):
                for expert in chosen[token].tolist():
                    gate, up = (module.gate_up_proj[expert] @ state).chunk(2)
                    found[f"{name}.gate_up_proj"][expert] += state.double().square()
                    found[f"{name}.down_proj"][expert] += (module.act_fn(gate) * up).double().square()

        return hook

    def mixer(name: str, rank: int) -> Any:
        return lambda module, args, output: add(f"{name}.dt_proj.weight", output[..., :rank])

    for name, module in block.named_modules():
        if isinstance(module, nn.Linear | Conv1D) or type(module).__name__.endswith("TopKRouter"):
            handles.append(module.register_forward_hook(linear(name)))
        elif type(module).__name__.endswith("Experts"):
            handles.append(module.register_forward_hook(experts(name)))
        elif type(module).__name__ == "MambaMixer":
            handles.append(module.x_proj.register_forward_hook(mixer(name, module.time_step_rank)))
    with torch.no_grad():
        for text in texts:
            model(input_ids=torch.tensor([text]), use_cache=False)
    for handle in handles:
        handle.remove()
    return dict(found)
