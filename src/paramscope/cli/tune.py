"""``paramscope tune``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paramscope.cli.common import console, inert, number, output_options, print_json, stdout_console, told_change
from paramscope.cli.talk import silence_libraries, stage_bars
from paramscope.errors import UsageError
from paramscope.settings import read_seconds
from paramscope.wording import told_bytes, told_time

if TYPE_CHECKING:
    from paramscope.result.tuned import PilotRecord, TunedDomain


@click.command()
@click.argument("model")
@click.option("--run", required=True, type=click.Path(), help="The run that says what MODEL's layers do.")
@click.option("--domain", required=True, help="Of the run, to be tuned for.")
@click.option(
    "--rule",
    help="How layers are chosen: uniform (all of them), spread, specific, density, damage, gradient, last and others.  "
    "[default: uniform]",
)
@click.option("--layers", help="How many (6; a fifth if left out) a rule chooses, or which (2,7,20-23).")
@click.option("--trainable", help="Parameters of all adapters, a share of the layers' or a number.  [default: 1%]")
@click.option("--rank", type=int, help="Of every adapter, in place of --trainable.")
@click.option("--export", type=click.Path(), help="Folder for the plan as PEFT, axolotl and a list take it.")
@click.option("--pilot", is_flag=True, help="Train the plan and its controls, and test what that does.")
@click.option("--full", is_flag=True, help="All controls and longer trainings; may take hours.")
@click.option("--train", metavar="SOURCE", help="Texts to train on; the domain's own source if left out.")
@click.option("--seeds", type=int, default=2, show_default=True, help="Trainings of each plan.")
@click.option("--steps", type=int, help="Of each training, in place of --budget.")
@click.option("--budget", metavar="TIME", help="About how long the pilot may take.  [default: 15m]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--resume", is_flag=True, help="Finish an interrupted pilot.")
@click.option("--overwrite", is_flag=True, help="Replace a result and exports that are there.")
@output_options
def command(
    model: str,
    run: str,
    domain: str,
    rule: str | None,
    layers: str | None,
    trainable: str | None,
    rank: int | None,
    export: str | None,
    pilot: bool,
    full: bool,
    train: str | None,
    seeds: int,
    steps: int | None,
    budget: str | None,
    seed: int,
    device: str,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Plan which layers of MODEL to train for a domain, and try the plan.

    The plan says which layers get LoRA adapters, and of which rank. With --pilot it is trained, and so are controls of
    equal trainable parameters, on texts of the domain that the run has not seen; what counts is the loss on held-out
    texts. MODEL is not changed, and no adapter is kept.

    \b
    paramscope tune ./model --run run --domain code --export plan
    paramscope tune ./model --run run --domain code --pilot --budget 15m
    """  # noqa: DOC501, D301 - the text is the command's help; click wants the character \b itself
    seconds = read_seconds(budget)
    if rule is not None and layers is not None and not layers.strip().isdecimal():
        raise UsageError("--rule chooses layers, and --layers names them; give one of them, or --layers a number")
    if rank is not None and trainable is not None:
        raise UsageError("--rank and --trainable both say how much is trained; give one of them")
    talk = console(quiet=quiet)
    silence_libraries()
    from paramscope.actions.tuning.layers import DEFAULT_RULE, read_layers
    from paramscope.actions.tuning.request import DEFAULT_TRAINABLE
    from paramscope.tuning import tune

    with stage_bars(talk) as progress:
        try:
            found = tune(
                model,
                run,
                domain,
                rule=rule or DEFAULT_RULE,
                layers=None if layers is None else read_layers(layers),
                trainable=trainable or DEFAULT_TRAINABLE,
                rank=rank,
                export=export,
                pilot=pilot,
                full=full,
                train=train,
                seeds=seeds,
                steps=steps,
                budget=seconds,
                seed=seed,
                device=device,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
            )
        except KeyboardInterrupt:
            if pilot and list((Path(run) / "tune.unfinished").glob("*/trials.jsonl")):
                talk.print(f"{inert(run)} keeps the finished trials: the same command with --resume goes on")
            raise
    if export:
        talk.print(f"exported: {inert(export)} (each file read again and checked against the plan)")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_tuned(found)


