"""Which layers stay common to all domains and which are kept per domain, as a curve from all shared to nothing shared.

The **own share** of a layer says how much of its activation is the domains' own. Let ``u`` be a sample's activations
over the layer's weights, scaled to length 1, and ``m`` a domain's expected ``u``. The mean LLMDcos within a domain
(pairs of different samples) is an unbiased estimate of ``|m|^2``, the mean across two domains one of ``m . m'``. So

    own share = 1 - mean across / mean within = (mean over pairs of domains of |m - m'|^2 / 2) / (mean of |m|^2)

is the part of the domains' mean activation that they do not have in common: 0 where the domains are one source, 1
where they use different weights. Scatter of samples in directions of their own lengthens neither mean, so layers of
different scatter compare. Every draw of the bootstrap takes the same samples in all layers, so a layer is compared with
the mean of all layers by the difference within each draw.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from paramscope.causal.verdicts import BREAKS
from paramscope.causal.verdicts.verdict import LEAST_COUNT
from paramscope.errors import UsageError
from paramscope.measures.ranks import Interval, bootstrap, rank_correlation
from paramscope.measures.resample import Resampler, percentile_intervals
from paramscope.measures.similarity import FEWEST
from paramscope.result.profile import Profile
from paramscope.result.shared import FindingRecord, LayerRecord, PointRecord, RemovalRecord
from paramscope.result.verification import Checks, IntervalRecord, plain

_BEARING = ("specific-", "shallow-shared-deep-specific")
"""How the claims begin whose verdicts bear on sharing."""


def compare_layers(profile: Profile, resampler: Resampler, checks: Checks | None, *, rank: int) -> list[LayerRecord]:
    """How much of each layer is the domains' own.

    Args:
        profile: the run.
        resampler: of that run.
        checks: of that run, where there are any.
        rank: of LoRA adapters.

    Returns:
        A record a layer, from the input to the output.

    Raises:
        UsageError: fewer than two domains have enough samples, no pairs were compared, or no module takes an adapter of
            that rank.
    """
    if len(profile.domains) < 2:
        raise UsageError(
            f"the run has one domain ({profile.domains[0]}), sharing needs at least two; profile with --domain twice"
        )
    if len(resampler.domains) < 2:
        raise UsageError(
            f"fewer than two domains of the run have {FEWEST} samples, so how they differ cannot be told; profile "
            "with more --samples"
        )
    adapters = adapter_parameters(profile, rank)
    layers = range(profile.layers)
    own, excess = own_share_intervals(profile, resampler)
    if not any(math.isfinite(share.value) for share in own):
        raise UsageError("the run compares no pairs of samples; profile it again without --pairs 0")
    outputs = output_shares(profile)
    damage = _damage(checks)
    records = []
    for layer, share, more in zip(layers, own, excess, strict=True):
        raw, centred = (resampler.layers([layer], centred=kind) for kind in (False, True))
        hurt = damage.get(layer)
        records.append(
            LayerRecord(
                layer=layer,
                parameters=int(profile.parameters[layer]),
                adapter_parameters=adapters[layer],
                own_share=_record(share),
                excess=_record(more),
                stands_out=bool(more.low > 0),
                within=_record(raw.mean_within),
                across=_record(raw.mean_across),
                centred_gap=_record(centred.mean_gap),
                output_share=plain(outputs[layer]),
                damage=None if hurt is None else plain(float(hurt.mean())),
                breaks=None if hurt is None else int((hurt >= BREAKS).sum()),
            )
        )
    return records


def own_share_intervals(profile: Profile, resampler: Resampler) -> tuple[list[Interval], list[Interval]]:
    """Own share of each layer, and how much that is above the mean layer's.

    Args:
        profile: the run.
        resampler: of that run, with two domains or more.

    Returns:
        Both with their intervals, from the input to the output; NaN where nothing is active or no pairs were compared.
    """
    means = [resampler.means([layer], centred=False) for layer in range(profile.layers)]
    own = np.stack([own_shares(within, across) for within, across in means], axis=1)
    there = np.isfinite(own[0])
    mean = own[:, there].mean(1, keepdims=True) if there.any() else np.full((len(own), 1), np.nan)
    return _intervals(own), _intervals(own - mean)


def own_shares(within: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Own share of a layer.

    Args:
        within: ``[B]`` mean LLMDcos within domains.
        across: ``[B]`` mean LLMDcos of different domains.

    Returns:
        ``[B]``, about 0 to 1, by chance below 0; NaN where nothing is active.
    """
    return 1.0 - np.divide(across, within, out=np.full_like(within, np.nan), where=within > 0)


def output_shares(profile: Profile) -> list[float]:
    """How much of each layer's activation falls on other outputs than the other domains' does.

    The sums over each output's weights (the row sums of all modules), as shares of the layer's total, are compared with
    the mean of the other domains' shares: half of the sum of the absolute differences (total variation), averaged over
    the domains.

    Args:
        profile: the run.

    Returns:
        One number a layer, 0 to 1; NaN where a domain has no activation.
    """
    shares = []
    for layer, modules in profile.modules.groupby("layer", sort=True)["module"]:
        sums = np.concatenate([profile.tables.sums[f"{layer}/{module}/rows"] for module in modules], axis=1)
        totals = sums.sum(1, keepdims=True)
        if not (totals > 0).all():
            shares.append(math.nan)
            continue
        parts = sums / totals
        others = (parts.sum(0) - parts) / (len(parts) - 1)
        shares.append(float(np.abs(parts - others).sum(1).mean() / 2))
    return shares


