"""From micro-batches to the calls that the schedule runs: the model's forward and the objective on its logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.capture import Captured, Pair, capture, joined
from paramscope.engine.objectives import Objective
from paramscope.engine.schedule import LayerMajor, head_at
from paramscope.models.blocks import Block
from paramscope.models.running import accepts, evaluation_mode, output_head
from paramscope.models.streaming import StreamedWeights


@dataclass
class Pass:
    """A layer-major pass over some micro-batches.

    Attributes:
        schedule: runs the blocks.
        blocks: of the model.
        batches: in the engine's order.
        weights: of the blocks, where they stay on the disk.
        values: the objective of each sample, filled by ``head``.
        tokens: the token that the objective looks at, likewise.
    """

    schedule: LayerMajor
    blocks: Sequence[Block]
    batches: Sequence[MicroBatch]
    weights: StreamedWeights | None = None
    values: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    _at_hand: list[torch.Tensor] = field(default_factory=list)
    _records: dict[tuple[int, int], Captured] = field(default_factory=dict)

    def forward(self, stop: int) -> Iterator[int]:
        """See ``LayerMajor.forward``."""
        return self.schedule.forward(stop)

    def gradients(self) -> dict[str, torch.Tensor]:
        """See ``LayerMajor.gradients``."""
        return self.schedule.gradients()

    def restore_gradients(self, gradients: dict[str, torch.Tensor]) -> None:
        """See ``LayerMajor.restore_gradients``."""
        self.schedule.restore_gradients(gradients)

    def head(self) -> None:
        """Run the head and its backward for all micro-batches."""
        device = next(self.blocks[0].module.parameters()).device
        for place, batch in enumerate(self.batches):
            self._at_hand[:] = [batch.positions(device)]
            self.values += self.schedule.head(place).double().tolist()

    def backward(self, layer: int) -> dict[str, list[list[Pair]]]:
        """Run one block of all micro-batches backward.

        Args:
            layer: its number; from the last to the first.

        Returns:
            By weight name and map of its stack, one pair a micro-batch.
        """
        block = self.blocks[layer]
        if self.weights:
            self.weights.hold(layer, layer - 1)
        pairs: dict[str, list[list[Pair]]] = {
            weight.name: [[] for _ in range(weight.stack)] for weight in block.weights
        }
        for place, batch in enumerate(self.batches):
            samples = len(batch.readings)
            self.schedule.backward(layer, place)
            captured = self._records.pop((layer, place))
            for weight in block.weights:
                for maps, uses in zip(pairs[weight.name], captured[weight.name], strict=True):
                    maps.append(joined(uses, weight, samples))
        return pairs

    @contextmanager
    def watch(self, layer: int, place: int) -> Iterator[None]:
        """Record what goes through one block's weights in one run; complete after its backward."""
        batch = self.batches[place]
        with capture(self.blocks[layer].weights, len(batch.readings), batch.length) as self._records[layer, place]:
            yield


@contextmanager
def layer_major_pass(
    model: nn.Module,
    blocks: Sequence[Block],
    batches: Sequence[MicroBatch],
    objective: Objective,
    *,
    keep: int = 0,
    weights: StreamedWeights | None = None,
) -> Iterator[Pass]:
    """Set up a pass; on leaving, the model is as it was.

    Args:
        model: called with ``input_ids``, returns ``logits``.
        blocks: its blocks.
        batches: the micro-batches.
        objective: D.
        keep: how many of the last blocks keep the graph of their first run.
        weights: of the blocks, where they stay on the disk.

    Yields:
        The pass.
    """
    head = output_head(model)
    device = next(model.parameters()).device
    takes_positions = accepts(model, "position_ids")
    # A model that comes to its head too early is found out by the schedule; until then any positions do.
    at_hand = [batch.positions(device) for batch in batches[:1]]
    result: Pass

    def call(batch: MicroBatch) -> Callable[[], torch.Tensor]:
        def forward() -> torch.Tensor:
            inputs = batch.model_inputs(device, takes_positions=takes_positions)
            logits: torch.Tensor = model(**inputs).logits
            if head is None:
                logits = logits[torch.arange(len(logits), device=device)[:, None], at_hand[0]]
            values, tokens = objective.evaluate(logits, batch.readings)
            result.tokens += tokens.tolist()
            return values

        return forward

    with (
        evaluation_mode(model),
        head_at(head, lambda: at_hand[0]),
        LayerMajor(
            [block.module for block in blocks],
            [call(batch) for batch in batches],
            lambda layer, place: result.watch(layer, place),  # noqa: PLW0108 - there is no result yet
            keep=keep,
            hold=weights.hold if weights else lambda *_: None,
        ) as schedule,
    ):
        result = Pass(schedule, blocks, batches, weights, _at_hand=at_hand)
        yield result
