"""The pass that prunes, block by block with the model's own forward; each block sees what the pruned ones before give.

Wanda's order (Sun et al. 2024): all weights of a block are scored on its inputs, pruned together, and the block is run
again, so that the next one's inputs are those it will have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from paramscope.actions.pruning import masks, scores
from paramscope.actions.pruning.masks import Pattern
from paramscope.actions.pruning.sparsity import spread_over_rows
from paramscope.actions.pruning.store import MaskStore, apply_masks
from paramscope.causal.selection import score_layers
from paramscope.domains import Sample
from paramscope.engine.batches import MicroBatch
from paramscope.engine.layout import TOKENS_PER_BATCH
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.engine.schedule import LayerMajor
from paramscope.errors import UsageError
from paramscope.models.blocks import Block, Structure, shared_weight
from paramscope.models.open import OpenModel
from paramscope.models.running import evaluation_mode

Progress = Callable[[str, int, int], object]
"""Told of a stage, steps more that are done in it, and steps that it has."""

OBJECTIVE = "max-logit"
"""D of the activation |w dD/dw|: the paper's."""

Visit = Callable[[int, Sequence[Callable[[], object]]], object]


@dataclass(frozen=True)
class Wanted:
    """What is to become zero.

    Attributes:
        score: one of ``scores.SCORES``.
        zeros: by layer and module, how many; of no account where there is a pattern.
        pattern: n:m, or None for any place.
    """

    score: str
    zeros: Sequence[Sequence[int]]
    pattern: Pattern | None = None


