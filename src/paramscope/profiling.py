"""The main job: from a model and domains to a profile."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import platform
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from paramscope.domains import Domain, DomainSpec, check_names, draw_domain
from paramscope.engine.batches import MicroBatch, plan_batches
from paramscope.engine.estimate import TOKENS_PER_BATCH, MemoryEstimate, estimate_memory, logit_rows
from paramscope.engine.measure import Measured, Progress, measure
from paramscope.engine.objectives import OBJECTIVES, Objective, Reading
from paramscope.engine.reduce import Reduction
from paramscope.engine.selfcheck import self_check
from paramscope.errors import UsageError
from paramscope.measures.histogram import quantile
from paramscope.measures.intervals import GROUPS, sample_groups
from paramscope.models.blocks import Block, count_parameters, find_blocks, unmeasured_weights
from paramscope.models.open import OpenModel, adopt, choose_device, load, locate, max_positions
from paramscope.result.manifest import DomainRecord, EngineRecord, Manifest, ModelRecord, SelfCheck, Thresholds
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.store import Checkpoint, check_same, check_target, load_run
from paramscope.result.tables import ALL, Tables, build_tables, pooled_histogram
from paramscope.settings import Settings


@dataclass(frozen=True)
class Plan:
    """All that a run will do, before it does it.

    Attributes:
        opened: the model.
        blocks: its blocks.
        domains: with their samples.
        settings: of the user.
        objective: D.
        readings: what the objective reads of each sample, in the samples' order.
        batches: the micro-batches.
        reduction: how samples are put together.
        memory: estimated.
        arguments: all that the result depends on, for the manifest and for ``--resume``.
        warnings: one sentence each.
        seconds: that it took to make.
    """

    opened: OpenModel
    blocks: Sequence[Block]
    domains: Sequence[Domain]
    settings: Settings
    objective: Objective
    readings: Sequence[Reading]
    batches: Sequence[MicroBatch]
    reduction: Reduction
    memory: MemoryEstimate
    arguments: dict[str, Any]
    warnings: list[str]
    seconds: float

    @property
    def parameters(self) -> int:
        """Weights that will be measured."""
        return sum(block.parameters for block in self.blocks)

    @property
    def steps(self) -> int:
        """Steps of the progress of each stage: micro-batches times blocks."""
        return len(self.batches) * len(self.blocks)


def make_plan(
    model: str | os.PathLike[str] | nn.Module,
    specs: Iterable[DomainSpec],
    settings: Settings,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
) -> Plan:
    """Read the texts, open the model and lay out the run.

    Args:
        model: a folder, ``.gguf`` file or hub id, or a loaded model.
        specs: the domains.
        settings: of the user.
        tokenizer: for a loaded model; not needed when all samples are token ids.
        revision: on the hub.

    Returns:
        The plan.

    Raises:
        UsageError: something that was named cannot be used.
    """
    started = time.perf_counter()
    specs = list(specs)
    if not specs:
        raise UsageError("no domain is given; give at least one with --domain NAME=SOURCE")
    check_names(specs)
    choose_device(settings.device)
    located = None if isinstance(model, nn.Module) else locate(os.fspath(model), revision)
    config = located.config if located else getattr(model, "config", None)
    limit = max_positions(config)
    tokens = min(settings.max_tokens, limit or settings.max_tokens)
    objective = OBJECTIVES[settings.objective]
    domains = [
        draw_domain(
            spec,
            located.tokenizer if located else tokenizer,
            samples=settings.samples,
            max_tokens=tokens,
            seed=settings.seed,
            uses_target=objective.uses_target,
            uses_foil=objective.uses_foil,
        )
        for spec in specs
    ]
    warnings = [warning for domain in domains for warning in domain.warnings]
    if tokens < settings.max_tokens:
        warnings.append(f"texts are cut to {tokens} tokens, the longest input this model takes")
    readings = [objective.read(sample) for domain in domains for sample in domain.samples]
    opened = load(located, dtype=settings.dtype, device=settings.device) if located else adopt(model)
    blocks = find_blocks(opened.model)
    warnings += _warn_of_unmeasured(blocks)
    vocabulary = _check_tokens(opened.model, domains)
    membership = [place for place, domain in enumerate(domains) for _ in domain.samples]
    batches, order = plan_batches(
        readings,
        membership,
        batch_size=settings.batch_size,
        tokens=TOKENS_PER_BATCH,
        logit_rows=logit_rows(vocabulary),
    )
    exact = sorted({PAPER_THRESHOLD, *([settings.threshold] if settings.threshold else [])})
    reduction = Reduction(
        order=order,
        sizes=[len(domain.samples) for domain in domains],
        thresholds=exact,
        dtype=torch.promote_types(opened.dtype, torch.float32),
        device=opened.device,
    )
    return Plan(
        opened=opened,
        blocks=blocks,
        domains=domains,
        settings=settings,
        objective=objective,
        readings=readings,
        batches=batches,
        reduction=reduction,
        memory=estimate_memory(opened.model, blocks, batches, reduction),
        arguments=_arguments(opened, specs, domains, settings, revision),
        warnings=warnings,
        seconds=time.perf_counter() - started,
    )


def check_plan(plan: Plan) -> SelfCheck:
    """Compare one sample with plain autograd; padded by the longest sample, so that padding is checked too.

    Args:
        plan: of the run.

    Returns:
        The largest relative error.

    Raises:
        CheckError: it is too large.
    """
    first = plan.readings[0]
    longest = max(plan.readings, key=lambda reading: len(reading.input_ids))
    name = f"{plan.domains[0].name}, the first one drawn"
    return self_check(plan.opened.model, plan.blocks, [first, longest], plan.objective, name)


def run_plan(
    plan: Plan,
    check: SelfCheck,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Measure.

    Args:
        plan: of the run.
        check: from ``check_plan``.
        checkpoint: where finished layers are kept; it is completed to a run folder.
        progress: told how far the run is.

    Returns:
        The profile.
    """
    started, began = _now(), time.perf_counter()
    with _without_tf32():
        measured = measure(
            plan.opened,
            plan.blocks,
            plan.batches,
            plan.objective,
            plan.reduction,
            checkpoint=checkpoint,
            save_scores=plan.settings.save_scores,
            progress=progress,
        )
    timings = {
        "opening": plan.seconds,
        "self_check": check.seconds,
        **measured.seconds,
        "measuring": time.perf_counter() - began,
    }
    names = [domain.name for domain in plan.domains]
    tables = build_tables(_sample_table(plan.domains, measured), names, measured.layers)
    manifest = _manifest(plan, check, tables, measured, started, timings)
    if checkpoint:
        checkpoint.finish(manifest, tables)
    return Profile(manifest, tables)


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
            save_scores.

    Returns:
        The profile.

    Raises:
        UsageError: wrong use or input; says what to mend.
        CheckError: the engine is not exact for this model.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    for name in settings:
        if name not in known:
            raise UsageError(f"{name} is no setting of a profile; there are {', '.join(known)}")
    chosen = Settings(**settings)
    if chosen.save_scores and output is None:
        raise UsageError("save_scores needs a folder to save to; give output")
    if output is not None:
        check_target(Path(output), overwrite=overwrite, resume=resume)
    specs = [source if isinstance(source, DomainSpec) else DomainSpec(name, source) for name, source in domains.items()]
    plan = make_plan(model, specs, chosen, tokenizer=tokenizer, revision=revision)
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


