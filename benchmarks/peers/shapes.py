"""What is measured: models, samples, and the threshold that densities are counted at."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from paramscope.domains import DomainSpec
from paramscope.engine.batches import MicroBatch
from paramscope.engine.schedule import head_at
from paramscope.models.embedded import embedded_model
from paramscope.models.open import load, locate
from paramscope.models.running import output_head
from paramscope.planning import Plan, make_plan
from paramscope.settings import Settings

VOCABULARY = 8192
DOMAINS = 2
LIMIT = 8 << 30
"""Bytes that a process may take. paramscope is told to stay a little below."""


@dataclass(frozen=True)
class Shape:
    """A model and the length of its samples.

    Attributes:
        title: in the tables.
        tokens: of a sample; at most, for the embedded model.
        threshold: near the pooled median of the activations, so that densities are far from 0 and 1.
        hidden: width of a random Llama; None takes the embedded model and its domains.
        layers: of a random Llama.
    """

    title: str
    tokens: int
    threshold: float
    hidden: int | None = None
    layers: int = 8


SHAPES = {
    "256x16": Shape("hidden 256, 8 layers, 16 tokens", 16, 1e-4, 256),
    "256x128": Shape("hidden 256, 8 layers, 128 tokens", 128, 1e-4, 256),
    "512x16": Shape("hidden 512, 8 layers, 16 tokens", 16, 1e-4, 512),
    "512x128": Shape("hidden 512, 8 layers, 128 tokens", 128, 1e-4, 512),
    "embedded": Shape("SmolLM2-135M, at most 96 tokens", 96, 2e-4),
    "tiny": Shape("hidden 32, 2 layers, 6 tokens", 6, 1e-4, 32, 2),
}
"""By name. The tiny one warms a process up and is what the tests run."""


@dataclass(frozen=True)
class Case:
    """One piece of work: what every kind starts from.

    Attributes:
        plan: paramscope's, with the model, its blocks and the micro-batches that all kinds share.
        threshold: of the densities.
        cosines: whether cosines are wanted too.
    """

    plan: Plan
    threshold: float
    cosines: bool

    @property
    def model(self) -> Any:
        """The model."""
        return self.plan.opened.model

    @property
    def names(self) -> dict[str, tuple[int, str]]:
        """Layer and full name of the module of each measured weight, by the parameter's full name."""
        return {
            f"{block.name}.{weight.name}.{weight.attribute}": (layer, f"{block.name}.{weight.name}")
            for layer, block in enumerate(self.plan.blocks)
            for weight in block.weights
        }

    def batches(self, size: int | None = None) -> list[MicroBatch]:
        """The samples in paramscope's order: in its own micro-batches, or in batches of one size."""
        if size is None:
            return list(self.plan.batches)
        readings = [reading for batch in self.plan.batches for reading in batch.readings]
        return [MicroBatch(tuple(readings[i : i + size]), i) for i in range(0, len(readings), size)]

    def values(self, batch: MicroBatch) -> torch.Tensor:
        """The objective of each sample of a micro-batch, with the graph; the head sees the last positions only."""
        device = self.plan.opened.device
        positions = batch.positions(device)
        with head_at(output_head(self.model), functools.partial(torch.Tensor.detach, positions)):
            inputs = batch.model_inputs(device, takes_positions=False)
            logits = self.model(**inputs, use_cache=False).logits
        return self.plan.objective.evaluate(logits, batch.readings)[0]


def make_case(shape: Shape, *, samples: int, cosines: bool) -> Case:
    """Open the model and draw the samples.

    Args:
        shape: which.
        samples: of all domains together.
        cosines: whether they are wanted.

    Returns:
        The case.
    """
    model: nn.Module
    if shape.hidden is None:
        opened = locate(str(embedded_model()))
        model, tokenizer = load(opened).model, opened.tokenizer
        specs = [DomainSpec(name, f"embedded:{name}") for name in ("support", "code", "contracts", "finance")]
    else:
        model, tokenizer = _llama(shape.hidden, shape.layers), None
        ids = torch.randint(VOCABULARY, (DOMAINS, samples // DOMAINS, shape.tokens), generator=_generator())
        specs = [DomainSpec(f"domain {i}", part.tolist()) for i, part in enumerate(ids)]
    settings = Settings(
        samples=samples // len(specs),
        held_out=0,
        max_tokens=shape.tokens,
        threshold=shape.threshold,
        pairs="all" if cosines else 0,
        max_memory=LIMIT * 7 // 8,
    )
    return Case(make_plan(model, specs, settings, tokenizer=tokenizer), shape.threshold, cosines)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _llama(hidden: int, layers: int) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=hidden,
            intermediate_size=hidden * 43 // 16,
            num_hidden_layers=layers,
            num_attention_heads=max(2, hidden // 64),
            num_key_value_heads=max(1, hidden // 128),
            max_position_embeddings=256,
        )
        return LlamaForCausalLM(config)
