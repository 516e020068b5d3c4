"""Cost of the causal checks of single weights.

    python -m benchmarks.verify

The embedded model in float64, one text of each length: weights zeroed together, from their block on (the cheap path),
against one zeroed at a time and the whole model run (the naive way); and the integrated activation against first order.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from paramscope.causal.double import InDouble, in_double
from paramscope.causal.single import draw_weights, integrate
from paramscope.causal.zeroing import Cut, zeroed
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.engine.replay import Replay
from paramscope.models.blocks import find_structure
from paramscope.models.embedded import embedded_model
from paramscope.models.open import load, locate
from paramscope.models.running import evaluation_mode, vocabulary


def seconds(work: Callable[[], object]) -> float:
    """Time of some work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Take turns, then print medians a thousand weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--weights", type=int, default=60)
    parser.add_argument("--naive", type=int, default=6, help="weights that the naive way is timed on")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    model = in_double(load(locate(str(embedded_model()))).model)
    blocks, objective = find_structure(model).blocks, OBJECTIVES["max-logit"]
    generator = torch.Generator().manual_seed(0)
    print(
        "| tokens | cheap, s for 1,000 | naive, s for 1,000 | naive / cheap | largest difference | integrated / first order |"
    )
    print("|---|---|---|---|---|---|")
    with InDouble(), evaluation_mode(model):
        for tokens in options.tokens:
            ids = torch.randint(vocabulary(model), (tokens,), generator=generator).tolist()
            reading = Reading(tuple(ids), (tokens - 1,))
            drawn = draw_weights(model, blocks, objective, reading, options.weights, np.random.default_rng(0))
            replay = Replay(model, blocks, [reading])
            together = max(1, 1024 // tokens)
            times: dict[str, list[float]] = {"cheap": [], "naive": [], "first": [], "integrated": []}
            cheap: dict[int, float] = {}
            naive: dict[int, float] = {}

            def zero_together() -> None:
                for layer in {one.layer for one in drawn}:
                    here = [one for one in drawn if one.layer == layer]
                    for start in range(0, len(here), together):
                        part = here[start : start + together]
                        logits = replay.without(layer, [one.cut for one in part])
                        cheap.update({id(one): float(row.max()) for one, row in zip(part, logits, strict=True)})

            def zero_alone() -> None:
                for one in drawn[: options.naive]:
                    with zeroed([Cut.at(one.cut.weight, torch.tensor([one.cut.place]))]):
                        naive[id(one)] = float(Replay(model, blocks, [reading]).logits.max())

            for _ in range(options.repeats):
                times["cheap"].append(seconds(zero_together) / len(drawn))
                times["naive"].append(seconds(zero_alone) / options.naive)
                first = seconds(
                    lambda: draw_weights(model, blocks, objective, reading, len(blocks), np.random.default_rng(0))
                )
                times["first"].append(first)
                times["integrated"].append(
                    seconds(lambda: integrate(model, blocks, objective, reading, drawn, options.steps))
                )
            median = {name: statistics.median(found) for name, found in times.items()}
            difference = max(abs(cheap[key] - naive[key]) for key in naive)
            print(
                f"| {tokens} | {1000 * median['cheap']:.0f} | {1000 * median['naive']:.0f} "
                f"| {median['naive'] / median['cheap']:.1f} | {difference:.1e} "
                f"| {median['integrated'] / median['first']:.0f} ({options.steps} steps) |"
            )


if __name__ == "__main__":
    main()
