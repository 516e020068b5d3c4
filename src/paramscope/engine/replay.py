"""The model run from one block on, for several variants of the same texts at once.

The model's own forward runs, so that masks, positions and all that stands between two blocks are its own; the blocks
before the first changed one are not computed but give back what they gave the first time.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from paramscope.engine.batches import MicroBatch
from paramscope.engine.objectives import Reading
from paramscope.engine.schedule import head_at, map_tensors, mappings_in, run_block, tensors_in
from paramscope.models.blocks import Block
from paramscope.models.products import Product, ProductWatch
from paramscope.models.running import Forward, accepts, output_head, replaced_forwards
from paramscope.models.weights import LinearWeight

_NUDGE = 1e-8


@dataclass(frozen=True)
class SingleCut:
    """One weight, as zeroed in one variant.

    Attributes:
        weight: the module's.
        row: its output feature, of the whole stack.
        column: its input feature.
    """

    weight: LinearWeight
    row: int
    column: int

    @property
    def place(self) -> int:
        """In the flattened stack."""
        return self.row * self.weight.columns + self.column


class Replay:
    """One micro-batch, run once and kept.

    Attributes:
        logits: ``[B, K, V]`` of the unchanged model, at the positions of the micro-batch.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[Block], readings: Sequence[Reading]) -> None:
        """Run the texts once.

        Args:
            model: in evaluation mode (see ``evaluation_mode``).
            blocks: of the model.
            readings: of the texts.
        """
        self._model, self._blocks = model, blocks
        self._readings = tuple(readings)
        self._head = output_head(model)
        self._takes_positions = accepts(model, "position_ids")
        self._device = next(model.parameters()).device
        self._kept: list[tuple[Any, list[dict[Any, Any]]]] = []
        self._plain: dict[int, bool] = {}
        tokens = len(self._readings) * MicroBatch(self._readings, 0).length

        def look(product: Product, output: torch.Tensor) -> torch.Tensor:
            rows = product.per_map(output)
            plain = not product.stacked and not product.turned and product.count == 1 and rows.shape[1] == tokens
            self._plain[id(product.parameter)] = plain and self._plain.get(id(product.parameter), True)
            return output

        def record(number: int, original: Forward, *args: Any, **kwargs: Any) -> Any:
            with ProductWatch([weight.parameter for weight in blocks[number].weights], look):
                outputs, written = run_block(original, (args, kwargs))
            # What follows may change them in place.
            self._kept.append(map_tensors((outputs, written), torch.clone))
            return outputs

        self.logits = self._run(record, 1)

    def takes_variants(self, weight: LinearWeight) -> bool:
        """Whether many variants of a weight can go through the model together: it sees every token, and once."""
        return weight.stack == 1 and self._plain.get(id(weight.parameter), False)

    def from_block(self, first: int) -> torch.Tensor:
        """Run the model as it is now; the weights of the blocks before ``first`` are those of the first run.

        Args:
            first: number of the first block that is computed.

        Returns:
            Logits ``[B, K, V]``.
        """
        return self._run(functools.partial(self._again, first, 1, None), 1)

    def without(self, layer: int, cuts: Sequence[SingleCut], *, nudged: bool = False) -> torch.Tensor:
        """Logits without single weights of a block, a variant for each.

        A weight w from input x to output y adds w x to y at every token, so without it y is less by that, and only what
        follows is computed again.

        Args:
            layer: number of the block.
            cuts: of its weights, for all of which ``takes_variants`` is true.
            nudged: two further variants, at the end, in which the outputs of the block's weights (those for which
                ``takes_variants`` is true) are a little larger, and as much smaller. Their changes cancel, but for the
                noise of rounding.

        Returns:
            ``[(variants) * B, K, V]``, variant after variant.
        """
        variants, axes = len(cuts) + 2 * nudged, self._batch_axes
        places: dict[int, list[tuple[int, SingleCut]]] = {
            id(weight.parameter): [] for weight in self._blocks[layer].weights
        }
        for number, cut in enumerate(cuts):
            places[id(cut.weight.parameter)].append((number, cut))

        def change(product: Product, output: torch.Tensor) -> torch.Tensor:
            here = places[id(product.parameter)]
            moved = nudged and self._plain.get(id(product.parameter), False)
            if not here and not moved:
                return output
            changed = output.clone()
            flat = product.per_map(changed)[0]
            rows = flat.view(variants, -1, flat.shape[-1])
            given = product.per_map(product.inputs)[0].view(variants, rows.shape[1], -1)
            for number, cut in here:
                value = cut.weight.matrices[0, cut.row, cut.column]
                rows[number, :, cut.row] -= value * given[number, :, cut.column]
            if moved:
                # Larger than a float32's rounding of what a model in float64 may hold in float32, as norms do.
                by = max(2 * torch.finfo(rows.dtype).eps, _NUDGE)
                rows[-2] *= 1 + by
                rows[-1] *= 1 - by
            return changed

        def block(number: int, original: Forward, *args: Any, **kwargs: Any) -> Any:
            if number != layer:
                return self._again(layer, variants, axes, number, original, *args, **kwargs)
            with ProductWatch([weight.parameter for weight in self._blocks[layer].weights], change):
                return original(*args, **kwargs)

        return self._run(block, variants)

    def with_gradients(self, layer: int, watch: AbstractContextManager[object]) -> torch.Tensor:
        """Run the model as it is now from one block on, with a graph.

        Args:
            layer: number of the first block that is computed.
            watch: entered around that block's run, to capture what goes through it.

        Returns:
            Logits ``[B, K, V]``, to go backward from.
        """

        def block(number: int, original: Forward, *args: Any, **kwargs: Any) -> Any:
            if number != layer:
                return self._again(layer, 1, None, number, original, *args, **kwargs)
            with watch:
                return original(*args, **kwargs)

        return self._run(block, 1, graph=True)

    def _again(
        self,
        first: int,
        variants: int,
        axes: Sequence[Sequence[int | None]] | None,
        number: int,
        original: Forward,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """One block in a later run; ``axes`` of its outputs repeat for the variants."""
        if number >= first:
            return original(*args, **kwargs)
        along = iter(axes[number]) if axes else itertools.repeat(None)
        outputs, written = map_tensors(self._kept[number], lambda tensor: _repeated(tensor, variants, next(along)))
        for mapping, values in zip(mappings_in([list(args), *kwargs.values()]), written, strict=True):
            mapping.update(values)
        return outputs

    @functools.cached_property
    def _batch_axes(self) -> list[list[int | None]]:
        """By block, the axis of each kept tensor that grows with the number of texts, wherever the model has it."""
        found: list[list[int | None]] = []

        def look(number: int, original: Forward, *args: Any, **kwargs: Any) -> Any:
            outputs, written = run_block(original, (args, kwargs))
            pairs = zip(tensors_in(self._kept[number]), tensors_in((outputs, written)), strict=True)
            found.append(
                [
                    next(
                        (i for i, (few, many) in enumerate(zip(one.shape, two.shape, strict=True)) if few != many), None
                    )
                    for one, two in pairs
                ]
            )
            return outputs

        self._run(look, 2)
        return found

    def _run(self, block: Callable[..., Any], variants: int, *, graph: bool = False) -> torch.Tensor:
        """Run the model with another forward of its blocks: ``block(number, original, *args, **kwargs)``."""
        batch = MicroBatch(self._readings * variants, 0)
        positions = batch.positions(self._device)
        modules = [each.module for each in self._blocks]
        with (
            torch.set_grad_enabled(graph),
            replaced_forwards(modules, lambda number, original: functools.partial(block, number, original)),
            head_at(self._head, lambda: positions),
        ):
            inputs = batch.model_inputs(self._device, takes_positions=self._takes_positions)
            logits: torch.Tensor = self._model(**inputs).logits
        if self._head is None:
            logits = logits[torch.arange(len(logits), device=self._device)[:, None], positions]
        return logits


def _repeated(tensor: torch.Tensor, variants: int, axis: int | None) -> torch.Tensor:
    """A tensor of one variant for several; a copy, which the model may change in place."""
    if axis is None:
        return tensor.clone()
    return tensor.repeat(*(variants if place == axis else 1 for place in range(tensor.dim())))
