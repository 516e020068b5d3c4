"""Small models of one's own, with blocks that are wired in unusual ways."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

VOCABULARY = 31
WIDTH = 12


class Block(nn.Module):
    """Causal averaging of the positions and an MLP, with a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        counts = torch.arange(1, hidden.shape[1] + 1, dtype=hidden.dtype)[:, None]
        hidden = hidden + self.mix(hidden).cumsum(1) / counts
        return hidden + self.down(torch.tanh(self.up(hidden)))


class Model(nn.Module):
    """Embedding, blocks and a head; ``wire`` says how the blocks are run."""

    def __init__(
        self,
        blocks: list[nn.Module],
        wire: Callable[[nn.ModuleList, torch.Tensor], torch.Tensor] | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.wire: Any = wire or one_after_the_other
        generator = torch.Generator().manual_seed(seed)
        self.double()
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3, generator=generator)

    def forward(self, input_ids: torch.Tensor) -> Any:
        hidden = self.wire(self.blocks, self.embedding(input_ids))
        return SimpleNamespace(logits=self.head(hidden))


def one_after_the_other(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
    """As in most models."""
    for block in blocks:
        hidden = block(hidden)
    return hidden


class Changed(Block):
    """A block whose forward is given."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)

    def plain(self, hidden: torch.Tensor) -> torch.Tensor:
        """What a plain block does."""
        return super().forward(hidden)
