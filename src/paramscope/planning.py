"""The plan of a run: texts drawn, model opened, micro-batches laid out."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from paramscope.domains import Domain, DomainSpec, Sample, check_names, draw_domain
from paramscope.engine.batches import MicroBatch
from paramscope.engine.cost import CostEstimate, estimate_cost
from paramscope.engine.estimate import MemoryEstimate, memory_free, memory_in_use
from paramscope.engine.layout import Layout, lay_out
from paramscope.engine.objectives import OBJECTIVES, Objective, Reading
from paramscope.engine.reduction import Reduction
from paramscope.errors import UsageError
from paramscope.models.blocks import Block, Structure, find_structure, guess_structure, unmeasured_weights
from paramscope.models.open import LocatedModel, OpenModel, adopt, choose_device, load, locate, max_positions, sketch
from paramscope.models.quantised import quantised
from paramscope.models.running import vocabulary
from paramscope.models.writers import Writers
from paramscope.settings import Settings
from paramscope.wording import told_bytes


@dataclass(frozen=True)
class Plan:
    """All that a run will do, before it does it.

    Attributes:
        opened: the model.
        blocks: its blocks.
        writers: of each block.
        domains: with their samples.
        settings: of the user.
        objective: D.
        readings: what the objective reads of each sample, in the samples' order.
        batches: the micro-batches.
        alone: whether each sample goes through the model by itself.
        reduction: how samples are put together.
        keep: how many of the last blocks keep the graph of their first run.
        streamed: whether the blocks' weights stay on the disk.
        memory: estimated.
        arguments: all that the result depends on, for the manifest and for ``--resume``.
        warnings: one sentence each.
        seconds: that it took to make.
    """

    opened: OpenModel
    blocks: Sequence[Block]
    writers: Sequence[Writers]
    domains: Sequence[Domain]
    settings: Settings
    objective: Objective
    readings: Sequence[Reading]
    batches: Sequence[MicroBatch]
    alone: bool
    reduction: Reduction
    keep: int
    streamed: bool
    memory: MemoryEstimate
    arguments: dict[str, Any]
    warnings: list[str]
    seconds: float

    @property
    def parameters(self) -> int:
        """Weights that will be measured."""
        return sum(block.parameters for block in self.blocks)

    @functools.cached_property
    def cost(self) -> CostEstimate:
        """Operations, disk traffic and time; tries this machine for half a second."""
        return estimate_cost(
            self.blocks,
            self.batches,
            self.reduction,
            self.opened.dtype,
            keep=self.keep,
            streamed=self.streamed,
            steps=self.settings.path_steps,
        )

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
    dry: bool = False,
) -> Plan:
    """Read the texts, open the model and lay out the run.

    Args:
        model: a folder, ``.gguf`` file or hub id, or a loaded model.
        specs: the domains.
        settings: of the user.
        tokenizer: for a loaded model; not needed when all samples are token ids.
        revision: on the hub.
        dry: nothing will be run, so the weights of a model on disk are not read.

    Returns:
        The plan.

    Raises:
        UsageError: something that was named cannot be used.
    """
    started, in_use = time.perf_counter(), memory_in_use()
    specs = list(specs)
    if not specs:
        raise UsageError("no domain is given; give at least one with --domain NAME=SOURCE")
    check_names(specs)
    choose_device(settings.device)
    if isinstance(model, nn.Module):
        refuse_ignored(settings, revision)
    elif tokenizer is not None:
        raise UsageError("tokenizer is for a loaded model; one that is opened from disk brings its own, leave it out")
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
            held_out=settings.held_out,
            uses_target=objective.uses_target,
            uses_foil=objective.uses_foil,
            check=objective.read,
        )
        for spec in specs
    ]
    warnings = [warning for domain in domains for warning in domain.warnings]
    if tokens < settings.max_tokens and any(domain.truncated for domain in domains):
        warnings.append(f"texts are cut to {tokens} tokens, the longest input this model takes")
    readings = [objective.read(sample) for domain in domains for sample in domain.samples]
    opened, structure, layout = _open(model, located, domains, readings, settings, in_use, dry=dry)
    warnings += [*opened.warnings, *_warn_of_unmeasured(structure.blocks)]
    check_tokens(vocabulary(opened.model), domains)
    if structure.routes and settings.batch_size not in (None, 1):
        warnings.append("this model routes tokens to experts, so its samples go one at a time; batch_size is not used")
    free, more = memory_free(opened.device), layout.memory.total - memory_in_use()
    if dry and free is not None and more > free:
        warnings.append(
            f"about {told_bytes(more)} more will be needed and {told_bytes(free)} are free; fewer samples, shorter "
            "texts (--max-tokens) or --max-memory need less"
        )
    return Plan(
        opened=opened,
        blocks=structure.blocks,
        writers=structure.writers,
        domains=domains,
        settings=settings,
        objective=objective,
        readings=readings,
        batches=layout.batches,
        alone=all(len(batch.readings) == 1 for batch in layout.batches),
        reduction=layout.reduction,
        keep=layout.keep,
        streamed=layout.streamed,
        memory=layout.memory,
        arguments=_arguments(opened, specs, domains, settings, revision),
        warnings=warnings,
        seconds=time.perf_counter() - started,
    )


def _open(
    model: str | os.PathLike[str] | nn.Module,
    located: LocatedModel | None,
    domains: Sequence[Domain],
    readings: Sequence[Reading],
    settings: Settings,
    in_use: int,
    *,
    dry: bool,
) -> tuple[OpenModel, Structure, Layout]:
    """Open the model where its weights fit, in memory or on the disk.

    Raises:
        UsageError: it cannot be opened, or fits nowhere.
    """
    place = functools.partial(lay_out, domains=domains, readings=readings, settings=settings, in_use=in_use)
    if located is None:
        assert isinstance(model, nn.Module)
        opened = adopt(model)
        structure = find_structure(opened.model)
        return opened, structure, place(opened, structure)
    drawn = sketch(located, dtype=settings.dtype, device=settings.device)
    guessed = guess_structure(drawn.model)
    streamed = _stays_on_disk(located, settings, functools.partial(place, drawn, guessed), in_use)
    if dry:
        return drawn, guessed, place(drawn, guessed, streamed=streamed)
    if streamed:
        place(drawn, guessed, streamed=True)  # refused before the weights are looked at
    opened = load(located, dtype=settings.dtype, device=settings.device, streamed=drawn if streamed else None)
    with opened.running():
        structure = find_structure(opened.model)
    return opened, structure, place(opened, structure, streamed=streamed)


def _stays_on_disk(located: LocatedModel, settings: Settings, place: Callable[[], Layout], in_use: int) -> bool:
    """Whether the blocks' weights are read one block at a time.

    Raises:
        UsageError: that is asked for and cannot be.
    """
    if located.files.gguf:
        if settings.weights == "streamed":
            raise UsageError("--weights streamed is for safetensors; weights of a .gguf file are kept in memory")
        return False
    method = quantised(located.config)
    if method:
        if settings.weights == "streamed":
            raise UsageError(f"--weights streamed is for plain weights; those quantised by {method} are kept in memory")
        return False
    if settings.path_steps:
        if settings.weights == "streamed":
            raise UsageError("--activation integrated runs every block many times; keep the weights in memory")
        return False
    if settings.weights != "auto":
        return settings.weights == "streamed"
    try:
        needed = place().memory.total
    except UsageError:
        return True
    free = memory_free(choose_device(settings.device))
    return settings.max_memory is None and free is not None and needed - in_use > free


def refuse_ignored(settings: Settings, revision: str | None) -> None:
    """Refuse what holds only for a model that paramscope opens itself.

    Raises:
        UsageError: it is given.
    """
    for name, value, usual in (
        ("dtype", settings.dtype, "auto"),
        ("device", settings.device, "auto"),
        ("weights", settings.weights, "auto"),
        ("revision", revision, None),
    ):
        if value != usual:
            raise UsageError(f"{name} {value!r} is given, but a loaded model is taken as it is; leave {name} out")


def _arguments(
    opened: OpenModel,
    specs: Sequence[DomainSpec],
    domains: Sequence[Domain],
    settings: Settings,
    revision: str | None,
) -> dict[str, Any]:
    def digests(samples: Sequence[Sample]) -> list[str]:
        return [sample.sha256 for sample in samples]

    def described(spec: DomainSpec, domain: Domain) -> dict[str, Any]:
        fields = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec)}
        given = {name: value for name, value in fields.items() if value not in (None, False) and name != "name"}
        return given | {
            "source": domain.source,
            "samples": digests(domain.samples),
            "held_out": digests(domain.held_out),
        }

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
        f"{len(names)} weights of the layers, such as {names[0]}, multiply no activations (convolutions, for example) "
        "and are not measured; densities and cosines are those of the linear weights alone"
    ]


def check_tokens(known: int, domains: Sequence[Domain]) -> None:
    """Refuse token ids that the model does not know.

    Raises:
        UsageError: there is one.
    """
    for domain in domains:
        for sample in (*domain.samples, *domain.held_out):
            largest = max((*sample.token_ids, *sample.target_ids, *sample.foil_ids))
            if known and largest >= known:
                raise UsageError(
                    f"domain {domain.name!r}, {sample.text.origin or 'a sample'}: token id {largest} is beyond the "
                    f"model's vocabulary of {known}; use the model's own tokenizer"
                )
