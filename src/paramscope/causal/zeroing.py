"""Weights set to zero for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from paramscope.models.weights import LinearWeight


@dataclass(frozen=True)
class Cut:
    """Some weights of a module.

    Attributes:
        weight: the module's.
        index: of the weights in the stack ``[E, out, in]``, as one indexes a tensor.
    """

    weight: LinearWeight
    index: tuple[Any, ...]

    @classmethod
    def at(cls, weight: LinearWeight, places: torch.Tensor) -> Cut:
        """Single weights: ``[n]``, int64, into the flattened stack."""
        places = places.to(weight.parameter.device)
        return cls(weight, torch.unravel_index(places, weight.matrices.shape))

    @classmethod
    def whole(cls, weight: LinearWeight) -> Cut:
        """All weights of a module."""
        return cls(weight, (slice(None),))

    @classmethod
    def columns(cls, weight: LinearWeight, columns: slice | torch.Tensor) -> Cut:
        """All weights that read some input features, whatever map of a stack they are in."""
        if isinstance(columns, torch.Tensor):
            columns = columns.to(weight.parameter.device)
        return cls(weight, (slice(None), slice(None), columns))


@contextmanager
def zeroed(cuts: Sequence[Cut]) -> Iterator[None]:
    """Within it, the weights are zero; afterwards each has its former value, bit for bit, whatever happened.

    Args:
        cuts: of modules whose weights are in memory.

    Yields:
        Nothing.
    """
    kept: list[tuple[torch.Tensor, tuple[Any, ...], torch.Tensor]] = []
    try:
        for cut in cuts:
            matrices = cut.weight.matrices
            kept.append((matrices, cut.index, matrices[cut.index].clone()))
            matrices[cut.index] = 0
        yield
    finally:
        # Backwards, so that a weight that was cut twice gets its first value.
        for matrices, index, values in reversed(kept):
            matrices[index] = values
