"""How a run is cut into pieces that fit into memory: micro-batches, tiles, kept graphs, and the pairs it can afford."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from paramscope.domains import Domain
from paramscope.engine.batches import MicroBatch, plan_batches
from paramscope.engine.estimate import MemoryEstimate, estimate_memory, graph_bytes
from paramscope.engine.objectives import Reading
from paramscope.engine.reduction import TILE_BYTES, Reduction
from paramscope.errors import UsageError
from paramscope.models.blocks import Block, Structure
from paramscope.models.open import OpenModel
from paramscope.models.running import vocabulary
from paramscope.result.profile import PAPER_THRESHOLD
from paramscope.settings import Settings
from paramscope.wording import told_bytes

TOKENS_PER_BATCH = 1024
"""Tokens of a micro-batch: enough to keep the matrix products busy, few enough for one block's graph."""

LOGITS_BYTES = 256 << 20
"""Most that the logits of a micro-batch may take, in the objectives' float64."""

KEPT_GRAPHS = 512 << 20
"""What the kept graphs may take where no limit is given."""

_BATCHES = (TOKENS_PER_BATCH, 512, 256, 128)
_TILES = (TILE_BYTES, TILE_BYTES, 2 << 20, 1 << 20)

_PAIRS_PER_TOKEN = 8
"""Samples, for each token of an average one, up to which all pairs cost no more than the rest: for P weights, N samples
and T tokens each, pairs take N^2 P operations, the passes and products 8 N T P."""


def logit_rows(vocabulary: int) -> int:
    """Positions whose logits a micro-batch may read."""
    return max(1, LOGITS_BYTES // (8 * max(vocabulary, 1)))


def usual_batches(
    model: nn.Module, structure: Structure, readings: Sequence[Reading], domains: Sequence[int]
) -> tuple[list[MicroBatch], list[int]]:
    """Micro-batches of the usual size, where no limit of memory is given.

    Args:
        model: the model.
        structure: of the model.
        readings: of all samples.
        domains: number of each sample's domain.

    Returns:
        As ``plan_batches``.
    """
    return plan_batches(
        readings,
        domains,
        batch_size=1 if structure.routes else None,
        tokens=TOKENS_PER_BATCH,
        logit_rows=logit_rows(vocabulary(model)),
    )


def lay_out(
    opened: OpenModel,
    structure: Structure,
    *,
    domains: Sequence[Domain],
    readings: Sequence[Reading],
    settings: Settings,
    in_use: int,
    streamed: bool = False,
) -> Layout:
    """Lay out a run.

    Args:
        opened: the model, or its sketch.
        structure: of the model.
        domains: with their samples.
        readings: of all samples, in their order.
        settings: of the user.
        in_use: bytes that the process had before the model.
        streamed: whether the blocks' weights stay on the disk.

    Returns:
        The layout.

    Raises:
        UsageError: nothing fits into ``settings.max_memory``.
    """
    # Many models compute parts in float32 whatever their weights are, and those round otherwise beside other samples or
    # over a longer row: by 1e-7, a hundred times what float64 is asked for.
    usual = 1 if opened.dtype == torch.float64 else None
    batch = functools.partial(
        plan_batches,
        readings,
        [place for place, domain in enumerate(domains) for _ in domain.samples],
        batch_size=1 if structure.routes else settings.batch_size or usual,
        logit_rows=logit_rows(vocabulary(opened.model)),
    )
    reduction = Reduction(
        order=(),
        sizes=[len(domain.samples) for domain in domains],
        thresholds=sorted({PAPER_THRESHOLD, *([settings.threshold] if settings.threshold else [])}),
        dtype=torch.promote_types(opened.dtype, torch.float32),
        device=opened.device,
        paired=_paired(domains, readings, settings.pairs),
    )
    return fit(
        opened.model,
        structure.blocks,
        batch,
        reduction,
        in_use,
        settings.max_memory,
        streamed=streamed,
        steps=settings.path_steps,
    )


def _paired(domains: Sequence[Domain], readings: Sequence[Reading], pairs: int | str | None) -> list[int] | None:
    """Samples whose pairs are compared, in the samples' order; None for all."""
    sizes = [len(domain.samples) for domain in domains]
    if pairs is None:
        most = _PAIRS_PER_TOKEN * sum(len(reading.input_ids) for reading in readings) // len(readings)
        pairs = "all" if len(readings) <= most else max(2, most // len(domains))
    if isinstance(pairs, str) or pairs >= max(sizes):
        return None
    starts = itertools.accumulate(sizes, initial=0)
    return [start + i for start, size in zip(starts, sizes, strict=False) for i in range(min(size, pairs))]


@dataclass(frozen=True)
class Layout:
    """A run laid out to fit into memory.

    Attributes:
        batches: the micro-batches.
        reduction: with the samples in the order of the micro-batches, and its size of tile.
        keep: how many of the last blocks keep the graph of their first run.
        streamed: whether the blocks' weights stay on the disk.
        memory: that it needs.
    """

    batches: Sequence[MicroBatch]
    reduction: Reduction
    keep: int
    streamed: bool
    memory: MemoryEstimate


def fit(
    model: nn.Module,
    blocks: Sequence[Block],
    batch: Callable[..., tuple[list[MicroBatch], list[int]]],
    reduction: Reduction,
    process: int,
    limit: int | None,
    *,
    streamed: bool = False,
    steps: int = 0,
) -> Layout:
    """Lay out a run: the largest micro-batches and tiles that fit, then as many kept graphs as there is room for.

    Args:
        model: the model.
        blocks: its blocks.
        batch: makes micro-batches and their order for a number of ``tokens`` in each.
        reduction: how samples are put together, but for their order.
        process: bytes in use before the model.
        limit: of the whole process; None plans with the usual sizes and ``KEPT_GRAPHS``.
        streamed: whether the blocks' weights stay on the disk; then no graph is kept, for it would hold them.
        steps: of the path that the activation is integrated along; then none is kept either.

    Returns:
        The layout.

    Raises:
        UsageError: nothing fits; says what would have to give.
    """
    for tokens, tile in zip(_BATCHES, _TILES, strict=True):
        batches, order = batch(tokens=tokens)
        tried = dataclasses.replace(reduction, order=order, tile_bytes=tile)
        memory = estimate_memory(model, blocks, batches, tried, process, streamed=streamed, steps=steps)
        if limit is None or memory.total <= limit:
            room = KEPT_GRAPHS if limit is None else limit - memory.total
            each = graph_bytes(blocks, batches)
            keep = 0 if streamed or steps else min(len(blocks), room // each)
            return Layout(batches, tried, keep, streamed, dataclasses.replace(memory, graphs=keep * each))
    parts = memory.parts
    raise UsageError(
        f"--max-memory {told_bytes(limit or 0)} is too little: at the least {told_bytes(memory.total)} are needed, of "
        f"which {told_bytes(parts['process'] + parts['weights'])} for the program and the model's weights, "
        f"{told_bytes(parts['between_blocks'] + parts['block'])} for {len(reduction.sizes)} domains' tokens (fewer "
        f"--samples or --max-tokens need less) and {told_bytes(parts['tiles'])} for tiles and pairs of samples"
    )
