"""``paramscope show``."""

from __future__ import annotations

from pathlib import Path

import click

from paramscope.cli.common import (
    PositiveNumber,
    inert,
    output_options,
    print_bands,
    print_json,
    print_layers,
    print_verdicts,
)


@click.command()
@click.argument("run", type=click.Path())
@click.option(
    "--threshold", type=PositiveNumber(), help="Count weights above this; the run's own threshold if left out."
)
@output_options
def command(run: str, threshold: float | None, as_json: bool, quiet: bool) -> None:
    """Show the numbers of RUN.

    Densities and similarities, as tables or, with --json, unrounded and with their intervals. Needs neither the model
    nor torch.
    """
    from paramscope.result.profile import Profile
    from paramscope.result.verification import read_verification

    profile = Profile.load(run)
    checks = read_verification(Path(run))
    if as_json:
        from paramscope.result.summary import summarise

        print_json(summarise(profile, threshold, checks))
        return
    print_bands(profile, threshold)
    print_layers(profile, threshold)
    if checks:
        print_verdicts(checks)
    if not quiet:
        for warning in profile.manifest.warnings:
            click.echo(f"warning: {inert(warning)}", err=True)