def _arguments(
    opened: OpenModel,
    specs: Sequence[DomainSpec],
    domains: Sequence[Domain],
    settings: Settings,
    revision: str | None,
) -> dict[str, Any]:
    def described(spec: DomainSpec, domain: Domain) -> dict[str, Any]:
        fields = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
        given = {name: value for name, value in fields.items() if value not in (None, False) and name != "name"}
        return given | {"source": domain.source, "samples": [sample.sha256 for sample in domain.samples]}

    return {
        "model": opened.name,
        "revision": revision,
        "model_files": opened.files,
        "domains": {spec.name: described(spec, domain) for spec, domain in zip(specs, domains, strict=True)},
        **settings.as_arguments(),
    }


def _warn_of_unmeasured(blocks: Sequence[Block]) -> list[str]:
    names = unmeasured_weights(list(blocks))
    if not names:
        return []
    return [
        f"{len(names)} weights of the layers belong to no linear module and are not measured, such as {names[0]}; "
        "densities and cosines are those of the linear weights alone"
    ]


def _check_tokens(model: nn.Module, domains: Sequence[Domain]) -> int:
    """The size of the vocabulary; token ids beyond it are refused.

    Raises:
        UsageError: there is one.
    """
    embedding = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    vocabulary = int(getattr(embedding, "num_embeddings", 0))
    for domain in domains:
        for sample in domain.samples:
            largest = max((*sample.token_ids, *sample.target_ids, *sample.foil_ids))
            if vocabulary and largest >= vocabulary:
                raise UsageError(
                    f"domain {domain.name!r}, {sample.text.origin or 'a sample'}: token id {largest} is beyond the "
                    f"model's vocabulary of {vocabulary}; use the model's own tokenizer"
                )
    return vocabulary


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    """Full float32 products on GPUs too; the former setting comes back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _sample_table(domains: Sequence[Domain], measured: Measured) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for domain in domains:
        groups = sample_groups(len(domain.samples))
        for index, (sample, group) in enumerate(zip(domain.samples, groups, strict=True)):
            rows.append(
                {
                    "domain": domain.name,
                    "index": index,
                    "group": int(group),
                    "tokens": len(sample.token_ids),
                    "full_tokens": sample.full_tokens,
                    "truncated": sample.truncated,
                    "objective": measured.values[len(rows)],
                    "token": measured.tokens[len(rows)],
                    "origin": sample.text.origin,
                    "text": sample.text.text,
                }
            )
    return pd.DataFrame(rows)


def _manifest(
    plan: Plan, check: SelfCheck, tables: Tables, measured: Measured, started: str, timings: dict[str, float]
) -> Manifest:
    records = [
        DomainRecord(
            name=domain.name,
            source=domain.source,
            asked=domain.asked,
            samples=len(domain.samples),
            tokens=sum(len(sample.token_ids) for sample in domain.samples),
            rows=domain.rows,
            empty=domain.empty,
            duplicates=domain.duplicates,
            truncated=domain.truncated,
            sha256=[sample.sha256 for sample in domain.samples],
        )
        for domain in plan.domains
    ]
    opened, given = plan.opened, plan.settings.threshold
    return Manifest(
        paramscope=version("paramscope"),
        started=started,
        finished=_now(),
        arguments=plan.arguments,
        model=ModelRecord(
            name=opened.name,
            revision=opened.revision,
            architecture=type(opened.model).__name__,
            blocks=plan.blocks[0].name.rsplit(".", 1)[0],
            files=opened.files,
            parameters=count_parameters(opened.model, list(plan.blocks)),
        ),
        domains=records,
        objective=plan.settings.objective,
        seed=plan.settings.seed,
        groups=GROUPS,
        thresholds=Thresholds(
            default=given or _pooled_median(tables),
            rule="given"
            if given
            else "pooled median: half of all weights, over all layers and domains, count as active",
            exact=list(plan.reduction.thresholds),
        ),
        self_check=check,
        engine=EngineRecord(
            device=str(opened.device),
            dtype=str(opened.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            micro_batches=[len(batch.readings) for batch in plan.batches],
            tile_bytes=plan.reduction.tile_bytes,
            layers_resumed=measured.resumed,
            peak_memory_bytes=_peak_memory(),
        ),
        timings=timings,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("paramscope", "torch", "transformers", "numpy")},
        },
        warnings=plan.warnings,
    )


def _pooled_median(tables: Tables) -> float:
    """The median of all activations of the run; the smallest positive number where most are zero."""
    whole = tables.histograms[tables.histograms["group"] == ALL]
    counts = pooled_histogram(whole)
    median = quantile(counts, float(tables.activation["zeros"].sum()), 0.5)
    return median or float(np.finfo(np.float32).tiny)


def _peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
