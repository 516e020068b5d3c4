"""``Profile``: the numbers of a run, at any threshold, without the model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.errors import UsageError
from paramscope.measures import concentration, histogram
from paramscope.measures.bands import layer_bands
from paramscope.measures.intervals import jackknife_margin
from paramscope.measures.resample import Resampler
from paramscope.measures.similarity import PairMeans, centred_cosines, cosines, pair_means, summed_up
from paramscope.result.manifest import Manifest
from paramscope.result.tables import ALL, Tables, pooled_histogram
from paramscope.settings import is_positive

PAPER_THRESHOLD = 2e-5
"""The threshold gamma of Wang et al. 2024."""


@dataclass(frozen=True)
class Estimate:
    """A frame of values and the frames of its 95 % interval, of one shape; NaN where there is no interval."""

    value: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame


@dataclass(frozen=True)
class Similarity:
    """LLMDcos per layer: ``within`` has a column a domain, ``across`` a column ``a|b`` a pair of domains."""

    within: Estimate
    across: Estimate


class Profile:
    """What one run measured.

    Attributes:
        manifest: arguments, fingerprints, versions, timings.
        tables: the raw result.
    """

    def __init__(self, manifest: Manifest, tables: Tables) -> None:
        self.manifest = manifest
        self.tables = tables

    @classmethod
    def load(cls, run: str | Path) -> Profile:
        """Read a run folder; needs neither the model nor torch.

        Args:
            run: the folder.

        Returns:
            The profile.

        Raises:
            UsageError: the folder is missing, unfinished, damaged, or of a newer paramscope.
        """
        from paramscope.result.store import load_run

        return cls(*load_run(Path(run)))

    def save(self, run: str | Path, *, overwrite: bool = False) -> None:
        """Write a run folder.

        Args:
            run: the folder to make.
            overwrite: replace a run that is there.

        Raises:
            UsageError: the path is taken.
        """
        from paramscope.result.store import save_run

        save_run(Path(run), self.manifest, self.tables, overwrite=overwrite)

    @property
    def domains(self) -> list[str]:
        """Names of the domains, in the order they were given."""
        return [domain.name for domain in self.manifest.domains]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.tables.gram)

    @property
    def threshold(self) -> float:
        """The threshold that pictures use by default."""
        return self.manifest.thresholds.default

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample, domains one after the other."""
        return self.tables.samples

    @property
    def modules(self) -> pd.DataFrame:
        """One row a linear module."""
        return self.tables.modules

    @functools.cached_property
    def parameters(self) -> pd.Series:
        """Counted weights per layer."""
        return self.modules.groupby("layer")["parameters"].sum()

    @property
    def bands(self) -> dict[str, list[int]]:
        """First, shallow, middle, deep and last layers."""
        return layer_bands(self.layers)

    def density(self, threshold: float | None = None, *, by: Literal["layer", "module"] = "layer") -> pd.DataFrame:
        """Share of weights whose mean activation exceeds the threshold.

        Args:
            threshold: positive; the run's default when None. Between two edges of the histogram the share is
                interpolated; a threshold known before the run was counted exactly.
            by: ``layer`` for one row a layer, ``module`` for one row a layer and module.

        Returns:
            Shares between 0 and 1, domains as columns.

        Raises:
            UsageError: the threshold is not a positive number, or ``by`` is neither.
        """
        if by not in ("layer", "module"):
            raise UsageError(f"by {by!r} is unknown; give 'layer' or 'module'")
        threshold = self._checked(threshold)
        keys = ["layer"] if by == "layer" else ["layer", "module"]
        table = self.tables.activation[["layer", "module", "domain"]].copy()
        exact = self.manifest.thresholds.exact
        if threshold in exact:
            place = exact.index(threshold)
            table["count"] = [counts[place] for counts in self.tables.activation["above"]]
        else:
            whole = self._histograms(deleted=False)
            table["count"] = histogram.sparse_count_above(whole["first_bin"], whole["counts"], threshold)
        counts = table.groupby([*keys, "domain"], sort=False)["count"].sum().unstack("domain")[self.domains]
        sizes = self.modules.groupby(keys, sort=False)["parameters"].sum()
        return counts.div(sizes, axis=0).astype(float)

    def density_estimate(self, threshold: float | None = None) -> Estimate:
        """Density per layer with 95 % intervals.

        The interval is a delete-a-group jackknife over the samples (t with groups - 1 degrees of freedom), taken on a
        fixed sample of the weights' rows: it tells how much the texts of a domain scatter, not whether the first-order
        estimate is true.

        Args:
            threshold: as in ``density``.

        Returns:
            Layers by domains; the interval is NaN for a domain of one sample.

        Raises:
            UsageError: the threshold is not a positive number.
        """
        threshold = self._checked(threshold)
        value = self.density(threshold)
        margin = pd.DataFrame(np.nan, index=value.index, columns=value.columns)
        table = self._histograms(deleted=True)
        shares = table[["layer", "domain", "group"]].copy()
        # A module's sampled rows stand for all of its weights.
        shares["count"] = histogram.sparse_count_above(table["first_bin"], table["counts"], threshold)
        shares["count"] *= table["parameters"] / table["weights"]
        totals = shares.groupby(["domain", "layer", "group"])["count"].sum().unstack("group")
        for domain in self.domains:
            sizes = self.group_sizes(domain)
            if domain not in totals.index.get_level_values("domain") or len(sizes) < 2:
                continue
            deleted = totals.loc[domain].reindex(value.index)[list(range(len(sizes)))]
            margin[domain] = jackknife_margin(deleted.to_numpy() / self.parameters.to_numpy()[:, None], sizes)
        return Estimate(value, (value - margin).clip(0, 1), (value + margin).clip(0, 1))

    def concentration(self) -> pd.DataFrame:
        """Threshold-free measures per layer and domain.

        Returns:
            Index (layer, domain); columns ``total`` (sum of the mean activation), ``share_90`` (smallest share of the
            weights that carries 90 % of it), ``gini``, ``effective_number`` and ``effective_share`` of weights.
        """
        keys = ["layer", "domain"]
        sums = self.tables.activation.groupby(keys, sort=False)[["total", "squares", "zeros"]].sum()
        whole = self._histograms(deleted=False)
        places = whole.groupby(keys, sort=False).indices
        rows = []
        for key, row in zip(sums.index.tolist(), sums.to_dict("records"), strict=True):
            counts = pooled_histogram(whole.iloc[places[key]])
            effective = concentration.effective_number(row["total"], row["squares"])
            rows.append(
                {
                    "total": row["total"],
                    "share_90": concentration.share_carrying(counts, row["zeros"], 0.9),
                    "gini": concentration.gini(counts, row["zeros"]),
                    "effective_number": effective,
                    "effective_share": effective / self.parameters[key[0]],
                }
            )
        return pd.DataFrame(rows, index=sums.index)

    def similarity(self, *, centred: bool = False) -> Similarity:
        """LLMDcos within and across domains per layer, with bootstrap intervals over samples.

        Args:
            centred: subtract the mean over all samples of the normalised activations first.

        Returns:
            Means over pairs of different samples. Centred cosines of a single domain are NaN: the mean would be its
            own, and would push the pairs of n samples to -1/(n-1), however alike they are.
        """
        means = self._pair_means(centred)
        names = self.domains
        diagonal = [(i, i) for i in range(len(names))]
        pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
        across = [f"{names[i]}|{names[j]}" for i, j in pairs]
        return Similarity(_estimate(means, diagonal, names), _estimate(means, pairs, across))

    def similarity_matrix(self, layers: Sequence[int], *, centred: bool = False) -> pd.DataFrame:
        """Mean LLMDcos between domains over some layers.

        Args:
            layers: which.
            centred: as in ``similarity``.

        Returns:
            Domains by domains; the diagonal is within a domain.
        """
        means = self._pair_means(centred)
        values = np.mean([means[layer].matrix for layer in layers], axis=0)
        return pd.DataFrame(values, index=self.domains, columns=self.domains)

    def sample_cosines(self, layer: int, *, centred: bool = False) -> NDArray[np.float64]:
        """LLMDcos of all pairs of samples in one layer, ``[N, N]``, in the order of ``samples``.

        Args:
            layer: which.
            centred: as in ``similarity``.

        Returns:
            The cosines; NaN for samples without activation.
        """
        gram = self.tables.gram[layer]
        if not centred:
            return cosines(gram)
        return centred_cosines(gram) if len(self.domains) > 1 else np.full_like(gram, np.nan)

    @functools.cache  # noqa: B019 - a profile is immutable and lives as long as its numbers are wanted
    def _pair_means(self, centred: bool) -> list[PairMeans]:
        sizes = [domain.samples for domain in self.manifest.domains]
        found = []
        for layer in range(self.layers):
            kernel = self.sample_cosines(layer, centred=centred)
            if len(self.resampler.domains) == len(sizes):  # then its draws are those of all domains
                pairs = self.resampler.pairs([layer], centred=centred)
                found.append(summed_up(pairs, np.isfinite(np.diag(kernel)), sizes))
            else:
                found.append(pair_means(kernel, sizes, seed=self.manifest.seed))
        return found

    @functools.cached_property
    def resampler(self) -> Resampler:
        """Bootstrap over the samples, for means over layers and their changes."""
        sizes = [domain.samples for domain in self.manifest.domains]
        return Resampler(sizes, self.manifest.seed, self.layers, self._cosines)

    def _cosines(self, layer: int, centred: bool) -> NDArray[np.float64]:
        return self.sample_cosines(layer, centred=centred)

    def _histograms(self, *, deleted: bool) -> pd.DataFrame:
        """Rows of the histograms of all samples, or of those that leave a group out, with their modules' sizes."""
        table = self.tables.histograms
        table = table[(table["group"] != ALL) == deleted]
        return table.merge(self.modules[["layer", "module", "parameters"]], on=["layer", "module"])

    def group_sizes(self, domain: str) -> NDArray[np.float64]:
        """Samples in each of a domain's groups."""
        groups = self.samples.loc[self.samples["domain"] == domain, "group"]
        return np.bincount(groups).astype(float)

    def _checked(self, threshold: float | None) -> float:
        if threshold is None:
            return self.threshold
        if not is_positive(threshold):
            raise UsageError(f"threshold {threshold!r} is no positive number; give one such as {PAPER_THRESHOLD:g}")
        return threshold


def _estimate(means: list[PairMeans], places: list[tuple[int, int]], names: list[str]) -> Estimate:
    rows, columns = [i for i, _ in places], [j for _, j in places]
    frames = []
    for field in ("matrix", "low", "high"):
        values = np.stack([getattr(layer, field)[rows, columns] for layer in means])
        frames.append(pd.DataFrame(values, columns=names).rename_axis("layer"))
    return Estimate(*frames)
