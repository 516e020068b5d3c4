"""What is compared of each run: density, concentration and LLMDcos, ready for the interval of a difference."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from paramscope.actions.sharing.curve import own_shares
from paramscope.measures.concentration import gini, share_carrying
from paramscope.measures.histogram import BINS, count_above, quantile
from paramscope.measures.resample import mean_over_domains, within_across
from paramscope.measures.similarity import DRAWS, FEWEST, pair_draws
from paramscope.report.comparison.runs import Runs
from paramscope.report.comparison.sampled import Drawn, Grouped
from paramscope.result.profile import Profile
from paramscope.result.tables import ALL

Array = NDArray[np.float64]


def counted_domains(runs: Runs) -> list[int]:
    """Domains with an interval of their density in every run; all where there is none such."""
    several = [
        place
        for place, name in enumerate(runs.domains)
        if all(len(run.shared.group_sizes(name)) > 1 for run in runs.runs)
    ]
    return several or list(range(len(runs.domains)))


class Histograms:
    """Histograms of a profile by layer, with all their bins: of all texts, and without each group of a domain's.

    Attributes:
        profile: of the common domains.
        whole: ``[layers, D, BINS]``.
        without: of each domain ``[layers, G, BINS]``, from a sample of the modules' rows, which stand for all of each;
            None for a domain of one group.
    """

    def __init__(self, profile: Profile) -> None:
        """Pool the modules of each layer."""
        self.profile = profile
        sizes = [len(profile.group_sizes(name)) for name in profile.domains]
        groups = [count if count > 1 else 0 for count in sizes]
        edges = np.cumsum([0, *groups])
        self.whole = np.zeros((profile.layers, len(groups), BINS))
        without = np.zeros((profile.layers, edges[-1], BINS))
        places = {name: place for place, name in enumerate(profile.domains)}
        table = profile.tables.histograms.merge(
            profile.modules[["layer", "module", "parameters"]], on=["layer", "module"]
        )
        columns = (table[key] for key in ("layer", "domain", "group", "first_bin", "counts", "weights", "parameters"))
        for layer, domain, group, first, counts, weights, parameters in zip(*columns, strict=True):
            place = places[domain]
            if group >= groups[place]:
                continue  # runs have empty rows for groups that a small domain lacks
            target = self.whole[layer, place] if group == ALL else without[layer, edges[place] + group]
            target[first : first + len(counts)] += counts * (parameters / weights)
        self.without = [without[:, start:end] if end > start else None for start, end in itertools.pairwise(edges)]

    def grouped(self, value: Array, measure: Callable[[Array, int], float] | None, counted: list[int]) -> Grouped:
        """A measure of each layer and domain by itself.

        Args:
            value: ``[layers, D]`` of all texts.
            measure: of a histogram and its number of weights; None where it has no interval.
            counted: see ``sampled.Grouped``.

        Returns:
            By layer and domain.
        """
        parameters = self.profile.parameters.tolist()
        deleted = []
        for place, without in enumerate(self.without):
            groups = 0 if without is None or measure is None else without.shape[1]
            each = np.repeat(value[:, None, :], groups, axis=1)
            if without is not None and measure is not None:
                each[:, :, place] = [
                    [measure(counts, size) for counts in layer] for layer, size in zip(without, parameters, strict=True)
                ]
            deleted.append(each)
        return self._made(value, deleted, counted)

    def own_density(self, counted: list[int]) -> Grouped:
        """Density above the median of all activations, which is another one without some of the texts.

        Args:
            counted: see ``sampled.Grouped``.

        Returns:
            By layer and domain.
        """
        value = self.profile.density(self.profile.threshold).to_numpy(dtype=float)
        parameters = self.profile.parameters.to_numpy(dtype=float)
        pooled = self.whole.sum(0)
        deleted = []
        for place, without in enumerate(self.without):
            each = np.zeros((len(value), 0 if without is None else without.shape[1], value.shape[1]))
            others = pooled.sum(0) - pooled[place]
            for group in range(each.shape[1]):
                assert without is not None
                counts = others + without[:, group].sum(0)
                zeros = max(float(parameters.sum() * value.shape[1] - counts.sum()), 0.0)
                threshold = quantile(counts, zeros, 0.5) or float(np.finfo(np.float32).tiny)
                each[:, group] = count_above(self.whole, threshold) / parameters[:, None]
                each[:, group, place] = count_above(without[:, group], threshold) / parameters
            deleted.append(each)
        return self._made(value, deleted, counted)

    def _made(self, value: Array, deleted: list[Array], counted: list[int]) -> Grouped:
        sizes = [
            self.profile.group_sizes(name)[: each.shape[1]]
            for name, each in zip(self.profile.domains, deleted, strict=True)
        ]
        return Grouped(value, deleted, sizes, counted)


def density(histograms: Histograms, threshold: float, counted: list[int]) -> Grouped:
    """Density of each layer at a threshold that is given.

    Args:
        histograms: of the run.
        threshold: of the activation.
        counted: see ``sampled.Grouped``.

    Returns:
        By layer and domain.
    """
    value = histograms.profile.density(threshold).to_numpy(dtype=float)
    return histograms.grouped(value, lambda counts, size: float(count_above(counts, threshold)) / size, counted)


def concentration(histograms: Histograms, counted: list[int]) -> dict[str, Grouped]:
    """Measures of each layer that need no threshold.

    Args:
        histograms: of the run.
        counted: see ``sampled.Grouped``.

    Returns:
        ``share_90``, ``gini`` and ``effective_share``. The last is decided by a few of the largest weights, which the
        rows that the jackknife is taken on may not hold, so it has no interval.
    """
    profile = histograms.profile
    frame = profile.concentration()
    values = {key: frame[key].unstack("domain")[profile.domains].to_numpy(dtype=float) for key in frame.columns}
    measures: dict[str, Callable[[Array, int], float] | None] = {
        "share_90": lambda counts, size: share_carrying(counts, max(size - counts.sum(), 0.0)),
        "gini": lambda counts, size: gini(counts, max(size - counts.sum(), 0.0)),
        "effective_share": None,
    }
    return {key: histograms.grouped(values[key], measure, counted) for key, measure in measures.items()}


class Redrawn:
    """LLMDcos of all runs in draws of their texts, the same draws where the texts are the same.

    Attributes:
        domains: places of the common domains with enough texts in every run.
    """

    def __init__(self, runs: Runs) -> None:
        """Draw the texts of each run and domain."""
        self._runs = runs
        pairs = [
            [record.samples if record.paired is None else record.paired for record in run.shared.manifest.domains]
            for run in runs.runs
        ]
        self.domains = [place for place in range(len(runs.domains)) if min(each[place] for each in pairs) >= FEWEST]
        self._sizes = [[run.shared.manifest.domains[place].samples for place in self.domains] for run in runs.runs]
        self._draws = [self._draw(place) for place in range(len(runs.runs))]

    def _draw(self, run: int) -> Array:
        """``[B, N]`` how often each text is in each draw."""
        seed = self._runs.first.profile.manifest.seed
        parts = []
        for domain, size in zip(self.domains, self._sizes[run], strict=True):
            paired = run == 0 or self._runs.same_texts[run - 1][domain]
            rng = np.random.default_rng([seed, domain, 0 if paired else run])
            parts.append(rng.multinomial(size, np.full(size, 1.0 / size), size=DRAWS))
        return np.concatenate(parts, axis=1).astype(np.float64) if parts else np.zeros((DRAWS, 0))

    def similarity(self, run: int, weights: Array, *, centred: bool) -> dict[str, Drawn]:
        """Mean LLMDcos of one run.

        Args:
            run: its place.
            weights: ``[places, layers]``. A mean cosine is linear in the cosines of the pairs, so layers are averaged
                pair by pair.
            centred: the centred cosine, with the centre of the common domains.

        Returns:
            ``within``, ``across`` (with the other domains) and ``gap`` (the one less the other).
        """
        shape = (len(weights), DRAWS + 1, 1 + len(self._runs.domains))
        found = {key: np.full(shape, np.nan) for key in ("within", "across", "gap")}
        columns = [1 + domain for domain in self.domains]
        for place, kernel in enumerate(self._kernels(run, weights, centred) if self.domains else ()):
            within, across = within_across(pair_draws(kernel, self._sizes[run], self._draws[run]))
            for key, values in (("within", within), ("across", across), ("gap", within - across)):
                found[key][place][:, columns] = values
                found[key][place][:, 0] = mean_over_domains(values)
        return {key: Drawn(draws) for key, draws in found.items()}

    def _kernels(self, run: int, weights: Array, centred: bool) -> Array:
        """``[places, N, N]`` weighted mean cosines of all pairs of texts."""
        profile = self._runs.runs[run].shared
        edges = np.cumsum([0, *(record.samples for record in profile.manifest.domains)])
        kept = np.concatenate([np.arange(edges[place], edges[place + 1]) for place in self.domains])
        kernels = np.zeros((len(weights), len(kept), len(kept)))
        for layer in range(profile.layers):
            cosines = profile.sample_cosines(layer, centred=centred)[kept[:, None], kept]
            for place in np.flatnonzero(weights[:, layer]):  # no number times no weight would be no number
                kernels[place] += weights[place, layer] * cosines
        return kernels


def own_share(within: Drawn, across: Drawn) -> Drawn:
    """Own share of all domains together, see ``actions.sharing.curve``; it has no value by domain."""
    draws = np.full_like(within.draws, np.nan)
    for place, (inside, outside) in enumerate(zip(within.draws, across.draws, strict=True)):
        draws[place][:, 0] = own_shares(inside[:, 0], outside[:, 0])
    return Drawn(draws)
