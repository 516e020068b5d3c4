"""Sets of weights, chosen by what a profile says of them: the largest by a criterion within a band of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from paramscope.causal.zeroing import Cut
from paramscope.engine.forward import layer_major_pass
from paramscope.engine.layout import usual_batches
from paramscope.engine.objectives import Objective, Reading
from paramscope.engine.reduce import reduce_layer
from paramscope.engine.reduction import Reduction
from paramscope.errors import RunError
from paramscope.models.blocks import Block, Structure
from paramscope.models.open import OpenModel

OWN_CRITERIA = ("activation", "input-norm", "difference", "ratio", "lowest")
"""Criteria that are asked for each domain: its mean activation; |w| times the norm of the weight's input over its texts
(Wanda); its activation less the mean of the others'; the ratio of the two, among the upper half by its activation; and
its smallest activations."""

MAGNITUDE, RANDOM = "magnitude", "random"
"""|w|, the same for all domains; and random weights, as many of each module as the set by ``activation`` has."""

_SHIFT = 40
"""Bits of a code that are a weight's place in its module; above them is the module's number."""


@dataclass(frozen=True)
class LayerScores:
    """What is known of a layer's weights.

    Attributes:
        layer: its number.
        means: by module, ``[D, rows, columns]``: mean activation over each domain's texts.
        norms: by module, ``[D, E, columns]``: norm of each input feature over each domain's tokens.
    """

    layer: int
    means: dict[str, torch.Tensor]
    norms: dict[str, torch.Tensor]


def score_layers(
    opened: OpenModel, structure: Structure, objective: Objective, readings: Sequence[Sequence[Reading]]
) -> Iterator[LayerScores]:
    """Mean activations and input norms of every weight, a layer at a time, from the last to the first.

    Args:
        opened: the model.
        structure: of the model.
        objective: D.
        readings: of the texts of each domain.

    Yields:
        The scores; the next layer's take their place in memory.
    """
    blocks = structure.blocks
    owner = [place for place, given in enumerate(readings) for _ in given]
    batches, order = usual_batches(opened.model, structure, [reading for given in readings for reading in given], owner)
    plan = Reduction(
        order=order,
        sizes=[len(given) for given in readings],
        thresholds=(),
        dtype=torch.promote_types(opened.dtype, torch.float32),
        device=opened.device,
        paired=[],
    )
    with layer_major_pass(opened.model, blocks, batches, objective, weights=opened.weights) as run:
        for _ in run.forward(len(blocks)):
            pass
        run.head()
        for layer in range(len(blocks) - 1, -1, -1):
            captured = run.backward(layer)
            norms = {}
            for weight in blocks[layer].weights:
                squares = torch.zeros(len(readings), weight.stack, weight.columns, device=opened.device)
                for place, pairs in enumerate(captured[weight.name]):
                    for batch, (inputs, _) in zip(batches, pairs, strict=True):
                        for row, reading in enumerate(batch.readings):
                            used = inputs[row]
                            if len(batch.readings) > 1:
                                # Behind a sample's own tokens lies padding, in each use that the model makes of them.
                                used = used.view(-1, batch.length, weight.columns)[:, : len(reading.input_ids)]
                                used = used.flatten(0, 1)
                            squares[owner[order[batch.start + row]], place] += used.float().square().sum(0)
                norms[weight.name] = squares.sqrt_().cpu()
            means: dict[str, torch.Tensor] = {}
            reduce_layer(layer, blocks[layer].weights, captured, plan, means)
            yield LayerScores(layer, means, norms)


class _Largest:
    """The ``count`` largest values of all that it is given, with their codes; equal ones by chance, not by place."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._values = torch.empty(0)
        self._codes = torch.empty(0, dtype=torch.int64)
        self._least = -torch.inf
        self._sorted = False

    def add(self, values: torch.Tensor, first: int) -> None:
        """Add values ``[n]`` whose codes count up from ``first``; minus infinity is never among the largest."""
        chosen = ((values >= self._least) & (values > -torch.inf)).nonzero()[:, 0]
        self._values = torch.cat([self._values, values[chosen]])
        self._codes = torch.cat([self._codes, chosen + first])
        self._sorted = False
        if len(self._values) > 2 * self._count:
            self._prune()

    def _prune(self) -> None:
        if len(self._values) > self._count:
            self._least = float(self._values.topk(self._count, sorted=False).values.min())
            above, ties = self._values > self._least, (self._values == self._least).nonzero()[:, 0]
            lot = _lot(self._codes[ties])
            drawn = ties[lot.topk(self._count - int(above.sum()), sorted=False).indices]
            kept = torch.cat([above.nonzero()[:, 0], drawn])
            self._values, self._codes = self._values[kept], self._codes[kept]

    def all(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and codes, in no order."""
        self._prune()
        return self._values, self._codes

    def best(self) -> torch.Tensor:
        """The codes, the largest value's first; equal values by their lot."""
        if not self._sorted:
            self._prune()
            places = _lot(self._codes).sort(descending=True).indices
            places = places[self._values[places].sort(descending=True, stable=True).indices]
            self._values, self._codes, self._sorted = self._values[places], self._codes[places], True
        return self._codes


def _lot(codes: torch.Tensor) -> torch.Tensor:
    """A number for each code, spread as if by chance and the same in every run (the finaliser of splitmix64).

    By its place alone, a weight would be chosen before all others of its value for the layer that it is in; where
    most values are alike, as in experts that no text reached, the whole set would come from one layer.
    """
    mixed = codes.clone()
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        mixed ^= (mixed >> shift) & ((1 << (64 - shift)) - 1)
        mixed *= factor
    return mixed ^ ((mixed >> 31) & ((1 << 33) - 1))


def _values(
    criterion: str, own: torch.Tensor, others: torch.Tensor, sizes: torch.Tensor, norms: torch.Tensor
) -> torch.Tensor:
    """What a criterion looks for the largest of, see ``OWN_CRITERIA``.

    Args:
        criterion: one of them.
        own: mean activation over the domain's texts, ``[rows, columns]``.
        others: the mean of that over the other domains.
        sizes: |w|, ``[E, out, in]``.
        norms: of the inputs, ``[E, in]``.
    """
    if criterion == "input-norm":
        return sizes * norms[:, None, :]
    if criterion == "difference":
        return own - others
    if criterion == "ratio":
        # The sum less one of its parts may come out a little below zero.
        ratio = own / others.clamp(min=torch.finfo(torch.float32).tiny)
        return torch.where(own > _median(own), ratio, -torch.inf)
    return -own if criterion == "lowest" else own


def _median(values: torch.Tensor) -> torch.Tensor:
    """About the median: of 65,536 values and more, in even steps, where there are so many."""
    flat = values.flatten()
    return flat[:: max(1, len(flat) >> 16)].median()


@dataclass
class Selection:
    """Sets of weights of all bands.

    Attributes:
        bands: layers by name.
        shares: of a band's weights, how many a set has; several sizes.
        domains: how many.
        criteria: asked for each domain; ``activation`` always is.
    """

    blocks: Sequence[Block]
    bands: dict[str, list[int]]
    shares: Sequence[float]
    domains: int
    criteria: Sequence[str] = OWN_CRITERIA
    _found: dict[tuple[str, str, int], _Largest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._modules = [(layer, weight) for layer, block in enumerate(self.blocks) for weight in block.weights]
        self._numbers = {(layer, weight.name): number for number, (layer, weight) in enumerate(self._modules)}
        self._band = {layer: name for name, layers in self.bands.items() for layer in layers}
        for band in self.bands:
            largest = self.size(band, max(self.shares))
            for domain in range(self.domains):
                for criterion in {"activation", *self.criteria}:
                    self._found[band, criterion, domain] = _Largest(largest)
            self._found[band, MAGNITUDE, 0] = _Largest(largest)

    def size(self, band: str, share: float) -> int:
        """Weights of a set, at least one."""
        return _size(self.blocks, self.bands[band], share)

    def add(self, scores: LayerScores) -> None:
        """Look at a layer's weights.

        Args:
            scores: of the layer.

        Raises:
            RunError: its activations are no numbers.
        """
        band = self._band.get(scores.layer)
        if band is None:
            return
        for weight in self.blocks[scores.layer].weights:
            first = self._numbers[scores.layer, weight.name] << _SHIFT
            sizes = weight.matrices.detach().float().abs().cpu()
            self._found[band, MAGNITUDE, 0].add(sizes.flatten(), first)
            means = scores.means[weight.name].float()
            if not bool(means.isfinite().all()):
                raise RunError(
                    f"activations of {weight.name} in layer {scores.layer} are no numbers, so that no set can be "
                    "chosen by them; profile the model again in --dtype float32, and verify that run"
                )
            total = means.sum(0)
            for domain, own in enumerate(means):
                others = (total - own) / max(self.domains - 1, 1)
                norms = scores.norms[weight.name][domain]
                for criterion in {"activation", *self.criteria}:
                    values = _values(criterion, own, others, sizes, norms)
                    self._found[band, criterion, domain].add(values.flatten(), first)

    def chosen(self, band: str, criterion: str, domain: int, share: float) -> NDArray[np.int64]:
        """Codes of a set's weights; those of a smaller share are the first ones of a larger."""
        best = self._found[band, criterion, domain].best()
        codes: NDArray[np.int64] = best[: self.size(band, share)].numpy()
        return codes

    def largest(self, count: int) -> list[tuple[int, str, Cut]]:
        """The single weights with the largest activations of the domains, which take turns; bands are put together.

        Args:
            count: at most.

        Returns:
            Layer, name and cut of each.
        """
        orders = []
        for domain in range(self.domains):
            several = [self._found[band, "activation", domain] for band in self.bands]
            values, codes = (torch.cat(parts) for parts in zip(*(each.all() for each in several), strict=True))
            orders.append(codes[values.topk(min(count, len(values))).indices].tolist())
        turns = [code for turn in zip(*orders, strict=True) for code in turn]
        found = []
        for code in list(dict.fromkeys(turns))[:count]:
            layer, weight = self._modules[code >> _SHIFT]
            place = code & ((1 << _SHIFT) - 1)
            row, column = divmod(place, weight.columns)
            cut = Cut.at(weight, torch.tensor([place]))
            found.append((layer, f"{weight.name} [{row}, {column}]", cut))
        return found

    def random(self, like: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Random weights, as many of each module as a set has."""
        numbers, counts = np.unique(like >> _SHIFT, return_counts=True)
        parts = [
            (number << _SHIFT) + rng.choice(self._modules[number][1].size, count, replace=False, shuffle=False)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
        codes: NDArray[np.int64] = np.concatenate(parts)
        return codes

    def cuts(self, codes: NDArray[np.int64]) -> list[Cut]:
        """The weights of a set, by module."""
        codes = np.sort(codes)
        numbers, starts = np.unique(codes >> _SHIFT, return_index=True)
        places = np.split(codes & ((1 << _SHIFT) - 1), starts[1:])
        return [
            Cut.at(self._modules[number][1], torch.from_numpy(part))
            for number, part in zip(numbers.tolist(), places, strict=True)
        ]


def _size(blocks: Sequence[Block], layers: Sequence[int], share: float) -> int:
    return max(1, round(share * sum(blocks[layer].parameters for layer in layers)))


def selection_memory(
    blocks: Sequence[Block], bands: dict[str, list[int]], shares: Sequence[float], domains: int, criteria: int
) -> int:
    """Bytes that a ``Selection`` takes at most.

    Args:
        blocks: of the model.
        bands: layers by name.
        shares: of a band's weights.
        domains: how many.
        criteria: how many are asked for each domain.

    Returns:
        The bytes: twice the largest set of each, a float32 and an int64 a weight.
    """
    weights = sum(_size(blocks, layers, max(shares)) for layers in bands.values())
    return 2 * 12 * weights * (domains * criteria + 1)
