"""What the model loses on held-out texts when weights are gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from paramscope.causal.zeroing import Cut, zeroed
from paramscope.engine.layout import usual_batches
from paramscope.engine.objectives import Reading
from paramscope.engine.replay import Replay
from paramscope.models.blocks import Block, Structure


class HeldOut:
    """Texts of all domains, and the negative log-likelihood per token of each on the unchanged model.

    Attributes:
        owner: ``[N]``, number of each text's domain.
        losses: ``[N]``, nats per token.
    """

    def __init__(self, model: nn.Module, structure: Structure, readings: Mapping[str, Sequence[Reading]]) -> None:
        """Run the texts once.

        Args:
            model: in evaluation mode (see ``evaluation_mode``).
            structure: of the model.
            readings: of the texts by domain, for the objective ``mean-logprob``.
        """
        everything = [reading for given in readings.values() for reading in given]
        self.owner = np.repeat(np.arange(len(readings)), [len(given) for given in readings.values()])
        batches, order = usual_batches(model, structure, everything, self.owner.tolist())
        self._place = np.argsort(order)
        self._batches = batches
        self._replays = [Replay(model, structure.blocks, batch.readings) for batch in batches]
        self.losses = self._told([replay.logits for replay in self._replays])

    def damage(self, cuts: Sequence[Cut], first: int) -> NDArray[np.float64]:
        """What zeroing some weights adds to the losses.

        Args:
            cuts: the weights.
            first: number of the first block that has any of them.

        Returns:
            ``[N]``, nats per token; infinite where the model's answer is no number any more.
        """
        with zeroed(cuts):
            losses = self._told([replay.from_block(first) for replay in self._replays])
        return np.where(np.isfinite(losses), losses - self.losses, np.inf)

    def table(self, damage: NDArray[np.float64], domains: Sequence[str], **columns: Any) -> pd.DataFrame:
        """A damage as a table, a row a text.

        Args:
            damage: from ``damage``.
            domains: names.
            columns: before domain, sample and damage; the same in all rows, or ``[N]``.

        Returns:
            The table.
        """
        names = np.asarray(domains, dtype=object)[self.owner]
        numbers = np.concatenate([np.arange(count) for count in np.bincount(self.owner)])
        return pd.DataFrame(columns | {"domain": names, "sample": numbers, "damage": damage})

    def _told(self, logits: Sequence[torch.Tensor]) -> NDArray[np.float64]:
        values = [
            _losses(one[: len(reading.labels)], reading.labels)
            for given, batch in zip(logits, self._batches, strict=True)
            for one, reading in zip(given, batch.readings, strict=True)
        ]
        found: NDArray[np.float64] = np.array(values)[self._place]
        return found


def _losses(logits: torch.Tensor, labels: Sequence[int]) -> float:
    """Mean negative log-likelihood of labels ``[K]`` under logits ``[K, V]``.

    In float32, which is far finer than any damage of interest; over a large vocabulary float64 takes as long as the
    model.
    """
    target = torch.tensor(labels, device=logits.device)
    return float(functional.cross_entropy(logits.float(), target))


def first_block(blocks: Sequence[Block], cuts: Sequence[Cut]) -> int:
    """Number of the first block that has a weight of the cuts; the number of blocks where there is none."""
    touched = {id(cut.weight.parameter) for cut in cuts}
    for number, block in enumerate(blocks):
        if any(id(weight.parameter) in touched for weight in block.weights):
            return number
    return len(blocks)
