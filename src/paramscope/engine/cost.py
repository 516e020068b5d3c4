"""What a run will cost in operations, disk traffic and time, after half a second of trying this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from paramscope.engine.batches import MicroBatch
from paramscope.engine.kernels import choose_tiles
from paramscope.engine.reduce import ModuleSums
from paramscope.engine.reduction import Reduction
from paramscope.measures.intervals import jackknife_stride
from paramscope.models.blocks import Block
from paramscope.models.weights import LinearWeight

_TRIAL = 0.2
"""Seconds that each of the two trials takes."""

_BESIDE_PRODUCTS = 1.35
"""Time of a pass through a block over that of its matrix products: norms, rotations, attention, activation functions.
Measured on Llama shapes of hidden sizes 256 to 1024: 1.2 to 1.5."""

DISK = 1e9
"""Bytes a second that are read from the disk; a guess, for a trial would read what lies in the cache."""


@dataclass(frozen=True)
class CostEstimate:
    """What a run will cost.

    Attributes:
        passes: floating-point operations of forward, second run and gradients at the inputs.
        products: of the samples' weight products.
        pairs: of the Gram matrices.
        disk: bytes of weights read.
        seconds: by stage: passes, reductions, disk.
    """

    passes: float
    products: float
    pairs: float
    disk: int
    seconds: dict[str, float]

    @property
    def operations(self) -> float:
        """All of them."""
        return self.passes + self.products + self.pairs

    @property
    def time(self) -> float:
        """Seconds in all; reading the disk goes on beside the computing."""
        return max(self.seconds["disk"], self.seconds["passes"] + self.seconds["reductions"])


def estimate_cost(
    blocks: Sequence[Block],
    batches: Sequence[MicroBatch],
    plan: Reduction,
    dtype: torch.dtype,
    *,
    keep: int,
    streamed: bool,
    steps: int = 0,
) -> CostEstimate:
    """Estimate the cost of a run; takes about half a second.

    Args:
        blocks: of the model; their weights need not be there.
        batches: all samples.
        plan: how samples are put together.
        dtype: that the model runs in.
        keep: how many of the last blocks keep the graph of their first run.
        streamed: whether weights are read from the disk in each pass.
        steps: of the path that the activation is integrated along, 0 for first order.

    Returns:
        The estimate.
    """
    weights = sum(block.parameters for block in blocks)
    again = sum(block.parameters for block in blocks[: len(blocks) - keep])
    tokens = sum(len(batch.readings) * batch.length for batch in batches)
    stored = sum(p.numel() for block in blocks for p in block.module.parameters()) * dtype.itemsize
    passes = 2.0 * tokens * (weights * path_forwards(blocks, steps) if steps else 2 * weights + again)
    typical = max((weight for block in blocks for weight in block.weights), key=lambda weight: weight.size)
    rate = _product_rate(typical, max(1, tokens // len(batches)), dtype, plan.device)
    seconds = {
        "passes": passes / rate * _BESIDE_PRODUCTS,
        "reductions": weights * _seconds_a_weight(typical, max(1, max(steps, 1) * tokens // plan.samples), dtype, plan),
        "disk": 2 * stored / DISK if streamed else 0.0,
    }
    return CostEstimate(
        passes=passes,
        products=2.0 * tokens * weights * max(steps, 1),
        pairs=float(plan.pairs) ** 2 * weights,
        disk=2 * stored if streamed else 0,
        seconds=seconds,
    )


def path_forwards(blocks: Sequence[Block], steps: int) -> float:
    """What the integrated activation of all blocks costs, in forwards through the model; first order costs three.

    Args:
        blocks: of the model.
        steps: of the path.

    Returns:
        One forward, and of each block all that follows it: forward and backward at every step, and forward without it.
    """
    sizes = [block.parameters for block in blocks]
    return 1 + (2 * steps + 1) * sum(sum(sizes[k:]) for k in range(len(sizes))) / sum(sizes)


FIRST_ORDER_FORWARDS = 3
"""Forward, second run and gradients at the inputs."""


def _median_time(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of a call, tried for ``_TRIAL`` seconds and at least three times."""

    def once() -> float:
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    once()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - began < _TRIAL:
        times.append(once())
    return sorted(times)[len(times) // 2]


def _product_rate(weight: LinearWeight, tokens: int, dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a micro-batch's product by a part of a weight."""
    rows, columns = min(weight.rows, 2048), weight.columns
    matrix = torch.zeros(rows, columns, dtype=dtype, device=device)
    inputs = torch.zeros(tokens, columns, dtype=dtype, device=device)
    seconds = _median_time(lambda: torch.nn.functional.linear(inputs, matrix), device)
    return 2.0 * tokens * rows * columns / seconds


def _seconds_a_weight(weight: LinearWeight, tokens: int, dtype: torch.dtype, plan: Reduction) -> float:
    """Seconds that the reductions of all samples take, for each weight."""
    columns = weight.columns
    height = max(8, plan.tile_bytes // (plan.samples * columns * plan.dtype.itemsize))
    generator = torch.Generator(plan.device).manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, dtype=plan.dtype, device=plan.device, generator=generator).to(dtype)

    matrix = random(height, columns)
    pair = random(plan.samples, tokens, columns), random(plan.samples, tokens, height)
    gram = torch.zeros(plan.pairs, plan.pairs, dtype=torch.float64, device=plan.device)
    tiles = choose_tiles(plan, height, columns, dtype)
    sums = ModuleSums(height, columns, plan, dtype)
    part, sampled = slice(0, height), slice(0, height, jackknife_stride(weight.rows))

    def reduce() -> None:
        tiles.begin(matrix, [pair])
        mean, deleted = tiles.reduce(part, sampled, gram)
        sums.add_mean(mean, part, plan.thresholds)
        sums.add_deleted(deleted.flatten(1))

    return _median_time(reduce, plan.device) / matrix.numel()
