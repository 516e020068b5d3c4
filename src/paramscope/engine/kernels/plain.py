"""The tile of all samples' activations in memory, made with plain PyTorch: on CPUs, and where the kernels do not apply.

A tile is made, read by every reduction while it is in the cache, and overwritten by the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from paramscope.engine.capture import Pair
from paramscope.engine.reduction import Reduction
from paramscope.measures.intervals import GROUPS

_LEAST_ROWS = 48
"""Rows that a tile should have: with fewer, a sample's product is too small to be fast."""


_FEW_BYTES, _MEAN_BYTES = 512 << 10, 8 << 20
"""Means of a tile that take less than the first are read off together, up to the second: each reading has a cost of its
own. Larger ones are read while they are in the cache."""


class PlainTiles:
    """Reduces the rows of one map after another.

    Attributes:
        height: most rows at once.
    """

    def __init__(self, plan: Reduction, rows: int, columns: int) -> None:
        """Prepare for maps of one size.

        Args:
            plan: how samples are put together.
            rows: of a map.
            columns: of a map.
        """
        self._plan = plan
        row_bytes = plan.samples * columns * plan.dtype.itemsize
        fitting = min(_LEAST_ROWS, plan.largest_tile // row_bytes)
        self._step = min(rows, max(8, fitting, plan.tile_bytes // row_bytes))
        mean_bytes = self._step * len(plan.sizes) * columns * plan.dtype.itemsize
        together = _MEAN_BYTES // mean_bytes if mean_bytes < _FEW_BYTES else 1
        self.height = min(rows, self._step * together)

    def begin(self, matrix: torch.Tensor, pairs: Sequence[Pair]) -> None:
        """Go to another map.

        Args:
            matrix: ``[rows, columns]``.
            pairs: its captures, one pair a micro-batch.
        """
        self._matrix, self._pairs = matrix, [_read_once(pair, self._plan.dtype) for pair in pairs]

    def reduce(self, part: slice, sampled: slice, gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Reduce some rows.

        Args:
            part: the rows, without a step.
            sampled: the rows among them (counted from the first of the map) of the means without one group.
            gram: of the paired samples, float64; added to on and below the diagonal.

        Returns:
            Domains' means ``[D, rows, columns]``, and means without one group ``[D * G, sampled, columns]``.
        """
        plan, columns = self._plan, self._matrix.shape[1]
        means = self._matrix.new_empty((len(plan.sizes), part.stop - part.start, columns), dtype=plan.dtype)
        deleted = []
        for start in range(part.start, part.stop, self._step):
            rows = slice(start, min(start + self._step, part.stop))
            tile = plan.tile(rows.stop - rows.start, columns)
            gradient_tile(self._pairs, rows, tile)
            flat = tile.abs_().flatten(1)
            size = self._matrix[rows].to(plan.dtype).abs()
            # |w| is taken out of the means, which are fewer than the samples.
            place = slice(start - part.start, rows.stop - part.start)
            first = (sampled.start - rows.start) % sampled.step
            chosen = tile[:, first :: sampled.step]
            without = chosen.new_empty(len(plan.sizes), GROUPS, *chosen.shape[1:])
            for domain, span in enumerate(plan.spans):
                # Adding up reads the tile several times as fast as a product with so few rows of shares does.
                torch.sum(tile[span], 0, out=means[domain, place]).div_(plan.sizes[domain])
                torch.mm(plan.deleted_shares[domain], chosen[span].flatten(1), out=without[domain].flatten(1))
            means[:, place] *= size
            deleted.append(without.mul_(size[first :: sampled.step]).flatten(0, 1))
            if plan.pairs:
                tile.mul_(size)
                _add_gram(gram, flat if plan.paired_rows is None else flat[plan.paired_rows])
        return means, torch.cat(deleted, 1)


def _read_once(pair: Pair, dtype: torch.dtype) -> Pair:
    """A capture in the type of the products, without positions that have no gradient in any sample.

    In the last block these are all that the objective does not read.
    """
    inputs, gradients = pair
    # Only there is the first one without, so that one look tells.
    if gradients.shape[1] > 1 and not gradients[:, 0].any():
        used = (gradients != 0).any(-1).any(0)
        inputs, gradients = inputs[:, used], gradients[:, used]
    return inputs.to(dtype), gradients.to(dtype)


def gradient_tile(pairs: Sequence[Pair], rows: slice, out: torch.Tensor) -> None:
    """Gradients of all samples' objectives by some rows of a weight: the sum over positions of d a^T.

    Times the weight, and absolute, they are the activations (Wang et al. 2024, equation 3, for a linear map).

    Args:
        pairs: per micro-batch the input ``[B, T, in]`` and output gradient ``[B, T, out]``; T is 0 where the module was
            not reached.
        rows: of the weight.
        out: ``[N, rows, in]``, overwritten; of the type of the products.
    """
    start = 0
    for inputs, gradients in pairs:
        count = len(inputs)
        part = gradients[:, :, rows].transpose(1, 2).to(out.dtype)
        torch.bmm(part, inputs.to(out.dtype), out=out[start : start + count])
        start += count


def _add_gram(gram: torch.Tensor, flat: torch.Tensor) -> None:
    """Add ``flat @ flat.T``, the lower strips only."""
    height = max(16, len(flat) // 3)
    for start in range(0, len(flat), height):
        stop = min(start + height, len(flat))
        gram[start:stop, :stop] += flat[start:stop] @ flat[:stop].T
