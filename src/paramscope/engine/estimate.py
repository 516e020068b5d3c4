"""What a run will need of memory, told before it starts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.reduction import Reduction
from paramscope.models.blocks import Block

LIBRARIES = 200 << 20
"""What Python's libraries load and PyTorch sets aside once a run works."""

_GRAPH, _CAPTURES = 1.2, 0.85
"""Numbers that a block's graph, and its captures, hold per token, over the widths (inputs plus outputs) of its weights.
Measured on Llama, Qwen3, Gemma 2 and Mixtral shapes: 1.0 to 1.4, and 0.8 to 0.9."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a run at its peak, in bytes.

    Attributes:
        process: Python and its libraries, before the model.
        weights: the model.
        between_blocks: hidden states of all samples at all blocks, and one set of gradients.
        block: one block's captures of all samples, and one micro-batch's graph.
        tiles: tile, Gram matrices and reduced numbers.
        graphs: of the blocks that keep theirs.
    """

    process: int
    weights: int
    between_blocks: int
    block: int
    tiles: int
    graphs: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(dataclasses.astuple(self))

    @property
    def parts(self) -> dict[str, int]:
        """By name."""
        return dataclasses.asdict(self)


def estimate_memory(
    model: nn.Module,
    blocks: Sequence[Block],
    batches: Sequence[MicroBatch],
    plan: Reduction,
    process: int,
    *,
    streamed: bool = False,
    steps: int = 0,
) -> MemoryEstimate:
    """Estimate the peak memory of a run that keeps no graph.

    Args:
        model: the model.
        blocks: its blocks.
        batches: all samples.
        plan: how they are put together.
        process: bytes in use before the model.
        streamed: whether the blocks' weights stay on the disk.
        steps: of the path that the activation is integrated along: then captures are those of every step, and a
            micro-batch's graph goes from its block to the end.

    Returns:
        The parts of the peak.
    """
    element = _element(blocks)
    padded = [len(batch.readings) * batch.length for batch in batches]
    tokens, largest = sum(padded), max(padded)
    widths = max(map(_widths, blocks))
    deepest = max(weight.columns for block in blocks for weight in block.weights)
    hidden = next(weight for block in blocks for weight in block.weights).columns
    graphs = len(blocks) if steps else 1
    tile = max(plan.largest_tile, 8 * plan.samples * deepest * plan.dtype.itemsize)
    return MemoryEstimate(
        process=process + LIBRARIES,
        weights=weight_bytes(model, blocks, streamed=streamed),
        between_blocks=tokens * hidden * element * (len(blocks) + 2),
        block=int((tokens * _CAPTURES * max(steps, 1) + largest * 2 * _GRAPH * graphs) * widths * element),
        tiles=2 * tile + len(blocks) * plan.pairs**2 * 8,
    )


def weight_bytes(model: nn.Module, blocks: Sequence[Block], *, streamed: bool) -> int:
    """What the model's weights take; streamed, two blocks at a time are in memory: one at work and one being read."""
    whole = _bytes(model)
    if not streamed:
        return whole
    each = [_bytes(block.module) for block in blocks]
    return whole - sum(each) + 2 * max(each)


def _bytes(module: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def graph_bytes(blocks: Sequence[Block], batches: Sequence[MicroBatch]) -> int:
    """What it costs to keep the graph of one block's first run, all samples together."""
    tokens = sum(len(batch.readings) * batch.length for batch in batches)
    return int(tokens * _GRAPH * max(map(_widths, blocks)) * _element(blocks))


def _element(blocks: Sequence[Block]) -> int:
    return next(weight.dtype.itemsize for block in blocks for weight in block.weights)


def _widths(block: Block) -> int:
    return sum(weight.rows + weight.columns for weight in block.weights)


def memory_in_use() -> int:
    """Bytes that this process holds now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_free(device: torch.device) -> int | None:
    """Bytes that are free on a device, None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return free
    return min(free, max(limit - used, 0))
