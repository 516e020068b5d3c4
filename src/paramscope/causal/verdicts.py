"""From the tables of the checks to verdicts on what a profile claims; needs neither the model nor torch.

Every number is an estimate with a 95 % interval. A verdict compares the interval with a threshold: all of it on the
claim's side is ``supported``, all of it on the other side ``not supported``, else ``undecided``, with about how many
texts (or weights, or parts) would do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.measures.ranks import Interval, bootstrap, log_slope, rank_correlation, weighted_quantile
from paramscope.measures.specificity import own_excess_p_value

Array = NDArray[np.float64]
Status = Literal["supported", "not supported", "undecided"]

LEAST_CORRELATION = 0.9
"""Rank correlation from which first order is said to put single weights into the right order."""

LARGEST_FACTOR = 2.0
"""First order is said to have the right size where nine in ten true changes are within this factor of it."""

LEAST_DAMAGE = 0.05
"""Nats per token from which a difference of two damages counts: the right token is 5 % less likely."""

LEAST_SHIFT = 0.05
"""Share of the damage by which that to other domains must be smaller in deep layers than in shallow ones."""

LEAST_PART_CORRELATION = 0.5
"""Rank correlation from which sums of activations are said to tell which parts matter."""

BREAKS = 1.0
"""Nats per token that a domain loses when something breaks the model: the right token is 2.7 times less likely."""

LEVEL = 0.05
"""Of the permutation tests."""

SPECIFIC_CRITERIA = ("activation", "ratio", "difference")


@dataclass(frozen=True)
class Verdict:
    """What a check says of one claim.

    Attributes:
        claim: a short name.
        text: the claim in a sentence.
        status: supported, not supported, or undecided.
        measure: what was measured, in words.
        value: the estimate.
        low: lower end of its 95 % interval.
        high: upper end.
        threshold: that it is compared with.
        count: observations behind it.
        unit: what they are.
        needed: about how many would decide; None where it is decided, or cannot be told.
        p_value: of the permutation test, where there is one.
    """

    claim: str
    text: str
    status: Status
    measure: str
    value: float
    low: float
    high: float
    threshold: float
    count: int
    unit: str
    needed: int | None = None
    p_value: float | None = None


def _verdict(
    claim: str,
    text: str,
    measure: str,
    found: Interval,
    threshold: float,
    count: int,
    unit: str,
    *,
    p_value: float | None = None,
) -> Verdict:
    """A verdict on a number that the claim says is at least ``threshold``."""
    status: Status = "undecided"
    if found.low >= threshold and (p_value is None or p_value < LEVEL):
        status = "supported"
    elif found.high < threshold:
        status = "not supported"
    needed = None
    away, half = abs(found.value - threshold), (found.high - found.low) / 2
    if status == "undecided" and away > 0 and math.isfinite(half / away):
        # An interval narrows with the root of the number of observations.
        needed = max(count + 1, math.ceil(count * (half / away) ** 2))
    return Verdict(
        claim, text, status, measure, found.value, found.low, found.high, threshold, count, unit, needed, p_value
    )


@dataclass(frozen=True)
class Fidelity:
    """First order against the truth, over the weights whose activation is above the noise.

    All but ``count`` and ``above`` are weighted by how many weights each drawn one stands for.

    Attributes:
        count: weights.
        above: share of the weights with an activation that are above the noise.
        correlation: rank correlation of the activation with the size of the true change.
        slope: of the log of the one on the log of the other.
        low_ratio: 5 % quantile of true over estimated size.
        median_ratio: its median.
        high_ratio: its 95 % quantile.
        worst_ratio: the smaller of ``low_ratio`` and one over ``high_ratio``.
        sign: share whose true change has the sign of the estimate.
    """

    count: int
    above: float
    correlation: Interval
    slope: Interval
    low_ratio: Interval
    median_ratio: Interval
    high_ratio: Interval
    worst_ratio: Interval
    sign: Interval


def fidelity(
    weights: pd.DataFrame, floor: float, *, estimate: str = "estimate", change: str = "change", seed: int = 0
) -> Fidelity:
    """Compare first order with the true changes.

    Args:
        weights: from ``causal.single.check_singles``, or some rows of it.
        floor: activation below which nothing is claimed.
        estimate: column of the estimate, ``estimate`` or ``integrated``.
        change: column of the true change, ``change`` or ``change_free``.
        seed: of the bootstrap over weights, within strata.

    Returns:
        The comparison.
    """
    size = weights[estimate].abs()
    used = weights[size > floor]
    share = used["share"].to_numpy(float)
    told_change, true = used[estimate].to_numpy(float), used[change].to_numpy(float)
    activation, changed = np.abs(told_change), np.abs(true)
    groups = used["stratum"].to_numpy(np.int64)
    # A weight may make no difference at all; its logarithm is that of the smallest number instead.
    positive = np.maximum(changed, np.finfo(float).tiny)

    def told(statistic: Callable[[NDArray[np.int64]], float]) -> Interval:
        return bootstrap(statistic, groups, seed=seed)

    ratio = changed / activation

    def quantile(q: float) -> Callable[[NDArray[np.int64]], float]:
        return lambda i: weighted_quantile(ratio[i], share[i], q)

    def worst(i: NDArray[np.int64]) -> float:
        high = quantile(0.95)(i)
        return min(quantile(0.05)(i), 1 / high) if high > 0 else 0.0

    return Fidelity(
        count=len(used),
        above=float(share.sum() / weights["share"].sum()) if len(weights) else math.nan,
        correlation=told(lambda i: rank_correlation(activation[i], changed[i], share[i])),
        slope=told(lambda i: log_slope(activation[i], positive[i], share[i])),
        low_ratio=told(quantile(0.05)),
        median_ratio=told(quantile(0.5)),
        high_ratio=told(quantile(0.95)),
        worst_ratio=told(worst),
        sign=told(lambda i: float(np.average(told_change[i] * true[i] > 0, weights=share[i])) if len(i) else math.nan),
    )


def fidelity_verdicts(found: Fidelity) -> list[Verdict]:
    """Whether first order orders single weights, and whether its size is right."""
    order = _verdict(
        "first-order-order",
        "The activation puts single weights into the order of what zeroing each of them really changes.",
        "rank correlation of activation and true change",
        found.correlation,
        LEAST_CORRELATION,
        found.count,
        "weights",
    )
    size = _verdict(
        "first-order-size",
        f"For nine in ten weights the true change is within a factor of {LARGEST_FACTOR:g} of the activation.",
        "the smaller of the 5 % quantile of true over estimated and one over its 95 % quantile",
        found.worst_ratio,
        1 / LARGEST_FACTOR,
        found.count,
        "weights",
    )
    return [order, size]


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
        own: Array = matrix[self.owner, np.arange(len(self.owner))]
        return own

    def others(self, matrix: Array) -> Array:
        """``[N]``: the mean over the sets chosen for other domains."""
        others: Array = (matrix.sum(0) - self.own(matrix)) / max(len(self.domains) - 1, 1)
        return others

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

    def mean(values: Array) -> Interval:
        return bootstrap(lambda i: float(values[i].mean()), owner, seed=seed)

    active = damages.own(damages.over_bands(share, "activation"))
    verdicts = []
    for criterion, told in (
        ("random", "as many random weights of the same modules"),
        ("magnitude", "as many of the largest weights"),
        ("input-norm", "as many of the weights that are largest times the norm of their input"),
    ):
        if not damages.has(criterion):
            continue
        gain = active - damages.own(damages.over_bands(share, criterion))
        verdicts.append(
            _verdict(
                f"activation-beats-{criterion}",
                f"Zeroing the {_percent(share)} of a domain's largest activations costs it more than zeroing {told}.",
                "damage to the own domain less that of the control, nats per token",
                mean(gain),
                LEAST_DAMAGE,
                count,
                "held-out texts",
            )
        )
    if len(damages.domains) < 2:
        return verdicts
    random = damages.over_bands(share, "random")
    for criterion in SPECIFIC_CRITERIA:
        if not damages.has(criterion):
            continue
        matrix = damages.over_bands(share, criterion) - random
        verdicts.append(
            _verdict(
                f"specific-{criterion}",
                f"The {_percent(share)} of the weights chosen for a domain by {_CHOSEN_BY[criterion]} are its own: "
                "without them it loses more than the others do.",
                "damage by the own set less that by the others', random controls taken off, nats per token",
                mean(damages.own(matrix) - damages.others(matrix)),
                LEAST_DAMAGE,
                count,
                "held-out texts",
                p_value=own_excess_p_value(matrix, owner, seed=seed),
            )
        )
    verdicts += _depth_verdict(damages, seed)
    return verdicts


_CHOSEN_BY = {
    "activation": "their activation",
    "ratio": "the ratio of their activation to the other domains'",
    "difference": "their activation less the other domains'",
}


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

    def difference(i: NDArray[np.int64]) -> float:
        shared = {band: _ratio_of(others, own)(i) for band, (own, others) in parts.items()}
        return shared["shallow"] - shared["deep"]

    return [
        _verdict(
            "shallow-shared-deep-specific",
            f"What is taken from one domain (the {_percent(share)} of its largest activations) hurts the others less, "
            "beside itself, in deep layers than in shallow ones.",
            "damage to other domains over damage to the own, shallow less deep",
            bootstrap(difference, damages.owner, seed=seed),
            LEAST_SHIFT,
            len(damages.owner),
            "held-out texts",
        )
    ]


PART_KINDS = {"layer": "layers", "head": "attention heads", "neurons": "groups of neurons"}


def part_correlations(parts: pd.DataFrame, kind: str, domains: Sequence[str], *, seed: int = 0) -> dict[str, Interval]:
    """Rank correlation of predicted and true damage over the parts of a kind, by domain, and of the mean (``all``).

    Args:
        parts: from ``causal.parts.check_parts``.
        kind: of part; ``neurons`` takes the random groups too.
        domains: names.
        seed: of the bootstrap over parts.

    Returns:
        Intervals; those of fewer than three parts are NaN.
    """
    kinds = [kind, "random neurons"] if kind == "neurons" else [kind]
    table = parts[parts["kind"].isin(kinds)]
    means = table.groupby(["kind", "layer", "name", "domain"], sort=False)[["predicted", "damage"]].mean()
    predicted = means["predicted"].unstack("domain")[list(domains)].to_numpy(float)
    damage = means["damage"].unstack("domain")[list(domains)].to_numpy(float)
    one = np.zeros(len(predicted), dtype=np.int64)

    def correlation(columns: Sequence[int]) -> Callable[[NDArray[np.int64]], float]:
        return lambda i: float(np.mean([rank_correlation(predicted[i, c], damage[i, c]) for c in columns]))

    if len(predicted) < 3:
        nothing = Interval(math.nan, math.nan, math.nan)
        return dict.fromkeys([*domains, "all"], nothing)
    found = {name: bootstrap(correlation([place]), one, seed=seed) for place, name in enumerate(domains)}
    return found | {"all": bootstrap(correlation(range(len(domains))), one, seed=seed)}


def part_verdicts(parts: pd.DataFrame, domains: Sequence[str], *, seed: int = 0) -> list[Verdict]:
    """Whether the sums of activations tell which parts matter."""
    verdicts = []
    for kind, told in PART_KINDS.items():
        table = parts[parts["kind"].isin([kind, "random neurons"] if kind == "neurons" else [kind])]
        count = len(table[["kind", "layer", "name"]].drop_duplicates())
        if count < 3:
            continue
        verdicts.append(
            _verdict(
                f"parts-{kind}",
                f"The sum of activations in {told} tells which of them the model needs most.",
                "rank correlation of the sum with the damage, mean over domains",
                part_correlations(parts, kind, domains, seed=seed)["all"],
                LEAST_PART_CORRELATION,
                count,
                told,
            )
        )
    return verdicts


def breaking(sets: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """What breaks the model on some domain when it alone is taken away.

    Args:
        sets: from ``causal.sets.check_sets``; random and lowest ones too.
        parts: from ``causal.parts.check_parts``.

    Returns:
        A row a set or part: what, weights (0 for a part), domain (the one that loses most), damage (its mean, nats per
        token), broken (domains that lose ``BREAKS`` or more); the worst first.
    """
    rows: list[tuple[str, int, pd.DataFrame]] = []
    # Of the sets of a criterion in a band, the smallest that breaks; sets that were chosen for several domains are told
    # together, by the worst of them.
    for _, alike in sets.groupby(["band", "criterion"], sort=False):
        for share in sorted(alike["share"].unique()):
            several = [group for _, group in alike[alike["share"] == share].groupby("chosen_for", sort=False)]
            group = max(several, key=lambda each: each.groupby("domain")["damage"].mean().max())
            if group.groupby("domain")["damage"].mean().max() >= BREAKS:
                one = group.iloc[0]
                what = f"{_percent(share)} of the {one['band']} layers' weights by {one['criterion']}"
                chosen = f", chosen for {one['chosen_for']}" if one["chosen_for"] else ""
                rows.append((what + chosen, int(one["weights"]), group))
                break
    for _, group in parts.groupby(["kind", "layer", "name"], sort=False):
        one = group.iloc[0]
        what = f"layer {one['layer']}" if one["kind"] == "layer" else f"layer {one['layer']}, {one['name']}"
        drawn = f" ({one['kind']})" if one["kind"].endswith("neurons") else ""
        rows.append((what + drawn, int(one["kind"] == "weight"), group))
    found = []
    for what, weights, group in rows:
        means = group.groupby("domain", sort=False)["damage"].mean()
        if means.max() >= BREAKS:
            found.append(
                {
                    "what": what,
                    "weights": weights,
                    "domain": str(means.idxmax()),
                    "damage": float(means.max()),
                    "broken": int((means >= BREAKS).sum()),
                }
            )
    table = pd.DataFrame(found, columns=["what", "weights", "domain", "damage", "broken"])
    return table.sort_values("damage", ascending=False, ignore_index=True)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
