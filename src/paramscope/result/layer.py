"""The reduced numbers of one layer: what the engine hands over and a resumed run reads back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ARRAYS = (
    "total",
    "squares",
    "zeros",
    "underflows",
    "largest",
    "above",
    "histogram",
    "deleted",
    "row_sums",
    "column_sums",
)


@dataclass(frozen=True)
class ModuleResult:
    """One linear module's mean activations, reduced per domain (D domains, G sample groups, B histogram bins).

    Attributes:
        name: inside its block, such as ``self_attn.q_proj``.
        kind: class of the module.
        rows: output features.
        columns: input features.
        total: ``[D]`` sum over the weights.
        squares: ``[D]`` sum of squares.
        zeros: ``[D]`` weights whose mean activation is exactly 0.
        underflows: ``[D]`` weights whose mean activation is not 0 but smaller than any number of the model's type.
        largest: ``[D]``.
        above: ``[D, K]`` weights strictly above each of the run's exact thresholds.
        histogram: ``[D, B]`` all weights that are not zero.
        deleted: ``[D, G, B]`` the same of the mean without the samples of one group, on the sampled rows.
        deleted_weights: weights on the sampled rows.
        row_sums: ``[D, rows]`` sum over the inputs, one number per output feature.
        column_sums: ``[D, columns]`` sum over the outputs, one number per input feature.
    """

    name: str
    kind: str
    rows: int
    columns: int
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    zeros: NDArray[np.int64]
    underflows: NDArray[np.int64]
    largest: NDArray[np.float64]
    above: NDArray[np.int64]
    histogram: NDArray[np.int64]
    deleted: NDArray[np.int64]
    deleted_weights: int
    row_sums: NDArray[np.floating[Any]]
    column_sums: NDArray[np.floating[Any]]

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return self.rows * self.columns


@dataclass(frozen=True)
class LayerResult:
    """All that is kept of one layer.

    Attributes:
        layer: counted from the input.
        gram: ``[N, N]`` inner products of the samples' activations over all counted weights, in the samples' order.
        modules: in the order of the block.
        completeness: error of a path-integrated activation, see ``engine.integrated``; NaN for first order.
    """

    layer: int
    gram: NDArray[np.float64]
    modules: tuple[ModuleResult, ...]
    completeness: float = math.nan

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], list[dict[str, Any]]]:
        """Flat arrays and the plain values beside them, for a checkpoint."""
        arrays: dict[str, NDArray[Any]] = {"gram": self.gram, "completeness": np.array(self.completeness)}
        plain = []
        for place, module in enumerate(self.modules):
            arrays |= {f"{place}/{field}": np.ascontiguousarray(getattr(module, field)) for field in _ARRAYS}
            plain.append({key: value for key, value in vars(module).items() if key not in _ARRAYS})
        return arrays, plain

    @classmethod
    def from_arrays(cls, layer: int, arrays: dict[str, NDArray[Any]], plain: list[dict[str, Any]]) -> LayerResult:
        """The inverse of ``to_arrays``."""
        modules = []
        for place, values in enumerate(plain):
            fields: dict[str, Any] = {field: arrays[f"{place}/{field}"] for field in _ARRAYS}
            modules.append(ModuleResult(**values, **fields))
        return cls(layer, arrays["gram"], tuple(modules), float(arrays["completeness"]))
