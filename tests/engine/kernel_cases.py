"""Cases for the kernels, and the program that runs them in a process of its own.

    python -m tests.engine.kernel_cases run OUT DEVICE    results of every case; TRITON_INTERPRET=1 for DEVICE cpu
    python -m tests.engine.kernel_cases compile           compile for a GPU that need not be there

Triton reads TRITON_INTERPRET when it is imported, which transformers does, so the tests' own process cannot be used.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from paramscope.engine.capture import Pair
from paramscope.engine.kernels import FusedTiles, PlainTiles
from paramscope.engine.reduction import Reduction

SAMPLED = slice(1, None, 3)
"""Rows that the means without one group are taken on."""


@dataclass(frozen=True)
class Case:
    """One weight and its captures; within a domain, the engine has the samples in another order.

    Attributes:
        pairs: per micro-batch ``[B, T, in]`` and ``[B, T, out]``.
        weight: ``[out, in]``.
        sizes: samples per domain.
        cut: row at which the weight is cut into two parts.
    """

    pairs: list[Pair]
    weight: torch.Tensor
    sizes: list[int]
    cut: int = 17

    def plan(self, device: str = "cpu") -> Reduction:
        count = sum(self.sizes)
        generator = torch.Generator().manual_seed(count)
        parts = torch.arange(count).split(list(self.sizes))
        order = [i for part in parts for i in part[torch.randperm(len(part), generator=generator)].tolist()]
        return Reduction(order, self.sizes, (), torch.float32, torch.device(device))


def _pairs(
    batches: Sequence[Sequence[int]], height: int, width: int, dtype: torch.dtype = torch.float32, seed: int = 0
) -> list[Pair]:
    """Captures of micro-batches given as lengths of their samples, padded behind; padding has no gradient."""
    generator = torch.Generator().manual_seed(seed)
    result = []
    for lengths in batches:
        longest = max(lengths)
        inputs = torch.randn(len(lengths), longest, width, generator=generator)
        gradients = torch.randn(len(lengths), longest, height, generator=generator) * 1e-3
        gradients *= torch.arange(longest)[None, :, None] < torch.tensor(lengths)[:, None, None]
        result.append((inputs.to(dtype), gradients.to(dtype)))
    return result


def _weight(height: int, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A pruned weight: one in ten is zero, and so is its activation."""
    generator = torch.Generator().manual_seed(height * width)
    weight = torch.randn(height, width, generator=generator)
    weight *= torch.rand(height, width, generator=generator) > 0.1
    return weight.to(dtype)


def cases() -> dict[str, Case]:
    """By name."""
    ragged = [[3, 20, 9], [33], [1, 16]]
    return {
        "ragged": Case(_pairs(ragged, 37, 50), _weight(37, 50), [2, 1, 3]),
        "no positions": Case(_pairs([[5, 0], [0], [0, 0, 4]], 20, 33), _weight(20, 33), [3, 3]),
        "no position at all": Case(_pairs([[0, 0]], 20, 16), _weight(20, 16), [2]),
        "one sample": Case(_pairs([[18]], 21, 16), _weight(21, 16), [1]),
        "one row": Case(_pairs([[4, 7]], 1, 40), _weight(1, 40), [1, 1], cut=1),
        "transposed": Case(_pairs(ragged, 40, 19), _weight(19, 40).T, [4, 2]),
        "strided": Case(_pairs(ragged, 18, 35), _weight(36, 70)[::2, ::2], [6]),
        "bfloat16": Case(_pairs(ragged, 37, 34, torch.bfloat16), _weight(37, 34, torch.bfloat16), [3, 3]),
        "float16": Case(_pairs(ragged, 37, 34, torch.float16), _weight(37, 34, torch.float16), [3, 3]),
        "mixed types": Case(_pairs(ragged, 37, 34, torch.bfloat16), _weight(37, 34), [3, 3]),
        "several strips": Case(_pairs([[2, 5, 3, 1]] * 5, 18, 20), _weight(18, 20), [9, 1, 10]),
        "whole blocks": Case(_pairs([[16, 32], [16, 48]], 32, 48), _weight(32, 48), [2, 2], cut=16),
    }


