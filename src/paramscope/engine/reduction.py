"""How samples are put together: into domains, into groups for the jackknife, and into pairs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from paramscope.measures.intervals import GROUPS, sample_groups

TILE_BYTES = 4 << 20
"""Size of a tile; it should stay in the cache."""


@dataclass(frozen=True)
class SampleMeans:
    """A matrix of means ``[M, N]``, cut into classes of samples so that each sample's activation is made once.

    The sums over the S classes are made on chip. Where every sample counts in one mean only, as with the domains, the
    classes are the means; otherwise, as with the means without one group, a class is the samples whose columns of the
    matrix are equal (a group of a domain), and the means are combinations of the classes' sums.

    Attributes:
        members: ``[N]``, int32: samples, class after class.
        bounds: ``[S + 1]``, int32: class s has the members from ``bounds[s]`` to ``bounds[s + 1]``.
        shares: ``[N]``, float32: what each of the members is multiplied with.
        mix: ``[M, S]``, float32: means from the classes' sums; None where they are the means.
    """

    members: torch.Tensor
    bounds: torch.Tensor
    shares: torch.Tensor
    mix: torch.Tensor | None

    @property
    def classes(self) -> int:
        """S."""
        return len(self.bounds) - 1

    @classmethod
    def of(cls, matrix: torch.Tensor) -> SampleMeans:
        """Cut a matrix of means; once for all weights.

        Args:
            matrix: ``[M, N]``, on the kernels' device.

        Returns:
            The classes.
        """
        matrix = matrix.float()
        mix = None
        if bool(((matrix != 0).sum(0) == 1).all()):
            shares, classes = matrix.sum(0), matrix.ne(0).int().argmax(0)
            count = len(matrix)
        else:
            mix, classes = torch.unique(matrix, dim=1, return_inverse=True)
            shares, count = torch.ones_like(matrix[0]), mix.shape[1]
        members = torch.argsort(classes, stable=True)
        ends = torch.bincount(classes, minlength=count).cumsum(0)
        bounds = torch.cat([ends.new_zeros(1), ends])
        return cls(members.int(), bounds.int(), shares[members].contiguous(), mix)


@dataclass(frozen=True)
class Reduction:
    """How samples are put together; the same for every layer.

    Attributes:
        order: the engine's order as indices into the samples; domains lie one after the other in both.
        sizes: samples per domain.
        thresholds: counted exactly.
        dtype: of the products and sums, at least float32.
        device: of the tiles.
        tile_bytes: see ``TILE_BYTES``.
        paired: samples of which all pairs are taken; None takes all samples.
    """

    order: Sequence[int]
    sizes: Sequence[int]
    thresholds: Sequence[float]
    dtype: torch.dtype
    device: torch.device
    tile_bytes: int = TILE_BYTES
    paired: Sequence[int] | None = None

    @property
    def samples(self) -> int:
        """N."""
        return len(self.order)

    @property
    def largest_tile(self) -> int:
        """Bytes that a tile of many samples may take, to have rows enough."""
        return 4 * self.tile_bytes

    @functools.cached_property
    def _tile_memory(self) -> torch.Tensor:
        return torch.empty(self.largest_tile // self.dtype.itemsize, dtype=self.dtype, device=self.device)

    def tile(self, rows: int, columns: int) -> torch.Tensor:
        """``[N, rows, columns]`` to write to; the same memory each time, unless it is too small."""
        size = self.samples * rows * columns
        memory = self._tile_memory if size <= self._tile_memory.numel() else self._tile_memory.new_empty(size)
        return memory[:size].view(self.samples, rows, columns)

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

    @functools.cached_property
    def spans(self) -> list[slice]:
        """Where each domain's samples lie in a tile."""
        ends = np.cumsum([0, *self.sizes]).tolist()
        return [slice(*pair) for pair in itertools.pairwise(ends)]

    @functools.cached_property
    def deleted_shares(self) -> list[torch.Tensor]:
        """By domain ``[G, n]``: the part of ``deleted_rows`` that is not zero."""
        rows = self.deleted_rows.view(len(self.sizes), GROUPS, -1)
        return [rows[domain, :, span].contiguous() for domain, span in enumerate(self.spans)]

    @functools.cached_property
    def mean_classes(self) -> SampleMeans:
        """``mean_rows`` for the GPU kernels."""
        return SampleMeans.of(self.mean_rows)

    @functools.cached_property
    def deleted_classes(self) -> SampleMeans:
        """``deleted_rows`` for the GPU kernels."""
        return SampleMeans.of(self.deleted_rows)

    def _in_engine_order(self, rows: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(rows[:, list(self.order)]).to(self.device, self.dtype)

    @functools.cached_property
    def paired_rows(self) -> torch.Tensor | None:
        """Places in the engine's order of the paired samples, None for all of them."""
        if self.paired is None:
            return None
        chosen = set(self.paired)
        places = [place for place, sample in enumerate(self.order) if sample in chosen]
        return torch.tensor(places, dtype=torch.long, device=self.device)

    @property
    def pairs(self) -> int:
        """Samples of which all pairs are taken."""
        return self.samples if self.paired is None else len(self.paired)

    def in_sample_order(self, gram: torch.Tensor) -> np.ndarray:
        """A Gram matrix of the paired samples in the engine's order, put into the order of all; NaN for the others."""
        chosen = range(self.samples) if self.paired_rows is None else self.paired_rows.tolist()
        places = [self.order[place] for place in chosen]
        result = np.full((self.samples, self.samples), np.nan)
        result[np.ix_(places, places)] = gram.cpu().numpy()
        return result
