"""One sample against plain autograd, on the user's own model, before a run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from paramscope.engine.batches import HEAD_ROWS, MicroBatch
from paramscope.engine.capture import Pair
from paramscope.engine.forward import layer_major_pass
from paramscope.engine.kernels.plain import gradient_tile
from paramscope.engine.objectives import Objective, Reading
from paramscope.errors import CheckError
from paramscope.models.blocks import Block, shared_weight
from paramscope.models.running import evaluation_mode
from paramscope.models.streaming import StreamedWeights
from paramscope.models.weights import LinearWeight
from paramscope.result.manifest import SelfCheck

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
"""Largest relative error by the coarser type of a weight and of its product (a router is often converted to float32
first). In half precision plain autograd itself is no better than that."""

LEAST_SHARE = 0.01
"""Share of its layer's norm below which a module's error is told relative to that share. Where attention looks at one
token only, as in a text of one token, the activations of the query and key are rounding and nothing else."""


def self_check(
    model: nn.Module,
    blocks: Sequence[Block],
    readings: Sequence[Reading],
    objective: Objective,
    name: str,
    weights: StreamedWeights | None = None,
) -> SelfCheck:
    """Compare the engine's activations of one sample with plain autograd's, weight by weight.

    The engine gets the first reading padded to the length of the others, autograd gets it alone. The error of a module
    is the norm of the difference over the norm of autograd's activations (see ``LEAST_SHARE``). No more than one
    module's gradient is held.

    Args:
        model: the user's model.
        blocks: its blocks.
        readings: the sample to check, and others that pad it.
        objective: D.
        name: of the sample, for the result.
        weights: of the blocks, where they stay on the disk.

    Returns:
        The largest error and where it was.

    Raises:
        CheckError: the error is above the tolerance; names the module.
    """
    started = time.perf_counter()
    _refuse_shared_weights(blocks)
    captured = _engine_captures(model, blocks, readings, objective, weights)
    errors = _relative_errors(blocks, _compare_with_autograd(model, blocks, readings[0], objective, captured, weights))
    kinds = {f"{block.name}.{weight.name}": weight.dtype for block in blocks for weight in block.weights}
    # The coarser of the weights' type and that of the product.
    coarse = {name: max((kinds[name], maps[0][1].dtype), key=TOLERANCES.__getitem__) for name, maps in captured.items()}
    failed = max(errors, key=lambda name: errors[name] / TOLERANCES[coarse[name]])
    tolerance = TOLERANCES[coarse[failed]]
    if errors[failed] > tolerance:
        raise CheckError(
            f"self-check failed: the activations of {failed} differ from plain autograd by {errors[failed]:.2g} "
            f"(at most {tolerance:g} is expected in {str(coarse[failed]).removeprefix('torch.')}), so this model "
            "cannot be measured exactly; nothing was written"
        )
    worst = max(errors, key=lambda name: errors[name])
    return SelfCheck(
        largest_relative_error=errors[worst],
        module=worst,
        tolerance=TOLERANCES[coarse[worst]],
        sample=name,
        seconds=time.perf_counter() - started,
    )


def _refuse_shared_weights(blocks: Sequence[Block]) -> None:
    """The activation of a weight that two modules share is not the sum of theirs.

    Raises:
        CheckError: there is one; names both modules.
    """
    shared = shared_weight(blocks)
    if shared:
        first, name = shared
        raise CheckError(
            f"self-check failed: {name} and {first} are one shared weight, so this model cannot be measured "
            "layer by layer; nothing was written"
        )


def _engine_captures(
    model: nn.Module,
    blocks: Sequence[Block],
    readings: Sequence[Reading],
    objective: Objective,
    weights: StreamedWeights | None,
) -> dict[str, list[Pair]]:
    """The first reading's inputs and gradients, by full name of the weight and map of its stack."""
    kept: dict[str, list[Pair]] = {}
    with layer_major_pass(model, blocks, [MicroBatch(tuple(readings), 0)], objective, weights=weights) as run:
        for _ in run.forward(len(blocks)):
            pass
        run.head()
        for layer in range(len(blocks) - 1, -1, -1):
            for name, maps in run.backward(layer).items():
                kept[f"{blocks[layer].name}.{name}"] = [(a[:1].clone(), d[:1].clone()) for ((a, d),) in maps]
    return kept


