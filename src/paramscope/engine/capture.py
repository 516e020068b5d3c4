"""Capture of each linear module's input and of the gradient at its output, during a block's backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from paramscope.models.blocks import LinearWeight

Pair = tuple[torch.Tensor, torch.Tensor]
"""A module's input ``[B, T, in]`` and the gradient at its output ``[B, T, out]``."""


@contextmanager
def capture(weights: tuple[LinearWeight, ...], samples: int) -> Iterator[dict[str, list[Pair]]]:
    """Record inputs and output gradients of a block's linear modules while it runs forward and backward once.

    Args:
        weights: the modules.
        samples: B, the samples in the micro-batch. Inputs flattened to ``[B * T, in]`` (OPT) are folded back.

    Yields:
        By module name, one pair for each time the module was used; complete after the backward.
    """
    captured: dict[str, list[Pair]] = {weight.name: [] for weight in weights}
    handles = []

    def watch(name: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor) -> torch.Tensor:
            given = (*args, *kwargs.values())[0].detach()

            def keep(gradient: torch.Tensor) -> None:
                pair = (_by_sample(given, samples), _by_sample(gradient.detach(), samples))
                captured[name].append(pair)

            wanted = output.requires_grad
            output.requires_grad_().register_hook(keep)
            # Where nothing before it wants a gradient, as in the first block, the output is a leaf, which the block
            # could not change in place.
            return output if wanted else output.clone()

        return hook

    try:
        for weight in weights:
            handles.append(weight.module.register_forward_hook(watch(weight.name), with_kwargs=True))
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def _by_sample(tensor: torch.Tensor, samples: int) -> torch.Tensor:
    return tensor.reshape(samples, -1, tensor.shape[-1])


def joined(pairs: list[Pair], weight: LinearWeight, samples: int) -> Pair:
    """All uses of a module by one micro-batch as one, laid along the positions; none of them when it was not reached.

    Args:
        pairs: of the uses.
        weight: the module.
        samples: B, the samples in the micro-batch.

    Returns:
        Input ``[B, T, in]`` and output gradient ``[B, T, out]``.
    """
    if not pairs:
        rows, columns = weight.matrix.shape
        return weight.matrix.new_empty(samples, 0, columns), weight.matrix.new_empty(samples, 0, rows)
    if len(pairs) == 1:
        return pairs[0]
    return torch.cat([pair[0] for pair in pairs], 1), torch.cat([pair[1] for pair in pairs], 1)
