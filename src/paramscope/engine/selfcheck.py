"""One sample against plain autograd, on the user's own model, before a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.capture import Pair
from paramscope.engine.forward import layer_major_pass
from paramscope.engine.objectives import Objective, Reading
from paramscope.engine.reduce import activation_tile
from paramscope.errors import CheckError
from paramscope.models.blocks import Block, LinearWeight
from paramscope.models.open import evaluation_mode
from paramscope.result.manifest import SelfCheck

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
"""Largest relative error by the model's type. In half precision plain autograd itself is no better than that."""


def self_check(
    model: nn.Module, blocks: Sequence[Block], readings: Sequence[Reading], objective: Objective, name: str
) -> SelfCheck:
    """Compare the engine's activations of one sample with plain autograd's, weight by weight.

    The engine gets the first reading padded to the length of the others, autograd gets it alone. The error of a module
    is the norm of the difference over the norm of autograd's activations. No more than one module's gradient is held.

    Args:
        model: the user's model.
        blocks: its blocks.
        readings: the sample to check, and others that pad it.
        objective: D.
        name: of the sample, for the result.

    Returns:
        The largest error and where it was.

    Raises:
        CheckError: the error is above the tolerance; names the module.
    """
    started = time.perf_counter()
    captured = _engine_captures(model, blocks, readings, objective)
    errors = _compare_with_autograd(model, blocks, readings[0], objective, captured)
    worst = max(errors, key=lambda key: errors[key])
    dtype = blocks[0].weights[0].matrix.dtype
    tolerance = TOLERANCES[dtype]
    if not errors[worst] <= tolerance:
        raise CheckError(
            f"self-check failed: the activations of {worst} differ from plain autograd by {errors[worst]:.2g} "
            f"(at most {tolerance:g} is expected in {str(dtype).removeprefix('torch.')}), so this model cannot be "
            "measured exactly; nothing was written"
        )
    return SelfCheck(
        largest_relative_error=errors[worst],
        module=worst,
        tolerance=tolerance,
        sample=name,
        seconds=time.perf_counter() - started,
    )


def _engine_captures(
    model: nn.Module, blocks: Sequence[Block], readings: Sequence[Reading], objective: Objective
) -> dict[str, Pair | None]:
    """The first reading's inputs and gradients, by full module name."""
    kept: dict[str, Pair | None] = {}
    with layer_major_pass(model, blocks, [MicroBatch(tuple(readings), 0)], objective) as run:
        for _ in run.schedule.forward(len(blocks)):
            pass
        run.head()
        for layer in range(len(blocks) - 1, -1, -1):
            for name, (pair,) in run.backward(layer).items():
                own = None if pair is None else (pair[0][:1].clone(), pair[1][:1].clone())
                kept[f"{blocks[layer].name}.{name}"] = own
    return kept


def _compare_with_autograd(
    model: nn.Module,
    blocks: Sequence[Block],
    reading: Reading,
    objective: Objective,
    captured: dict[str, Pair | None],
) -> dict[str, float]:
    """Relative error by full module name."""
    weights = {f"{block.name}.{weight.name}": weight for block in blocks for weight in block.weights}
    # A module whose weight gets no gradient must not have been captured either.
    errors = {name: 0.0 if captured[name] is None else float("inf") for name in weights}

    def compare(name: str, weight: LinearWeight) -> Callable[[torch.Tensor], None]:
        def hook(parameter: torch.Tensor) -> None:
            gradient = parameter.grad if weight.matrix.shape == parameter.shape else parameter.grad.T  # type: ignore[union-attr]
            errors[name] = _relative_error(weight, captured[name], gradient)
            parameter.grad = None

        return hook

    device = next(model.parameters()).device
    arguments: dict[str, Any] = MicroBatch((reading,), 0).model_inputs(device, takes_positions=False)
    with evaluation_mode(model):
        handles = []
        try:
            for name, weight in weights.items():
                weight.module.weight.requires_grad_(True)
                handles.append(weight.module.weight.register_post_accumulate_grad_hook(compare(name, weight)))
            with torch.enable_grad():
                logits = model(**arguments).logits[:, list(reading.positions)]
                objective.evaluate(logits, [reading])[0].sum().backward()
        finally:
            for handle in handles:
                handle.remove()
            for weight in weights.values():
                weight.module.weight.requires_grad_(False)
    return errors


def _relative_error(weight: LinearWeight, pair: Pair | None, gradient: torch.Tensor) -> float:
    dtype = torch.promote_types(gradient.dtype, torch.float32)
    expected = (weight.matrix.to(dtype) * gradient.to(dtype)).abs()
    if pair is None:
        return 0.0 if not expected.any() else float("inf")
    found = torch.empty(1, *expected.shape, dtype=dtype, device=expected.device)
    activation_tile([pair], weight.matrix, slice(0, len(expected)), found)
    norm = float(torch.linalg.vector_norm(expected))
    difference = float(torch.linalg.vector_norm(found[0] - expected))
    return difference / norm if norm > 0 else (0.0 if difference == 0 else float("inf"))
