"""What ``paramscope profile`` says on stderr: the plan, and how far the run is."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from paramscope.cli.common import inert
from paramscope.wording import told_bytes, told_time

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.engine.measure import Progress
    from paramscope.planning import Plan

_BACKWARD_WEIGHT = 4
"""Time of a block backward and reduced over its time forward, for the remaining time that the progress bar shows."""


def silence_libraries() -> None:
    """Keep retries and hints of other libraries, and bars that ``main`` does not reach, out of the talk."""
    import logging

    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging as transformers_logging

    hub_logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("accelerate", "lm_eval"):
        logging.getLogger(name).setLevel(logging.ERROR)


def tell_plan(talk: Console, plan: Plan) -> None:
    """Say what will be done: the model, every domain, the memory, and what was odd on the way."""
    if talk.quiet:  # the estimate would try the machine for nobody
        return
    model = plan.opened
    talk.print(
        f"model: {inert(model.name)} ({type(model.model).__name__}, {str(model.dtype).removeprefix('torch.')} on "
        f"{model.device})"
    )
    talk.print(f"measured: {plan.parameters:,} weights in {_counted(len(plan.blocks), 'layer')}")
    for domain in plan.domains:
        notes = [
            f"{count} {what}"
            for count, what in (
                (domain.truncated, "cut"),
                (domain.empty, "empty left out"),
                (domain.duplicates, "repeated left out"),
                (domain.unfit, "not fit for the objective left out"),
            )
            if count
        ]
        tokens = sum(len(sample.token_ids) for sample in domain.samples)
        noted = f" ({', '.join(notes)})" if notes else ""
        samples = _counted(len(domain.samples), "sample")
        if domain.held_out:
            noted += f"; {len(domain.held_out):,} more kept apart"
        talk.print(f"domain {inert(domain.name)}: {samples}, {_counted(tokens, 'token')}{noted}")
    if plan.reduction.paired is not None:
        talk.print(
            f"pairs: of {plan.reduction.pairs} of {plan.reduction.samples} samples, the first of each domain's draw"
        )
    talk.print(
        f"objective: {plan.objective.name}; {_counted(len(plan.batches), 'micro-batch', 'es')}; "
        f"about {told_bytes(plan.memory.total)} at the peak"
    )
    cost = plan.cost
    read = f", {cost.disk / 1e9:.1f} GB of weights to read from the disk" if cost.disk else ""
    talk.print(f"estimate: {told_time(cost.time)} ({cost.operations:.2g} operations{read})")
    for warning in plan.warnings:
        talk.print(f"warning: {inert(warning)}", style="yellow")


def _counted(count: int, what: str, plural: str = "s") -> str:
    return f"{count:,} {what}{plural if count != 1 else ''}"


def plan_document(plan: Plan) -> dict[str, Any]:
    """What a dry run prints with ``--json``; the names are those of ``show --json``."""
    return {
        "model": plan.opened.name,
        "objective": plan.objective.name,
        "domains": [domain.name for domain in plan.domains],
        "layers": len(plan.blocks),
        "samples": {domain.name: len(domain.samples) for domain in plan.domains},
        "tokens": {domain.name: sum(len(s.token_ids) for s in domain.samples) for domain in plan.domains},
        "parameters": [block.parameters for block in plan.blocks],
        "memory_bytes": plan.memory.total,
        "weights": "streamed" if plan.streamed else "resident",
        "estimate": dataclasses.asdict(plan.cost),
        "memory_parts": plan.memory.parts,
        "blocks_with_kept_graph": plan.keep,
        "warnings": plan.warnings,
    }


@contextlib.contextmanager
def progress_bar(talk: Console, plan: Plan) -> Iterator[Progress]:
    """One bar over forward and backward; it ends full, also where a resumed run skips the layers that it has."""
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=talk, speed_estimate_period=600) as bar:
        total = plan.steps * (1 + _BACKWARD_WEIGHT)
        task = bar.add_task("forward", total=total)

        def tell(stage: str, steps: int) -> None:
            weight = _BACKWARD_WEIGHT if stage == "backward" else 1
            bar.update(task, description=stage, advance=steps * weight)

        yield tell
        bar.update(task, completed=total)


@contextlib.contextmanager
def stage_bars(talk: Console) -> Iterator[Callable[[str, int, int], object]]:
    """A bar for each stage; told of the stage, of steps more that are done in it, and of all its steps."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=talk, speed_estimate_period=600)
    tasks: dict[str, TaskID] = {}

    def tell(stage: str, steps: int, total: int) -> None:
        bar.start()
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
        bar.update(tasks[stage], advance=steps)

    try:
        yield tell
    finally:
        if tasks:  # else it would leave an empty line
            bar.stop()
