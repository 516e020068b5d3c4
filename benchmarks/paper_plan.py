"""A plan on paper, from the tool's own estimates: a 70B shape on one card of 141 GB, and on eight.

    python -m benchmarks.paper_plan

Nothing is loaded and no GPU is needed. Times are operations over a rate that is assumed, not measured.
"""

from __future__ import annotations

import dataclasses

import torch

from paramscope.domains import Domain, Sample, Text
from paramscope.engine.layout import lay_out
from paramscope.engine.objectives import OBJECTIVES
from paramscope.errors import UsageError
from paramscope.models.blocks import guess_structure
from paramscope.models.open import OpenModel
from paramscope.settings import Settings
from paramscope.wording import told_bytes, told_time

CARD = 141 * 10**9
RATE = 4e14
"""Operations a second of a card in bfloat16, as far as large products reach it; the pair products are float32."""
FLOAT32 = 5e13
LINK = 2e9
"""Bytes a second that weights are read with, from a fast disk to a card."""


def main() -> None:
    """Print the table."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=8192,
        intermediate_size=28672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    opened = OpenModel(model, "70B", None, {}, torch.device("cuda:0"), torch.bfloat16)
    structure = guess_structure(model)
    weights = sum(block.parameters for block in structure.blocks)
    print("| cards | samples x tokens | weights | memory of a card | of which | operations | read a card | time |")
    print("|---|---|---|---|---|---|---|---|")
    for cards in (1, 8):
        for samples, tokens in ((64, 256), (256, 256), (512, 512)):
            share = samples // cards
            domain = Domain(
                "a",
                "",
                tuple(Sample(Text(""), (3,) * (tokens - 1) + (3 + place % 100,)) for place in range(share)),
                (),
                share,
                0,
                0,
                0,
                share,
            )
            readings = [OBJECTIVES["max-logit"].read(sample) for sample in domain.samples]
            kind = ""
            for streamed in (False, True):
                try:
                    layout = lay_out(
                        opened,
                        structure,
                        domains=[domain],
                        readings=readings,
                        settings=Settings(max_memory=CARD),
                        in_use=0,
                        streamed=streamed,
                    )
                except UsageError:
                    continue
                kind = "streamed" if streamed else "resident"
                break
            if not kind:
                print(f"| {cards} | {samples} x {tokens} | does not fit | | | | | |")
                continue
            passes = 2.0 * samples * tokens * (3 * weights)
            products, pairs = 2.0 * samples * tokens * weights, float(samples) ** 2 * weights
            read = 2 * 2 * weights if kind == "streamed" else 0
            compute = ((passes + products) / RATE + pairs / FLOAT32) / cards
            parts = {name: size for name, size in dataclasses.asdict(layout.memory).items() if size > 10**9}
            print(
                f"| {cards} | {samples} x {tokens} | {kind} | {told_bytes(layout.memory.total)} | "
                f"{', '.join(f'{name} {told_bytes(size)}' for name, size in parts.items())} | "
                f"{passes + products + pairs:.1e} | {read / 1e9:.0f} GB | {told_time(max(compute, read / LINK))} |"
            )


if __name__ == "__main__":
    main()
