"""Cost of the causal checks of single weights.

    python -m benchmarks.verify

The embedded model in float64, one text of each length: weights zeroed together, from their block on (the cheap path),
against one zeroed at a time and the whole model run (the naive way); and the integrated activation against first order.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from paramscope.causal.double import InDouble, in_double
from paramscope.causal.single import Drawn, draw_weights, integrate
from paramscope.causal.zeroing import Cut, zeroed
from paramscope.engine.objectives import OBJECTIVES, Objective, Reading
from paramscope.engine.replay import Replay
from paramscope.models.blocks import Block, find_structure
from paramscope.models.embedded import embedded_model
from paramscope.models.open import load, locate
from paramscope.models.running import evaluation_mode, vocabulary


def seconds(work: Callable[[], object]) -> float:
    """Time of some work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Trial:
    """One text, and weights drawn for it.

    Attributes:
        drawn: the weights.
    """

    def __init__(
        self, model: nn.Module, blocks: Sequence[Block], objective: Objective, reading: Reading, weights: int
    ) -> None:
        self._model, self._blocks, self._objective, self._reading = model, blocks, objective, reading
        self.drawn = self.draw(weights)
        self._replay = Replay(model, blocks, [reading])
        self._together = max(1, 1024 // len(reading.input_ids))
        self._cheap: dict[int, float] = {}
        self._naive: dict[int, float] = {}

    def draw(self, weights: int) -> list[Drawn]:
        """One forward and backward, and the draw."""
        rng = np.random.default_rng(0)
        return draw_weights(self._model, self._blocks, self._objective, self._reading, weights, rng)

    def zero_together(self) -> None:
        """The cheap path."""
        for layer in {one.layer for one in self.drawn}:
            here = [one for one in self.drawn if one.layer == layer]
            for start in range(0, len(here), self._together):
                part = here[start : start + self._together]
                logits = self._replay.without(layer, [one.cut for one in part])
                self._cheap |= {id(one): float(row.max()) for one, row in zip(part, logits, strict=True)}

    def zero_alone(self, count: int) -> None:
        """The naive way, on some of the weights."""
        for one in self.drawn[:count]:
            with zeroed([Cut.at(one.cut.weight, torch.tensor([one.cut.place]))]):
                self._naive[id(one)] = float(Replay(self._model, self._blocks, [self._reading]).logits.max())

    def integrate(self, steps: int) -> None:
        """The path-integrated estimates."""
        integrate(self._model, self._blocks, self._objective, self._reading, self.drawn, steps)

    @property
    def difference(self) -> float:
        """The largest between the two ways."""
        return max(abs(self._cheap[key] - value) for key, value in self._naive.items())


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
    print("| tokens | cheap, s for 1,000 | naive | naive / cheap | largest difference | integrated / first order |")
    print("|---|---|---|---|---|---|")
    with InDouble(), evaluation_mode(model):
        for tokens in options.tokens:
            ids = torch.randint(vocabulary(model), (tokens,), generator=generator).tolist()
            trial = Trial(model, blocks, objective, Reading(tuple(ids), (tokens - 1,)), options.weights)
            times: dict[str, list[float]] = {"cheap": [], "naive": [], "first": [], "integrated": []}
            for _ in range(options.repeats):
                times["cheap"].append(seconds(trial.zero_together) / len(trial.drawn))
                times["naive"].append(seconds(functools.partial(trial.zero_alone, options.naive)) / options.naive)
                times["first"].append(seconds(functools.partial(trial.draw, len(blocks))))
                times["integrated"].append(seconds(functools.partial(trial.integrate, options.steps)))
            median = {name: statistics.median(found) for name, found in times.items()}
            print(
                f"| {tokens} | {1000 * median['cheap']:.0f} | {1000 * median['naive']:.0f} "
                f"| {median['naive'] / median['cheap']:.1f} | {trial.difference:.1e} "
                f"| {median['integrated'] / median['first']:.0f} ({options.steps} steps) |"
            )


if __name__ == "__main__":
    main()
