"""Made-up causal checks: small tables and the document that belongs to them, without any model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paramscope.causal.verdicts import SetDamages, breaking
from paramscope.measures.bands import thirds
from paramscope.result.verification import (
    BreakingRecord,
    Checks,
    FidelityRecord,
    IntervalRecord,
    MatrixRecord,
    PartCorrelationRecord,
    VerdictRecord,
    Verification,
    plain,
)

CRITERIA = ("activation", "ratio", "magnitude", "random")
EVERY = (*CRITERIA, "input-norm", "difference", "lowest")
_SCALE = {"activation": 3.0, "input-norm": 2.5, "magnitude": 2.0, "difference": 1.2, "ratio": 0.6, "random": 0.04}


def made_up_weights(names: Sequence[str], layers: int, count: int, seed: int = 0) -> pd.DataFrame:
    """Weights whose true change scatters around the estimate, more in shallow layers."""
    rng = np.random.default_rng(seed)
    stratum = rng.integers(0, 6, count)
    layer = np.arange(count) % layers
    size = 10.0 ** -(1.0 + 1.2 * stratum + rng.random(count))
    estimate = size * rng.choice([-1, 1], count)
    change = estimate * np.exp(rng.normal(0, 0.4 - 0.3 * layer / layers, count))
    return pd.DataFrame(
        {
            "domain": [names[k % len(names)] for k in range(count)],
            "sample": 0,
            "layer": layer,
            "module": "mlp.up_proj",
            "row": 1,
            "column": 2,
            "stratum": stratum,
            "share": 10.0 * (1 + stratum),
            "estimate": estimate,
            "integrated": np.nan,
            "change": change,
            "change_free": change * rng.choice([1.0, 1.5], count),
            "noise": 1e-9,
        }
    )


def made_up_sets(
    names: Sequence[str],
    bands: Sequence[str],
    shares: Sequence[float],
    criteria: Sequence[str] = CRITERIA,
    texts: int = 4,
    seed: int = 0,
) -> pd.DataFrame:
    """Damage that grows with the share, most for the own domain in deep layers."""
    rng = np.random.default_rng(seed)
    rows = []
    for depth, band in enumerate(bands):
        for share in shares:
            for criterion in criteria:
                for chosen in [""] if criterion in ("magnitude", "random") else names:
                    for domain in names:
                        own = 1.0 + 0.4 * depth * (chosen == domain)
                        size = _SCALE.get(criterion, -0.02) * (share / max(shares)) ** 0.3 * own
                        for sample in range(texts):
                            damage = size * np.exp(rng.normal(0, 0.3))
                            rows.append((band, share, 100, criterion, chosen, 0, domain, sample, damage))
    columns = ["band", "share", "weights", "criterion", "chosen_for", "draw", "domain", "sample", "damage"]
    return pd.DataFrame(rows, columns=columns)


def made_up_parts(names: Sequence[str], layers: int, texts: int = 4, seed: int = 0) -> pd.DataFrame:
    """Layers, a head and a group of neurons in each layer, and one single weight."""
    rng = np.random.default_rng(seed)
    parts = [
        (kind, layer, name)
        for kind, name in (("layer", ""), ("head", "head 1"), ("neurons", "6 neurons"))
        for layer in range(layers)
    ]
    rows = [
        (kind, layer, name, domain, sample, 100.0 / (layer + 1), abs(rng.normal(0, 2.0 if kind == "layer" else 0.3)))
        for kind, layer, name in parts
        for domain in names
        for sample in range(texts)
    ]
    rows += [("weight", 1, "mlp.down_proj [3, 4]", domain, 0, np.nan, 2.5) for domain in names]
    return pd.DataFrame(rows, columns=["kind", "layer", "name", "domain", "sample", "predicted", "damage"])


def interval_record(value: float | None, half: float | None = 0.1) -> IntervalRecord:
    if value is None or half is None:
        return IntervalRecord(value=value, low=None, high=None)
    return IntervalRecord(value=value, low=value - half, high=value + half)


def fidelity_record(
    half: float | None = 0.1, *, value: float | None = 0.87, where: int | str | None = None
) -> FidelityRecord:
    told = interval_record(value, half)
    return FidelityRecord(
        where=where,
        count=60,
        above=0.99,
        correlation=told,
        slope=interval_record(0.93, half),
        low_ratio=told,
        median_ratio=interval_record(1.02, half),
        high_ratio=interval_record(1.41, half),
        worst_ratio=told,
        sign=interval_record(0.98, half),
    )


VERDICTS = [
    VerdictRecord(
        claim="first-order-order", text="The activation orders weights.", status="supported", measure="rank",
        value=0.97, low=0.95, high=0.99, threshold=0.9, count=1234, unit="weights", needed=None, p_value=None,
    ),
    VerdictRecord(
        claim="specific-ratio", text="They are its own.", status="not supported", measure="damage",
        value=-0.31, low=-0.42, high=-0.2, threshold=0.05, count=24, unit="held-out texts", needed=None, p_value=0.125,
    ),
    VerdictRecord(
        claim="parts-layer", text="Sums tell which layers matter.", status="undecided", measure="rank",
        value=0.4, low=-0.1, high=0.8, threshold=0.5, count=14, unit="layers", needed=97, p_value=None,
    ),
]  # fmt: skip


def made_up_checks(
    names: Sequence[str],
    layers: int,
    *,
    shares: Sequence[float] = (1e-5, 1e-3, 1e-2),
    criteria: Sequence[str] = CRITERIA,
    weights: pd.DataFrame | None = None,
    sets: pd.DataFrame | None = None,
    parts: pd.DataFrame | None = None,
    verdicts: Sequence[VerdictRecord] = VERDICTS,
    half: float | None = 0.1,
    free: bool = True,
) -> Checks:
    """Checks whose document agrees with the tables of sets and parts."""
    bands = list(thirds(layers))
    weights = made_up_weights(names, layers, 60) if weights is None else weights
    sets = made_up_sets(names, bands, shares, criteria) if sets is None else sets
    parts = made_up_parts(names, layers) if parts is None else parts
    matrices = []
    if len(sets):
        damages = SetDamages(sets, names, bands)
        matrices = [
            MatrixRecord(
                band=band,
                share=share,
                criterion=criterion,
                damage=plain(damages.by_domain(damages.matrix(band, share, criterion)).tolist()),
            )
            for band in damages.bands
            for share in damages.shares
            for criterion in sets["criterion"].unique()
        ]
    correlations = [
        PartCorrelationRecord(kind="layer", domain=name, **vars(interval_record(0.25 + 0.1 * place, half)))
        for place, name in enumerate([*names, None])
    ]
    result = Verification(
        paramscope="0.0.0",
        run_sha256="0" * 64,
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        arguments={"seed": 0},
        sizes={"tokens": 32},
        singles_dtype="float64",
        noise_floor=1e-8,
        fidelity=[fidelity_record(half), *(fidelity_record(half, value=0.5, where=band) for band in bands)],
        fidelity_free=fidelity_record(half, value=0.81) if free else None,
        matrices=matrices,
        part_correlations=correlations if len(parts) else [],
        breaking=[
            BreakingRecord(**{str(key): value for key, value in plain(row).items()})
            for row in (breaking(sets, parts).to_dict("records") if len(sets) else [])
        ],
        verdicts=list(verdicts),
        timings={"checking": 1.0},
        warnings=[],
    )
    return Checks(result, weights, sets, parts)