def even_batches(samples: Sequence[Sample], tokens: int = TOKENS_PER_BATCH) -> list[MicroBatch]:
    """Micro-batches without padding: samples of one length go together, so that norms see real tokens only.

    Args:
        samples: for calibration.
        tokens: most of a micro-batch of several samples.

    Returns:
        The micro-batches.
    """
    lengths: dict[int, list[Reading]] = {}
    for sample in samples:
        reading = Reading(sample.token_ids, (len(sample.token_ids) - 1,))
        lengths.setdefault(len(sample.token_ids), []).append(reading)
    batches: list[MicroBatch] = []
    start = 0
    for length, readings in sorted(lengths.items()):
        size = max(1, tokens // length)
        for first in range(0, len(readings), size):
            batch = MicroBatch(tuple(readings[first : first + size]), start)
            batches.append(batch)
            start += len(batch.readings)
    return batches


def refuse_shared(blocks: Sequence[Block]) -> None:
    """Refuse a model of which two blocks share a weight: it cannot have two sparsities.

    Args:
        blocks: of the model.

    Raises:
        UsageError: names the weight.
    """
    shared = shared_weight(blocks)
    if shared:
        before, name = shared
        raise UsageError(f"{name} is the same weight as {before}; a model whose blocks share weights is not pruned")


def refuse_rescaling(model: nn.Module, blocks: Sequence[Block]) -> None:
    """Refuse a model whose forward divides its own weights (RWKV, from some depth on): what is saved would be those.

    Args:
        model: the model.
        blocks: its blocks.

    Raises:
        UsageError: it does.
    """
    every = getattr(getattr(model, "config", None), "rescale_every", 0)
    if every and len(blocks) > every:
        raise UsageError(
            f"{type(model).__name__} rescales its own weights as it runs (rescale_every {every}); set rescale_every "
            "to 0 in its config.json first"
        )


def walk(opened: OpenModel, blocks: Sequence[Block], batches: Sequence[MicroBatch], visit: Visit) -> None:
    """Run all samples through the blocks, block by block, see ``LayerMajor.walk``.

    Args:
        opened: the model.
        blocks: its blocks.
        batches: the samples.
        visit: called at every block, whose weights are in memory then.
    """

    def call(batch: MicroBatch) -> Callable[[], torch.Tensor]:
        def forward() -> torch.Tensor:
            logits: torch.Tensor = opened.model(**batch.model_inputs(opened.device, takes_positions=False)).logits
            return logits

        return forward

    with (
        evaluation_mode(opened.model),
        LayerMajor(
            [block.module for block in blocks],
            [call(batch) for batch in batches],
            lambda *_: contextlib.nullcontext(),
            hold=opened.weights.hold if opened.weights else lambda *_: None,
        ) as schedule,
    ):
        schedule.walk(visit)


def outlier_shares(
    opened: OpenModel, blocks: Sequence[Block], batches: Sequence[MicroBatch], factor: float, progress: Progress
) -> list[float]:
    """Share of outliers among each layer's Wanda scores in the dense model, for OWL.

    Args:
        opened: the model.
        blocks: its blocks.
        batches: the calibration samples.
        factor: M.
        progress: told after each block.

    Returns:
        By layer.
    """
    found: list[float] = []

    def visit(layer: int, runs: Sequence[Callable[[], object]]) -> None:
        norms = scores.input_norms(blocks[layer].weights, runs)
        found.append(scores.outlier_share(blocks[layer].weights, norms, factor))
        progress("outliers", 1, len(blocks))

    walk(opened, blocks, batches, visit)
    return found


def prune_blocks(
    opened: OpenModel,
    structure: Structure,
    batches: Sequence[MicroBatch],
    wanted: Wanted,
    store: MaskStore | None,
    progress: Progress,
) -> list[dict[str, int]]:
    """Set the least needed weights of every block to zero.

    Args:
        opened: the model. Weights in memory are pruned; of those on the disk, the masks are kept.
        structure: of the model.
        batches: the calibration samples; none are needed for magnitude.
        wanted: what is to become zero.
        store: keeps finished blocks; a block that is there is not scored again.
        progress: told after each block.

    Returns:
        By layer, the maps of a stack that no calibration token reached, by weight name.
    """
    work = _Pruning(opened, structure, wanted, store, progress, [{} for _ in structure.blocks])
    if wanted.score == "wanda":
        walk(opened, structure.blocks, batches, work.visit)
    elif wanted.score == "activation":
        work.by_activation([reading for batch in batches for reading in batch.readings])
    else:
        work.by_magnitude()
    return work.unreached


@dataclass(frozen=True)
class _Pruning:
    """See ``prune_blocks``."""

    opened: OpenModel
    structure: Structure
    wanted: Wanted
    store: MaskStore | None
    progress: Progress
    unreached: list[dict[str, int]]

    def visit(self, layer: int, runs: Sequence[Callable[[], object]]) -> None:
        """Prune a block on its inputs."""
        if not self._kept(layer):
            weights = self.structure.blocks[layer].weights
            norms = scores.input_norms(weights, runs)
            self._prune(layer, [scores.wanda(weight, norms[weight.name]) for weight in weights], norms)

    def by_magnitude(self) -> None:
        """Prune all blocks without texts."""
        for layer, block in enumerate(self.structure.blocks):
            self._hold(layer)
            if not self._kept(layer):
                self._prune(layer, [scores.magnitude(weight) for weight in block.weights], {})

    def by_activation(self, readings: Sequence[Reading]) -> None:
        """Masks by the activations of the dense model, from the last layer to the first.

        A layer is pruned when it has been run backward, which nothing before it depends on. Layers that a former call
        has finished stay dense until the pass is over.
        """
        layers = len(self.structure.blocks)
        rest = layers - (self.store.finished_layers if self.store else 0)
        if rest:
            for found in score_layers(self.opened, self.structure, OBJECTIVES[OBJECTIVE], [readings]):
                if found.layer < rest:
                    weights = self.structure.blocks[found.layer].weights
                    means = {w.name: found.means[w.name][0].to(self.opened.device).view(w.stack, -1) for w in weights}
                    values = [scores.activation(weight, means[weight.name]) for weight in weights]
                    self._prune(found.layer, values, means)
        for layer in range(rest, layers):
            self._hold(layer)
            self._kept(layer)

    def _hold(self, layer: int) -> None:
        if self.opened.weights:
            self.opened.weights.hold(layer, layer + 1)

    def _kept(self, layer: int) -> bool:
        """Whether a former call has finished a block; then it is pruned as it was."""
        weights = self.structure.blocks[layer].weights
        there = self.store.load(layer, weights) if self.store else None
        if there is None:
            return False
        made, self.unreached[layer] = there
        apply_masks(weights, made)
        self.progress("pruning", 1, len(self.structure.blocks))
        return True

    def _prune(self, layer: int, values: Sequence[torch.Tensor], basis: dict[str, torch.Tensor]) -> None:
        """Prune a block whose weights have these scores, which were made of norms or activations."""
        weights = self.structure.blocks[layer].weights
        made = {
            weight.name: _mask(score, self.wanted, layer, place)
            for place, (weight, score) in enumerate(zip(weights, values, strict=True))
        }
        missed = {w.name: scores.unreached(basis[w.name]) for w in weights if w.stack > 1 and w.name in basis}
        self.unreached[layer] = {name: count for name, count in missed.items() if count}
        if self.store:
            self.store.save(layer, made, self.unreached[layer])
        apply_masks(weights, made)
        self.progress("pruning", 1, len(self.structure.blocks))


def _mask(score: torch.Tensor, wanted: Wanted, layer: int, place: int) -> torch.Tensor:
    """The mask ``[E, out, in]`` of a weight by its scores of the same shape."""
    rows = score.reshape(-1, score.shape[-1])
    if wanted.pattern:
        return masks.lowest_of_groups(rows, wanted.pattern).view(score.shape)
    zeros = int(wanted.zeros[layer][place])
    if scores.GROUPS[wanted.score] == "module":
        return masks.lowest(rows, zeros).view(score.shape)
    return masks.lowest_of_rows(rows, spread_over_rows(zeros, len(rows))).view(score.shape)
