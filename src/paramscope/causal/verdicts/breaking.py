"""What breaks the model when it alone is taken away: single points of failure."""

from __future__ import annotations

import functools

import pandas as pd

from paramscope.causal.verdicts.told import told_place, told_set
from paramscope.language import again, language
from paramscope.result.verification import Checks

BREAKS = 1.0
"""Nats per token that a domain loses when something breaks the model: the right token is 2.7 times less likely."""


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
    for _key, alike in sets.groupby(["band", "criterion"], sort=False):
        for share in sorted(alike["share"].unique()):
            several = [group for _key, group in alike[alike["share"] == share].groupby("chosen_for", sort=False)]
            group = max(several, key=lambda each: each.groupby("domain")["damage"].mean().max())
            if group.groupby("domain")["damage"].mean().max() >= BREAKS:
                one = group.iloc[0]
                what = told_set(share, one["band"], one["criterion"], one["chosen_for"])
                rows.append((what, int(one["weights"]), group))
                break
    for _key, group in parts.groupby(["kind", "layer", "name"], sort=False):
        one = group.iloc[0]
        what = told_place(one["kind"], one["layer"], one["name"])
        rows.append((what, int(one["kind"] == "weight"), group))
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


def told_breaking(checks: Checks) -> list[str]:
    """What breaks the model, of a document, in the language that is spoken.

    Args:
        checks: with their tables.

    Returns:
        A name for each of the document's ``breaking``; its own where the tables do not have it.
    """

    @functools.cache
    def made(_code: str) -> list[str]:  # whatever the language, the rows are in the same order
        found: list[str] = breaking(checks.sets, checks.parts)["what"].tolist()
        return found

    return [again(record.what, lambda: made(language())) for record in checks.result.breaking]
