"""Which weights of a block write to the hidden state, and how many attention heads lie side by side in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from paramscope.models.weights import LinearWeight


@dataclass(frozen=True)
class Writers:
    """The weights of a block that write to the hidden state.

    Attributes:
        attention: whose input is the attention heads side by side; None where there is none such.
        heads: of it.
        mlp: whose input is the MLP's neurons; None where there is none such.
    """

    attention: LinearWeight | None
    heads: int
    mlp: LinearWeight | None


def writers_of(model: nn.Module, uses: Sequence[tuple[LinearWeight, torch.Tensor]]) -> Writers:
    """Tell the writers of a block from the inputs that its weights had in one short run.

    A writer makes as many features as the hidden state has, of an input that no other weight reads. Of these the first
    whose input splits into the attention heads of the configuration belongs to them, the last other one to the MLP.

    Args:
        model: a causal language model.
        uses: of the block's weights, in the order of the run. Their inputs must all be in memory still, or another's
            may lie in the same place.

    Returns:
        The writers.
    """
    config: Any = getattr(model, "config", None)
    config = getattr(config, "text_config", None) or config
    heads = int(getattr(config, "num_attention_heads", 0) or 0)
    head_size = getattr(config, "head_dim", None)
    hidden = getattr(config, "hidden_size", None)
    readers = Counter(inputs.data_ptr() for _, inputs in uses)
    alone = [w for w, inputs in uses if readers[inputs.data_ptr()] == 1 and w.rows // w.stack == hidden]
    width = heads * head_size if head_size else None
    attention = next((w for w in alone if heads and (w.columns == width or not width) and not w.columns % heads), None)
    rest = [w for w in alone if w is not attention]
    return Writers(attention, heads if attention else 0, rest[-1] if rest else None)
