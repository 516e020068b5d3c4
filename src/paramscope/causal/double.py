"""A model in float64 throughout."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from paramscope.engine.estimate import memory_free
from paramscope.models.open import OpenModel


class InDouble(TorchFunctionMode):
    """Within it, whatever asks for float32 gets float64.

    Many models convert to float32 for norms, softmax and rotary angles, whatever type their weights have: then even a
    model in float64 rounds its hidden state to float32's 24 bits in every block, and a weight that changes it by less
    changes nothing.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function with float64 for float32."""
        kwargs = {name: _wider(value) for name, value in (kwargs or {}).items()}
        if getattr(func, "__name__", "") == "float":
            func = torch.Tensor.double
        return func(*(_wider(value) for value in args), **kwargs)


def _wider(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def in_double(model: nn.Module) -> nn.Module:
    """A copy of a model in float64; run it within ``InDouble``."""
    return copy.deepcopy(model).double()


def fits_in_double(opened: OpenModel) -> bool:
    """Whether the model can be copied in float64, which must take no more than half of the memory that is free."""
    # A forward put in the place of a module's own may be bound to this very model; a copy would run it.
    if any("forward" in vars(module) for module in opened.model.modules()):
        return False
    needed = 8 * sum(p.numel() for p in opened.model.parameters())
    free = memory_free(opened.device)
    return free is not None and needed < free / 2
