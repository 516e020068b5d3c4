"""A tiny model on disk and small domains, for tests of the whole job."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import settings

# Each of pytest-xdist's workers takes a core; threads of several workers would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The machines that run the tests are shared: how long one example takes says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

WORDS = [f"w{number}" for number in range(80)]


def save_tiny_model(folder: Path, *, layers: int = 4, hidden: int = 32, seed: int = 0) -> Path:
    """A random Llama of one token a word, with its tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<s>", "</s>", "<unk>", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words),
                hidden_size=hidden,
                intermediate_size=2 * hidden,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=64,
                initializer_range=0.3,
                bos_token_id=0,
                eos_token_id=1,
            )
        )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that every test may read and none may change."""
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def made_texts(count: int, *, start: int = 0, length: int = 9) -> list[str]:
    """Different texts of words that the tiny model knows."""
    return [
        " ".join(WORDS[(start + number * 7 + place * (number % 5 + 1)) % len(WORDS)] for place in range(length))
        for number in range(count)
    ]


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write texts as JSON Lines with the field ``text``."""

    def write(name: str, texts: Iterable[str]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        return path

    return write
