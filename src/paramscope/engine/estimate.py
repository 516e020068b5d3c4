"""What a run will need, told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.reduce import Reduction
from paramscope.models.blocks import Block

TOKENS_PER_BATCH = 1024
"""Tokens of a micro-batch: enough to keep the matrix products busy, few enough for one block's graph."""

LOGITS_BYTES = 256 << 20
"""Most that the logits of a micro-batch may take, in the objectives' float64."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a run at its peak, in bytes.

    Attributes:
        weights: the model.
        between_blocks: hidden states of all samples at all blocks, and one set of gradients.
        block: one block's captures of all samples, and one micro-batch's graph.
        tiles: tile, Gram matrices and reduced numbers.
    """

    weights: int
    between_blocks: int
    block: int
    tiles: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.between_blocks + self.block + self.tiles


def logit_rows(vocabulary: int) -> int:
    """Positions whose logits a micro-batch may read."""
    return max(1, LOGITS_BYTES // (8 * max(vocabulary, 1)))


def estimate_memory(
    model: nn.Module, blocks: Sequence[Block], batches: Sequence[MicroBatch], plan: Reduction
) -> MemoryEstimate:
    """Estimate the peak memory of a run.

    Args:
        model: the model.
        blocks: its blocks.
        batches: all samples.
        plan: how they are put together.

    Returns:
        The parts of the peak.
    """
    first = next(weight for block in blocks for weight in block.weights)
    element = first.dtype.itemsize
    padded = [len(batch.readings) * batch.length for batch in batches]
    tokens, largest = sum(padded), max(padded)
    # Modules that read the same tensor share its capture; counting each makes up for the graph's smaller tensors.
    widths = max(sum(weight.rows + weight.columns for weight in block.weights) for block in blocks)
    deepest = max(weight.columns for block in blocks for weight in block.weights)
    hidden = first.columns
    tile = max(plan.tile_bytes, 8 * plan.samples * deepest * plan.dtype.itemsize)
    return MemoryEstimate(
        weights=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        between_blocks=tokens * hidden * element * (len(blocks) + 2),
        block=(tokens * widths + largest * 3 * widths) * element,
        tiles=2 * tile + len(blocks) * plan.samples**2 * 8,
    )
