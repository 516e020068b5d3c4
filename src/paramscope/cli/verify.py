"""``paramscope verify``."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from paramscope.cli.common import console, inert, output_options, print_json, print_verdicts
from paramscope.cli.talk import silence_libraries
from paramscope.errors import UsageError
from paramscope.settings import ACTIVATION_NAMES

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.verifying import Progress

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@click.command()
@click.argument("run", type=click.Path())
@click.option("--model", help="The model that was profiled, where it no longer lies in its place.")
@click.option(
    "--budget", metavar="TIME", help="About how long it may take, such as 5m; as long as the profile if left out."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--activation", type=click.Choice(ACTIVATION_NAMES), default="first-order", show_default=True)
@click.option("--steps", type=int, help="Of the path of --activation integrated; 8 if left out.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--overwrite", is_flag=True, help="Replace checks that are there.")
@click.option("--strict", is_flag=True, help="Exit code 3 when a claim is not supported.")
@output_options
def command(
    run: str,
    model: str | None,
    budget: str | None,
    seed: int,
    activation: str,
    steps: int | None,
    device: str,
    overwrite: bool,
    strict: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Test by intervention what RUN claims.

    Weights, sets of weights, heads and layers are set to zero, and what that really changes is held against what the
    profile says, on texts that it has not seen. The verdicts are kept in RUN; an interrupted check goes on where it
    was. The model is not changed.
    """
    seconds = _seconds(budget)
    talk = console(quiet=quiet)
    silence_libraries()
    from paramscope.verifying import verify

    with progress_bars(talk) as progress:
        checks = verify(
            run,
            model,
            budget=seconds,
            seed=seed,
            activation=activation,
            steps=steps,
            device=device,
            overwrite=overwrite,
            progress=progress,
        )
    talk.print(f"checked: {inert(run)} (in {checks.result.timings['checking']:.0f} s)")
    if as_json:
        print_json(checks.result.model_dump(mode="json"))
    else:
        print_verdicts(checks.result)
    if strict and any(verdict.status == "not supported" for verdict in checks.result.verdicts):
        sys.exit(3)


def _seconds(value: str | None) -> float | None:
    if value is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smh]?)", value, re.ASCII)
    if not parts or not float(parts[1]):
        raise UsageError(f"--budget {value!r} is no time; give one such as 90s, 5m or 1h")
    return float(parts[1]) * _UNITS[parts[2]]


@contextlib.contextmanager
def progress_bars(talk: Console) -> Iterator[Progress]:
    """A bar for each stage."""
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
