"""``paramscope profile``."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paramscope.cli.common import PositiveNumber, console, inert, output_options, print_bands, print_json
from paramscope.cli.talk import plan_document, progress_bar, silence_libraries, tell_plan
from paramscope.errors import PeerError, UsageError
from paramscope.launch import talks
from paramscope.settings import ACTIVATION_NAMES, DTYPE_NAMES, OBJECTIVE_NAMES, RESIDENCY_NAMES, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.domains import DomainSpec
    from paramscope.engine.distributed import Team
    from paramscope.planning import Plan
    from paramscope.result.profile import Profile


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
@click.option(
    "--activation",
    type=click.Choice(ACTIVATION_NAMES),
    default="first-order",
    show_default=True,
    help="integrated: along the path to zero; far dearer.",
)
@click.option("--steps", type=int, help="Steps of that path; 8 if left out.")
@click.option("--dtype", type=click.Choice(DTYPE_NAMES), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--batch-size", default="auto", show_default=True, help="Samples that go through the model together.")
@click.option(
    "--threshold", type=PositiveNumber(auto=True), default="auto", show_default=True, help="Gamma of pictures."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--held-out", type=int, default=16, show_default=True, help="Samples a domain kept apart, for verify.")
@click.option("--revision", help="Branch, tag or commit of a hub model.")
@click.option("--field", help="Field of own files that holds the text.")
@click.option("--template", help=r'Text made of fields of own files: "{question}\n{answer}".')
@click.option("--lines", is_flag=True, help="In .txt files, every line is a text, not every paragraph.")
@click.option("--chat", is_flag=True, help="Put each text into the model's chat template.")
@click.option("--target", help="Template of the answer, for target-logprob and logit-difference.")
@click.option("--foil", help="Template of the other answer, for logit-difference.")
@click.option("--keep", type=click.Choice(["start", "end"]), help="End of a long text that stays.")
@click.option("--pairs", default="auto", show_default=True, help="Samples a domain whose pairs are compared: all, N.")
@click.option(
    "--weights", type=click.Choice(RESIDENCY_NAMES), default="auto", show_default=True, help="Where they are kept."
)
@click.option("--max-memory", metavar="SIZE", help="Memory that the process may take, such as 3GiB.")
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
    pairs: str,
    max_memory: str | None,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Measure which parameters of MODEL each domain uses.

    MODEL is a folder in Hugging Face format, a .gguf file, embedded:smollm2 (a small model that comes as a package of
    its own), or a hub id. SOURCE is a .jsonl, .csv, .parquet or .txt file or a folder of them,
    hf:owner/name[:config][:split], a built-in data set (boolq, humaneval, mmlu, siqa, hellaswag, c4, wikitext2, gsm8k,
    piqa), one on a local file: boolq@path/boolq.jsonl, or embedded:NAME.

    \b
    Two kinds of work, each a file of texts:
    paramscope profile ./model -o run --field text \\
        --domain support=tickets.csv --domain code=src.jsonl
    """  # noqa: DOC501, D301 - the text is the command's help; click wants the character \b itself
    chosen = Settings(
        batch_size=_batch_size(batch_size), pairs=_pairs(pairs), max_memory=parse_bytes(max_memory), **settings
    )
    if output is None and not dry_run:
        raise UsageError("no folder for the run is given; give one with -o RUN (or --dry-run)")
    own = {"field": field, "template": template, "lines": lines, "target": target, "foil": foil}
    own_settings = own | {"chat": chat, "keep": keep}
    if dry_run:
        if not talks():
            return
        specs = _specs(sources, file, own_settings, chosen.objective)
        plan = prepare(
            console(quiet=quiet),
            model,
            specs,
            chosen,
            output,
            revision=revision,
            resume=resume,
            overwrite=overwrite,
            dry=True,
        )
        if as_json:
            print_json(plan_document(plan))
        return
    assert output is not None
    from paramscope.engine.joining import launched

    with launched(chosen.device) as team:
        specs = _specs(sources, file, own_settings, chosen.objective)
        flags: dict[str, Any] = {"resume": resume, "overwrite": overwrite, "quiet": quiet}
        result = run(model, specs, chosen, output, revision=revision, team=team, **flags)
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
    output: str | Path,
    *,
    revision: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    team: Team | None = None,
) -> Profile | None:
    """Plan, check and measure, with talk and progress on stderr.

    Args:
        model: MODEL.
        specs: the domains.
        settings: of the run.
        output: the run's folder.
        revision: on the hub.
        resume: finish an interrupted run.
        overwrite: replace a run that is there.
        quiet: no talk.
        team: the processes that measure together; all of them call this.

    Returns:
        The profile; None on all processes but the first.

    Raises:
        UsageError: wrong use or input.
        CheckError: the engine is not exact for this model.
        KeyboardInterrupt: after saying what is left to be resumed.
        PeerError: likewise; another process ended.
    """
    from paramscope.engine.distributed import Team

    talk, team = console(quiet=quiet), team or Team()
    flags = {"resume": resume, "overwrite": overwrite}
    plan = prepare(talk, model, specs, settings, output, revision=revision, team=team, **flags)
    from paramscope.profiling import check_plan, help_plan, open_checkpoint, run_plan, same_plan

    plan = same_plan(plan, team)
    if team.size > 1:
        talk.print(f"processes: {team.size}, each with the model and its share of the samples")
    # What only the first process does; the others hear of it when it has failed.
    finished, checkpoint = open_checkpoint(plan, output if team.first else None, overwrite=overwrite)
    if team.exchange(finished is not None)[0]:
        talk.print(f"{inert(output)} holds this very run, finished; nothing to do")
        return finished
    if checkpoint is None:
        team.attempt(lambda: None)  # the self-check
        help_plan(plan, team)
        return None
    with contextlib.closing(checkpoint):
        with talk.status("checking one sample against plain autograd"):
            check = team.attempt(lambda: check_plan(plan))
        talk.print(
            f"self-check: largest relative error {check.largest_relative_error:.1e} "
            f"(at most {check.tolerance:g} is accepted)"
        )
        try:
            with progress_bar(talk, plan) as progress:
                profile = run_plan(plan, check, checkpoint=checkpoint, progress=progress, team=team)
        except (KeyboardInterrupt, PeerError):
            if checkpoint.finished_layers:
                talk.print(
                    f"{inert(checkpoint.folder)} keeps the finished layers: the same command with --resume goes on, "
                    "with --overwrite it begins anew"
                )
            raise
    for warning in profile.manifest.warnings[len(plan.warnings) :]:
        talk.print(f"warning: {inert(warning)}", style="yellow")
    talk.print(f"run: {inert(output)} (measured in {profile.manifest.timings['measuring']:.0f} s)")
    return profile


