"""The main job: from a model and domains to a profile."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from paramscope.domains import DomainSpec
from paramscope.engine.distributed import Team
from paramscope.engine.measure import Measured, Progress, measure, out_of_memory
from paramscope.engine.selfcheck import self_check
from paramscope.errors import ParamscopeError, RunError, UsageError
from paramscope.planning import Plan, make_plan
from paramscope.recording import held_out_table, make_manifest, now, sample_table
from paramscope.result.manifest import SelfCheck
from paramscope.result.profile import Profile
from paramscope.result.store import Checkpoint, check_same, check_target, load_run
from paramscope.result.tables import build_tables
from paramscope.settings import Settings
from paramscope.wording import did_you_mean, in_python, listed


def check_plan(plan: Plan) -> SelfCheck:
    """Compare one sample with plain autograd.

    The sample is the one of middle length, or the shortest where that is as long as the longest. Where
    samples go together, it goes in next to the longest, so that padding is checked too.

    Args:
        plan: of the run.

    Returns:
        The largest relative error.

    Raises:
        CheckError: it is too large.
    """
    names = [f"{domain.name}, sample {i}" for domain in plan.domains for i in range(len(domain.samples))]
    order = sorted(range(len(names)), key=lambda i: len(plan.readings[i].input_ids))
    chosen, longest = order[(len(order) - 1) // 2], order[-1]
    if len(plan.readings[chosen].input_ids) == len(plan.readings[longest].input_ids):
        chosen = order[0]
    checked = [plan.readings[chosen], *([plan.readings[longest]] if not plan.alone else [])]
    return self_check(plan.opened.model, plan.blocks, checked, plan.objective, names[chosen], plan.opened.weights)


def same_plan(plan: Plan, team: Team) -> Plan:
    """Let all processes follow the first one's layout; a limit of memory may have given them others.

    Args:
        plan: of this process.
        team: the processes that measure together.

    Returns:
        The plan with the first process's micro-batches.

    Raises:
        UsageError: a process has read another model, other texts, or runs in another type.
    """
    mine = (plan.arguments, str(plan.opened.dtype))
    told = team.exchange((mine, plan.batches, plan.reduction.order, plan.reduction.tile_bytes, plan.keep))
    for rank, (theirs, *_) in enumerate(told):
        if theirs != told[0][0]:
            raise UsageError(
                f"process {rank} has read another model or other texts than process 0, or runs in another type; give "
                "all machines the same files and kind of device"
            )
    _, batches, order, tile_bytes, keep = told[0]
    reduction = dataclasses.replace(plan.reduction, order=order, tile_bytes=tile_bytes)
    return dataclasses.replace(plan, batches=batches, reduction=reduction, keep=keep)


def run_plan(
    plan: Plan,
    check: SelfCheck,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    team: Team | None = None,
) -> Profile:
    """Measure.

    Args:
        plan: of the run.
        check: from ``check_plan``.
        checkpoint: where finished layers are kept; it is completed to a run folder.
        progress: told how far the run is.
        team: the processes that measure together. The first one calls this, the others ``help_plan``.

    Returns:
        The profile.

    Raises:
        RunError: memory ran out, or another process ended.
    """
    started, began = now(), time.perf_counter()
    measured = _measure(plan, team, checkpoint, progress)
    timings = {
        "opening": plan.seconds,
        "self_check": check.seconds,
        **measured.seconds,
        "measuring": time.perf_counter() - began,
    }
    names = [domain.name for domain in plan.domains]
    samples, held_out = sample_table(plan.domains, measured), held_out_table(plan.domains)
    heads = [{writer.attention.name: writer.heads} if writer.attention else {} for writer in plan.writers]
    tables = build_tables(samples, held_out, names, measured.layers, heads)
    manifest = make_manifest(plan, check, tables, measured, started, timings)
    if checkpoint:
        checkpoint.finish(manifest, tables)
    return Profile(manifest, tables)


def help_plan(plan: Plan, team: Team) -> None:
    """Do the share of a process that is not the first one.

    Args:
        plan: of the run.
        team: the processes that measure together.

    Raises:
        RunError: memory ran out, or another process ended.
    """
    _measure(plan, team, None, None)


def _measure(plan: Plan, team: Team | None, checkpoint: Checkpoint | None, progress: Progress | None) -> Measured:
    with without_tf32(), _memory_told():
        return measure(
            plan.opened,
            plan.blocks,
            plan.batches,
            plan.objective,
            plan.reduction,
            checkpoint=checkpoint,
            save_scores=plan.settings.save_scores,
            keep=plan.keep,
            steps=plan.settings.path_steps,
            progress=progress,
            team=team,
        )


def profile(
    model: str | os.PathLike[str] | nn.Module,
    domains: Mapping[str, Any],
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> Profile:
    """Measure which parameters of a model each domain uses, layer by layer.

    Args:
        model: a folder in Hugging Face format, a ``.gguf`` file, a hub id, or a loaded causal language model.
        domains: by name: a SOURCE, a list of texts, a list of token id lists, or a ``DomainSpec``.
        tokenizer: for a loaded model; not needed when all samples are token ids.
        revision: on the hub.
        output: folder to write the run to; finished layers are kept there on the way.
        overwrite: replace a run that is there.
        resume: go on with an interrupted run that is there, or read it if it is finished.
        progress: told how far the run is.
        settings: fields of ``Settings``: samples, max_tokens, objective, dtype, device, batch_size, threshold, seed,
            held_out, save_scores.

    Returns:
        The profile.

    Raises:
        UsageError: wrong use or input; says what to mend.
        CheckError: the engine is not exact for this model.
    """
    with worded_for_python():
        return _profile(model, domains, tokenizer, revision, output, overwrite, resume, progress, settings)


def _profile(
    model: str | os.PathLike[str] | nn.Module,
    domains: Mapping[str, Any],
    tokenizer: Any,
    revision: str | None,
    output: str | os.PathLike[str] | None,
    overwrite: bool,
    resume: bool,
    progress: Progress | None,
    settings: dict[str, Any],
) -> Profile:
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in settings:
        if name not in known:
            raise UsageError(f"{name} is no setting of a profile{did_you_mean(name, known)}; there are {listed(known)}")
    if not isinstance(model, str | os.PathLike | nn.Module):
        raise UsageError(f"model is of type {type(model).__name__}; give a path, a hub id or a loaded model")
    chosen = Settings(**settings)
    if output is not None:
        check_target(Path(output), overwrite=overwrite, resume=resume)
    else:
        for name, value in (("save_scores", chosen.save_scores), ("overwrite", overwrite), ("resume", resume)):
            if value:
                raise UsageError(f"{name} is given, but no folder for the run; give output")
    plan = make_plan(model, _specs(domains), chosen, tokenizer=tokenizer, revision=revision)
    finished, checkpoint = open_checkpoint(plan, output, overwrite=overwrite)
    if finished:
        return finished
    with contextlib.closing(checkpoint) if checkpoint else contextlib.nullcontext():
        return run_plan(plan, check_plan(plan), checkpoint=checkpoint, progress=progress)


def open_checkpoint(
    plan: Plan, output: str | os.PathLike[str] | None, *, overwrite: bool
) -> tuple[Profile | None, Checkpoint | None]:
    """Find out what is already there, after ``check_target`` has let the output pass.

    Args:
        plan: of the run.
        output: the run's folder, if any.
        overwrite: whatever is there goes when the new run is complete.

    Returns:
        The finished run of the same plan, or a checkpoint to run with, or neither without an output.

    Raises:
        UsageError: what is there was made with other arguments.
    """
    if output is None:
        return None, None
    run = Path(output)
    if (run / "run.json").is_file() and not overwrite:
        there = Profile(*load_run(run))
        check_same(run, there.manifest.arguments, plan.arguments)
        return there, None
    return None, Checkpoint(run, plan.arguments, overwrite=overwrite)


def _specs(domains: Mapping[str, Any]) -> list[DomainSpec]:
    """The domains of a call from Python.

    Raises:
        UsageError: they are no mapping, or a ``DomainSpec`` has another name than its key.
    """
    if not isinstance(domains, Mapping):
        raise UsageError(f"domains is of type {type(domains).__name__}; give a mapping of names to sources")
    for name, source in domains.items():
        if isinstance(source, DomainSpec) and source.name != name:
            raise UsageError(f"domain {name!r} is a DomainSpec of the name {source.name!r}; give both the same name")
    return [source if isinstance(source, DomainSpec) else DomainSpec(name, source) for name, source in domains.items()]


@contextlib.contextmanager
def worded_for_python() -> Iterator[None]:
    """Let errors name arguments rather than flags.

    Raises:
        ParamscopeError: as it came, in other words.
    """
    try:
        yield
    except ParamscopeError as error:
        error.args = (in_python(str(error)),)
        raise


@contextlib.contextmanager
def _memory_told() -> Iterator[None]:
    """Say what would need less memory when there is not enough.

    Raises:
        RunError: memory ran out.
        Exception: anything else, as it came.
    """
    told = (
        "memory ran out with one sample at a time; begin anew (--overwrite) with fewer samples or shorter texts "
        "(--max-tokens)"
    )
    try:
        yield
    except Exception as error:
        if out_of_memory(error):
            raise RunError(told) from error
        raise


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """Full float32 products on GPUs too; the former setting comes back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
