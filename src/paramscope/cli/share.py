"""``paramscope share``."""

from __future__ import annotations

from pathlib import Path

import click

from paramscope.cli.common import console, inert, output_options, print_json


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
@click.option("--gains", type=click.Path(), metavar="FILE", help="JSON list of the gains that a pilot measured.")
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
    as_json: bool,
    quiet: bool,
) -> None:
    """Tell what the domains of RUN can share, and what that costs.

    Layers are ordered by how much of their activation is the domains' own. From one model for all to a model each, the
    bytes that are kept; groups of domains that are alike; costs of the options, each with its formula; and when an
    option pays back, if a pilot measured what it gains. Needs neither the model nor torch; kept in RUN as share.json.
    """
    from paramscope.cli.share_tables import print_shared
    from paramscope.sharing import load_gains, share

    shared = share(
        run,
        rank=rank,
        own_layers=own_layers,
        prices=prices,
        requests=requests,
        value=value,
        gains=load_gains(gains) if gains else (),
    )
    console(quiet=quiet).print(f"kept: {inert(Path(run) / 'share.json')}")
    if as_json:
        print_json(shared.model_dump(mode="json"))
    else:
        print_shared(shared)
