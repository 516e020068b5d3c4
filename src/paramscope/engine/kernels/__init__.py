"""Reductions of one weight by device: plain PyTorch, and GPU kernels that never write one sample's activations.

The plain path makes a tile of all samples' activations in memory and reads it several times. In the kernels
a program keeps a patch of the weight on chip, goes through the samples, and writes sums over samples only. What is
read off the mean tile afterwards (histogram, zeros, counts, row and column sums) stays plain torch: the tile is as
large as the weight and not as the samples, so reading it a few times costs little beside the products of all samples.

Triton is imported when a kernel is first called; torch's CUDA builds for Linux bring it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch

from paramscope.engine.kernels.fused import FusedTiles
from paramscope.engine.kernels.plain import PlainTiles
from paramscope.engine.reduction import Reduction

__all__ = ["FusedTiles", "PlainTiles", "choose_tiles", "usable"]

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


def choose_tiles(plan: Reduction, rows: int, columns: int, dtype: torch.dtype) -> PlainTiles | FusedTiles:
    """The way to reduce maps of one size.

    Args:
        plan: how samples are put together.
        rows: of a map.
        columns: of a map.
        dtype: of the weights and captures.

    Returns:
        The GPU kernels where they can be used, else plain PyTorch.
    """
    if usable(plan.device, [dtype, plan.dtype]):
        return FusedTiles(plan, rows)
    return PlainTiles(plan, rows, columns)
