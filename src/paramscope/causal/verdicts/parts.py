"""Parts: whether sums of activations tell which of them matter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.causal.verdicts.told import PART_KINDS, claim_text
from paramscope.causal.verdicts.verdict import Verdict, judge
from paramscope.language import _
from paramscope.measures.ranks import Interval, bootstrap, rank_correlation

LEAST_PART_CORRELATION = 0.5
"""Rank correlation from which sums of activations are said to tell which parts matter."""


def part_correlations(
    parts: pd.DataFrame, kind: str, domains: Sequence[str], *, seed: int = 0
) -> dict[str | None, Interval]:
    """Rank correlation of predicted and true damage over the parts of a kind.

    Args:
        parts: from ``causal.parts.check_parts``.
        kind: of part; ``neurons`` takes the random groups too.
        domains: names.
        seed: of the bootstrap over parts.

    Returns:
        Intervals by domain, and of the mean over domains under None; those of fewer than three parts are NaN.
    """
    means = (
        _of_kind(parts, kind).groupby(["kind", "layer", "name", "domain"], sort=False)[["predicted", "damage"]].mean()
    )
    predicted = means["predicted"].unstack("domain")[list(domains)].to_numpy(float)
    damage = means["damage"].unstack("domain")[list(domains)].to_numpy(float)
    one = np.zeros(len(predicted), dtype=np.int64)

    def correlation(columns: Sequence[int]) -> Callable[[NDArray[np.int64]], float]:
        return lambda i: float(np.mean([rank_correlation(predicted[i, c], damage[i, c]) for c in columns]))

    if len(predicted) < 3:
        nothing = Interval(math.nan, math.nan, math.nan)
        return dict.fromkeys([*domains, None], nothing)
    columns: dict[str | None, Sequence[int]] = {name: [place] for place, name in enumerate(domains)}
    columns[None] = range(len(domains))
    return {name: bootstrap(correlation(each), one, seed=seed, bounds=(-1, 1)) for name, each in columns.items()}


def _of_kind(parts: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Parts of a kind; random groups of neurons are neurons too."""
    return parts[parts["kind"].isin([kind, "random neurons"] if kind == "neurons" else [kind])]


def part_verdicts(parts: pd.DataFrame, domains: Sequence[str], *, seed: int = 0) -> list[Verdict]:
    """Whether the sums of activations tell which parts matter."""
    verdicts = []
    for kind, unit in PART_KINDS.items():
        count = len(_of_kind(parts, kind)[["kind", "layer", "name"]].drop_duplicates())
        if count < 3:
            continue
        verdicts.append(
            judge(
                f"parts-{kind}",
                claim_text(f"parts-{kind}"),
                _("rank correlation of the sum with the damage, mean over domains"),
                part_correlations(parts, kind, domains, seed=seed)[None],
                LEAST_PART_CORRELATION,
                count,
                _(unit),
            )
        )
    return verdicts
