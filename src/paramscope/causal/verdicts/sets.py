"""Sets of weights: whether the largest activations matter, whether they are a domain's own, and where."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.causal.verdicts.breaking import BREAKS
from paramscope.causal.verdicts.told import HELD_OUT, claim_text
from paramscope.causal.verdicts.verdict import Verdict, judge
from paramscope.language import _
from paramscope.measures.ranks import bootstrap, mean_interval
from paramscope.measures.specificity import others_damage, own_damage, own_excess_p_value

Array = NDArray[np.float64]

LEAST_DAMAGE = 0.05
"""Nats per token from which a difference of two damages counts: the right token is 5 % less likely."""

LEAST_SHIFT = 0.05
"""Share of the damage by which that to other domains must be smaller in deep layers than in shallow ones."""

SPECIFIC_CRITERIA = ("activation", "ratio", "difference")


class SetDamages:
    """The damage of sets by set and text, as arrays.

    Attributes:
        domains: names.
        owner: ``[N]``, number of each held-out text's domain.
        bands: of layers, in order.
        shares: of weights, from small to large.
    """

    def __init__(self, sets: pd.DataFrame, domains: Sequence[str], bands: Sequence[str]) -> None:
        self.domains = list(domains)
        self.bands = [band for band in bands if (sets["band"] == band).any()]
        self.shares = sorted(sets["share"].unique().tolist())
        keys = ["band", "share", "criterion", "chosen_for"]
        means = sets.groupby([*keys, "domain", "sample"], sort=False)["damage"].mean()
        self._table = means.unstack(["domain", "sample"])
        columns = [c for name in domains for c in self._table.columns if c[0] == name]
        self._table = self._table[columns]
        self.owner = np.array([self.domains.index(c[0]) for c in columns])

    def has(self, criterion: str) -> bool:
        """Whether a criterion was tried."""
        return criterion in self._table.index.get_level_values("criterion")

    def matrix(self, band: str, share: float, criterion: str) -> Array:
        """``[D, N]``: damage of the set chosen for domain i to text n; the same row for all where it has no domain."""
        names = ["" if criterion in ("magnitude", "random") else name for name in self.domains]
        keys = pd.MultiIndex.from_tuples([(band, share, criterion, name) for name in names])
        return self._table.reindex(keys).to_numpy(float)

    def over_bands(self, share: float, criterion: str) -> Array:
        """The mean of ``matrix`` over all bands."""
        return np.mean([self.matrix(band, share, criterion) for band in self.bands], axis=0)

    def own(self, matrix: Array) -> Array:
        """``[N]``: of a matrix, what the set chosen for each text's own domain does to it."""
        return own_damage(matrix, self.owner)

    def others(self, matrix: Array) -> Array:
        """``[N]``: the mean over the sets chosen for other domains."""
        return others_damage(matrix, self.owner)

    def by_domain(self, matrix: Array) -> Array:
        """``[D, D]``: the mean over the texts of each domain."""
        return np.stack([matrix[:, self.owner == place].mean(1) for place in range(len(self.domains))], axis=1)


@np.errstate(invalid="ignore")  # of two infinite damages, where the model's answer is no number any more
def set_verdicts(damages: SetDamages, *, seed: int = 0) -> list[Verdict]:
    """Whether the largest activations matter, whether they are a domain's own, and where.

    Args:
        damages: of all bands.
        seed: of bootstrap and permutations, over held-out texts.

    Returns:
        The verdicts.
    """
    share, owner = damages.shares[-1], damages.owner
    count = len(owner)

    active = damages.own(damages.over_bands(share, "activation"))
    verdicts = []
    for criterion in ("random", "magnitude", "input-norm"):
        if not damages.has(criterion):
            continue
        gain = active - damages.own(damages.over_bands(share, criterion))
        verdicts.append(
            judge(
                f"activation-beats-{criterion}",
                claim_text(f"activation-beats-{criterion}", share=share),
                _("damage to the own domain less that of the control, nats per token"),
                mean_interval(gain, owner, seed=seed),
                LEAST_DAMAGE,
                count,
                _(HELD_OUT),
            )
        )
    if len(damages.domains) < 2:
        return verdicts
    for criterion in SPECIFIC_CRITERIA:
        if not damages.has(criterion):
            continue
        matrix = damages.over_bands(share, criterion)
        verdicts.append(
            judge(
                f"specific-{criterion}",
                claim_text(f"specific-{criterion}", share=share),
                _("damage by the own set less that by the sets chosen for others, nats per token"),
                mean_interval(damages.own(matrix) - damages.others(matrix), owner, seed=seed),
                LEAST_DAMAGE,
                count,
                _(HELD_OUT),
                p_value=own_excess_p_value(matrix, owner, seed=seed),
            )
        )
    verdicts += _depth_verdict(damages, seed)
    return verdicts


def _ratio_of(above: Array, below: Array) -> Callable[[NDArray[np.int64]], float]:
    def ratio(i: NDArray[np.int64]) -> float:
        bottom = float(below[i].mean())
        return float(above[i].mean()) / bottom if bottom > 0 else math.nan

    return ratio


def _depth_verdict(damages: SetDamages, seed: int) -> list[Verdict]:
    """Whether what is taken from one domain hurts the others less in deep layers than in shallow ones."""
    if not {"shallow", "deep"} <= set(damages.bands):
        return []
    # The size of set whose damage tells most: neither nothing nor all is lost.
    own = {share: damages.own(damages.over_bands(share, "activation")).mean() for share in damages.shares}
    share = min(own, key=lambda each: abs(math.log(max(own[each], 1e-6) / BREAKS)))
    parts = {}
    for band in ("shallow", "deep"):
        matrix = damages.matrix(band, share, "activation")
        parts[band] = (damages.own(matrix), damages.others(matrix))
        if not parts[band][0].mean() >= LEAST_DAMAGE:
            return []  # a share of next to nothing says nothing

    def difference(i: NDArray[np.int64]) -> float:
        shared = {band: _ratio_of(others, own)(i) for band, (own, others) in parts.items()}
        return shared["shallow"] - shared["deep"]

    return [
        judge(
            "shallow-shared-deep-specific",
            claim_text("shallow-shared-deep-specific", share=share),
            _("damage to other domains over damage to the own, shallow less deep"),
            bootstrap(difference, damages.owner, seed=seed),
            LEAST_SHIFT,
            len(damages.owner),
            _(HELD_OUT),
        )
    ]
