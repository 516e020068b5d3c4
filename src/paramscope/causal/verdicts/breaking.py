"""What breaks the model when it alone is taken away: single points of failure."""

from __future__ import annotations

import pandas as pd

from paramscope.wording import told_share

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
    for _, alike in sets.groupby(["band", "criterion"], sort=False):
        for share in sorted(alike["share"].unique()):
            several = [group for _, group in alike[alike["share"] == share].groupby("chosen_for", sort=False)]
            group = max(several, key=lambda each: each.groupby("domain")["damage"].mean().max())
            if group.groupby("domain")["damage"].mean().max() >= BREAKS:
                one = group.iloc[0]
                what = f"{told_share(share)} of the {one['band']} layers' weights by {one['criterion']}"
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
