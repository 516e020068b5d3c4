"""Tiny models on disk: whole ones, and ways to break them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import PreTrainedTokenizerFast

from tests.engine.architectures import VOCABULARY, tiny_model


def save_tokenizer(folder: Path) -> None:
    """Token i is the word ``wi``."""
    made = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCABULARY)}, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="w0").save_pretrained(folder)


def save_folder(folder: Path, model: nn.Module | None = None, **options: Any) -> Path:
    """Save a model and a tokenizer; a tiny Llama when none is given."""
    model = model if model is not None else tiny_model("llama", dtype=torch.float32)
    model.save_pretrained(folder, **options)
    save_tokenizer(folder)
    return folder


def cut(path: Path, share: float = 0.5) -> None:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def change_weights(folder: Path, name: str, value: float | None) -> None:
    """Put a value into one place of a weight, or leave the weight out."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    if value is None:
        del weights[name]
    else:
        weights[name].view(-1)[3] = value
    save_file(weights, path, metadata={"format": "pt"})


def change_config(folder: Path, **values: Any) -> None:
    """Put values into the configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def hub_cache(cache: Path, model: Path, hub_id: str, revisions: dict[str, str]) -> None:
    """Lay a folder out as huggingface_hub's cache does.

    Args:
        cache: the cache's root.
        model: the folder; every revision has its files.
        hub_id: ``owner/name``.
        revisions: commit by branch or tag.
    """
    root = cache / ("models--" + hub_id.replace("/", "--"))
    for name, commit in revisions.items():
        (root / "refs").mkdir(parents=True, exist_ok=True)
        (root / "refs" / name).write_text(commit, encoding="utf-8")
        snapshot = root / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        for path in model.iterdir():
            (snapshot / path.name).write_bytes(path.read_bytes())
