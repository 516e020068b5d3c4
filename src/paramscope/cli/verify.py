"""``paramscope verify``."""

from __future__ import annotations

import sys

import click

from paramscope.cli.common import console, inert, output_options, print_json, print_verdicts
from paramscope.cli.talk import silence_libraries, stage_bars
from paramscope.settings import ACTIVATION_NAMES, read_seconds


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
    seconds = read_seconds(budget)
    talk = console(quiet=quiet)
    silence_libraries()
    from paramscope.verifying import verify

    with stage_bars(talk) as progress:
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
