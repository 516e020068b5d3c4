"""Reduce one layer's captures to its result, tile by tile of each weight's rows.

A tile holds the activations ``|W * (d^T a)|`` of all samples for a few rows of a weight. It is made, read by every
reduction while it is in the cache, and overwritten by the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from paramscope.engine.capture import Pair
from paramscope.measures.histogram import BINS
from paramscope.measures.intervals import GROUPS, jackknife_stride, sample_groups
from paramscope.models.weights import LinearWeight
from paramscope.result.layer import LayerResult, ModuleResult

TILE_BYTES = 16 << 20
"""Size of a tile; it should stay in the last-level cache."""

_GRAM_ROWS = 48
"""Samples in a strip of the Gram matrix: only the strips up to the diagonal are computed."""


@dataclass(frozen=True)
class Reduction:
    """How samples are put together; the same for every layer.

    Attributes:
        order: the engine's order as indices into the samples (domains one after the other in both).
        sizes: samples per domain.
        thresholds: counted exactly.
        dtype: of the products and sums, at least float32.
        device: of the tiles.
        tile_bytes: see ``TILE_BYTES``.
    """

    order: Sequence[int]
    sizes: Sequence[int]
    thresholds: Sequence[float]
    dtype: torch.dtype
    device: torch.device
    tile_bytes: int = TILE_BYTES

    @property
    def samples(self) -> int:
        """N."""
        return len(self.order)

    @functools.cached_property
    def mean_rows(self) -> torch.Tensor:
        """``[D, N]``: times a tile ``[N, ...]`` it gives each domain's mean."""
        rows = np.zeros((len(self.sizes), self.samples))
        start = 0
        for domain, size in enumerate(self.sizes):
            rows[domain, start : start + size] = 1 / size
            start += size
        return self._in_engine_order(rows)

    @functools.cached_property
    def deleted_rows(self) -> torch.Tensor:
        """``[D * G, N]``: each domain's mean without one group; zero for a group without samples."""
        rows = np.zeros((len(self.sizes), GROUPS, self.samples))
        start = 0
        for domain, size in enumerate(self.sizes):
            groups = sample_groups(size)
            for group in range(groups.max() + 1 if size > 1 else 0):
                kept = groups != group
                rows[domain, group, start : start + size] = kept / kept.sum()
            start += size
        return self._in_engine_order(rows.reshape(-1, self.samples))

    def _in_engine_order(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows[:, list(self.order)]).to(self.device, self.dtype)

    def in_sample_order(self, gram: torch.Tensor) -> np.ndarray:
        """A Gram matrix in the engine's order, put into the samples' order."""
        result = np.empty(gram.shape)
        result[np.ix_(self.order, self.order)] = gram.cpu().numpy()
        return result


def activation_tile(pairs: Sequence[Pair], weight: torch.Tensor, rows: slice, out: torch.Tensor) -> None:
    """Activations of all samples for some rows of a weight.

    A(s, w) = |w dD/dw| with dD/dW = sum over positions of d a^T (Wang et al. 2024, equation 3, for a linear map).

    Args:
        pairs: per micro-batch the input ``[B, T, in]`` and output gradient ``[B, T, out]``; T is 0 where the module was
            not reached.
        weight: ``[out, in]``.
        rows: of the weight.
        out: ``[N, rows, in]``, overwritten; of the type of the products.
    """
    start = 0
    for inputs, gradients in pairs:
        count = len(inputs)
        part = gradients[:, :, rows].transpose(1, 2).to(out.dtype)
        torch.bmm(part, inputs.to(out.dtype), out=out[start : start + count])
        start += count
    out.mul_(weight[rows].to(out.dtype)).abs_()


