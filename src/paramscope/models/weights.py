"""The linear weights of a block, however the model keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from paramscope.errors import UsageError


@dataclass(frozen=True)
class LinearWeight:
    """One linear map of a block, or a stack of maps that one parameter holds (the experts of a layer).

    Attributes:
        name: inside the block, such as ``self_attn.q_proj`` or ``mlp.experts.down_proj``.
        owner: the module that holds the parameter.
        attribute: the parameter's name there.
        transposed: whether it is kept as ``[in, out]``, as in transformers' ``Conv1D``.
    """

    name: str
    owner: nn.Module
    attribute: str = "weight"
    transposed: bool = False

    @property
    def kind(self) -> str:
        """The class of the module that holds it."""
        return type(self.owner).__name__

    @property
    def parameter(self) -> nn.Parameter:
        """The weight as the module holds it, ``[out, in]`` or ``[E, out, in]``, the last two perhaps transposed."""
        return cast(nn.Parameter, getattr(self.owner, self.attribute))

    @property
    def stack(self) -> int:
        """E, the number of maps; 1 for a plain one."""
        return self.parameter.shape[0] if self.parameter.dim() == 3 else 1

    @property
    def rows(self) -> int:
        """Output features of all maps together."""
        return self.stack * self.parameter.shape[-1 if self.transposed else -2]

    @property
    def columns(self) -> int:
        """Input features."""
        return self.parameter.shape[-2 if self.transposed else -1]

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.parameter.numel()

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.parameter.dtype

    @property
    def matrices(self) -> torch.Tensor:
        """The weight as a view ``[E, out, in]``."""
        return self.as_matrices(self.parameter.detach())

    def as_matrices(self, tensor: torch.Tensor) -> torch.Tensor:
        """What is laid out like the parameter, such as its gradient, as a view ``[E, out, in]``."""
        stacked = tensor if tensor.dim() == 3 else tensor[None]
        return stacked.mT if self.transposed else stacked


def refuse_not_finite(named: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        named: weights by name.

    Raises:
        UsageError: names the tensor.
    """
    for name, tensor in named:
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise UsageError(f"weight {name} has {bad} values that are NaN or infinite; mend or replace the model file")
