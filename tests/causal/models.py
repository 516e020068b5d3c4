"""Small models whose answers to an intervention are known."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

WIDTH = 12
TOKENS = 24


class Linear(nn.Module):
    """A block that is linear in each of its weights: two maps, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(WIDTH, WIDTH, bias=False)
        self.two = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(hidden))


class Saturated(nn.Module):
    """A block whose units are all but saturated, so that a gradient sees little of what zeroing a weight does."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.down(torch.tanh(6 * self.up(hidden)))


class Model(nn.Module):
    """Embedding, blocks and a head."""

    def __init__(self, blocks: Sequence[nn.Module], *, seed: int = 0, std: float = 0.4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(WIDTH, TOKENS, bias=False)
        self.double()
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=std, generator=generator)
        nn.init.normal_(self.embedding.weight, std=1.0, generator=generator)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embedding

    def get_output_embeddings(self) -> nn.Linear:
        return self.head

    def forward(self, input_ids: torch.Tensor) -> Any:
        hidden = self.embedding(input_ids)
        for block in self.blocks:
            hidden = block(hidden)
        return SimpleNamespace(logits=self.head(hidden))


UNITS = 16
"""Hidden units that each specialist has for a domain of its own."""


class Specialists(nn.Module):
    """An MLP of which each third of the units passes for the tokens of one domain only."""

    def __init__(self, domains: int) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, UNITS * domains, bias=False)
        self.down = nn.Linear(UNITS * domains, WIDTH, bias=False)
        self.mark = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + self.down(torch.relu(self.up(hidden)))


def specialist_model(domains: int, *, layers: int = 3, seed: int = 0) -> Model:
    """A model that knows what follows each token; what it knows of a domain's tokens lies in units of their own.

    Token t of domain d is followed by ``t + 1`` within the domain. The hidden state's first features mark the domain,
    the others the token's place in it.
    """
    each = TOKENS // domains
    model = Model([Specialists(domains) for _ in range(layers)], seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        codes = nn.functional.normalize(torch.randn(each, WIDTH - domains, generator=generator).double(), dim=1)
        for token in range(TOKENS):
            domain, place = divmod(token, each)
            model.embedding.weight[token] = 0
            model.embedding.weight[token, domain] = 2.0
            model.embedding.weight[token, domains:] = codes[place]
        for block in model.blocks:
            block.mark.weight.mul_(0.01)
            block.up.weight.zero_()
            block.down.weight.normal_(std=0.1, generator=generator)
            for domain in range(domains):
                units = slice(domain * UNITS, (domain + 1) * UNITS)
                # Open for the own mark, shut for every other one.
                block.up.weight[units, :domains] = -2.0
                block.up.weight[units, domain] = 1.0
                block.up.weight[units, domains:] = 0.7 * torch.randn(
                    UNITS, WIDTH - domains, generator=generator, dtype=torch.float64
                )
        # The head is fitted to what the blocks make of each token, so that the model needs them.
        hidden = model.embedding.weight
        for block in model.blocks:
            hidden = hidden + torch.relu(hidden @ block.up.weight.T) @ block.down.weight.T
        following = [(t // each) * each + (t % each + 1) % each for t in range(TOKENS)]
        wanted = torch.eye(TOKENS, dtype=torch.float64)[following] * 12
        model.head.weight.copy_(torch.linalg.lstsq(hidden, wanted).solution.T)
    return model


def domain_texts(domain: int, domains: int, count: int, *, length: int = 8, seed: int = 0) -> list[list[int]]:
    """Walks along the tokens of a domain, each token followed by the next or, now and then, by another."""
    each = TOKENS // domains
    generator = torch.Generator().manual_seed(1000 * seed + domain)
    texts = []
    for _ in range(count):
        place = int(torch.randint(each, (1,), generator=generator))
        text = []
        for _ in range(length):
            text.append(domain * each + place)
            jump = int(torch.randint(4, (1,), generator=generator)) == 0
            place = int(torch.randint(each, (1,), generator=generator)) if jump else (place + 1) % each
        texts.append(text)
    return texts
