"""Pruning: from a model, an allocation and calibration texts to a sparse model with its manifest."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from paramscope.actions.pruning.allocate import allocate, kept_outliers, zeros_of
from paramscope.actions.pruning.describe import describe
from paramscope.actions.pruning.masks import Pattern
from paramscope.actions.pruning.prune import Progress, Wanted, outlier_shares, prune_blocks
from paramscope.actions.pruning.recipe import write_recipe
from paramscope.actions.pruning.request import PruneSettings
from paramscope.actions.pruning.saving import finish, write_model, zeros_in
from paramscope.actions.pruning.sparsity import OWL_OUTLIER
from paramscope.actions.pruning.store import MaskStore, check_output
from paramscope.actions.pruning.work import Work, begin
from paramscope.domains import DomainSpec
from paramscope.errors import UsageError
from paramscope.profiling import without_tf32, worded_for_python
from paramscope.recording import now
from paramscope.result.place import check_same
from paramscope.result.pruned import DOCUMENT, Pruned, read_pruned
from paramscope.settings import Settings
from paramscope.wording import did_you_mean, listed


def prune(
    model: str | os.PathLike[str] | nn.Module,
    *,
    output: str | os.PathLike[str] | None = None,
    in_place: bool = False,
    domain: DomainSpec | Mapping[str, Any] | None = None,
    run: str | os.PathLike[str] | None = None,
    recipe: str | os.PathLike[str] | None = None,
    tokenizer: Any = None,
    revision: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
    sparsity: float | None = None,
    pattern: str | None = None,
    allocation: Any = "uniform",
    score: str = "wanda",
    **settings: Any,
) -> Pruned:
    """Set the least needed weights of a model's layers to zero.

    Embeddings, head, norms and biases stay as they are.

    Args:
        model: a folder in Hugging Face format, a ``.gguf`` file, a hub id, or a loaded model of transformers.
        output: folder to write the pruned model to; finished blocks are kept beside it on the way.
        in_place: prune a loaded model itself. If it is interrupted, some of its blocks are pruned and others are not.
        domain: the calibration texts, a ``DomainSpec`` or ``{name: source}``, see ``profile``; magnitude needs none.
        run: a run folder of this model, for the allocations ``paper`` and ``histogram``.
        recipe: file to write the allocation to, for llm-compressor.
        tokenizer: of a loaded model; not needed for samples as token ids. Saved with the model.
        revision: on the hub.
        resume: go on with an interrupted call, or read the result of a finished one.
        overwrite: replace a pruned model that is there.
        progress: told how far it is.
        sparsity: see ``PruneSettings``.
        pattern: see ``PruneSettings``.
        allocation: see ``PruneSettings``.
        score: see ``PruneSettings``.
        settings: of ``Settings``: samples (128), max_tokens (512), seed, dtype, device, weights, max_memory.

    Returns:
        What was pruned, as in ``prune.json``.

    Raises:
        UsageError: wrong use or input; says what to mend.
        RunError: the model cannot be saved.
    """
    with worded_for_python():
        known = ("samples", "max_tokens", "seed", "dtype", "device", "weights", "max_memory")
        for name in settings:
            if name not in known:
                raise UsageError(f"{name} is no setting of prune{did_you_mean(name, known)}; there are {listed(known)}")
        opening = Settings(**{"samples": 128, "max_tokens": 512} | settings)
        return run_prune(
            model,
            PruneSettings(sparsity, pattern, allocation, score, opening),
            output=output,
            in_place=in_place,
            domain=_spec(domain),
            run=run,
            recipe=recipe,
            tokenizer=tokenizer,
            revision=revision,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )


def run_prune(
    model: str | os.PathLike[str] | nn.Module,
    settings: PruneSettings,
    *,
    output: str | os.PathLike[str] | None = None,
    in_place: bool = False,
    domain: DomainSpec | None = None,
    run: str | os.PathLike[str] | None = None,
    recipe: str | os.PathLike[str] | None = None,
    tokenizer: Any = None,
    revision: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
) -> Pruned:
    """What ``prune`` and the command line call.

    Args:
        model: see ``prune``.
        settings: of the user.
        output: see ``prune``.
        in_place: see ``prune``.
        domain: see ``prune``.
        run: see ``prune``.
        recipe: see ``prune``.
        tokenizer: see ``prune``.
        revision: see ``prune``.
        resume: see ``prune``.
        overwrite: see ``prune``.
        progress: see ``prune``.

    Returns:
        See ``prune``.

    Raises:
        UsageError: see ``prune``.
    """
    if in_place and not isinstance(model, nn.Module):
        raise UsageError("in_place is for a loaded model; give output")
    if output is None and not in_place:
        raise UsageError("no folder for the pruned model is given; give output, or in_place=True with a loaded model")
    if output is None and (resume or overwrite):
        raise UsageError("resume and overwrite are for an output; give one")
    if output is not None:
        check_output(Path(output), overwrite=overwrite, resume=resume)
    work = begin(
        model,
        settings,
        domain,
        run=run,
        recipe=recipe,
        tokenizer=tokenizer,
        revision=revision,
        in_place=in_place,
        saved=output is not None,
        progress=progress,
    )
    return _prune(work, Path(output) if output is not None else None, overwrite=overwrite)


def _spec(domain: DomainSpec | Mapping[str, Any] | None) -> DomainSpec | None:
    """The calibration domain.

    Raises:
        UsageError: it is neither form, or there are several.
    """
    if domain is None or isinstance(domain, DomainSpec):
        return domain
    if not isinstance(domain, Mapping) or len(domain) != 1:
        raise UsageError("domain is no DomainSpec and no mapping with one entry; give {name: source}")
    name, source = next(iter(domain.items()))
    return source if isinstance(source, DomainSpec) else DomainSpec(name, source)


def _prune(work: Work, output: Path | None, *, overwrite: bool) -> Pruned:
    if output is None:
        with without_tf32():
            return _run(work, None)
    if (output / DOCUMENT).is_file() and not overwrite:
        there = read_pruned(output)
        check_same(output, there.arguments, work.arguments)
        return there
    with contextlib.closing(MaskStore(output, work.arguments, overwrite=overwrite)) as store, without_tf32():
        return _run(work, store)


def _run(work: Work, store: MaskStore | None) -> Pruned:
    started, clock = now(), _Clock()
    opened, blocks, settings = work.opened, work.structure.blocks, work.settings
    allocation, target = allocate(
        settings,
        blocks,
        content=work.content,
        profile=work.profile,
        run_sha256=work.run_sha256,
        outliers=lambda: kept_outliers(
            store.folder if store else None,
            lambda: outlier_shares(opened, blocks, work.batches, OWL_OUTLIER, work.progress),
        ),
    )
    timings = {"opening": work.seconds, "allocation": clock.lap()}
    pattern = Pattern.parse(settings.pattern) if settings.pattern else None
    wanted = Wanted(settings.score, zeros_of(allocation, blocks, target), pattern)
    resumed = store.finished_layers if store else 0
    unreached = prune_blocks(opened, work.structure, work.batches, wanted, store, work.progress)
    timings["pruning"] = clock.lap()

    def made(zeros: list[list[int]]) -> Pruned:
        timings["writing"] = clock.lap()
        return describe(work, allocation, target, zeros, unreached, resumed, started, timings)

    if store:
        result = finish(
            store, lambda folder: write_model(folder, opened, blocks, store, work.own, work.tokenizer), made
        )
    else:
        result = made(zeros_in(blocks))
    if work.recipe:
        write_recipe(work.recipe, blocks, result)
    return result


class _Clock:
    """Seconds between one look at it and the next."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Since the last look."""
        last, self._last = self._last, time.perf_counter()
        return self._last - last
