"""All that a call of pruning needs, made and checked before any weight is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from paramscope.actions.pruning.allocate import check_list
from paramscope.actions.pruning.masks import Pattern
from paramscope.actions.pruning.opening import check_run, open_for_pruning
from paramscope.actions.pruning.prune import Progress, even_batches, refuse_rescaling, refuse_shared
from paramscope.actions.pruning.recipe import check_recipe
from paramscope.actions.pruning.request import PruneSettings, check_needs, read_allocation
from paramscope.actions.pruning.saving import check_savable, own_type
from paramscope.domains import Domain, DomainSpec, draw_domain
from paramscope.engine.batches import MicroBatch
from paramscope.engine.estimate import memory_in_use
from paramscope.errors import UsageError
from paramscope.models.blocks import Block, Structure, unmeasured_weights
from paramscope.models.open import LocatedModel, OpenModel, choose_device, locate, max_positions
from paramscope.models.quantised import quantised
from paramscope.models.running import vocabulary
from paramscope.planning import check_tokens, refuse_ignored
from paramscope.result.profile import Profile
from paramscope.result.verification import run_digest


@dataclass
class Work:
    """All that a call needs.

    Attributes:
        settings: of the user.
        opened: the model.
        structure: of the model.
        domain: the calibration samples, where some are read.
        batches: the same as micro-batches.
        profile: of the model, for allocations that read one.
        run_sha256: digest of its run.
        content: a list of sparsities that is given.
        recipe: file for llm-compressor.
        tokenizer: to save with the model.
        own: type to save the weights in; None leaves a loaded model's own.
        arguments: all that the result depends on.
        warnings: one sentence each.
        progress: told how far it is.
        seconds: that it took to make.
    """

    settings: PruneSettings
    opened: OpenModel
    structure: Structure
    domain: Domain | None
    batches: list[MicroBatch]
    profile: Profile | None
    run_sha256: str | None
    content: object
    recipe: Path | None
    tokenizer: Any
    own: torch.dtype | None
    arguments: dict[str, Any]
    warnings: list[str]
    progress: Progress
    seconds: float


def begin(
    model: str | os.PathLike[str] | nn.Module,
    settings: PruneSettings,
    spec: DomainSpec | None,
    *,
    run: str | os.PathLike[str] | None,
    recipe: str | os.PathLike[str] | None,
    tokenizer: Any,
    revision: str | None,
    in_place: bool,
    saved: bool,
    progress: Progress,
) -> Work:
    """Read texts and run, open the model, and refuse what cannot be done.

    Args:
        model: a path, a hub id or a loaded model.
        settings: of the user.
        spec: the calibration domain.
        run: folder of a run of the model.
        recipe: file for llm-compressor.
        tokenizer: of a loaded model.
        revision: on the hub.
        in_place: whether a loaded model is pruned itself.
        saved: whether the pruned model is written.
        progress: told how far it is.

    Returns:
        All that a call needs.

    Raises:
        UsageError: something cannot be done.
    """
    started, in_use = time.perf_counter(), memory_in_use()
    opening = settings.opening
    content = read_allocation(settings)
    check_needs(settings, spec, run)
    choose_device(opening.device)
    profile = Profile.load(os.fspath(run)) if run is not None else None
    located = _located(model, settings, revision, tokenizer)
    tokenizer = located.tokenizer if located else tokenizer
    domain = None
    if spec is not None:
        limit = max_positions(located.config if located else getattr(model, "config", None))
        tokens = min(opening.max_tokens, limit or opening.max_tokens)
        domain = draw_domain(spec, tokenizer, samples=opening.samples, max_tokens=tokens, seed=opening.seed)
    batches = even_batches(domain.samples) if domain else []
    opened, structure = open_for_pruning(model, located, settings, batches, in_use, copied=not in_place)
    blocks = structure.blocks
    refuse_shared(blocks)
    refuse_rescaling(opened.model, blocks)
    if settings.pattern:
        Pattern.parse(settings.pattern).check(blocks)
    if domain:
        check_tokens(vocabulary(opened.model), [domain])
    if profile:
        check_run(profile, opened, structure)
    if recipe is not None:
        check_recipe(Path(recipe), blocks, settings.score)
    if saved:
        check_savable(opened, blocks)
    if content is not None:
        check_list(content, blocks, settings.sparsity)
    own = own_type(located) if located else None
    warnings = [*opened.warnings, *(domain.warnings if domain else ()), *_told_unpruned(blocks)]
    if own and opened.dtype.itemsize < own.itemsize:
        own = opened.dtype
        warnings.append(f"the weights were rounded to {str(own).removeprefix('torch.')}, which --dtype asked for")
    digest = run_digest(Path(run)) if run is not None else None
    return Work(
        settings=settings,
        opened=opened,
        structure=structure,
        domain=domain,
        batches=batches,
        profile=profile,
        run_sha256=digest,
        content=content,
        recipe=Path(recipe) if recipe is not None else None,
        tokenizer=tokenizer,
        own=own,
        arguments={
            "model": opened.name,
            "revision": revision,
            "model_files": opened.files,
            "sparsity": settings.sparsity,
            "pattern": settings.pattern,
            "allocation": settings.rule if content is None else content,
            "run_sha256": digest,
            "score": settings.score,
            "dtype": opening.dtype,
            "device": opening.device,
            "seed": opening.seed,
            "calibration": [sample.sha256 for sample in domain.samples] if domain else None,
        },
        warnings=warnings,
        progress=progress,
        seconds=time.perf_counter() - started,
    )


def _located(
    model: str | os.PathLike[str] | nn.Module, settings: PruneSettings, revision: str | None, tokenizer: Any
) -> LocatedModel | None:
    """The model on disk; None for a loaded one.

    Raises:
        UsageError: it is quantised, or something is given that is for the other kind.
    """
    if isinstance(model, nn.Module):
        refuse_ignored(settings.opening, revision)
        return None
    if not isinstance(model, str | os.PathLike):
        raise UsageError(f"model is of type {type(model).__name__}; give a path, a hub id or a loaded model")
    if tokenizer is not None:
        raise UsageError("tokenizer is for a loaded model; one that is opened from disk brings its own, leave it out")
    located = locate(os.fspath(model), revision)
    method = quantised(located.config)
    if method:
        raise UsageError(f"model {located.name} is quantised by {method}; prune the model before it was quantised")
    return located


def _told_unpruned(blocks: Sequence[Block]) -> list[str]:
    names = unmeasured_weights(list(blocks))
    if not names:
        return []
    return [
        f"{len(names)} weights of the layers, such as {names[0]}, multiply no activations (convolutions, for example); "
        "they are not pruned and not counted"
    ]
