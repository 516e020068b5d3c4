"""Time of a run whose weights stay on the disk, and of a resident one, against plain forward + backward.

    python -m benchmarks.streamed

Densities alone, of the streamed shape of ``benchmarks.estimates``; the ways take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from benchmarks.estimates import SHAPES, prepare
from paramscope.planning import Plan, make_plan
from paramscope.profiling import check_plan, run_plan
from paramscope.settings import Settings


def floor(plan: Plan) -> None:
    """Plain forward and backward; the gradients of the blocks' weights are made and thrown away."""
    model = plan.opened.model
    model.requires_grad_(False)
    for block in plan.blocks:
        for weight in block.weights:
            weight.parameter.requires_grad_(True)
    for batch in plan.batches:
        inputs = batch.model_inputs(plan.opened.device, takes_positions=False)
        logits = model(**inputs, use_cache=False, logits_to_keep=1).logits
        torch.autograd.backward(plan.objective.evaluate(logits, batch.readings)[0].sum())
        model.zero_grad(set_to_none=True)
    model.requires_grad_(False)


def seconds(work: Callable[[], object]) -> float:
    """Time of some work."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Take turns, then print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    name = next(name for name, shape in SHAPES.items() if shape[-1])
    _, samples, tokens, _ = SHAPES[name]
    with tempfile.TemporaryDirectory() as folder:
        specs = prepare(name, folder)
        usual = Settings(samples=samples, held_out=0, max_tokens=tokens, pairs=0)
        times: dict[str, list[float]] = {"forward + backward": [], "resident": [], "streamed": []}
        plans = {
            weights: make_plan(folder, specs, Settings(**{**vars(usual), "weights": weights}))
            for weights in ("resident", "streamed")
        }
        checks = {weights: check_plan(plan) for weights, plan in plans.items()}
        for _ in range(options.repeats):
            times["forward + backward"].append(seconds(lambda: floor(plans["resident"])))
            for weights, plan in plans.items():
                times[weights].append(seconds(lambda plan=plan, check=checks[weights]: run_plan(plan, check)))  # type: ignore[misc]
    least = statistics.median(times["forward + backward"])
    print(f"{name}, medians of {options.repeats}\n\n| way | seconds | against forward + backward |\n|---|---|---|")
    for way, found in times.items():
        print(f"| {way} | {statistics.median(found):.1f} | {statistics.median(found) / least:.2f} |")


if __name__ == "__main__":
    main()
