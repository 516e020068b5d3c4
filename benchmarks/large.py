"""A model larger than the memory it may take: Llama-2-7B's shape with random bfloat16 weights, streamed from the disk.

    python -m benchmarks.large FOLDER [--samples 8] [--tokens 64] [--max-memory 3GiB]

Makes the folder (13.5 GB) where it is missing, measures in a process of its own, and prints what the run says of itself
beside what the system saw.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SHAPE: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}


def make_folder(folder: Path) -> None:
    """Write the model, one file a block, never more than one block in memory."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, LlamaConfig

    folder.mkdir(parents=True, exist_ok=True)
    config = LlamaConfig(**SHAPE, architectures=["LlamaForCausalLM"], dtype="bfloat16")
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in AutoModelForCausalLM.from_config(config).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    files: dict[str, dict[str, torch.Size]] = {}
    for name, shape in shapes.items():
        part = name.split(".layers.")[1].split(".")[0] if ".layers." in name else "ends"
        files.setdefault(f"model-{part}.safetensors", {})[name] = shape
    for file, names in files.items():
        weights = {}
        for name, shape in names.items():
            if len(shape) == 1:
                weights[name] = torch.ones(shape, dtype=torch.bfloat16)
            else:
                weights[name] = torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)
        save_file(weights, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, names in files.items() for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    save_tokenizer(folder)
    config.save_pretrained(folder)  # last, so that an interrupted folder is made again


def save_tokenizer(folder: Path) -> None:
    """Give a folder the tokenizer that it must have; the samples are token ids."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(folder)


def measure(folder: Path, samples: int, tokens: int, limit: int) -> None:
    """Measure in this process, and print a line of JSON."""
    import resource

    import torch

    import paramscope

    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, SHAPE["vocab_size"], (2, samples // 2, tokens), generator=generator).tolist()
    started = time.perf_counter()
    profile = paramscope.profile(
        folder, {"a": ids[0], "b": ids[1]}, samples=samples, dtype="bfloat16", weights="streamed", max_memory=limit
    )
    engine = profile.manifest.engine
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - started,
                "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
                "estimated_gib": engine.estimated_memory_bytes / 2**30,
                "read_gb": engine.weight_bytes_read / 1e9,
                "self_check": profile.manifest.self_check.largest_relative_error,
                "timings": {name: round(value, 1) for name, value in profile.manifest.timings.items()},
            }
        )
    )


def main() -> None:
    """Make the folder, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--max-memory", type=float, default=3.0, help="GiB")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.folder, options.samples, options.tokens, int(options.max_memory * 2**30))
        return
    if not (options.folder / "config.json").is_file():
        started = time.perf_counter()
        make_folder(options.folder)
        print(f"made {options.folder} in {time.perf_counter() - started:.0f} s", flush=True)
    command = [sys.executable, "-m", "benchmarks.large", *sys.argv[1:], "--measure"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