def _compare_with_autograd(
    model: nn.Module,
    blocks: Sequence[Block],
    reading: Reading,
    objective: Objective,
    captured: dict[str, list[Pair]],
    streamed: StreamedWeights | None,
) -> dict[str, tuple[float, float]]:
    """By full module name the norm of the difference, and the norm of autograd's activations."""
    weights = {f"{block.name}.{weight.name}": weight for block in blocks for weight in block.weights}
    # A module whose weight gets no gradient must not have been captured either.
    norms = {name: (math.inf if any(inputs.numel() for inputs, _ in captured[name]) else 0.0, 0.0) for name in weights}

    def compare(name: str, weight: LinearWeight) -> Callable[[torch.Tensor], None]:
        def hook(parameter: torch.Tensor) -> None:
            assert parameter.grad is not None
            norms[name] = _norms(weight.matrices, captured[name], weight.as_matrices(parameter.grad))
            parameter.grad = None

        return hook

    device = next(model.parameters()).device
    # A short sample goes in several times and is read once, so that the head is exact for it, see ``HEAD_ROWS``.
    single = next(iter(weights.values())).dtype == torch.float64
    copies = 1 if single else math.ceil(HEAD_ROWS / len(reading.input_ids))
    arguments: dict[str, Any] = MicroBatch((reading,) * copies, 0).model_inputs(device, takes_positions=False)
    users = {name: weight.parameter.grad for name, weight in weights.items()}
    with evaluation_mode(model), streamed.again_backward() if streamed else nullcontext():
        handles = []
        try:
            for name, weight in weights.items():
                weight.parameter.grad = None
                weight.parameter.requires_grad_(True)
                handles.append(weight.parameter.register_post_accumulate_grad_hook(compare(name, weight)))
            with torch.enable_grad():
                logits = model(**arguments).logits[:1, list(reading.positions)]
                objective.evaluate(logits, [reading])[0].sum().backward()
        finally:
            for handle in handles:
                handle.remove()
            for name, weight in weights.items():
                weight.parameter.requires_grad_(False)
                weight.parameter.grad = users[name]
    return norms


def _norms(matrices: torch.Tensor, maps: list[Pair], gradients: torch.Tensor) -> tuple[float, float]:
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    difference, norm = 0.0, 0.0
    for matrix, pair, gradient in zip(matrices, maps, gradients, strict=True):
        expected = (matrix.to(dtype) * gradient.to(dtype)).abs()
        found = torch.empty(1, *expected.shape, dtype=dtype, device=expected.device)
        gradient_tile([pair], slice(0, len(expected)), found)
        found = found[0].mul_(matrix.to(dtype)).abs_()
        difference = math.hypot(difference, float(torch.linalg.vector_norm(found - expected)))
        norm = math.hypot(norm, float(torch.linalg.vector_norm(expected)))
    return difference, norm


def _relative_errors(blocks: Sequence[Block], norms: dict[str, tuple[float, float]]) -> dict[str, float]:
    errors = {}
    for block in blocks:
        names = [f"{block.name}.{weight.name}" for weight in block.weights]
        least = LEAST_SHARE * math.hypot(*(norms[name][1] for name in names))
        for name in names:
            difference, norm = norms[name]
            scale = max(norm, least)
            error = 0.0 if difference == 0 else difference / scale if scale else math.inf
            # NaN compares with nothing, and must not pass for exact.
            errors[name] = math.inf if math.isnan(error) else error
    return errors
