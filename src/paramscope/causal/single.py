"""Single weights: the first-order estimate beside the true change when the weight is zeroed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from paramscope.causal.zeroing import Cut, zeroed
from paramscope.engine.batches import MicroBatch
from paramscope.engine.forward import layer_major_pass
from paramscope.engine.integrated import integrated_pass
from paramscope.engine.kernels.plain import gradient_tile
from paramscope.engine.layout import TOKENS_PER_BATCH
from paramscope.engine.objectives import Objective, Reading
from paramscope.engine.replay import Replay, SingleCut
from paramscope.models.blocks import Block
from paramscope.models.running import evaluation_mode
from paramscope.models.weights import LinearWeight

STRATUM_OCTAVES = 4
"""Width of a stratum: weights whose activations lie within a factor of 16, counted from the module's largest."""

STRATA = 6
"""The last one has all that is smaller, but for exact zeros."""

_COLUMNS = (
    *("domain", "sample", "layer", "module", "row", "column", "stratum", "share"),
    *("estimate", "integrated", "change", "change_free", "noise"),
)
"""Of the table, also where it has no rows."""


@dataclass(frozen=True)
class Drawn:
    """One weight, drawn for one text.

    Attributes:
        layer: that it is in.
        cut: the weight.
        stratum: 0 for the largest activations of its module.
        share: how many weights it stands for.
        estimate: of the change of D when it is zeroed: minus w dD/dw. Its size is the activation.
        integrated: the same with dD/dw averaged along the path on which the block's weights go to zero; NaN where that
            was not asked for.
    """

    layer: int
    cut: SingleCut
    stratum: int
    share: float
    estimate: float
    integrated: float = math.nan