class _ModuleSums:
    """What accumulates over the tiles of one module."""

    def __init__(self, weight: LinearWeight, plan: Reduction) -> None:
        rows, columns = weight.rows, weight.columns
        domains = len(plan.sizes)

        def zeros(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
            return torch.zeros(shape, dtype=dtype, device=plan.device)

        self.row_sums = zeros(domains, rows)
        self.column_sums = zeros(domains, columns)
        self.squares = zeros(domains)
        self.largest = zeros(domains)
        self.zeros = zeros(domains, dtype=torch.int64)
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
        zeros = (flat == 0).sum(1)
        self.zeros += zeros
        for place, threshold in enumerate(thresholds):
            self.above[:, place] += (flat > threshold).sum(1)
        self.histogram += _histograms(flat, zeros)

    def add_deleted(self, means: torch.Tensor) -> None:
        """Add means ``[D * G, weights]`` without one group of samples, on the sampled rows."""
        self.deleted += _histograms(means, (means == 0).sum(1))
        self.deleted_weights += means.shape[1]

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
            largest=self.largest.cpu().numpy(),
            above=self.above.cpu().numpy(),
            histogram=self.histogram.cpu().numpy(),
            deleted=self.deleted.view(-1, GROUPS, BINS).cpu().numpy(),
            deleted_weights=self.deleted_weights,
            row_sums=self.row_sums.to(dtype).cpu().numpy(),
            column_sums=self.column_sums.to(dtype).cpu().numpy(),
        )


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
) -> LayerResult:
    """Reduce a layer.

    Args:
        layer: its number.
        weights: its linear weights.
        captured: by weight name and map of its stack, one pair a micro-batch, in the engine's order.
        plan: how samples are put together.
        scores: filled with the mean activations ``[D, rows, columns]`` by module name when given.

    Returns:
        The layer's result.
    """
    mean_rows, deleted_rows = plan.mean_rows, plan.deleted_rows
    gram = torch.zeros(plan.samples, plan.samples, dtype=torch.float64, device=plan.device)
    modules = []
    for weight in weights:
        columns, height = weight.columns, weight.rows // weight.stack
        limit = max(8, plan.tile_bytes // (plan.samples * columns * plan.dtype.itemsize))
        buffer = torch.empty(plan.samples * min(height, limit) * columns, dtype=plan.dtype, device=plan.device)
        sums = _ModuleSums(weight, plan)
        stride = jackknife_stride(weight.rows)
        if scores is not None:
            scores[weight.name] = torch.empty(len(plan.sizes), weight.rows, columns, dtype=plan.dtype)
        for place, (matrix, pairs) in enumerate(zip(weight.matrices, captured[weight.name], strict=True)):
            for start in range(0, height, limit):
                part = slice(start, min(start + limit, height))
                tile = buffer[: plan.samples * (part.stop - start) * columns].view(plan.samples, -1, columns)
                activation_tile(pairs, matrix, part, tile)
                flat = tile.flatten(1)
                _add_gram(gram, flat)
                mean = (mean_rows @ flat).view(-1, part.stop - start, columns)
                # Its rows in the whole stack, map after map.
                whole = slice(place * height + part.start, place * height + part.stop)
                sums.add_mean(mean, whole, plan.thresholds)
                if scores is not None:
                    scores[weight.name][:, whole] = mean.cpu()
                sampled = tile[:, -whole.start % stride :: stride].reshape(plan.samples, -1)
                if sampled.shape[1]:
                    sums.add_deleted(deleted_rows @ sampled)
        modules.append(sums.result(weight, plan.dtype))
    gram = torch.tril(gram) + torch.tril(gram, -1).T
    return LayerResult(layer, plan.in_sample_order(gram), tuple(modules))


def _add_gram(gram: torch.Tensor, flat: torch.Tensor) -> None:
    """Add ``flat @ flat.T``, the lower strips only."""
    for start in range(0, len(flat), _GRAM_ROWS):
        stop = min(start + _GRAM_ROWS, len(flat))
        gram[start:stop, :stop] += flat[start:stop] @ flat[:stop].T
