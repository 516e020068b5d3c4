"""Time and memory of a profile against plain batched forward + backward of the same samples.

    python -m benchmarks.cost --data DIR      the paper's nine data sets, from local files in DIR
    python -m benchmarks.cost                 the embedded domains

Every measurement is a process of its own (so that its peak memory is its own), and the kinds take turns.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

NINE = {
    "boolq": "boolq.jsonl",
    "humaneval": "humaneval.jsonl",
    "mmlu": "mmlu.jsonl",
    "siqa": "social_i_qa.jsonl",
    "hellaswag": "hellaswag.jsonl",
    "c4": "c4.jsonl",
    "wikitext2": "wikitext2_test.txt",
    "gsm8k": "gsm8k.jsonl",
    "piqa": "piqa.jsonl",
}
KINDS = ("forward", "forward+backward", "paramscope")


def measure(kind: str, data: str | None, samples: int, tokens: int) -> dict[str, float]:
    """One measurement in this process: seconds of the work without opening the model, and the process's peak memory."""
    import torch

    from paramscope.domains import EMBEDDED, parse_domain
    from paramscope.engine.schedule import head_at
    from paramscope.models.embedded import embedded_model
    from paramscope.models.running import output_head
    from paramscope.planning import make_plan
    from paramscope.profiling import check_plan, run_plan
    from paramscope.settings import Settings

    sources = {name: f"{name}@{Path(data) / file}" for name, file in NINE.items()} if data else None
    sources = sources or {name: f"embedded:{name}" for name in EMBEDDED}
    specs = [parse_domain(f"{name}={source}") for name, source in sources.items()]
    plan = make_plan(str(embedded_model()), specs, Settings(samples=samples, max_tokens=tokens))
    model = plan.opened.model
    started = time.perf_counter()
    if kind == "paramscope":
        check = check_plan(plan)
        started = time.perf_counter()
        run_plan(plan, check)
    else:
        # The cheapest plain loop: the head at the last position only, the same micro-batches.
        gradients = kind == "forward+backward"
        model.requires_grad_(gradients)
        for batch in plan.batches:
            positions = batch.positions(plan.opened.device)
            with (
                torch.set_grad_enabled(gradients),
                head_at(output_head(model), functools.partial(torch.Tensor.detach, positions)),
            ):
                inputs = batch.model_inputs(plan.opened.device, takes_positions=False)
                value, _ = plan.objective.evaluate(model(**inputs, use_cache=False).logits, batch.readings)
                if gradients:
                    value.sum().backward()
                    model.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def main() -> None:
    """Take turns, then print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with local files of the nine data sets")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measure(options.kind, options.data, options.samples, options.tokens)))
        return
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(options.repeats):
        for kind in KINDS:
            command = [sys.executable, "-m", "benchmarks.cost", *sys.argv[1:], "--kind", kind]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            found[kind].append(json.loads(done.stdout.splitlines()[-1]))
            print(kind, found[kind][-1], flush=True)
    floor = statistics.median(one["seconds"] for one in found["forward+backward"])
    print(f"\n{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print("| what | seconds (median) | against forward+backward | peak GiB |\n|---|---|---|---|")
    for kind, runs in found.items():
        seconds = statistics.median(one["seconds"] for one in runs)
        print(f"| {kind} | {seconds:.1f} | {seconds / floor:.2f} | {max(one['peak_gib'] for one in runs):.2f} |")


if __name__ == "__main__":
    main()
