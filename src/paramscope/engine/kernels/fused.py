"""The same reductions by the GPU kernels, which never write one sample's activations to memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from paramscope.engine.capture import Pair
from paramscope.engine.kernels.operands import Positions
from paramscope.engine.reduction import Reduction


class FusedTiles:
    """Reduces the rows of one map after another; see ``PlainTiles`` for the methods.

    Attributes:
        height: most rows at once; the result of the kernels is as large as the weight, so all of them.
    """

    def __init__(self, plan: Reduction, rows: int) -> None:
        """Prepare for maps of one size.

        Args:
            plan: how samples are put together.
            rows: of a map.
        """
        self._plan = plan
        self.height = rows

    def begin(self, matrix: torch.Tensor, pairs: Sequence[Pair]) -> None:
        """See ``PlainTiles.begin``."""
        self._matrix, self._positions = matrix, Positions.of(pairs)
        rows = self._plan.paired_rows
        self._paired = self._positions if rows is None else self._positions.take(rows)

    def reduce(self, part: slice, sampled: slice, gram: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See ``PlainTiles.reduce``."""
        from paramscope.engine.kernels import triton_tiles

        if self._plan.pairs:
            triton_tiles.add_pair_products(gram, self._matrix, self._paired, part)
        mean = triton_tiles.mean_tile(self._matrix, self._positions, self._plan.mean_classes, part)
        return mean, triton_tiles.mean_tile(self._matrix, self._positions, self._plan.deleted_classes, sampled)
