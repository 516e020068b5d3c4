"""Start the Triton programs on one weight's rows.

What they cost, for N samples with P positions in all and a weight of K parameters, in floating-point operations:

- means: ``2 P K``, each product once, which is the floor.
- pairs: a program holds the activations of a strip of S samples for its patch and goes through all samples up to the
  strip's end, so products are made ``1 + (N / S + 1) / 2`` times (S = 8: 2 times for N = 8, 5.5 times for N = 64, and
  ``N / 16`` times for many), and ``N (N + S) K`` on top for the pairs themselves. A longer strip makes fewer products
  again, but needs S patches in registers, and so a smaller patch, which reads each input more often.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton

from paramscope.engine.kernels.operands import Positions
from paramscope.engine.kernels.triton_programs import mean_kernel, pair_kernel
from paramscope.engine.reduction import SampleMeans


class Blocks(NamedTuple):
    """Sizes of what a program keeps on chip; powers of two, at least 16.

    Attributes:
        rows: of the weight.
        columns: of the weight.
        positions: multiplied at once.
        warps: of 32 threads, which share the patch.
    """

    rows: int
    columns: int
    positions: int
    warps: int


MEAN_BLOCKS = Blocks(128, 64, 32, 8)
"""Three float32 patches a program: a product, a sum and the weight."""

PAIR_BLOCKS = Blocks(64, 64, 32, 8)
"""A strip of ``STRIP`` patches fills half of the registers."""

STRIP = 8
"""Samples whose activations a program holds while it goes through the others."""

_GROUP = 8
"""Neighbouring programs take patches of this many blocks of rows, so that they share what they read in the L2 cache."""


def mean_tile(
    weight: torch.Tensor,
    positions: Positions,
    means: SampleMeans,
    rows: slice = slice(None),
    blocks: Blocks = MEAN_BLOCKS,
    precision: str = "ieee",
) -> torch.Tensor:
    """Means over samples of the activations ``|W * (d^T a)|`` for some rows of a weight.

    Args:
        weight: ``[out, in]`` with any strides, float32, bfloat16 or float16.
        positions: all samples' inputs and output gradients of this weight.
        means: how samples are put together.
        rows: of the weight; with a step for a sample of them.
        blocks: sizes on chip.
        precision: of products of float32 inputs (``tl.dot``'s ``input_precision``); "ieee" is full float32.

    Returns:
        ``[M, rows, in]``, float32.
    """
    weight, gradients = _on_rows(weight, positions, rows)
    height, width = weight.shape
    sums = torch.empty(means.classes, height, width, dtype=torch.float32, device=weight.device)
    if sums.numel():
        mean_kernel[_patches(weight, blocks), means.classes](
            *_tensors(positions, gradients, weight),
            means.members,
            means.bounds,
            means.shares,
            sums,
            height,
            width,
            **_options(blocks, precision),
        )
    if means.mix is None:
        return sums
    return (means.mix @ sums.flatten(1)).view(len(means.mix), height, width)


def add_pair_products(
    gram: torch.Tensor,
    weight: torch.Tensor,
    positions: Positions,
    rows: slice = slice(None),
    blocks: Blocks = PAIR_BLOCKS,
    strip: int = STRIP,
    precision: str = "ieee",
) -> None:
    """Add to the samples' Gram matrix: ``gram[i, j] += sum of A_i * A_j`` over some rows of a weight, for j <= i.

    Args:
        gram: ``[N, N]``, float64, contiguous; changed on and below its diagonal.
        weight: ``[out, in]``.
        positions: all samples' inputs and output gradients of this weight.
        rows: of the weight.
        blocks: sizes on chip.
        strip: samples that a program holds, a power of two.
        precision: see ``mean_tile``.
    """
    weight, gradients = _on_rows(weight, positions, rows)
    height, width = weight.shape
    if not weight.numel():
        return
    pair_kernel[_patches(weight, blocks), triton.cdiv(positions.samples, strip)](
        *_tensors(positions, gradients, weight),
        gram,
        positions.samples,
        height,
        width,
        STRIP=strip,
        **_options(blocks, precision),
    )


def _on_rows(weight: torch.Tensor, positions: Positions, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight's rows and the gradients ``[P, rows]`` at them, next to each other (sampled ones are copied)."""
    gradients = positions.gradients[:, rows]
    return weight[rows], gradients if gradients.stride(1) == 1 else gradients.contiguous()


def _patches(weight: torch.Tensor, blocks: Blocks) -> int:
    """Programs that cover a weight."""
    height, width = weight.shape
    return int(triton.cdiv(height, blocks.rows) * triton.cdiv(width, blocks.columns))


def _tensors(positions: Positions, gradients: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor | int, ...]:
    """What both programs read, with strides."""
    return positions.inputs, gradients, gradients.stride(0), positions.offsets, weight, *weight.stride()


def _options(blocks: Blocks, precision: str) -> dict[str, int | str]:
    """Sizes and precision of a program."""
    return {
        "ROWS": blocks.rows,
        "COLUMNS": blocks.columns,
        "POSITIONS": blocks.positions,
        "GROUP": _GROUP,
        "PRECISION": precision,
        "num_warps": blocks.warps,
    }
