"""Path-integrated activation: gradients averaged while a block's weights go to zero together.

A(w) = |w * mean over the path of dD/dw|, with the linear weights of one block scaled by a from 1 to 0 (integrated
gradients, Sundararajan et al. 2017, equation 3, with weights in place of inputs). Signed and added up over the block,
the activations come to D(1) - D(0), but for the error of the steps: the completeness error, which is told.

The mean gradient of a sample is a sum over positions of d a^T, as the gradient itself is, only over the positions of
every step. So what this pass hands on has the form of the first-order one, and all that follows is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.capture import Captured, Pair, capture, joined
from paramscope.engine.objectives import Objective
from paramscope.engine.replay import Replay
from paramscope.models.blocks import Block
from paramscope.models.running import evaluation_mode
from paramscope.models.weights import LinearWeight


@dataclass
class IntegratedPass:
    """A pass over some micro-batches; to the caller like ``engine.forward.Pass``.

    Every block is run ``steps`` times with its weights scaled, and each time all that follows it, so the pass costs
    about ``steps * blocks / 2`` times a forward and backward.

    Attributes:
        model: in evaluation mode.
        blocks: of the model.
        batches: in the engine's order.
        objective: D, with the token that it looks at fixed to that of the unchanged model.
        steps: of the path, at the middles of equal parts of it.
        values: the objective of each sample, filled by ``head``.
        tokens: the token that the objective looks at, likewise.
        gaps: by layer, for ``completeness``; filled by ``backward``.
    """

    model: nn.Module
    blocks: Sequence[Block]
    batches: Sequence[MicroBatch]
    objective: Objective
    steps: int
    values: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    gaps: dict[int, tuple[float, float]] = field(default_factory=dict)
    _replays: list[Replay] = field(default_factory=list)
    _fixed: list[torch.Tensor] = field(default_factory=list)
    _values_of: list[torch.Tensor] = field(default_factory=list)

    def forward(self, stop: int) -> Iterator[int]:
        """Run all micro-batches once and keep what the blocks gave; yields the number of each block.

        Args:
            stop: number of blocks to tell of; the model runs whole.

        Yields:
            Numbers of blocks.
        """
        for batch in self.batches:
            replay = Replay(self.model, self.blocks, batch.readings)
            self._replays.append(replay)
            value, token = self.objective.evaluate(replay.logits, batch.readings)
            self._fixed.append(token)
            self._values_of.append(value.double())
        yield from range(stop)

    def head(self) -> None:
        """Tell the objective of each sample."""
        for value, token in zip(self._values_of, self._fixed, strict=True):
            self.values += value.tolist()
            self.tokens += token.tolist()

    def backward(self, layer: int) -> dict[str, list[list[Pair]]]:
        """The inputs and gradients of one block's weights, at all steps of the path.

        Args:
            layer: number of the block.

        Returns:
            By weight name and map of its stack, one pair a micro-batch, its positions step after step.
        """
        block = self.blocks[layer]
        pairs: dict[str, list[list[Pair]]] = {
            weight.name: [[] for _ in range(weight.stack)] for weight in block.weights
        }
        missed = change = 0.0
        for place, batch in enumerate(self.batches):
            captured: Captured = {weight.name: [[] for _ in range(weight.stack)] for weight in block.weights}
            for step in range(self.steps):
                with scaled(block.weights, (step + 0.5) / self.steps):
                    record = self._run(layer, place, batch)
                for name, maps in record.items():
                    for uses, found in zip(captured[name], maps, strict=True):
                        uses += [(inputs, gradients / self.steps) for inputs, gradients in found]
            joint = torch.zeros(len(batch.readings), dtype=torch.float64)
            for weight in block.weights:
                for number, uses in enumerate(captured[weight.name]):
                    pair = joined(uses, weight, len(batch.readings))
                    pairs[weight.name][number].append(pair)
                    joint += _along(pair, weight.matrices[number])
            with scaled(block.weights, 0.0):
                without = self._value(place, batch, self._replays[place].from_block(layer))
            true = self._values_of[place].cpu() - without.double().cpu()
            missed += float((joint - true).abs().sum())
            change += float(true.abs().sum())
        self.gaps[layer] = missed, change
        return pairs

    def _run(self, layer: int, place: int, batch: MicroBatch) -> Captured:
        """One forward from the block on, and its backward to the block."""
        records: list[Captured] = []

        @contextmanager
        def watch() -> Iterator[None]:
            with capture(self.blocks[layer].weights, len(batch.readings), batch.length) as record:
                records.append(record)
                yield

        logits = self._replays[place].with_gradients(layer, watch())
        torch.autograd.backward(self._value(place, batch, logits).sum())
        return records[0]

    def _value(self, place: int, batch: MicroBatch, logits: torch.Tensor) -> torch.Tensor:
        return self.objective.at(logits, batch.readings, self._fixed[place])

    def gradients(self) -> dict[str, torch.Tensor]:
        """Nothing: no layer needs what another one left."""
        return {}

    def restore_gradients(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Nothing, likewise."""


def completeness(missed: float, change: float) -> float:
    """The completeness error of a layer.

    Args:
        missed: by how much the signed activations of its weights, added up, missed the change of D when all of them are
            zero; added up over the samples.
        change: that change, likewise.

    Returns:
        The one as a share of the other.
    """
    return missed / change if change else float(missed > 0)


def _along(pair: Pair, matrix: torch.Tensor) -> torch.Tensor:
    """Sum over a map's weights of w times the sample's gradient, ``[B]``: that of d times W a."""
    inputs, gradients = (tensor.double() for tensor in pair)
    return ((inputs @ matrix.double().T) * gradients).sum((1, 2)).cpu()


@contextmanager
def scaled(weights: Sequence[LinearWeight], factor: float) -> Iterator[None]:
    """Within it the weights are smaller by a factor; afterwards each is as it was, bit for bit.

    Args:
        weights: of one block.
        factor: from 0 to 1.

    Yields:
        Nothing.
    """
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    try:
        for weight in weights:
            tensor = weight.parameter.detach()
            kept.append((tensor, tensor.clone()))
            tensor.mul_(factor)
        yield
    finally:
        for tensor, values in reversed(kept):
            tensor.copy_(values)


@contextmanager
def integrated_pass(
    model: nn.Module,
    blocks: Sequence[Block],
    batches: Sequence[MicroBatch],
    objective: Objective,
    steps: int,
) -> Iterator[IntegratedPass]:
    """Set up a pass; on leaving, the model is as it was.

    Args:
        model: called with ``input_ids``, returns ``logits``; its weights are in memory.
        blocks: its blocks.
        batches: the micro-batches.
        objective: D.
        steps: of the path.

    Yields:
        The pass.
    """
    with evaluation_mode(model):
        yield IntegratedPass(model, blocks, batches, objective, steps)
