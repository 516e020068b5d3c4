"""Models whose likelihoods are known by hand, a tokenizer for made-up text, and the slow way to score."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from transformers import PreTrainedTokenizerFast

from tests.engine.architectures import tiny_model
from tests.evaluation.rows import ROWS

PIECES = 330
"""Tokens of the made tokenizer: bytes, specials and some merges."""


class Unigram(nn.Module):
    """Every next token has the same probabilities, whatever was before it; it has no head that can be named."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([math.log(p) if p else -math.inf for p in probabilities]))

    def forward(self, input_ids: torch.Tensor) -> Any:
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


def one_at_a_time(model: nn.Module, context: Sequence[int], continuation: Sequence[int]) -> NDArray[np.float64]:
    """Losses of a continuation, alone, from all logits, in float64."""
    with torch.no_grad():
        logits = model(torch.tensor([[*context, *continuation]])).logits[0].double()
    told = torch.log_softmax(logits, -1)
    losses = [-float(told[len(context) + place - 1, token]) for place, token in enumerate(continuation)]
    return np.array(losses)


def made_tokenizer(*, bos: bool = False) -> Any:
    """A byte-level tokenizer of the made-up rows, which puts a token in front where that is asked for."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([json.dumps(row) for rows in ROWS.values() for row in rows], trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def reading_model(name: str = "llama", *, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    """A tiny model for that tokenizer."""
    options = {"max_position_embeddings": 512} | options if name == "llama" else options
    return tiny_model(name, dtype=dtype, vocab_size=PIECES, **options)


def save_reading_model(folder: Path, **options: Any) -> Path:
    """The same as a folder."""
    reading_model(**options).save_pretrained(folder)
    made_tokenizer().save_pretrained(folder)
    return folder
