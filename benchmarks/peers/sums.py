"""From per-sample gradients to densities and cosines: what every kind but paramscope needs done."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.peers.shapes import Case
from paramscope.measures.similarity import cosines

TOLERANCE = 1e-3
"""Largest difference of a density or a cosine from paramscope's."""


@dataclass(frozen=True)
class Found:
    """A result.

    Attributes:
        densities: ``[layers, domains]``.
        cosines: ``[layers, N, N]`` in the samples' order, None where none were wanted.
    """

    densities: NDArray[np.float64]
    cosines: NDArray[np.float64] | None

    def differences(self, reference: Found) -> dict[str, float]:
        """Largest differences from another result, by what is compared."""
        found = {"densities": np.abs(self.densities - reference.densities).max()}
        if self.cosines is not None:
            assert reference.cosines is not None
            found["cosines"] = np.abs(self.cosines - reference.cosines).max()
        # NaN compares with nothing, and must not pass for equal.
        return {name: float("inf") if np.isnan(value) else float(value) for name, value in found.items()}


class Sums:
    """Sums of activations per domain, and products of all pairs of samples.

    For cosines a weight's activations are held until those of all samples are there, then multiplied and dropped: with
    all samples in one micro-batch at once, one sample at a time not before the end.
    """

    def __init__(self, case: Case) -> None:
        self._threshold, self._order = case.threshold, list(case.plan.reduction.order)
        sizes = case.plan.reduction.sizes
        self._sizes = torch.tensor(sizes)
        self._edges = [0, *itertools.accumulate(sizes)]
        self._weights: dict[str, torch.Tensor] = {}
        self._layers: dict[str, int] = {}
        for layer, block in enumerate(case.plan.blocks):
            for weight in block.weights:
                name = f"{block.name}.{weight.name}"
                self._weights[name], self._layers[name] = weight.matrices[0], layer
        self._sums = {name: torch.zeros(len(sizes), weight.numel()) for name, weight in self._weights.items()}
        layers, samples = len(case.plan.blocks), len(self._order)
        self._gram = torch.zeros(layers, samples, samples, dtype=torch.float64) if case.cosines else None
        self._held: dict[str, list[torch.Tensor]] = {name: [] for name in self._weights}

    def add(self, name: str, start: int, gradients: torch.Tensor) -> None:
        """Add some samples' gradients of one weight.

        Args:
            name: of the module that holds the weight.
            start: place of the first sample in paramscope's order.
            gradients: ``[B, out, in]``, overwritten.
        """
        flat = gradients.mul_(self._weights[name]).abs_().flatten(1)
        stop = start + len(flat)
        for domain, (first, last) in enumerate(itertools.pairwise(self._edges)):
            part = flat[max(first - start, 0) : max(min(last, stop) - start, 0)]
            if len(part) == 1:
                self._sums[name][domain] += part[0]
            elif len(part):
                self._sums[name][domain] += torch.ones(len(part)) @ part
        if self._gram is None:
            return
        held = self._held[name]
        held.append(flat)
        if sum(map(len, held)) == len(self._order):
            everything = torch.cat(held) if len(held) > 1 else flat
            held.clear()
            self._gram[self._layers[name]] += everything @ everything.T

    def result(self) -> Found:
        """Densities and cosines, when all samples are in."""
        above = torch.zeros(max(self._layers.values()) + 1, len(self._sizes))
        counted = torch.zeros(len(above))
        for name, layer in self._layers.items():
            above[layer] += (self._sums[name] > self._threshold * self._sizes[:, None]).sum(1)
            counted[layer] += self._weights[name].numel()
        densities = (above / counted[:, None]).double().numpy()
        if self._gram is None:
            return Found(densities, None)
        places = np.argsort(self._order)
        grams = self._gram.numpy()[:, places][:, :, places]
        return Found(densities, np.stack([cosines(gram) for gram in grams]))
