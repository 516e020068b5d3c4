"""From an allocation rule to the zeros of every module."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from paramscope.actions.pruning import sparsity as rules
from paramscope.actions.pruning.masks import Pattern
from paramscope.actions.pruning.request import PruneSettings
from paramscope.errors import UsageError
from paramscope.models.blocks import Block
from paramscope.result.profile import Profile
from paramscope.result.pruned import AllocationRecord
from paramscope.result.store import write_atomically
from paramscope.result.tables import ALL, pooled_histogram

OUTLIERS = "outliers.json"
"""In the unfinished folder: what OWL read of the dense model."""


def sizes_of(blocks: Sequence[Block]) -> list[int]:
    """Weights of each layer."""
    return [block.parameters for block in blocks]


def check_list(content: object, blocks: Sequence[Block], asked: float | None) -> None:
    """Refuse a given list of sparsities before any work is done.

    Args:
        content: of the list.
        blocks: of the model.
        asked: the target, where one is given too.

    Raises:
        UsageError: it does not fit the model or the target.
    """
    rules.mean_of(rules.given(content, len(blocks)), sizes_of(blocks), asked)


def allocate(
    settings: PruneSettings,
    blocks: Sequence[Block],
    *,
    content: object,
    profile: Profile | None,
    run_sha256: str | None,
    outliers: Callable[[], list[float]],
) -> tuple[AllocationRecord, float]:
    """Sparsity of each layer.

    Args:
        settings: of the user.
        blocks: of the model.
        content: a list of sparsities that is given.
        profile: for the rules that read one.
        run_sha256: digest of its run.
        outliers: share of outliers of each layer, for OWL.

    Returns:
        The sparsities, and the mean over the weights that they have.

    Raises:
        UsageError: nothing would be pruned.
    """
    sizes = sizes_of(blocks)
    constants: dict[str, float | str] = {}
    basis: list[float] | None = None
    target = Pattern.parse(settings.pattern).sparsity if settings.pattern else settings.sparsity
    if settings.rule == "given":
        found = rules.given(content, len(blocks))
        target = rules.mean_of(found, sizes, settings.sparsity)
    assert target is not None
    if not round(target * sum(sizes)):
        raise UsageError(
            f"--sparsity {target:g} is out of range: none of {sum(sizes):,} weights would become zero; give more"
        )
    if settings.rule == "uniform":
        found = rules.uniform(len(blocks), target)
    elif settings.rule == "owl":
        constants = {"M": rules.OWL_OUTLIER, "lambda": rules.OWL_LAMBDA}
        basis = outliers()
        found = rules.owl(np.array(basis), target)
    elif profile is not None:
        constants = {"domains": ", ".join(profile.domains)}
        if settings.rule == "paper":
            constants |= {"alpha": rules.PAPER_ALPHA, "beta": rules.PAPER_BETA, "threshold": profile.threshold}
            density = profile.density().mean(axis=1).to_numpy()
            basis = density.tolist()
            found = rules.paper(density, target)
        else:
            found = _equal_loss(profile, target)
    settled = rules.settle(found, sizes, target)
    record = AllocationRecord(
        rule=settings.rule, constants=constants, basis=basis, wanted=settled.tolist(), run_sha256=run_sha256
    )
    return record, target


def _equal_loss(profile: Profile, target: float) -> rules.Vector:
    """By the histograms of all domains together."""
    histograms, activation = profile.tables.histograms, profile.tables.activation
    layers = range(profile.layers)
    whole = histograms[histograms["group"] == ALL]
    zeros = activation.groupby("layer")["zeros"].sum()
    counts = [pooled_histogram(whole[whole["layer"] == layer]) for layer in layers]
    return rules.equal_loss(counts, [float(zeros[layer]) for layer in layers], target)


def zeros_of(record: AllocationRecord, blocks: Sequence[Block], target: float) -> list[list[int]]:
    """Zeros of each layer's modules: ``round(S * all weights)`` together.

    Args:
        record: from ``allocate``.
        blocks: of the model.
        target: S.

    Returns:
        Whole numbers.
    """
    layers = rules.count_zeros(np.array(record.wanted), sizes_of(blocks), target)
    return [
        rules.divide(int(zeros), [weight.size for weight in block.weights]).tolist()
        for zeros, block in zip(layers, blocks, strict=True)
    ]


def kept_outliers(folder: Path | None, make: Callable[[], list[float]]) -> list[float]:
    """OWL's shares of outliers, as an interrupted call found them or made now.

    Args:
        folder: the unfinished one, where there is one.
        make: makes them.

    Returns:
        By layer.
    """
    path = folder / OUTLIERS if folder else None
    if path and path.is_file():
        with contextlib.suppress(ValueError):
            kept: list[float] = json.loads(path.read_text(encoding="utf-8"))
            return kept
    found = make()
    if path:
        write_atomically(path, json.dumps(found))
    return found
