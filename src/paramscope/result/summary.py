"""The document that ``paramscope show --json`` prints: plain values, unrounded."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from paramscope.result.manifest import SCHEMA
from paramscope.result.profile import Estimate, Profile, Similarity
from paramscope.result.verification import Verification


def summarise(profile: Profile, threshold: float | None = None, checks: Verification | None = None) -> dict[str, Any]:
    """The numbers of a profile as JSON values.

    Args:
        profile: the profile.
        threshold: gamma; the run's default when None.
        checks: of the run, where there were any.

    Returns:
        Lists run over the layers, from the input to the output; a number that does not exist (the similarity within a
        domain of one sample, an interval of it) is None.

    Raises:
        UsageError: the threshold is not a positive number.
    """
    density = profile.density_estimate(threshold)
    concentration = profile.concentration()
    manifest = profile.manifest
    return {
        "schema": SCHEMA,
        "model": manifest.model.name,
        "objective": manifest.objective,
        "domains": profile.domains,
        "layers": profile.layers,
        "samples": {domain.name: domain.samples for domain in manifest.domains},
        "tokens": {domain.name: domain.tokens for domain in manifest.domains},
        "parameters": [int(count) for count in profile.parameters],
        "threshold": profile.threshold if threshold is None else threshold,
        "threshold_rule": manifest.thresholds.rule if threshold is None else "given",
        "density": _columns(density.value),
        "density_interval": _intervals(density),
        "similarity": _similarity(profile.similarity()),
        "similarity_centred": _similarity(profile.similarity(centred=True)),
        "concentration": {
            measure: _columns(concentration[measure].unstack("domain")[profile.domains])
            for measure in ("total", "share_90", "gini", "effective_number")
        },
        "underflows": _underflows(profile),
        "self_check": manifest.self_check.largest_relative_error,
        "warnings": manifest.warnings,
        "verification": checks.model_dump(mode="json") if checks else None,
    }


def _underflows(profile: Profile) -> dict[str, list[int]]:
    """Weights whose activation the model's own type could not have held; runs of older versions did not count them."""
    table = profile.tables.activation
    if "underflows" not in table:
        return {}
    counts = table.groupby(["layer", "domain"])["underflows"].sum().unstack("domain")
    return {domain: [int(count) for count in counts[domain]] for domain in profile.domains}


def _similarity(similarity: Similarity) -> dict[str, Any]:
    return {
        "within": _columns(similarity.within.value),
        "across": _columns(similarity.across.value),
        "within_interval": _intervals(similarity.within),
        "across_interval": _intervals(similarity.across),
    }


def _columns(frame: pd.DataFrame) -> dict[str, list[float | None]]:
    return {str(name): [_plain(value) for value in column] for name, column in frame.items()}


def _intervals(estimate: Estimate) -> dict[str, list[list[float | None]]]:
    low, high = _columns(estimate.low), _columns(estimate.high)
    return {name: [list(ends) for ends in zip(low[name], high[name], strict=True)] for name in low}


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
