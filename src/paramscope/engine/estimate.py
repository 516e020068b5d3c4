"""What a run will need of memory, told before it starts, and how to make it fit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.reduction import TILE_BYTES, Reduction
from paramscope.errors import UsageError
from paramscope.models.blocks import Block
from paramscope.wording import told_bytes

TOKENS_PER_BATCH = 1024
"""Tokens of a micro-batch: enough to keep the matrix products busy, few enough for one block's graph."""

LOGITS_BYTES = 256 << 20
"""Most that the logits of a micro-batch may take, in the objectives' float64."""

KEPT_GRAPHS = 512 << 20
"""What the kept graphs may take where no limit is given."""

LIBRARIES = 200 << 20
"""What Python's libraries load and PyTorch sets aside once a run works."""

_BATCHES = (TOKENS_PER_BATCH, 512, 256, 128)
_TILES = (TILE_BYTES, 8 << 20, 4 << 20, 1 << 20)

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


def logit_rows(vocabulary: int) -> int:
    """Positions whose logits a micro-batch may read."""
    return max(1, LOGITS_BYTES // (8 * max(vocabulary, 1)))


def estimate_memory(
    model: nn.Module, blocks: Sequence[Block], batches: Sequence[MicroBatch], plan: Reduction, process: int
) -> MemoryEstimate:
    """Estimate the peak memory of a run that keeps no graph.

    Args:
        model: the model.
        blocks: its blocks.
        batches: all samples.
        plan: how they are put together.
        process: bytes in use before the model.

    Returns:
        The parts of the peak.
    """
    element = _element(blocks)
    padded = [len(batch.readings) * batch.length for batch in batches]
    tokens, largest = sum(padded), max(padded)
    widths = max(map(_widths, blocks))
    deepest = max(weight.columns for block in blocks for weight in block.weights)
    hidden = next(weight for block in blocks for weight in block.weights).columns
    tile = max(plan.tile_bytes, 8 * plan.samples * deepest * plan.dtype.itemsize)
    return MemoryEstimate(
        process=process + LIBRARIES,
        weights=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        between_blocks=tokens * hidden * element * (len(blocks) + 2),
        block=int((tokens * _CAPTURES + largest * 2 * _GRAPH) * widths * element),
        tiles=2 * tile + len(blocks) * plan.pairs**2 * 8,
    )


@dataclass(frozen=True)
class Layout:
    """A run laid out to fit into memory.

    Attributes:
        batches: the micro-batches.
        reduction: with the samples in the order of the micro-batches, and its size of tile.
        keep: how many of the last blocks keep the graph of their first run.
        memory: that it needs.
    """

    batches: Sequence[MicroBatch]
    reduction: Reduction
    keep: int
    memory: MemoryEstimate


def fit(
    model: nn.Module,
    blocks: Sequence[Block],
    batch: Callable[..., tuple[list[MicroBatch], list[int]]],
    reduction: Reduction,
    process: int,
    limit: int | None,
) -> Layout:
    """Lay out a run: the largest micro-batches and tiles that fit, then as many kept graphs as there is room for.

    Args:
        model: the model.
        blocks: its blocks.
        batch: makes micro-batches and their order for a number of ``tokens`` in each.
        reduction: how samples are put together, but for their order.
        process: bytes in use before the model.
        limit: of the whole process; None plans with the usual sizes and ``KEPT_GRAPHS``.

    Returns:
        The layout.

    Raises:
        UsageError: nothing fits; says what would have to give.
    """
    for tokens, tile in zip(_BATCHES, _TILES, strict=True):
        batches, order = batch(tokens=tokens)
        tried = dataclasses.replace(reduction, order=order, tile_bytes=tile)
        memory = estimate_memory(model, blocks, batches, tried, process)
        if limit is None or memory.total <= limit:
            room = KEPT_GRAPHS if limit is None else limit - memory.total
            each = graph_bytes(blocks, batches)
            keep = min(len(blocks), room // each)
            return Layout(batches, tried, keep, dataclasses.replace(memory, graphs=keep * each))
    parts = memory.parts
    raise UsageError(
        f"--max-memory {told_bytes(limit or 0)} is too little: at the least {told_bytes(memory.total)} are needed, of "
        f"which {told_bytes(parts['process'] + parts['weights'])} for the program and the model's weights, "
        f"{told_bytes(parts['between_blocks'] + parts['block'])} for {len(reduction.sizes)} domains' tokens (fewer "
        f"--samples or --max-tokens need less) and {told_bytes(parts['tiles'])} for tiles and pairs of samples"
    )


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
