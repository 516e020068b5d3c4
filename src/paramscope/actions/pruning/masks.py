"""Which weights become zero: exact numbers of the lowest scores, by row, by module, or in every group of m inputs.

A mask is True where a weight becomes zero. Equal scores are decided by lot, the same lot in every run: by place, the
first columns would lose more, and in half precision a magnitude is shared by thousands of weights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from paramscope.errors import UsageError
from paramscope.models.blocks import Block

_CHUNK = 1 << 22
"""Scores that are sorted at a time."""

PATTERNS = ("2:4", "4:8")
"""That hardware and kernels know."""


@dataclass(frozen=True)
class Pattern:
    """N:M sparsity: of every ``groups`` neighbouring inputs of a row, ``kept`` weights stay and the others are zero.

    Attributes:
        kept: n.
        groups: m.
    """

    kept: int
    groups: int

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read ``n:m``.

        Args:
            text: such as ``2:4``.

        Returns:
            The pattern.

        Raises:
            UsageError: it is none of ``PATTERNS``.
        """
        if text not in PATTERNS:
            raise UsageError(f"--pattern {text!r} is unknown; give {' or '.join(PATTERNS)}")
        kept, groups = re.split(":", text)
        return cls(int(kept), int(groups))

    def __str__(self) -> str:
        return f"{self.kept}:{self.groups}"

    @property
    def sparsity(self) -> float:
        """Share of the weights that become zero."""
        return 1 - self.kept / self.groups

    def check(self, blocks: Sequence[Block]) -> None:
        """Refuse a model that has a weight whose inputs cannot be cut into groups.

        Args:
            blocks: of the model.

        Raises:
            UsageError: names the module.
        """
        for block in blocks:
            for weight in block.weights:
                if weight.columns % self.groups:
                    raise UsageError(
                        f"--pattern {self}: {block.name}.{weight.name} has {weight.columns} inputs, which is no "
                        f"multiple of {self.groups}; give --sparsity {self.sparsity:g} instead"
                    )


def _lot(count: int) -> torch.Tensor:
    """The numbers below ``count`` in an order by chance, the same in every run."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(count))


def lowest_of_rows(scores: torch.Tensor, zeros: NDArray[np.int64]) -> torch.Tensor:
    """The lowest scores of each row.

    Args:
        scores: ``[R, C]``.
        zeros: ``[R]``, how many of each row.

    Returns:
        Mask ``[R, C]``.
    """
    rows, columns = scores.shape
    lot = _lot(columns).to(scores.device)
    counts = torch.from_numpy(zeros).to(scores.device)[:, None]
    places = torch.arange(columns, device=scores.device)
    mask = torch.zeros(rows, columns, dtype=torch.bool, device=scores.device)
    step = max(1, _CHUNK // columns)
    for start in range(0, rows, step):
        some = slice(start, start + step)
        order = lot[scores[some][:, lot].sort(dim=1, stable=True).indices]
        mask[some].scatter_(1, order, places < counts[some])
    return mask


def lowest(scores: torch.Tensor, zeros: int) -> torch.Tensor:
    """The lowest of all scores.

    Args:
        scores: of any shape.
        zeros: how many.

    Returns:
        Mask of the same shape.
    """
    flat = scores.flatten()
    if not zeros:
        return torch.zeros_like(scores, dtype=torch.bool)
    bound = flat.kthvalue(zeros).values
    mask = flat < bound
    ties = (flat == bound).nonzero()[:, 0]
    mask[ties[_lot(len(ties))[: zeros - int(mask.sum())].to(ties.device)]] = True
    return mask.view(scores.shape)


def lowest_of_groups(scores: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    """The lowest scores of every group of neighbouring inputs.

    Args:
        scores: ``[R, C]``, C a multiple of the group.
        pattern: n:m.

    Returns:
        Mask ``[R, C]`` with exactly m - n in each group.
    """
    grouped = scores.reshape(-1, pattern.groups)
    zeros = np.full(len(grouped), pattern.groups - pattern.kept, dtype=np.int64)
    return lowest_of_rows(grouped, zeros).view(scores.shape)