def check_singles(
    model: nn.Module,
    blocks: Sequence[Block],
    objective: Objective,
    texts: Sequence[tuple[str, int, Reading]],
    *,
    cells: int,
    seed: int,
    steps: int = 0,
    progress: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Draw weights and zero them, one at a time.

    Args:
        model: given back as it was.
        blocks: of the model.
        objective: D.
        texts: domain, number and reading of each text to try the weights on.
        cells: pairs of layer and module of which a weight is drawn, for each text.
        seed: of the draw.
        steps: of the path of the integrated activation; 0 leaves that out.
        progress: told how many weights more are done.

    Returns:
        A row a weight and text: domain, sample, layer, module, row, column, stratum, share, estimate, integrated,
        change (with the objective's token fixed), change_free (with the largest logit free to be another token's),
        noise (by how much two opposite changes of the block's outputs, too small to matter, failed to cancel in that
        forward).
    """
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for domain, number, reading in texts:
        drawn = draw_weights(model, blocks, objective, reading, cells, rng)
        if steps:
            drawn = integrate(model, blocks, objective, reading, drawn, steps)
        with evaluation_mode(model):
            trial = _Trial(model, blocks, objective, reading)
            for layer in sorted({one.layer for one in drawn}):
                here = [one for one in drawn if one.layer == layer]
                for one, change, free, noise in trial.changes(layer, here):
                    rows.append(
                        {
                            "domain": domain,
                            "sample": number,
                            "layer": layer,
                            "module": one.cut.weight.name,
                            "row": one.cut.row,
                            "column": one.cut.column,
                            "stratum": one.stratum,
                            "share": one.share,
                            "estimate": one.estimate,
                            "integrated": one.integrated,
                            "change": change,
                            "change_free": free,
                            "noise": noise,
                        }
                    )
                progress(len(here))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def draw_weights(
    model: nn.Module,
    blocks: Sequence[Block],
    objective: Objective,
    reading: Reading,
    cells: int,
    rng: np.random.Generator,
) -> list[Drawn]:
    """Draw weights for one text, each from a stratum of its module's activations.

    Layers take turns, so that each has as many cells as any other, give or take one. Within a cell a stratum is drawn
    at random among those that have weights, then a weight within it.

    Args:
        model: to be measured on the text.
        blocks: of the model.
        objective: D.
        reading: of the text.
        cells: see ``check_singles``.
        rng: of the draw.

    Returns:
        The weights; fewer than ``cells`` where modules have no weight with an activation.
    """
    chosen = _cells(blocks, cells, rng)
    found: list[Drawn] = []
    with layer_major_pass(model, blocks, [MicroBatch((reading,), 0)], objective) as run:
        for _ in run.forward(len(blocks)):
            pass
        run.head()
        for layer in range(len(blocks) - 1, -1, -1):
            captured = run.backward(layer)
            here = chosen.get(layer, [])
            for place in here:
                weight = blocks[layer].weights[place]
                maps = [pairs[0] for pairs in captured[weight.name]]
                drawn = _draw(layer, weight, _changes(weight, maps), rng)
                # A cell stands for the modules of its layer, and its layer for those that have none.
                standing = len(blocks[layer].weights) / len(here) * len(blocks) / len(chosen)
                found += [dataclasses.replace(one, share=one.share * standing) for one in drawn]
    return found


def integrate(
    model: nn.Module,
    blocks: Sequence[Block],
    objective: Objective,
    reading: Reading,
    drawn: Sequence[Drawn],
    steps: int,
) -> list[Drawn]:
    """Add the path-integrated estimates.

    Args:
        model: as for ``draw_weights``.
        blocks: of the model.
        objective: D.
        reading: of the text that the weights were drawn for.
        drawn: the weights.
        steps: of the path.

    Returns:
        The same weights, layer by layer.
    """
    found: list[Drawn] = []
    with integrated_pass(model, blocks, [MicroBatch((reading,), 0)], objective, steps) as run:
        for _ in run.forward(len(blocks)):
            pass
        for layer in sorted({one.layer for one in drawn}):
            captured = run.backward(layer)
            for one in drawn:
                if one.layer == layer:
                    weight = one.cut.weight
                    place, row = divmod(one.cut.row, weight.rows // weight.stack)
                    inputs, gradients = captured[weight.name][place][0]
                    gradient = float((inputs[0, :, one.cut.column].double() * gradients[0, :, row].double()).sum())
                    value = float(weight.matrices[place, row, one.cut.column])
                    found.append(dataclasses.replace(one, integrated=-value * gradient))
    return found


def _cells(blocks: Sequence[Block], cells: int, rng: np.random.Generator) -> dict[int, list[int]]:
    """Numbers of the modules drawn in each layer; layers without any are left out."""
    orders = [rng.permutation(len(block.weights)) for block in blocks]
    turns = [
        (turn, layer)
        for turn in range(max(len(order) for order in orders))
        for layer in rng.permutation(len(blocks)).tolist()
        if turn < len(orders[layer])
    ]
    chosen: dict[int, list[int]] = {}
    for turn, layer in turns[:cells]:
        chosen.setdefault(layer, []).append(int(orders[layer][turn]))
    return chosen


def _changes(weight: LinearWeight, maps: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """First-order changes ``[E, out, in]`` of D when each weight is zeroed: minus w dD/dw."""
    matrices = weight.matrices
    dtype = torch.promote_types(matrices.dtype, torch.float32)
    changes = matrices.to(dtype).neg()
    for place, pair in enumerate(maps):
        tile = torch.empty(1, *matrices.shape[1:], dtype=dtype, device=matrices.device)
        gradient_tile([pair], slice(None), tile)
        changes[place] *= tile[0]
    return changes


def _draw(layer: int, weight: LinearWeight, changes: torch.Tensor, rng: np.random.Generator) -> list[Drawn]:
    values = changes.flatten().cpu().numpy()
    sizes = np.abs(values)
    top = sizes.max(initial=0.0)
    if not top > 0:
        return []
    with np.errstate(divide="ignore"):  # in logarithms, since the quotient may be beyond float32
        below = np.floor((np.log2(top) - np.log2(sizes)) / STRATUM_OCTAVES)
    strata = np.where(sizes > 0, np.minimum(below, STRATA - 1), -1)
    there = [stratum for stratum in range(STRATA) if (strata == stratum).any()]
    stratum = int(rng.choice(there))
    members = np.flatnonzero(strata == stratum)
    place = int(rng.choice(members))
    row, column = divmod(place, weight.columns)
    share = float(len(members) * len(there))
    return [Drawn(layer, SingleCut(weight, row, column), stratum, share, float(values[place]))]


class _Trial:
    """One text, and what D becomes without single weights."""

    def __init__(self, model: nn.Module, blocks: Sequence[Block], objective: Objective, reading: Reading) -> None:
        self._objective, self._reading = objective, reading
        self._replay = Replay(model, blocks, [reading])
        value, token = objective.evaluate(self._replay.logits, [reading])
        self._value, self._token = value, token
        self._together = max(1, TOKENS_PER_BATCH // len(reading.input_ids))

    def changes(self, layer: int, drawn: Sequence[Drawn]) -> list[tuple[Drawn, float, float, float]]:
        """Each weight with the change of D, with that of the largest logit, and with the noise beside it."""
        found: list[tuple[Drawn, float, float, float]] = []
        noise = 0.0
        together = [one for one in drawn if self._replay.takes_variants(one.cut.weight)]
        for start in range(0, len(together), self._together):
            part = together[start : start + self._together]
            logits = self._replay.without(layer, [one.cut for one in part], nudged=not found)
            fixed, free = self._differences(logits)
            noise = noise if found else abs(fixed[-1] + fixed[-2])
            found += [(one, fixed[i], free[i], noise) for i, one in enumerate(part)]
        for one in drawn:
            if not self._replay.takes_variants(one.cut.weight):
                found.append((one, *self._alone(layer, one)))
        return found

    def _alone(self, layer: int, one: Drawn) -> tuple[float, float, float]:
        """A weight that variants cannot share a forward for, such as an expert's."""
        with zeroed([Cut.at(one.cut.weight, torch.tensor([one.cut.place]))]):
            fixed, free = self._differences(self._replay.from_block(layer))
        again, _ = self._differences(self._replay.without(layer, [], nudged=True))
        return fixed[0], free[0], abs(again[0] + again[1])

    def _differences(self, logits: torch.Tensor) -> tuple[list[float], list[float]]:
        free, _ = self._objective.evaluate(logits, [self._reading] * len(logits))
        fixed = self._objective.at(logits, [self._reading] * len(logits), self._token.expand(len(logits)))
        return (fixed - self._value).double().tolist(), (free - self._value).double().tolist()


def noise_floor(table: pd.DataFrame) -> float:
    """The activation below which a table of ``check_singles`` says nothing: ten times the largest noise in it."""
    largest = float(table["noise"].max()) if len(table) else math.nan
    return 10 * largest
