"""PEFT's LoRA: the configuration of some modules, and what PEFT makes of one on a model without weights."""

from __future__ import annotations

import copy
import re
import warnings
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from paramscope.errors import UsageError

if TYPE_CHECKING:
    from peft import LoraConfig
    from peft.tuners.lora import LoraLayer

SCALE = 2
"""alpha over rank, the same in every module, so that a learning rate means the same in all of them."""

ADAPTER = "default"
"""PEFT's own name for the only adapter."""


def require_peft() -> None:
    """Refuse to go on without PEFT.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("peft") is None:
        raise UsageError("tuning needs the package peft; pip install 'paramscope[tune]'")


def on_meta(model: nn.Module) -> nn.Module:
    """A copy of a model whose weights take no memory, for anything that depends on names and shapes alone."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, memo)


def lora_config(ranks: Mapping[str, int], model: nn.Module) -> LoraConfig:
    """PEFT's configuration for modules named in full, each with its rank.

    PEFT reads the keys of ``rank_pattern`` and ``alpha_pattern`` as regular expressions that may begin after any dot
    of a module's name, so they are escaped, and tied to the name's beginning.

    Args:
        ranks: by full name of the module.
        model: that has the modules.

    Returns:
        The configuration: the commonest rank for all modules, patterns for those with another one.
    """
    from peft import LoraConfig

    usual = Counter(ranks.values()).most_common(1)[0][0]
    others = {f"^{re.escape(name)}": rank for name, rank in ranks.items() if rank != usual}
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=usual,
        lora_alpha=SCALE * usual,
        lora_dropout=0.0,
        target_modules=list(ranks),
        rank_pattern=others,
        alpha_pattern={pattern: SCALE * rank for pattern, rank in others.items()},
        fan_in_fan_out=all(isinstance(model.get_submodule(name), Conv1D) for name in ranks),
    )


def inject(model: nn.Module, config: LoraConfig, *, name: str = ADAPTER, meta: bool = False) -> None:
    """Put adapters into a model, in place.

    Args:
        model: that gets them; it may have others.
        config: says where; PEFT may change it.
        name: of the adapters, for those who have several in a module.
        meta: whether they take no memory.
    """
    from peft import inject_adapter_in_model

    with warnings.catch_warnings():
        # A model may hold linear maps both ways round; PEFT sets the flag for each of them, and warns.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")  # of other adapters
        inject_adapter_in_model(config, model, adapter_name=name, low_cpu_mem_usage=meta)


def lora_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """The modules of a model that have adapters, by full name."""
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def adapters_of(model: nn.Module) -> dict[str, tuple[int, int, int]]:
    """The only adapters in a model: rank, alpha and trainable parameters by the full name of the module."""
    return {
        name: (
            int(module.r[ADAPTER]),
            int(module.lora_alpha[ADAPTER]),
            sum(parameter.numel() for parameter in cast(nn.Module, module).parameters() if parameter.requires_grad),
        )
        for name, module in lora_layers(model).items()
        if ADAPTER in module.r
    }


def refused_by_peft(model: nn.Module, names: list[str]) -> set[str]:
    """Which modules PEFT gives no adapter to, tried on a model without weights.

    Args:
        model: a causal language model.
        names: full names of linear modules.

    Returns:
        Those of ``names`` whose kind, told by the name's last part, is refused or adapted elsewhere.
    """
    refused: set[str] = set()
    for kind in {name.rpartition(".")[2] for name in names}:
        members = {name for name in names if name.rpartition(".")[2] == kind}
        trial = on_meta(model)
        try:
            inject(trial, lora_config(dict.fromkeys(members, 1), trial), meta=True)
            if set(adapters_of(trial)) != members:
                refused |= members
        except (ValueError, TypeError, RuntimeError, NotImplementedError):
            refused |= members
    return refused
