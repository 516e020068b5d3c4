"""What says how little a weight is needed: magnitude, Wanda, activation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch

from paramscope.models.products import Product, ProductWatch
from paramscope.models.weights import LinearWeight

SCORES = ("wanda", "magnitude", "activation")
"""``wanda``: |w| times the norm of the weight's input over the calibration tokens (Sun et al. 2024, equation 1), and
``activation``: |w dD/dw|, mean over the calibration samples, compared within each output row. ``magnitude``: |w|,
compared within each module."""

GROUPS: dict[str, Literal["row", "module"]] = {"wanda": "row", "magnitude": "module", "activation": "row"}
"""Among which weights a score decides. Scores of different outputs say nothing of each other where the output's own
scale enters them; Sun et al. found rows best for Wanda."""


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 at the least: scores in half precision would tie and overflow."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def magnitude(weight: LinearWeight) -> torch.Tensor:
    """|w|, ``[E, out, in]``."""
    return wide(weight.matrices).abs()


def wanda(weight: LinearWeight, norms: torch.Tensor) -> torch.Tensor:
    """|w| times the norm of its input.

    Args:
        weight: of a block.
        norms: ``[E, in]``, see ``input_norms``.

    Returns:
        ``[E, out, in]``. Of an expert that no token reached, |w| alone.
    """
    sizes = magnitude(weight)
    norms = norms.to(sizes)
    return sizes * torch.where(_silent(norms[:, None, :]), 1.0, norms[:, None, :])


def activation(weight: LinearWeight, means: torch.Tensor) -> torch.Tensor:
    """|w dD/dw|, mean over the samples.

    Args:
        weight: of a block.
        means: ``[rows, columns]``, see ``causal.selection.LayerScores``.

    Returns:
        ``[E, out, in]``. Of an expert that no sample reached, |w|.
    """
    sizes = magnitude(weight)
    means = means.to(sizes).view(sizes.shape)
    return torch.where(_silent(means), sizes, means)


def unreached(values: torch.Tensor) -> int:
    """How many maps of a stack got no input, or have no activation.

    Args:
        values: ``[E, ...]``, norms or means.

    Returns:
        Their number.
    """
    return int(_silent(values.view(len(values), 1, -1)).sum())


def _silent(values: torch.Tensor) -> torch.Tensor:
    """Whether all values of a map ``[E, a, b]`` are zero, ``[E, 1, 1]``."""
    return (values == 0).all(dim=2, keepdim=True).all(dim=1, keepdim=True)


def input_norms(weights: Sequence[LinearWeight], runs: Sequence[Callable[[], object]]) -> dict[str, torch.Tensor]:
    """Norm of each input feature over all tokens that a weight sees, ||x_j||_2.

    Args:
        weights: of a block.
        runs: run the block on one micro-batch each, which holds no padding.

    Returns:
        By weight name ``[E, in]``; of an expert, over the tokens routed to it.
    """
    names = {id(weight.parameter): weight.name for weight in weights}
    squares = {
        weight.name: torch.zeros(weight.stack, weight.columns, dtype=torch.float64, device=weight.parameter.device)
        for weight in weights
    }

    def tell(product: Product, output: torch.Tensor) -> torch.Tensor:
        inputs = wide(product.per_map(product.inputs))
        maps = slice(product.first, product.first + product.count)
        squares[names[id(product.parameter)]][maps] += inputs.square().sum(1, dtype=torch.float64)
        return output

    with torch.no_grad(), ProductWatch((weight.parameter for weight in weights), tell):
        for run in runs:
            run()
    return {name: total.sqrt() for name, total in squares.items()}


def outlier_share(weights: Sequence[LinearWeight], norms: dict[str, torch.Tensor], factor: float) -> float:
    """Share of a layer's Wanda scores that are above ``factor`` times their mean (OWL, Yin et al. 2024, equation 1).

    Args:
        weights: of the layer.
        norms: of their inputs.
        factor: M.

    Returns:
        The share.
    """
    size = sum(weight.size for weight in weights)
    mean = sum(float(wanda(weight, norms[weight.name]).sum(dtype=torch.float64)) for weight in weights) / size
    above = sum(int((wanda(weight, norms[weight.name]) > factor * mean).sum()) for weight in weights)
    return above / size
