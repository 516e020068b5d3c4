"""``paramscope plan``."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import click

from paramscope.cli.common import console, inert, number, output_options, print_json, stdout_console

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.result.planned import EvidenceRecord, LayerPlan, Planned
    from paramscope.result.verification import IntervalRecord


@click.command()
@click.argument("run", type=click.Path())
@output_options
def command(run: str, as_json: bool, quiet: bool) -> None:
    """Propose what to do with the model of RUN.

    The role of each layer (shared, specific, candidate for pruning, do not touch), proposals by benefit per cost, and
    what to try first. It takes what RUN holds: the more of verify, tune --pilot and share was done, the more is known.
    Kept in RUN as plan.json.
    """
    from paramscope.deciding import plan

    planned = plan(run)
    console(quiet=quiet).print(f"planned: {inert(run)} (from {', '.join(planned.made_from)})")
    if as_json:
        print_json(planned.model_dump(mode="json"))
        return
    print_plan(planned)


def print_plan(planned: Planned) -> None:
    """Print roles, proposals and the first pilot on stdout.

    Args:
        planned: of a run.
    """
    stdout = stdout_console()
    _print_layers(stdout, planned)
    _print_proposals(stdout, planned)
    if planned.pilot:
        stdout.print("Try first")
        for text in (planned.pilot.text, f"go on if: {planned.pilot.go_on}", f"stop if: {planned.pilot.stop}"):
            stdout.print(f"  {inert(text)}")
        stdout.print(f"  {inert(planned.pilot.command)}", soft_wrap=True)
    for limit in planned.limits:
        stdout.print(f"note: {inert(limit)}")


def _print_layers(stdout: Console, planned: Planned) -> None:
    """One row for neighbours of one role."""
    from rich.table import Table

    table = Table(title="Layers", title_justify="left")
    for heading in ("layers", "role", "known by", "domains of their own", "evidence (95 % interval)", "proposals"):
        table.add_column(heading, overflow="fold")

    def alike(layer: LayerPlan) -> tuple[str, str, tuple[str, ...], tuple[int, ...]]:
        return layer.role, layer.confidence, tuple(sorted(layer.domains)), tuple(layer.proposals)

    for (role, confidence, _, named), group in itertools.groupby(planned.layers, alike):
        layers = list(group)
        first, last = layers[0].layer, layers[-1].layer
        domains = ", ".join(inert(name) for name in layers[0].domains) or "-"
        told = _evidence(layers[0].evidence[-1]) if layers[0].evidence else "-"
        if len(layers) > 1 and layers[0].evidence:
            told = f"layer {first}: {told}"
        table.add_row(
            str(first) if first == last else f"{first}-{last}",
            role,
            confidence,
            domains,
            told,
            ", ".join(map(str, named)) or "-",
        )
    stdout.print(table)


def _evidence(record: EvidenceRecord) -> str:
    return f"{inert(record.text)}: {_interval(record)}"


def _interval(found: IntervalRecord) -> str:
    value, low, high = (math.nan if each is None else each for each in (found.value, found.low, found.high))
    return number(value, 3) if math.isnan(low) else f"{number(value, 3)} ({number(low, 3)} to {number(high, 3)})"


def _print_proposals(stdout: Console, planned: Planned) -> None:
    from rich.table import Table

    table = Table(title="Proposals", title_justify="left", show_lines=True)
    table.add_column("", justify="right")
    table.add_column("what", overflow="fold", ratio=3)
    table.add_column("benefit", overflow="fold", ratio=1)
    table.add_column("cost", overflow="fold", ratio=1)
    for proposal in planned.proposals:
        benefit = f"{_interval(proposal.benefit)} {proposal.unit}" if proposal.benefit else proposal.status
        cost = "-" if proposal.cost is None else f"{number(proposal.cost, 2)} {proposal.cost_unit}"
        table.add_row(str(proposal.priority), inert(proposal.text), benefit, cost)
    stdout.print(table)
