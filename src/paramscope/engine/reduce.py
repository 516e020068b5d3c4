"""Reduce one layer's captures to its result, tile by tile of each weight's rows.

A tile holds the activations ``|W * (d^T a)|`` of all samples for a few rows of a weight. It is made, read by every
reduction while it is in the cache, and overwritten by the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from paramscope.engine.capture import Pair
from paramscope.engine.distributed import Team
from paramscope.engine.kernels import choose_tiles
from paramscope.engine.reduction import Reduction
from paramscope.measures.histogram import BINS
from paramscope.measures.intervals import GROUPS, jackknife_stride
from paramscope.models.weights import LinearWeight
from paramscope.result.layer import LayerResult, ModuleResult


class ModuleSums:
    """What accumulates over the tiles of one module."""

    def __init__(self, rows: int, columns: int, plan: Reduction, dtype: torch.dtype) -> None:
        """Begin with zeros.

        Args:
            rows: of the module.
            columns: of the module.
            plan: how samples are put together.
            dtype: of the model.
        """
        kind = torch.finfo(dtype)
        self._smallest = kind.smallest_normal * kind.eps
        domains = len(plan.sizes)

        def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=plan.device)

        self.row_sums = zeros(domains, rows)
        self.column_sums = zeros(domains, columns)
        self.squares = zeros(domains)
        self.largest = zeros(domains)
        self.zeros = zeros(domains, dtype=torch.int64)
        self.underflows = zeros(domains, dtype=torch.int64)
        self.above = zeros(domains, len(plan.thresholds), dtype=torch.int64)
        self.histogram = zeros(domains, BINS, dtype=torch.int64)
        self.deleted = zeros(domains * GROUPS, BINS, dtype=torch.int64)
        self.deleted_weights = 0

    def add_mean(self, mean: torch.Tensor, rows: slice, thresholds: Sequence[float]) -> None:
        """Add a tile ``[D, rows, in]`` of the domains' mean activations."""
        self.row_sums[:, rows] = mean.sum(2).double()
        self.column_sums += mean.sum(1)
        flat = mean.flatten(1)
        self.squares += torch.linalg.vector_norm(flat, dim=1).double() ** 2
        self.largest = torch.maximum(self.largest, flat.amax(1).double())
        zeros = _counts(torch.eq, flat, 0)
        self.zeros += zeros
        if self._smallest > torch.finfo(mean.dtype).smallest_normal:
            self.underflows += _counts(torch.lt, flat, self._smallest) - zeros
        for place, threshold in enumerate(thresholds):
            self.above[:, place] += _counts(torch.gt, flat, threshold)
        self.histogram += _histograms(flat, zeros)

    def add_deleted(self, means: torch.Tensor) -> None:
        """Add means ``[D * G, weights]`` without one group of samples, on the sampled rows."""
        self.deleted += _histograms(means, _counts(torch.eq, means, 0))
        self.deleted_weights += means.shape[1]

    def combine(self, team: Team) -> None:
        """Put the shares of all processes together on the first one; bins that nobody has used are left out."""
        used = (self.histogram.sum(0) + self.deleted.sum(0)).nonzero()
        span = (int(used.min()), int(used.max()) + 1) if used.numel() else (BINS, 0)
        told = team.exchange((*span, self.deleted_weights))
        bins = slice(min(first for first, _, _ in told), max(end for _, end, _ in told))
        counts = [self.zeros, self.underflows, self.above, self.histogram[:, bins], self.deleted[:, bins]]
        # Rows of others are zero here, so that adding puts them side by side.
        team.add([self.row_sums, self.column_sums, self.squares, *counts])
        team.largest(self.largest)
        self.deleted_weights = sum(weights for _, _, weights in told)

    def result(self, weight: LinearWeight, dtype: torch.dtype) -> ModuleResult:
        """The module's numbers; row and column sums in the type of the products."""
        rows, columns = weight.rows, weight.columns
        return ModuleResult(
            name=weight.name,
            kind=weight.kind,
            rows=rows,
            columns=columns,
            total=self.row_sums.sum(1).cpu().numpy(),
            squares=self.squares.cpu().numpy(),
            zeros=self.zeros.cpu().numpy(),
            underflows=self.underflows.cpu().numpy(),
            largest=self.largest.cpu().numpy(),
            above=self.above.cpu().numpy(),
            histogram=self.histogram.cpu().numpy(),
            deleted=self.deleted.view(-1, GROUPS, BINS).cpu().numpy(),
            deleted_weights=self.deleted_weights,
            row_sums=self.row_sums.to(dtype).cpu().numpy(),
            column_sums=self.column_sums.to(dtype).cpu().numpy(),
        )


_EXACT = 1 << 24
"""Ones that add up exactly in float32."""


def _counts(compare: Callable[..., torch.Tensor], values: torch.Tensor, limit: float) -> torch.Tensor:
    """``[M]``: how many of each row of ``values`` ``[M, K]`` compare so with a limit.

    Ones and zeros of the values' own type are added up several times as fast as booleans.
    """
    if values.shape[1] > _EXACT:
        return compare(values, limit).sum(1)
    return compare(values, limit, out=torch.empty_like(values)).sum(1).long()