def adapter_parameters(profile: Profile, rank: int) -> list[int]:
    """Parameters of LoRA adapters on all linear modules of each layer: rank * (inputs + outputs) a module.

    Args:
        profile: the run.
        rank: of the adapters.

    Returns:
        One number a layer.

    Raises:
        UsageError: the rank is no whole number from 1 to the smaller side of the largest module.
    """
    modules = profile.modules
    most = int(modules[["rows", "columns"]].min(axis=1).max())
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= most:
        raise UsageError(f"--rank {rank!r} is out of range; give a whole number from 1 to {most}")
    sides = (modules["rows"] + modules["columns"]).groupby(modules["layer"]).sum()
    return [rank * int(sides[layer]) for layer in range(profile.layers)]


def in_order(layers: list[LayerRecord]) -> list[int]:
    """Layers by falling own share; of equal ones the deeper first, layers without a number last."""

    def key(record: LayerRecord) -> tuple[float, int]:
        share = record.own_share.value
        return (math.inf if share is None else -share, -record.layer)

    return [record.layer for record in sorted(layers, key=key)]


def sharing_curve(
    layers: list[LayerRecord],
    *,
    parameters: int,
    domains: int,
    parts: int | None,
    bytes_per_parameter: float,
    adapter_bytes_per_parameter: float,
) -> list[PointRecord]:
    """From one model for all to a whole model each, layer by layer, those that differ most first.

    Of n own layers the base keeps none: the first domain's copy is in their place, so K copies of everything are K
    models. Adapters lie beside the base. What is in no layer (embeddings, head), and a layer's norms and biases, are
    shared at all points but the last.

    Args:
        layers: of the run.
        parameters: of the whole model.
        domains: K.
        parts: groups and domains outside of any; None where there are no groups.
        bytes_per_parameter: of the model.
        adapter_bytes_per_parameter: of the adapters.

    Returns:
        ``len(layers) + 2`` points.
    """
    order = in_order(layers)
    points = []
    for count in range(len(layers) + 2):
        whole = count > len(layers)
        chosen = order[:count]
        own = parameters if whole else sum(layers[layer].parameters for layer in chosen)
        adapters = None if whole else sum(layers[layer].adapter_parameters for layer in chosen)

        def layer_bytes(copies: int, own: int = own) -> float:
            return (parameters + (copies - 1) * own) * bytes_per_parameter

        def adapter_bytes(copies: int, adapters: int | None = adapters) -> float | None:
            if adapters is None:
                return None
            return parameters * bytes_per_parameter + copies * adapters * adapter_bytes_per_parameter

        points.append(
            PointRecord(
                own_layers=None if whole else count,
                layers=sorted(chosen),
                own_parameters=own,
                own_share=own / parameters,
                adapter_parameters=adapters,
                layer_bytes=layer_bytes(domains),
                adapter_bytes=adapter_bytes(domains),
                group_layer_bytes=None if parts is None else layer_bytes(parts),
                group_adapter_bytes=None if parts is None else adapter_bytes(parts),
            )
        )
    return points


def bearing_findings(checks: Checks | None) -> list[FindingRecord]:
    """Verdicts of the causal checks that bear on sharing: whether what a domain uses is its own."""
    verdicts = checks.result.verdicts if checks else []
    return [
        FindingRecord(claim=verdict.claim, text=verdict.text, status=verdict.status)
        for verdict in verdicts
        if verdict.claim.startswith(_BEARING)
    ]


def removal_check(layers: list[LayerRecord], checks: Checks | None, *, seed: int) -> RemovalRecord | None:
    """Whether layers of a large own share are those whose removal hurts the domains differently.

    How differently: the covariance over the domains of their mean damage in one half of the held-out texts and in the
    other, over the square of the mean damage. Chance in the texts is another one in each half, so it cancels out.

    Args:
        layers: of the run.
        checks: of that run, where there are any.
        seed: of the bootstrap over layers.

    Returns:
        The rank correlation; None where fewer than ``LEAST_COUNT`` layers were removed or can be told apart.
    """
    if checks is None:
        return None
    table = checks.parts[checks.parts["kind"] == "layer"]
    half = table.groupby(["layer", "domain"]).cumcount() % 2
    means = table.groupby(["layer", half, "domain"])["damage"].mean().unstack("domain")
    shares, differences = [], []
    for layer in means.index.unique("layer").tolist():
        share = layers[layer].own_share.value
        damage = means.loc[[layer]].to_numpy(dtype=float)
        if share is None or damage.shape[0] < 2 or not np.isfinite(damage).all() or not damage.mean() > 0:
            continue
        shares.append(share)
        differences.append(float(np.cov(damage)[0, 1]) / float(damage.mean()) ** 2)
    if len(shares) < LEAST_COUNT:
        return None
    own, differ = np.array(shares), np.array(differences)
    found = bootstrap(
        lambda i: rank_correlation(own[i], differ[i]), np.zeros(len(own), dtype=np.int64), seed=seed, bounds=(-1, 1)
    )
    return RemovalRecord(layers=len(own), **plain({"value": found.value, "low": found.low, "high": found.high}))


def _damage(checks: Checks | None) -> dict[int, NDArray[np.float64]]:
    """Mean damage to each domain, of the layers that were zeroed."""
    if checks is None:
        return {}
    table = checks.parts[checks.parts["kind"] == "layer"]
    means = table.groupby(["layer", "domain"])["damage"].mean().unstack("domain")
    return dict(zip(means.index.tolist(), means.to_numpy(dtype=float), strict=True))


def _intervals(draws: NDArray[np.float64]) -> list[Interval]:
    """Of ``[B + 1, n]``, the statistics themselves first."""
    return percentile_intervals(draws[0], draws[1:])


def _record(found: Interval) -> IntervalRecord:
    return IntervalRecord(**plain({"value": found.value, "low": found.low, "high": found.high}))
