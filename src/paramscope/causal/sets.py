"""Sets of weights zeroed: what each costs the texts of every domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.causal.damage import HeldOut, first_block
from paramscope.causal.selection import MAGNITUDE, RANDOM, Selection


@dataclass(frozen=True)
class SetPlan:
    """Which sets are tried.

    Attributes:
        bands: of layers.
        shares: of a band's weights.
        criteria: asked for each domain.
        magnitude: whether the largest weights are tried too.
        draws: random sets for each share; they have as many weights of each module as the sets by ``activation`` of the
            domains, which take turns.
    """

    bands: tuple[str, ...]
    shares: tuple[float, ...]
    criteria: tuple[str, ...]
    magnitude: bool
    draws: int

    def trials(self, domains: int) -> int:
        """Sets of each band."""
        return len(self.shares) * (domains * len(self.criteria) + self.draws + self.magnitude)


def check_sets(
    held: HeldOut,
    selection: Selection,
    plan: SetPlan,
    domains: Sequence[str],
    band: str,
    *,
    seed: int,
    progress: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Zero the sets of one band, one after the other.

    Args:
        held: held-out texts.
        selection: of weights.
        plan: which sets.
        domains: names.
        band: of layers.
        seed: of random sets.
        progress: told how many sets more are done.

    Returns:
        A row a set and held-out text: band, share, weights, criterion, chosen_for (the domain, empty for
        ``magnitude`` and ``random``), draw, domain, sample, damage (nats per token).
    """
    rng = np.random.default_rng([seed, *band.encode()])
    tables = []
    for share, criterion, domain, draw, codes in _sets(selection, plan, band, len(domains), rng):
        cuts = selection.cuts(codes)
        damage = held.damage(cuts, first_block(selection.blocks, cuts))
        tables.append(
            held.table(
                damage,
                domains,
                band=band,
                share=share,
                weights=len(codes),
                criterion=criterion,
                chosen_for="" if criterion in (MAGNITUDE, RANDOM) else domains[domain],
                draw=draw,
            )
        )
        progress(1)
    return pd.concat(tables, ignore_index=True)


def _sets(
    selection: Selection, plan: SetPlan, band: str, domains: int, rng: np.random.Generator
) -> Iterator[tuple[float, str, int, int, NDArray[np.int64]]]:
    for share in plan.shares:
        for domain in range(domains):
            for criterion in plan.criteria:
                yield share, criterion, domain, 0, selection.chosen(band, criterion, domain, share)
        for draw in range(plan.draws):
            like = selection.chosen(band, "activation", draw % domains, share)
            yield share, RANDOM, draw % domains, draw, selection.random(like, rng)
        if plan.magnitude:
            yield share, MAGNITUDE, 0, 0, selection.chosen(band, MAGNITUDE, 0, share)
