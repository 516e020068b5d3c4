"""GPU kernels for the reductions of one weight: they write its mean activations and never one sample's.

The plain path (``engine.reduce``) makes a tile of all samples' activations in memory and reads it several times. Here
a program keeps a patch of the weight on chip, goes through the samples, and writes sums over samples only. What is
read off the mean tile afterwards (histogram, zeros, counts, row and column sums) stays plain torch: the tile is as
large as the weight and not as the samples, so reading it a few times costs little beside the products of all samples.

Triton is imported when a kernel is first called; torch's CUDA builds for Linux bring it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch

from paramscope.engine.kernels.operands import Positions, SampleMeans

__all__ = ["Positions", "SampleMeans", "add_pair_products", "mean_tile", "usable"]

_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def usable(device: torch.device, dtypes: Sequence[torch.dtype]) -> bool:
    """Whether the kernels can be used.

    Args:
        device: of the tensors.
        dtypes: of the weights and captures, and of the products wanted. The kernels' products are float32.

    Returns:
        True on a CUDA device with Triton and types up to float32.
    """
    wanted = device.type == "cuda" and all(dtype in _TYPES for dtype in dtypes)
    return wanted and importlib.util.find_spec("triton") is not None


def mean_tile(
    weight: torch.Tensor, positions: Positions, means: SampleMeans, rows: slice = slice(None)
) -> torch.Tensor:
    """Means over samples of the activations ``|W * (d^T a)|`` for some rows of a weight.

    Args:
        weight: ``[out, in]`` with any strides, float32, bfloat16 or float16.
        positions: all samples' inputs and output gradients of this weight.
        means: how samples are put together: ``M`` means.
        rows: of the weight; with a step for a sample of them.

    Returns:
        ``[M, rows, in]``, float32.
    """
    from paramscope.engine.kernels import triton_tiles

    return triton_tiles.mean_tile(weight, positions, means, rows)


def add_pair_products(
    gram: torch.Tensor, weight: torch.Tensor, positions: Positions, rows: slice = slice(None)
) -> None:
    """Add to the samples' Gram matrix: ``gram[i, j] += sum of A_i * A_j`` over some rows of a weight, for j <= i.

    Args:
        gram: ``[N, N]``, float64, contiguous; changed on and below its diagonal.
        weight: see ``mean_tile``.
        positions: see ``mean_tile``.
        rows: see ``mean_tile``.
    """
    from paramscope.engine.kernels import triton_tiles

    triton_tiles.add_pair_products(gram, weight, positions, rows)
