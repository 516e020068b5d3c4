"""Micro-batches: samples of like length together, padded behind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from paramscope.engine.objectives import Reading

HEAD_ROWS = 16
"""The head sees a multiple of so many rows. A BLAS may add up a product of one to three rows without blocking: over a
vocabulary of 49 thousand a gradient is then wrong by 2e-4 at the head and by 1e-3 some layers before it."""


@dataclass(frozen=True)
class MicroBatch:
    """Samples that go through the model together.

    Attributes:
        readings: what the objective needs of each.
        start: place of the first one in the engine's order.
        padding: side that short samples are padded on. Behind them, no mask is needed: a causal model's real positions
            never see what follows, and the gradient there is zero.
    """

    readings: tuple[Reading, ...]
    start: int
    padding: Literal["right", "left"] = "right"

    def halves(self) -> list[MicroBatch]:
        """The same samples in two micro-batches, or itself where there is one sample."""
        middle = len(self.readings) // 2
        if not middle:
            return [self]
        first, second = self.readings[:middle], self.readings[middle:]
        return [MicroBatch(first, self.start, self.padding), MicroBatch(second, self.start + middle, self.padding)]

    @property
    def length(self) -> int:
        """Tokens of the longest sample."""
        return max(len(reading.input_ids) for reading in self.readings)

    def _offset(self, reading: Reading) -> int:
        return self.length - len(reading.input_ids) if self.padding == "left" else 0

    def model_inputs(self, device: torch.device, *, takes_positions: bool) -> dict[str, torch.Tensor]:
        """Keyword arguments for the model's forward.

        Args:
            device: of the model.
            takes_positions: whether it accepts ``position_ids`` (needed for padding in front only).

        Returns:
            ``input_ids`` ``[B, T]``; with padding in front also mask and positions.
        """
        ids = torch.zeros(len(self.readings), self.length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, reading in enumerate(self.readings):
            start = self._offset(reading)
            ids[row, start : start + len(reading.input_ids)] = torch.tensor(reading.input_ids)
            mask[row, start : start + len(reading.input_ids)] = 1
        inputs = {"input_ids": ids}
        if self.padding == "left":
            inputs["attention_mask"] = mask
            if takes_positions:
                inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        return {name: value.to(device) for name, value in inputs.items()}

    def positions(self, device: torch.device) -> torch.Tensor:
        """Where the logits are read, ``[B, K]``; shorter rows repeat their last position."""
        step = HEAD_ROWS // math.gcd(HEAD_ROWS, len(self.readings))
        width = step * math.ceil(max(len(reading.positions) for reading in self.readings) / step)
        rows = [
            [self._offset(r) + p for p in (*r.positions, *[r.positions[-1]] * (width - len(r.positions)))]
            for r in self.readings
        ]
        return torch.tensor(rows, device=device)


def plan_batches(
    readings: Sequence[Reading],
    domains: Sequence[int],
    *,
    batch_size: int | None,
    tokens: int,
    logit_rows: int,
) -> tuple[list[MicroBatch], list[int]]:
    """Sort the samples by domain and length and cut them into micro-batches.

    Samples of a domain stay next to each other, so that a tile's mean over a domain reads neighbouring memory; a
    micro-batch may reach over the border of two domains.

    Args:
        readings: of all samples.
        domains: number of each sample's domain.
        batch_size: samples a micro-batch; None cuts by the two limits below.
        tokens: most tokens, padding included, in a micro-batch of several samples.
        logit_rows: most positions whose logits a micro-batch of several samples reads.

    Returns:
        The micro-batches, and the engine's order as indices into ``readings``.
    """
    order = sorted(range(len(readings)), key=lambda i: (domains[i], len(readings[i].input_ids), i))
    batches: list[MicroBatch] = []
    held: list[Reading] = []
    for place, index in enumerate(order):
        reading = readings[index]
        if held:
            size = len(held) + 1
            longest = max(len(r.input_ids) for r in (*held, reading))
            widest = max(len(r.positions) for r in (*held, reading))
            full = len(held) == batch_size if batch_size else size * longest > tokens or size * widest > logit_rows
            if full:
                batches.append(MicroBatch(tuple(held), place - len(held)))
                held = []
        held.append(reading)
    batches.append(MicroBatch(tuple(held), len(order) - len(held)))
    return batches, order