def print_tuned(found: TunedDomain) -> None:
    """Print a plan, and what its pilot showed, on stdout.

    Args:
        found: of one domain.
    """
    from rich.table import Table

    from paramscope.actions.tuning.layers import told_layers

    out, plan = stdout_console(), found.plan
    out.print(f"Plan for {inert(found.domain)}: LoRA in layers {told_layers(plan.layers)} ({plan.rule})")
    out.print(f"why: {inert(plan.evidence)}")
    out.print(
        f"trainable: {plan.parameters:,} parameters, {100 * found.share:.2f} % of the layers' "
        f"(allowed: {found.budget:,})"
    )
    table = Table()
    for heading in ("layer", "modules", "ranks", "trainable"):
        table.add_column(heading, justify="right")
    for layer in plan.layers:
        modules = [module for module in plan.modules if module.layer == layer]
        ranks = sorted({module.rank for module in modules})
        told = "-" if not ranks else str(ranks[0]) if len(ranks) == 1 else f"{ranks[0]}-{ranks[-1]}"
        table.add_row(str(layer), str(len(modules)), told, f"{sum(module.parameters for module in modules):,}")
    out.print(table)
    if found.left_out:
        out.print(
            f"{len(found.left_out)} weights, such as {inert(found.left_out[0])}, take no LoRA adapter and are not "
            "trained"
        )
    if found.pilot is None:
        out.print("This plan is untested: nothing says yet that it is better than any other; --pilot tries it.")
    else:
        print_pilot(found.domain, found.pilot)


def print_pilot(domain: str, pilot: PilotRecord) -> None:
    """Print what a pilot showed, on stdout.

    Args:
        domain: that was tuned for.
        pilot: of it.
    """
    from rich.table import Table

    out, sizes, texts = stdout_console(), pilot.sizes, pilot.texts
    out.print(
        f"Pilot: {sizes.steps} steps of {sizes.batch} texts cut to {sizes.tokens} tokens, {sizes.seeds} seeds, "
        f"{len(pilot.trials)} trainings in {told_time(pilot.seconds)}; {texts.training} texts to train on, "
        f"{texts.validation} to choose the rate by ({texts.overlapping} left out since the run has them)"
    )
    before = [value for value in pilot.before[domain] if value is not None]
    out.print(
        f"Held-out loss of {inert(domain)} before: {number(sum(before) / max(len(before), 1), 3)} nats per token, "
        f"{len(before)} texts. Changes by training (95 % intervals over texts; negative is better):"
    )
    table = Table(show_lines=True)
    for heading in ("trained", inert(domain), "other domains", "rate", "seconds", "memory"):
        table.add_column(heading, justify="left" if heading == "trained" else "right", overflow="fold")
    for effect in pilot.effects:
        others = "\n".join(f"{inert(name)} {told_change(change, short=True)}" for name, change in effect.others.items())
        rate = f"{effect.rate:g}" + (" (edge)" if effect.at_edge else "")
        table.add_row(
            effect.plan,
            told_change(effect.domain),
            others or "-",
            rate,
            f"{effect.seconds:.0f}",
            told_bytes(effect.memory_bytes),
        )
    out.print(table)
    out.print("The plan's loss less that of each control, on the same texts:")
    table = Table()
    for heading in ("control", "verdict", inert(domain), "other domains", "by seed"):
        table.add_column(heading, justify="left" if heading in ("control", "verdict") else "right", overflow="fold")
    for each in pilot.comparisons:
        seeds = ", ".join(number(math.nan if value is None else value, 3) for value in each.by_seed)
        needed = f" (about {each.needed:,} texts would do)" if each.needed else ""
        rest = told_change(each.forgetting) if each.forgetting else "-"
        table.add_row(each.control, each.status + needed, told_change(each), rest, seeds)
    out.print(table)
    if pilot.same_as_plan:
        out.print(f"left out, since they train the very same: {', '.join(pilot.same_as_plan)}")
    out.print(inert(pilot.sentence))
    out.print(
        "Trainable parameters differ by at most "
        f"{pilot.largest_difference:,}. The intervals tell of the choice of texts, not of the seeds; short trainings "
        "on few texts say little of long ones."
    )
