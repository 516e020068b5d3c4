"""``paramscope profile``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paramscope.cli.common import PositiveNumber, console, output_options, plain, print_bands, print_json
from paramscope.errors import UsageError
from paramscope.settings import DTYPE_NAMES, OBJECTIVE_NAMES, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.domains import DomainSpec
    from paramscope.engine.measure import Progress
    from paramscope.profiling import Plan
    from paramscope.result.profile import Profile

_BACKWARD_WEIGHT = 4
"""Time of a block backward and reduced over its time forward, for the remaining time that the progress bar shows."""


@click.command()
@click.argument("model")
@click.option("--domain", "sources", multiple=True, metavar="NAME=SOURCE", help="A kind of input; may be repeated.")
@click.option(
    "--domains", "file", type=click.Path(), metavar="FILE.yaml", help="Domains with a source and settings each."
)
@click.option("-o", "--output", type=click.Path(), help="The run's folder.")
@click.option("--samples", type=int, default=64, show_default=True, help="Samples drawn of each domain.")
@click.option("--max-tokens", type=int, default=256, show_default=True, help="Longer texts are cut.")
@click.option("--objective", type=click.Choice(OBJECTIVE_NAMES), default="max-logit", show_default=True)
@click.option("--dtype", type=click.Choice(DTYPE_NAMES), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--batch-size", default="auto", show_default=True, help="Samples that go through the model together.")
@click.option(
    "--threshold", type=PositiveNumber(auto=True), default="auto", show_default=True, help="Gamma of pictures."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--revision", help="Branch, tag or commit of a hub model.")
@click.option("--field", help="Field of own files that holds the text.")
@click.option("--template", help=r'Text made of fields of own files: "{question}\n{answer}".')
@click.option("--lines", is_flag=True, help="In .txt files, every line is a text, not every paragraph.")
@click.option("--chat", is_flag=True, help="Put each text into the model's chat template.")
@click.option("--target", help="Template of the answer, for target-logprob and logit-difference.")
@click.option("--foil", help="Template of the other answer, for logit-difference.")
@click.option("--keep", type=click.Choice(["start", "end"]), help="End of a long text that stays.")
@click.option("--save-scores", is_flag=True, help="Also keep the mean activation of every weight (large).")
@click.option("--resume", is_flag=True, help="Finish an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@output_options
def command(
    model: str,
    sources: tuple[str, ...],
    file: str | None,
    output: str | None,
    batch_size: str,
    revision: str | None,
    field: str | None,
    template: str | None,
    lines: bool,
    chat: bool,
    target: str | None,
    foil: str | None,
    keep: Any,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    r"""Measure which parameters of MODEL each domain uses.

    MODEL is a folder in Hugging Face format, a .gguf file, or a hub id. SOURCE is a .jsonl, .csv, .parquet or .txt
    file or a folder of them, hf:owner/name[:config][:split], a built-in data set (boolq, humaneval, mmlu, siqa,
    hellaswag, c4, wikitext2, gsm8k, piqa), or one on a local file: boolq@path/boolq.jsonl.

    \b
    paramscope profile ./model --domain support=tickets.csv --domain code=src.jsonl --field text -o run
    """  # noqa: DOC501 - the text is the command's help
    chosen = Settings(batch_size=_batch_size(batch_size), **settings)
    if output is None and not dry_run:
        raise UsageError("no folder for the run is given; give one with -o RUN (or --dry-run)")
    if resume and overwrite:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    own = {"field": field, "template": template, "lines": lines, "target": target, "foil": foil}
    specs = _specs(sources, file, own | {"chat": chat, "keep": keep}, chosen.objective)
    result = run(
        model,
        specs,
        chosen,
        output,
        revision=revision,
        resume=resume,
        overwrite=overwrite,
        dry_run=dry_run,
        quiet=quiet,
    )
    if result is None:
        return
    if as_json:
        from paramscope.result.summary import summarise

        print_json(summarise(result))
    else:
        print_bands(result)


def run(
    model: str,
    specs: list[DomainSpec],
    settings: Settings,
    output: str | Path | None,
    *,
    revision: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
) -> Profile | None:
    """Plan, check and measure, with talk and progress on stderr.

    Args:
        model: MODEL.
        specs: the domains.
        settings: of the run.
        output: the run's folder; None for a dry run.
        revision: on the hub.
        resume: finish an interrupted run.
        overwrite: replace a run that is there.
        dry_run: stop after the plan.
        quiet: no talk.

    Returns:
        The profile; None after a dry run.

    Raises:
        UsageError: wrong use or input.
        CheckError: the engine is not exact for this model.
        KeyboardInterrupt: after saying what is left to be resumed.
    """
    from paramscope.result.store import check_target, unfinished_folder

    talk = console(quiet=quiet)
    if output is not None and not dry_run:
        check_target(Path(output), overwrite=overwrite, resume=resume)
    _silence_libraries()
    with talk.status("reading the texts and opening the model"):
        from paramscope.profiling import check_plan, make_plan, open_checkpoint, run_plan

        plan = make_plan(model, specs, settings, revision=revision)
    _tell_plan(talk, plan)
    if dry_run:
        return None
    finished, checkpoint = open_checkpoint(plan, output, overwrite=overwrite)
    if finished:
        talk.print(f"{plain(str(output))} holds this very run, finished; nothing to do")
        return finished
    with contextlib.closing(checkpoint) if checkpoint else contextlib.nullcontext():
        with talk.status("checking one sample against plain autograd"):
            check = check_plan(plan)
        talk.print(
            f"self-check: largest relative error {check.largest_relative_error:.1e} "
            f"({plain(check.module)}; at most {check.tolerance:g} is accepted)"
        )
        try:
            with _progress_bar(talk, plan) as progress:
                profile = run_plan(plan, check, checkpoint=checkpoint, progress=progress)
        except KeyboardInterrupt:
            talk.print(
                f"interrupted; {plain(str(unfinished_folder(Path(str(output)))))} keeps the finished layers: the same "
                "command with --resume goes on, with --overwrite it begins anew"
            )
            raise
    talk.print(f"run: {plain(str(output))} (measured in {profile.manifest.timings['measuring']:.0f} s)")
    return profile


def _specs(sources: tuple[str, ...], file: str | None, settings: dict[str, Any], objective: str) -> list[DomainSpec]:
    """The domains of the call; settings that no domain or objective would use are refused.

    Raises:
        UsageError: when one is.
    """
    from paramscope.domains import load_specs, parse_domain

    specs = [parse_domain(source, **settings) for source in sources]
    for name, value in settings.items():
        if value and not any(getattr(spec, name) for spec in specs):
            raise UsageError(f"--{name} is given, but none of the domains uses it; leave it out")
    specs += load_specs(file) if file else []
    used = {"target-logprob": {"target"}, "logit-difference": {"target", "foil"}}.get(objective, set())
    for name in {"target", "foil"} - used:
        if any(getattr(spec, name) for spec in specs):
            raise UsageError(f"a {name} is given, but the objective {objective} reads none; leave it out")
    return specs


def _batch_size(value: str) -> int | None:
    if value == "auto":
        return None
    if not value.isdecimal() or int(value) < 1:
        raise UsageError(f"--batch-size {value!r} is no number of samples; give a whole number of at least 1, or auto")
    return int(value)


def _silence_libraries() -> None:
    """Keep the loading bars of other libraries out of the talk."""
    import os

    os.environ["TQDM_DISABLE"] = "1"
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _tell_plan(talk: Console, plan: Plan) -> None:
    model = plan.opened
    talk.print(
        f"model: {plain(model.name)} ({type(model.model).__name__}, {str(model.dtype).removeprefix('torch.')} on "
        f"{model.device}), {len(plan.blocks)} layers, {plan.parameters:,} weights in them are measured"
    )
    for domain in plan.domains:
        notes = [
            f"{count} {what}"
            for count, what in (
                (domain.truncated, "cut"),
                (domain.empty, "empty left out"),
                (domain.duplicates, "repeated left out"),
            )
            if count
        ]
        tokens = sum(len(sample.token_ids) for sample in domain.samples)
        noted = f" ({', '.join(notes)})" if notes else ""
        talk.print(f"domain {plain(domain.name)}: {len(domain.samples)} samples, {tokens:,} tokens{noted}")
    talk.print(
        f"objective: {plan.objective.name}; {len(plan.batches)} micro-batches; about "
        f"{plan.memory.total / 2**30:.1f} GiB of memory at the peak"
    )
    for warning in plan.warnings:
        talk.print(f"[yellow]warning:[/yellow] {plain(warning)}")


@contextlib.contextmanager
def _progress_bar(talk: Console, plan: Plan) -> Iterator[Progress]:
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
        task = bar.add_task("forward", total=plan.steps * (1 + _BACKWARD_WEIGHT))

        def tell(stage: str, steps: int) -> None:
            weight = _BACKWARD_WEIGHT if stage == "backward" else 1
            bar.update(task, description=stage, advance=steps * weight)

        yield tell
