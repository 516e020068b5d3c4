"""SHA-256 of model files and of weights in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_weights(model: nn.Module) -> str:
    """SHA-256 of a model's weights: names, types, shapes and bytes of its state, in name order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