def run(case: Case, device: str) -> dict[str, torch.Tensor]:
    """What the kernels give: the weight in two parts, the sampled rows, the pairs."""
    from paramscope.engine.kernels import triton_tiles
    from paramscope.engine.kernels.operands import Positions
    from paramscope.engine.reduction import SampleMeans

    plan = case.plan(device)
    weight = case.weight.to(device)
    positions = Positions.of([(inputs.to(device), gradients.to(device)) for inputs, gradients in case.pairs])
    means, deleted = SampleMeans.of(plan.mean_rows), SampleMeans.of(plan.deleted_rows)
    # Blocks as small as Triton takes them in the interpreter, which is slow; a GPU takes those that users get.
    small = triton_tiles.Blocks(16, 16, 16, 4)
    on_mean, on_pairs, strip = triton_tiles.MEAN_BLOCKS, triton_tiles.PAIR_BLOCKS, triton_tiles.STRIP
    if device == "cpu":
        on_mean, on_pairs, strip = small, small, 4
    parts = [slice(0, case.cut), slice(case.cut, None)]
    gram = torch.zeros(plan.samples, plan.samples, dtype=torch.float64, device=device)
    for part in parts:
        triton_tiles.add_pair_products(gram, weight, positions, part, on_pairs, strip)
    result = {
        "mean": torch.cat([triton_tiles.mean_tile(weight, positions, means, part, on_mean) for part in parts], 1),
        "deleted": triton_tiles.mean_tile(weight, positions, deleted, SAMPLED, on_mean),
        "gram": gram,
    }
    if case.weight.shape[0] < 40:  # the blocks that users get are slow to interpret
        halved = dataclasses.replace(plan, paired=half_of(plan))
        result |= through_tiles(case, halved, FusedTiles(halved, len(weight)))
    return {name: tensor.cpu() for name, tensor in result.items()}


def half_of(plan: Reduction) -> list[int]:
    """Every other sample."""
    return list(range(0, plan.samples, 2))


def through_tiles(case: Case, plan: Reduction, tiles: FusedTiles | PlainTiles) -> dict[str, torch.Tensor]:
    """What the engine gets of a weight."""
    tiles.begin(case.weight.to(plan.device), [(inputs.to(plan.device), d.to(plan.device)) for inputs, d in case.pairs])
    gram = torch.zeros(plan.pairs, plan.pairs, dtype=torch.float64, device=plan.device)
    mean, deleted = tiles.reduce(slice(0, len(case.weight)), slice(1, len(case.weight), 3), gram)
    return {"tiles mean": mean, "tiles deleted": deleted, "tiles gram": torch.tril(gram)}


def _teach_interpreter_bfloat16() -> None:
    """Triton's interpreter keeps bfloat16 as its bits and multiplies those; give ``tl.dot`` the float32 they stand for.

    Triton documents that bfloat16 is not supported there (issue 11584). What compiled programs do is not touched.
    """
    import triton.language as tl
    from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

    plain = InterpreterBuilder.create_dot

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    def create_dot(builder: Any, a: Any, b: Any, *others: Any) -> Any:
        return plain(builder, widened(a), widened(b), *others)

    InterpreterBuilder.create_dot = create_dot


def compile_all() -> None:
    """Compile for an A100, which the interpreter's looser rules do not stand for."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from paramscope.engine.kernels import triton_programs, triton_tiles

    pointers = {
        "offsets": "*i64",
        "members": "*i32",
        "bounds": "*i32",
        "shares": "*fp32",
        "out": "*fp32",
        "gram": "*fp64",
    }
    for kernel, blocks in (
        (triton_programs.mean_kernel, triton_tiles.MEAN_BLOCKS),
        (triton_programs.pair_kernel, triton_tiles.PAIR_BLOCKS),
    ):
        for dtype in ("bf16", "fp32"):
            fixed = {
                "ROWS": blocks.rows,
                "COLUMNS": blocks.columns,
                "POSITIONS": blocks.positions,
                "GROUP": 8,
                "PRECISION": "ieee",
                "STRIP": triton_tiles.STRIP,
            }
            fixed = {name: value for name, value in fixed.items() if name in kernel.arg_names}
            types = pointers | dict.fromkeys(("inputs", "gradients", "weight"), f"*{dtype}")
            types |= dict.fromkeys(fixed, "constexpr")
            source = ASTSource(kernel, {name: types.get(name, "i32") for name in kernel.arg_names}, fixed)
            target = GPUTarget("cuda", 80, 32)
            made = triton.compile(source, target=target, options={"num_warps": blocks.warps})
            print(kernel.__name__, dtype, "shared bytes:", made.metadata.shared)  # noqa: T201


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "compile":
        compile_all()
    else:
        if sys.argv[3] == "cpu":
            _teach_interpreter_bfloat16()
        torch.save({name: run(case, sys.argv[3]) for name, case in cases().items()}, sys.argv[2])
