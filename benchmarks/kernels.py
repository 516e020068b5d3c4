"""Time of the GPU kernels for one weight, against plain torch and against the arithmetic alone.

    python -m benchmarks.kernels                      a 4096 x 4096 weight, 64 samples of about 128 tokens
    python -m benchmarks.kernels --tune               other sizes of what a program keeps on chip, too

The floor is the time that the operations which nobody can spare take at the speed of a large matrix product measured on
the same GPU: each sample's product once in the captures' type, each pair of samples once in float32.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from paramscope.engine.capture import Pair
from paramscope.engine.kernels.operands import Positions
from paramscope.engine.kernels.plain import gradient_tile
from paramscope.engine.reduction import Reduction, SampleMeans
from paramscope.measures.intervals import jackknife_stride

Work = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """One weight, its captures in one micro-batch per domain, and how samples are put together."""

    weight: torch.Tensor
    pairs: list[Pair]
    plan: Reduction

    @classmethod
    def of(cls, options: argparse.Namespace, device: str) -> Setting:
        """Random numbers of the sizes asked for; lengths from a half to three halves of ``--tokens``."""
        torch.manual_seed(0)
        dtype = getattr(torch, options.dtype)
        sizes = [options.samples // options.domains] * options.domains
        pairs = []
        for size in sizes:
            longest = options.tokens * 3 // 2
            inputs = torch.randn(size, longest, options.columns, device=device, dtype=dtype)
            gradients = torch.randn(size, longest, options.rows, device=device, dtype=dtype)
            lengths = torch.randint(options.tokens // 2, longest + 1, (size, 1, 1), device=device)
            gradients *= torch.arange(longest, device=device)[None, :, None] < lengths
            pairs.append((inputs, gradients))
        weight = torch.randn(options.rows, options.columns, device=device, dtype=dtype)
        return cls(weight, pairs, Reduction(range(sum(sizes)), sizes, (), torch.float32, torch.device(device)))

    def plain_tiles(self, tile_bytes: int) -> Iterator[torch.Tensor]:
        """Activations ``[N, rows * in]`` as the plain path makes them."""
        count, (height, width) = self.plan.samples, self.weight.shape
        limit = max(8, tile_bytes // (count * width * 4))
        buffer = torch.empty(count * min(limit, height) * width, device=self.weight.device)
        for start in range(0, height, limit):
            part = slice(start, min(start + limit, height))
            tile = buffer[: count * (part.stop - start) * width].view(count, -1, width)
            gradient_tile(self.pairs, part, tile)
            yield tile.mul_(self.weight[part]).abs_().flatten(1)

    def plain_means(self, tile_bytes: int) -> torch.Tensor:
        """Means ``[D, out * in]``."""
        return torch.cat([self.plan.mean_rows @ flat for flat in self.plain_tiles(tile_bytes)], 1)

    def plain_pairs(self, tile_bytes: int) -> torch.Tensor:
        """The Gram matrix ``[N, N]``, all of it: two halves by one call take a GPU less time than strips."""
        gram = torch.zeros(self.plan.samples, self.plan.samples, dtype=torch.float64, device=self.weight.device)
        for flat in self.plain_tiles(tile_bytes):
            gram += flat @ flat.T
        return gram


def milliseconds(work: Work, repeats: int) -> tuple[float, float]:
    """Median time of some work on the GPU, and the memory that it takes at its peak in GiB."""
    work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    times = []
    for _ in range(repeats):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        stop.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(stop))
    return statistics.median(times), (torch.cuda.max_memory_allocated() - before) / 2**30


def speed(dtype: torch.dtype, repeats: int) -> float:
    """Floating-point operations a millisecond of a large matrix product."""
    size = 8192
    one, other = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * size**3 / milliseconds(lambda: one @ other, repeats)[0]


def kernel_works(setting: Setting, tune: bool) -> dict[str, dict[str, Work]]:
    """What is timed of the kernels: by kind, then by name."""
    from paramscope.engine.kernels import triton_tiles as tiles

    weight, plan = setting.weight, setting.plan
    positions = Positions.of(setting.pairs)
    means, deleted = SampleMeans.of(plan.mean_rows), SampleMeans.of(plan.deleted_rows)
    sampled = slice(None, None, jackknife_stride(len(weight)))
    gram = torch.zeros(plan.samples, plan.samples, dtype=torch.float64, device=weight.device)

    def on_means(blocks: tiles.Blocks) -> Work:
        return lambda: tiles.mean_tile(weight, positions, means, blocks=blocks)

    def on_pairs(blocks: tiles.Blocks, strip: int) -> Work:
        return lambda: tiles.add_pair_products(gram, weight, positions, blocks=blocks, strip=strip)

    mean_blocks = {"kernel": tiles.MEAN_BLOCKS}
    pair_blocks = {"kernel": (tiles.PAIR_BLOCKS, tiles.STRIP)}
    if tune:
        for blocks in ((128, 128, 32, 8), (128, 128, 64, 8), (128, 64, 64, 8), (64, 64, 32, 4), (64, 64, 64, 4)):
            mean_blocks[f"kernel {blocks}"] = tiles.Blocks(*blocks)
        for blocks, strip in (((64, 64, 64, 8), 8), ((64, 64, 32, 8), 4), ((64, 32, 32, 8), 16), ((128, 64, 32, 8), 4)):
            pair_blocks[f"kernel {blocks}, strip {strip}"] = tiles.Blocks(*blocks), strip
    return {
        "laying captures out": {"torch": lambda: Positions.of(setting.pairs)},
        "means": {name: on_means(blocks) for name, blocks in mean_blocks.items()},
        "means without a group": {"kernel": lambda: tiles.mean_tile(weight, positions, deleted, sampled)},
        "pairs": {name: on_pairs(*blocks) for name, blocks in pair_blocks.items()},
    }


def plain_works(setting: Setting, tiles_mib: list[int]) -> dict[str, dict[str, Work]]:
    """What is timed of plain torch: by kind, then by name."""

    def work(made: Callable[[int], torch.Tensor], mib: int) -> Work:
        return lambda: made(mib << 20)

    kinds = {"means": setting.plain_means, "pairs": setting.plain_pairs}
    return {
        kind: {f"plain torch, tiles of {mib} MiB": work(made, mib) for mib in tiles_mib} for kind, made in kinds.items()
    }


def agreement(setting: Setting, tile_bytes: int) -> dict[str, float]:
    """Largest difference of the kernels' results from the plain ones, against the largest value."""
    from paramscope.engine.kernels.triton_tiles import add_pair_products, mean_tile

    positions = Positions.of(setting.pairs)
    mean = mean_tile(setting.weight, positions, SampleMeans.of(setting.plan.mean_rows)).flatten(1)
    gram = torch.zeros(positions.samples, positions.samples, dtype=torch.float64, device=mean.device)
    add_pair_products(gram, setting.weight, positions)
    wanted = {"means": setting.plain_means(tile_bytes), "pairs": torch.tril(setting.plain_pairs(tile_bytes))}
    found = {"means": mean, "pairs": gram}
    return {kind: ((found[kind] - right).abs().max() / right.max()).item() for kind, right in wanted.items()}


