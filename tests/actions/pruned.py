"""Tiny models, pruned, and what is in them; for the tests of pruning."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import paramscope
from paramscope.models.blocks import find_structure
from paramscope.result.pruned import Pruned
from tests.engine.architectures import random_ids

TEXTS = random_ids([9, 5, 9, 12, 5, 9])
DOMAIN = {"texts": TEXTS}
NAIVE = ["llama", "gpt2", "opt", "mixtral", "qwen3-moe", "mamba"]


def pruned(model: nn.Module, **settings: Any) -> tuple[nn.Module, Pruned]:
    """A pruned copy."""
    copied = copy.deepcopy(model)
    options = {"domain": DOMAIN} | settings
    return copied, paramscope.prune(copied, in_place=True, **options)


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def linear_weights(model: nn.Module) -> list[dict[str, torch.Tensor]]:
    return [{w.name: w.matrices.clone() for w in block.weights} for block in find_structure(model).blocks]


def profiled(folder: Path, model: Path) -> Path:
    paramscope.profile(model, {"a": TEXTS[:3], "b": TEXTS[3:]}, output=folder, held_out=0)
    return folder
