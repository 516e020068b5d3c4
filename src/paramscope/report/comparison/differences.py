"""All that is compared, part by part of the depth, in bands, and layer by layer where the models have one shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from paramscope.measures.ranks import Interval
from paramscope.report.comparison.align import band_weights, depth_bands, depth_parts, overlaps
from paramscope.report.comparison.measured import (
    Histograms,
    Redrawn,
    concentration,
    counted_domains,
    density,
    own_share,
)
from paramscope.report.comparison.runs import Runs
from paramscope.report.comparison.sampled import Drawn, Estimates, Grouped
from paramscope.report.findings import COSINE_STEP, DENSITY_STEP, Verdict

Array = NDArray[np.float64]

SHARES = ("density", "density_common", "share_90", "effective_share")
"""Measures that are shares of the weights; the others are cosines or like them."""

KEYS = (*SHARES[:3], "gini", "effective_share", "within", "across", "gap", "own_share", "gap_centred")
"""All measures, in the order of the page."""

BY_LAYER = ("density", "density_common", "share_90", "within", "across", "gap")
"""What is compared layer by layer."""


@dataclass(frozen=True)
class Measure:
    """One measure of all runs.

    Attributes:
        key: one of ``KEYS``.
        parts: of each run, by part of the depth.
        bands: of each run, by band.
        part_differences: of each other run to the first, by part of the depth.
        band_differences: likewise by band.
        step: smallest difference that counts.
    """

    key: str
    parts: list[Estimates]
    bands: list[Estimates]
    part_differences: list[Estimates]
    band_differences: list[Estimates]
    step: float


def judge_difference(found: Interval, step: float) -> Verdict:
    """Whether two numbers differ by more than a step, in either direction.

    Args:
        found: the difference.
        step: smallest difference that counts.

    Returns:
        Supported where the whole interval is beyond the step on one side, not supported where all of it is within the
        step on both, else undecided.
    """
    if found.low > step or found.high < -step:
        return Verdict.SUPPORTED
    if -step < found.low and found.high < step:
        return Verdict.NOT_SUPPORTED
    return Verdict.UNDECIDED


class Differences:
    """What differs between the runs, every number with its interval.

    Attributes:
        runs: the runs.
        parts: into how many the depth is cut.
        bands: parts of each band, by name.
    """

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.parts = depth_parts([run.profile.layers for run in runs.runs])
        self.bands = depth_bands(self.parts)
        self._redrawn = Redrawn(runs)
        self._layers: dict[int, dict[str, Drawn]] = {}

    @property
    def similar_domains(self) -> list[int]:
        """Places of the common domains whose similarity has an interval in every run."""
        return self._redrawn.domains

    @property
    def common_threshold(self) -> float:
        """The first run's, which all are held against."""
        return self.runs.first.shared.threshold

    @cached_property
    def measures(self) -> dict[str, Measure]:
        """By key. The density at one threshold is left out where the runs' activations are of different quantities."""
        weights = [overlaps(self.parts, run.profile.layers) for run in self.runs.runs]
        found: dict[str, list[Grouped] | list[Drawn]] = {
            key: [one.over(weight) for one, weight in zip(each, weights, strict=True)]
            for key, each in self._grouped.items()
        }
        found |= self._drawn(weights)
        return {key: self._measure(key, found[key]) for key in KEYS if key in found}

    def by_layer(self, other: int) -> dict[str, Estimates]:
        """Differences layer by layer, for a model of the first one's shape.

        Args:
            other: place of the run among the others.

        Returns:
            By key, those of ``BY_LAYER``.
        """
        same = self.runs.same_texts[other]
        found = {key: each[other + 1].less(each[0], same) for key, each in self._grouped.items() if key in BY_LAYER}
        first, second = self._by_layer(0), self._by_layer(other + 1)
        found |= {key: second[key].less(first[key], same) for key in second if key in BY_LAYER}
        return {key: found[key] for key in BY_LAYER if key in found}

    @cached_property
    def _grouped(self) -> dict[str, list[Grouped]]:
        """Densities and concentration of each run, by layer."""
        counted = counted_domains(self.runs)
        histograms = [Histograms(run.shared) for run in self.runs.runs]
        found = {"density": [each.own_density(counted) for each in histograms]}
        if all(self.runs.same_measure(other) for other in range(len(self.runs.others))):
            found["density_common"] = [density(each, self.common_threshold, counted) for each in histograms]
        measured = [concentration(each, counted) for each in histograms]
        return found | {key: [one[key] for one in measured] for key in measured[0]}

    def _drawn(self, weights: Sequence[Array]) -> dict[str, list[Drawn]]:
        """LLMDcos of each run, by part of the depth."""
        raw = [self._raw(place, weight) for place, weight in enumerate(weights)]
        found = {key: [one[key] for one in raw] for key in raw[0]}
        if len(self.runs.domains) == 1:
            return {"within": found["within"]}
        found["own_share"] = [own_share(one["within"], one["across"]) for one in raw]
        found["gap_centred"] = [
            self._redrawn.similarity(place, weight, centred=True)["gap"] for place, weight in enumerate(weights)
        ]
        return found

    def _raw(self, place: int, weights: Array) -> dict[str, Drawn]:
        """Raw LLMDcos of a run; from its layers, where these are wanted too."""
        alike = [other + 1 for other in range(len(self.runs.others)) if self.runs.same_shape(other)]
        if alike and place in (0, *alike):
            return {key: one.over(weights) for key, one in self._by_layer(place).items()}
        return self._redrawn.similarity(place, weights, centred=False)

    def _by_layer(self, place: int) -> dict[str, Drawn]:
        if place not in self._layers:
            each = np.eye(self.runs.runs[place].profile.layers)
            self._layers[place] = self._redrawn.similarity(place, each, centred=False)
        return self._layers[place]

    def _measure(self, key: str, each: list[Grouped] | list[Drawn]) -> Measure:
        weights = band_weights(self.bands, self.parts)
        bands = [one.over(weights) for one in each]

        def differences(of: Sequence[Grouped | Drawn]) -> list[Estimates]:
            pairs = zip(of[1:], self.runs.same_texts, strict=True)
            return [one.less(of[0], same) for one, same in pairs]  # type: ignore[arg-type]

        return Measure(
            key,
            [one.estimates() for one in each],
            [one.estimates() for one in bands],
            differences(each),
            differences(bands),
            DENSITY_STEP if key in SHARES else COSINE_STEP,
        )