def _histograms(values: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
    """``[M, BINS]`` histograms of the rows of ``values`` ``[M, K]``, without their ``zeros`` ``[M]``.

    The bin is read off the bits, see ``measures.histogram.bin_index``.
    """
    if values.dtype == torch.float64:
        bins = ((values.view(torch.int64) >> 49) - ((1023 - 127) << 3)).clamp_(0, BINS - 1)
    else:
        bins = values.view(torch.int32) >> 20
    bins += (torch.arange(len(values), device=values.device, dtype=bins.dtype) * BINS)[:, None]
    counts = torch.bincount(bins.view(-1), minlength=len(values) * BINS).view(len(values), BINS)
    counts[:, 0] -= zeros
    return counts


def reduce_layer(
    layer: int,
    weights: Sequence[LinearWeight],
    captured: dict[str, list[list[Pair]]],
    plan: Reduction,
    scores: dict[str, torch.Tensor] | None = None,
    team: Team | None = None,
) -> LayerResult:
    """Reduce a layer.

    Args:
        layer: its number.
        weights: its linear weights.
        captured: by weight name and map of its stack, one pair a micro-batch of this process, in the engine's order.
        plan: how samples are put together.
        scores: filled with the mean activations ``[D, rows, columns]`` by module name when given. They are as large as
            the weights and cross no wire, so the first process then reduces all rows.
        team: the processes that measure together.

    Returns:
        The layer's result; of several processes, whole on the first one.
    """
    team = team or Team()
    gram = torch.zeros(plan.pairs, plan.pairs, dtype=torch.float64, device=plan.device)
    modules = []
    for weight in weights:
        shares = team.rows(weight.rows)
        if scores is not None:
            shares = [slice(0, weight.rows if rank == 0 else 0) for rank in range(team.size)]
        pieces = _pieces(captured[weight.name], weight, shares, team)
        sums = team.attempt(functools.partial(_reduce_pieces, weight, pieces, plan, gram, scores))
        sums.combine(team)
        modules.append(sums.result(weight, plan.dtype))
    team.add([gram])
    gram = torch.tril(gram) + torch.tril(gram, -1).T
    return LayerResult(layer, plan.in_sample_order(gram), tuple(modules))


class _Piece(NamedTuple):
    """Some rows of one map of a stack, with the captures of all samples for them.

    Attributes:
        place: of the map in the stack.
        rows: of the map.
        pairs: one a micro-batch; the output gradients are those of the rows.
    """

    place: int
    rows: slice
    pairs: list[Pair]


def _pieces(maps: list[list[Pair]], weight: LinearWeight, shares: Sequence[slice], team: Team) -> list[_Piece]:
    """What this process reduces of a weight; every process gets from the others what its rows need and no more.

    Args:
        maps: this process's captures by map, one pair a micro-batch.
        weight: a map or a stack.
        shares: rows of each process, of the whole stack, map after map.
        team: the processes that measure together.

    Returns:
        The pieces, with the micro-batches in the engine's order.
    """
    height = weight.rows // weight.stack

    def cuts(share: slice) -> list[tuple[int, slice]]:
        within = [
            (place, slice(max(share.start - place * height, 0), min(share.stop - place * height, height)))
            for place in range(weight.stack)
        ]
        return [(place, rows) for place, rows in within if rows.start < rows.stop]

    given = [
        [tensor for place, rows in cuts(share) for a, d in maps[place] for tensor in (a, d[:, :, rows])]
        for share in shares
    ]
    mine = cuts(shares[team.rank])
    pieces = [_Piece(place, rows, []) for place, rows in mine]
    for tensors in team.swap(given):
        pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
        each = len(pairs) // max(len(pieces), 1)
        for number, piece in enumerate(pieces):
            piece.pairs.extend(pairs[number * each : (number + 1) * each])
    return pieces


def _reduce_pieces(
    weight: LinearWeight,
    pieces: Sequence[_Piece],
    plan: Reduction,
    gram: torch.Tensor,
    scores: dict[str, torch.Tensor] | None,
) -> ModuleSums:
    """Reduce some rows of a weight.

    Args:
        weight: a map or a stack.
        pieces: the rows; maybe none.
        plan: how samples are put together.
        gram: added to.
        scores: see ``reduce_layer``.

    Returns:
        The sums.
    """
    sums = ModuleSums(weight.rows, weight.columns, plan, weight.dtype)
    if not pieces:
        return sums
    height, stride = weight.rows // weight.stack, jackknife_stride(weight.rows)
    tiles = choose_tiles(
        plan, max(piece.rows.stop - piece.rows.start for piece in pieces), weight.columns, weight.dtype
    )
    if scores is not None:
        scores[weight.name] = torch.empty(len(plan.sizes), weight.rows, weight.columns, dtype=plan.dtype)
    matrices = weight.matrices
    for place, rows, pairs in pieces:
        count = rows.stop - rows.start
        tiles.begin(matrices[place][rows], pairs)
        for start in range(0, count, tiles.height):
            part = slice(start, min(start + tiles.height, count))
            # Its rows in the whole stack, map after map; one in ``stride`` of those is sampled.
            before = place * height + rows.start
            whole = slice(before + part.start, before + part.stop)
            sampled = slice(part.start + -whole.start % stride, part.stop, stride)
            mean, deleted = tiles.reduce(part, sampled, gram)
            sums.add_mean(mean, whole, plan.thresholds)
            if scores is not None:
                scores[weight.name][:, whole] = mean.cpu()
            if deleted.numel():
                sums.add_deleted(deleted.flatten(1))
    return sums
