"""Capture of each linear weight's input and of the gradient at its output, during a block's backward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from paramscope.errors import CheckError
from paramscope.models.products import Product, ProductWatch
from paramscope.models.weights import LinearWeight

Pair = tuple[torch.Tensor, torch.Tensor]
"""A map's input ``[B, T, in]`` and the gradient at its output ``[B, T, out]``; T is 0 where it was not reached."""

Captured = dict[str, list[list[Pair]]]
"""By weight name and map of its stack, one pair for each use."""


@contextmanager
def capture(weights: Sequence[LinearWeight], samples: int, tokens: int) -> Iterator[Captured]:
    """Record inputs and output gradients of a block's linear weights while it runs forward and backward once.

    Args:
        weights: of the block.
        samples: B, the samples in the micro-batch. Inputs flattened to ``[B * T, in]`` (OPT) are folded back.
        tokens: T, the length of the micro-batch.

    Yields:
        The record; complete after the backward.
    """
    names = {id(weight.parameter): weight.name for weight in weights}
    captured: Captured = {weight.name: [[] for _ in range(weight.stack)] for weight in weights}

    def tell(product: Product, output: torch.Tensor) -> torch.Tensor:
        name = names[id(product.parameter)]
        given = product.per_map(product.inputs.detach())
        if samples > 1 and given.shape[1] % (samples * tokens):
            raise CheckError(
                f"{name} sees some tokens and not others, which a trial run did not show, so samples cannot be told "
                "apart; give --batch-size 1"
            )

        def keep(gradient: torch.Tensor) -> None:
            gradients = product.per_map(gradient.detach())
            for place in range(product.count):
                pair = (_by_sample(given[place], samples), _by_sample(gradients[place], samples))
                captured[name][product.first + place].append(pair)

        wanted = output.requires_grad
        output.requires_grad_().register_hook(keep)
        # Where nothing before it wants a gradient, as in the first block, the output is a leaf, which the block could
        # not change in place.
        return output if wanted else output.clone()

    with ProductWatch((weight.parameter for weight in weights), tell):
        yield captured


def _by_sample(tensor: torch.Tensor, samples: int) -> torch.Tensor:
    return tensor.reshape(samples, -1, tensor.shape[-1])


def joined(uses: list[Pair], weight: LinearWeight, samples: int) -> Pair:
    """All uses of a map by one micro-batch as one, laid along the positions; none of them when it was not reached.

    Args:
        uses: of the map.
        weight: that it belongs to.
        samples: B, the samples in the micro-batch.

    Returns:
        Input ``[B, T, in]`` and output gradient ``[B, T, out]``.
    """
    if not uses:
        like = weight.parameter
        rows = weight.rows // weight.stack
        return like.new_empty(samples, 0, weight.columns), like.new_empty(samples, 0, rows)
    if len(uses) == 1:
        return uses[0]
    return torch.cat([pair[0] for pair in uses], 1), torch.cat([pair[1] for pair in uses], 1)
