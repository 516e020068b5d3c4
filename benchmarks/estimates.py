"""The estimates that a run tells before it starts, beside what it then took, on five shapes.

    python -m benchmarks.estimates

Every shape is a process of its own, so that its peak memory is its own. The last one's weights stay on the disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paramscope.domains import DomainSpec

VOCABULARY = 16_000

SHAPES: dict[str, tuple[dict[str, Any], int, int, bool]] = {
    "hidden 256, 8 layers; 32 x 16 tokens": ({"hidden_size": 256, "num_hidden_layers": 8}, 32, 16, False),
    "hidden 512, 8 layers; 32 x 128 tokens": ({"hidden_size": 512, "num_hidden_layers": 8}, 32, 128, False),
    "hidden 1024, 12 layers; 16 x 256 tokens": ({"hidden_size": 1024, "num_hidden_layers": 12}, 16, 256, False),
    "hidden 768, 12 layers; 96 x 64 tokens": ({"hidden_size": 768, "num_hidden_layers": 12}, 96, 64, False),
    "hidden 1536, 16 layers; 16 x 64 tokens, streamed": ({"hidden_size": 1536, "num_hidden_layers": 16}, 16, 64, True),
}
"""Sizes of a Llama, samples, tokens of each, and whether its weights are streamed."""


def measure(name: str) -> dict[str, Any]:
    """Estimate and measure one shape in this process."""
    import resource

    from paramscope.planning import make_plan
    from paramscope.profiling import check_plan, run_plan
    from paramscope.settings import Settings

    _, samples, tokens, streamed = SHAPES[name]
    with tempfile.TemporaryDirectory() as folder:
        specs = prepare(name, folder)
        settings = Settings(
            samples=samples, held_out=0, max_tokens=tokens, weights="streamed" if streamed else "resident"
        )
        plan = make_plan(folder, specs, settings)
        cost = plan.cost
        check = check_plan(plan)
        started = time.perf_counter()
        run_plan(plan, check)
        seconds = time.perf_counter() - started
    return {
        "memory": [plan.memory.total / 2**30, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20],
        "seconds": [cost.time, seconds],
    }


def prepare(name: str, folder: str) -> list[DomainSpec]:
    """Save the model of a shape, and draw its samples: two domains of random tokens."""
    import torch

    from benchmarks.large import save_tokenizer
    from paramscope.domains import DomainSpec

    _, samples, tokens, _ = SHAPES[name]
    # Made by a process of its own, whose memory is not this one's.
    subprocess.run([sys.executable, "-m", "benchmarks.estimates", "--make", name, folder], check=True)
    save_tokenizer(Path(folder))
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, VOCABULARY, (2, samples // 2, tokens), generator=generator).tolist()
    return [DomainSpec("a", ids[0]), DomainSpec("b", ids[1])]


def make(name: str, folder: str) -> None:
    """Save the model of a shape."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    sizes = SHAPES[name][0]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        intermediate_size=11 * sizes["hidden_size"] // 4,
        num_attention_heads=sizes["hidden_size"] // 64,
        **sizes,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(*options.make)
    elif options.measure:
        print(json.dumps(measure(options.measure)))
    else:
        print("| shape | estimated GiB | peak GiB | ratio | estimated s | measured s | ratio |")
        print("|---|---|---|---|---|---|---|")
        for name in SHAPES:
            command = [sys.executable, "-m", "benchmarks.estimates", "--measure", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            columns = [f"{a:.2f} | {b:.2f} | {a / b:.2f}" for a, b in found.values()]
            print(f"| {name} | {' | '.join(columns)} |", flush=True)


if __name__ == "__main__":
    main()