def prepare(
    talk: Console,
    model: str,
    specs: list[DomainSpec],
    settings: Settings,
    output: str | Path | None,
    *,
    revision: str | None,
    resume: bool,
    overwrite: bool,
    dry: bool = False,
    team: Team | None = None,
) -> Plan:
    """Plan a run and tell what will be done; nothing is written.

    Args:
        talk: stderr.
        model: MODEL.
        specs: the domains.
        settings: of the run.
        output: the run's folder, if one is given.
        revision: on the hub.
        resume: finish an interrupted run.
        overwrite: replace a run that is there.
        dry: nothing will be run, so no weights are read.
        team: the processes that measure together.

    Returns:
        The plan.

    Raises:
        UsageError: wrong use or input.
    """
    from paramscope.engine.distributed import Team
    from paramscope.result.place import check_target

    team = team or Team()

    def check() -> None:
        if output is not None and team.first:
            check_target(Path(output), overwrite=overwrite, resume=resume)

    team.attempt(check)
    with talk.status("reading the texts and opening the model"):
        silence_libraries()
        from paramscope.planning import make_plan

        plan = team.attempt(lambda: make_plan(model, specs, settings, revision=revision, dry=dry))
    tell_plan(talk, plan)
    return plan


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
    if not (value.isascii() and value.isdecimal()) or int(value) < 1:
        raise UsageError(f"--batch-size {value!r} is no number of samples; give a whole number of at least 1, or auto")
    return int(value)


def parse_bytes(value: str | None) -> int | None:
    """A size of memory as it is given on the command line, in bytes.

    Args:
        value: such as ``3GiB``; None where nothing is given.

    Returns:
        The bytes.

    Raises:
        UsageError: it is no size.
    """
    if value is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgt]?)(i?)b?", value, re.ASCII | re.IGNORECASE)
    size = 0
    if parts:
        power = "kmgt".find(parts[2].lower()) + 1 if parts[2] else 0
        size = int(float(parts[1]) * (1024 if parts[3] else 1000) ** power)
    if size < 1:
        raise UsageError(f"--max-memory {value!r} is no size; give one such as 3GiB or 800MB")
    return size


def _pairs(value: str) -> Any:
    if value in ("auto", "all"):
        return "all" if value == "all" else None
    if not (value.isascii() and value.isdecimal()):
        raise UsageError(f"--pairs {value!r} is no number of samples; give a whole number of at least 0, all, or auto")
    return int(value)