def floors(setting: Setting, repeats: int) -> dict[str, float]:
    """Milliseconds of the arithmetic alone, by kind."""
    positions, count, size = Positions.of(setting.pairs), setting.plan.samples, setting.weight.numel()
    products = 2 * len(positions.inputs) * size / speed(setting.weight.dtype, repeats)
    sampled = products / jackknife_stride(len(setting.weight))
    pairs = count * (count + 1) * size / speed(torch.float32, repeats)
    return {"means": products, "means without a group": sampled, "pairs": products + pairs}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--columns", type=int, default=4096)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--domains", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument("--tiles", type=int, nargs="+", default=[16, 1024], help="MiB of a tile of plain torch")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--tune", action="store_true", help="try other block sizes")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("The kernels run on CUDA only, and torch finds no CUDA GPU on this machine.")
    if importlib.util.find_spec("triton") is None:
        sys.exit("The kernels need Triton; torch's CUDA builds for Linux bring it.")
    setting = Setting.of(options, "cuda")
    for kind, difference in agreement(setting, options.tiles[0] << 20).items():
        print(f"{kind}: differ from plain torch by at most {difference:.1e} of the largest")
    floor = floors(setting, options.repeats)
    plain, kernels = plain_works(setting, options.tiles), kernel_works(setting, options.tune)
    positions = sum(int((gradients != 0).any(-1).sum()) for _, gradients in setting.pairs)
    print(
        f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}, weight {options.rows} x {options.columns}, "
        f"{setting.plan.samples} samples, {positions} positions, {options.dtype}\n"
    )
    print("| what | how | ms | floor, ms | times the floor | GiB on top |\n|---|---|---|---|---|---|")
    for kind, works in kernels.items():
        for name, work in (plain.get(kind, {}) | works).items():
            time, memory = milliseconds(work, options.repeats)
            bound = f"{floor[kind]:.2f} | {time / floor[kind]:.1f}" if kind in floor else " | "
            print(f"| {kind} | {name} | {time:.2f} | {bound} | {memory:.2f} |", flush=True)


if __name__ == "__main__":
    main()
