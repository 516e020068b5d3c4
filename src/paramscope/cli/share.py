"""``paramscope share``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paramscope.cli.common import console, inert, output_options, print_json
from paramscope.cli.talk import silence_libraries, stage_bars
from paramscope.errors import UsageError
from paramscope.settings import read_seconds


def _print_prices(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from paramscope.actions.sharing.prices import default_prices

        click.echo(default_prices(), nl=False)
        ctx.exit()


@click.command()
@click.argument("run", type=click.Path())
@click.option("--rank", type=int, default=8, show_default=True, help="Of LoRA adapters.")
@click.option(
    "--own-layers",
    type=int,
    metavar="N",
    help="Layers that each domain has of its own; those that surely differ more than the mean layer if left out.",
)
@click.option("--prices", type=click.Path(), metavar="FILE", help="YAML of prices in place of the package's own.")
@click.option("--requests", type=float, metavar="N", help="Per month, of all domains together.")
@click.option(
    "--value", type=float, metavar="MONEY", help="What a request is worth more for each percent of errors fewer."
)
@click.option(
    "--gains",
    type=click.Path(),
    metavar="FILE",
    help="JSON list of gains that were measured elsewhere, in place of those of the pilot.",
)
@click.option("--pilot", is_flag=True, help="Train the ways to share, and test what each brings.")
@click.option("--model", help="For the pilot: the model that was profiled, where it no longer lies in its place.")
@click.option("--seeds", type=int, help="Trainings of each way.  [default: 2]")
@click.option("--steps", type=int, help="Of each domain in a training, in place of --budget.")
@click.option("--budget", metavar="TIME", help="About how long the pilot may take.  [default: 15m]")
@click.option("--seed", type=int, help="Of the pilot.  [default: 0]")
@click.option("--device", help="For the pilot: auto, cpu, cuda or cuda:N.  [default: auto]")
@click.option("--resume", is_flag=True, help="Finish an interrupted pilot.")
@click.option("--overwrite", is_flag=True, help="Replace a pilot that is there.")
@click.option(
    "--print-prices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_prices,
    help="Print the package's prices as YAML, to be edited, and do nothing else.",
)
@output_options
def command(
    run: str,
    rank: int,
    own_layers: int | None,
    prices: str | None,
    requests: float | None,
    value: float | None,
    gains: str | None,
    pilot: bool,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Tell what the domains of RUN can share, and what that costs.

    Layers are ordered by how much of their activation is the domains' own. From one model for all to a model each, the
    bytes that are kept; groups of domains that are alike; costs of the options, each with its formula; and when an
    option pays back, if a pilot measured what it gains. Needs neither the model nor torch; kept in RUN as share.json.

    With --pilot, adapters are trained on all domains' texts: own ones on the layers that differ most over a shared
    rest, one for all, own ones everywhere, and own ones on as many layers drawn at random. What counts is the loss on
    held-out texts. The model is not changed, and no adapter is kept.
    """  # noqa: DOC501 - the text is the command's help
    from paramscope.cli.share_tables import print_shared
    from paramscope.sharing import load_gains, share

    asked = {name: value for name, value in given.items() if value is not None}
    if pilot:
        _try(run, asked, rank, own_layers, resume=resume, overwrite=overwrite, quiet=quiet)
    elif asked or resume or overwrite:
        name = next(iter([*asked, *(["resume"] if resume else []), "overwrite"]))
        raise UsageError(f"--{name} is of the pilot; give --pilot too, or leave it out")
    shared = share(
        run,
        rank=rank,
        own_layers=own_layers,
        prices=prices,
        requests=requests,
        value=value,
        gains=load_gains(gains) if gains else None,
    )
    console(quiet=quiet).print(f"kept: {inert(Path(run) / 'share.json')}")
    if as_json:
        print_json(shared.model_dump(mode="json"))
    else:
        print_shared(shared)


def _try(
    run: str, asked: dict[str, Any], rank: int, own_layers: int | None, *, resume: bool, overwrite: bool, quiet: bool
) -> None:
    """Make the pilot, with its progress on stderr.

    Raises:
        KeyboardInterrupt: it was interrupted; what is finished is kept.
    """
    asked["budget"] = read_seconds(asked.get("budget"))
    talk = console(quiet=quiet)
    silence_libraries()
    from paramscope.result.share_pilot import UNFINISHED
    from paramscope.sharing_pilot import try_sharing

    with stage_bars(talk) as progress:
        try:
            try_sharing(
                run,
                asked.pop("model", None),
                rank=rank,
                own_layers=own_layers,
                resume=resume,
                overwrite=overwrite,
                progress=progress,
                **asked,
            )
        except KeyboardInterrupt:
            if (Path(run) / UNFINISHED / "trials.jsonl").is_file():
                talk.print(f"{inert(run)} keeps the finished trials: the same command with --resume goes on")
            raise
