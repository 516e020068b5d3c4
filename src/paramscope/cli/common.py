"""What commands share: options, the talk on stderr, tables."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

import click

from paramscope.errors import UsageError
from paramscope.launch import talks

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.result.profile import Profile
    from paramscope.result.verification import IntervalRecord, Verification


_MOST_BREAKING = 12
"""Rows of the table of what breaks the model."""

_LEFT, _COLUMN = 24, 15
"""Columns that the numbers of a layer, and its density for one domain, take in a table."""


class PositiveNumber(click.ParamType):
    """A positive number, or the word ``auto`` where that is allowed (given as None)."""

    name = "number"

    def __init__(self, *, auto: bool = False) -> None:
        self._auto = auto

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the option's value.

        Raises:
            UsageError: it is no positive number.
        """
        if self._auto and value == "auto":
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 < number < float("inf"):
            option = param.opts[0] if param else "number"
            repair = f"give one such as 2e-5{', or auto' if self._auto else ''}"
            raise UsageError(f"{option} {value!r} is no positive number; {repair}")
        return number


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json`` and ``--quiet``."""
    command = click.option("--quiet", is_flag=True, help="No progress and talk on stderr.")(command)
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)


def console(*, quiet: bool = False) -> Console:
    """Where talk and progress go: stderr, of the first process only. Nothing in a text is markup."""
    from rich.console import Console

    quiet = quiet or not talks()
    return Console(stderr=True, quiet=quiet, highlight=False, markup=False, emoji=False, width=_width(sys.stderr))


def print_json(document: dict[str, Any]) -> None:
    """Print a JSON document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False))


def print_bands(profile: Profile, threshold: float | None = None) -> None:
    """Print densities and similarities, domains by bands of layers, on stdout.

    Args:
        profile: of a run.
        threshold: as in ``Profile.density``.
    """
    from rich.table import Table

    stdout = stdout_console()
    bands = profile.bands
    density = profile.density(threshold)
    gamma = profile.threshold if threshold is None else threshold
    stdout.print(f"Density: share of weights with mean activation above {gamma:.3g}")
    table = Table()
    table.add_column("domain", overflow="fold")
    for name, layers in bands.items():
        table.add_column(f"{name}\n{_layer_range(layers)}", justify="right")
    for domain in profile.domains:
        values = [density.loc[layers, domain].mean() for layers in bands.values()]
        table.add_row(inert(domain), *(f"{100 * value:.1f} %" for value in values))
    stdout.print(table)
    for centred in (False, True):
        similarity = profile.similarity(centred=centred)
        stdout.print(f"LLMDcos{', centred' if centred else ''}: mean over pairs of different samples")
        table = Table()
        table.add_column("pairs")
        for name, layers in bands.items():
            table.add_column(f"{name}\n{_layer_range(layers)}", justify="right")
        for label, frame in (("within a domain", similarity.within.value), ("across domains", similarity.across.value)):
            if frame.shape[1]:
                per_layer = frame.mean(axis=1)
                table.add_row(label, *(number(per_layer.loc[layers].mean()) for layers in bands.values()))
        stdout.print(table)


def print_layers(profile: Profile, threshold: float | None = None) -> None:
    """Print densities with their intervals, layers by domains, on stdout.

    Args:
        profile: of a run.
        threshold: as in ``Profile.density``.
    """
    from rich.table import Table

    density = profile.density_estimate(threshold)
    stdout = stdout_console()
    stdout.print("Density by layer in %, with half the width of its 95 % interval")
    half = (density.high - density.low) / 2
    side_by_side = max(1, (stdout.width - _LEFT) // _COLUMN)
    for start in range(0, len(profile.domains), side_by_side):
        domains = profile.domains[start : start + side_by_side]
        table = Table()
        table.add_column("layer", justify="right")
        table.add_column("weights", justify="right")
        for domain in domains:
            table.add_column(inert(domain), justify="right", overflow="fold")
        for layer in density.value.index:
            cells = [
                f"{100 * density.value.loc[layer, domain]:.1f} ±{number(100 * half.loc[layer, domain], 1)}"
                for domain in domains
            ]
            table.add_row(str(layer), f"{profile.parameters[layer]:,}", *cells)
        stdout.print(table)


def print_verdicts(checks: Verification) -> None:
    """Print the verdicts of the causal checks, and what breaks the model, on stdout.

    Args:
        checks: of a run.
    """
    from rich.table import Table

    stdout = stdout_console()
    stdout.print("Causal checks: what was claimed, and what zeroing weights showed (95 % intervals)")
    table = Table(show_lines=True)
    table.add_column("verdict")
    table.add_column("claim", overflow="fold", ratio=3)
    table.add_column("measured", overflow="fold", ratio=2)
    table.add_column("value", justify="right")
    for verdict in checks.verdicts:
        status = verdict.status
        if verdict.needed:
            status += f"\n(about {verdict.needed:,}\n{verdict.unit} would do)"
        chance = "" if verdict.p_value is None else f"\np = {verdict.p_value:.2g}"
        value, low, high = (number(math.nan if v is None else v) for v in (verdict.value, verdict.low, verdict.high))
        table.add_row(
            status,
            inert(verdict.text),
            f"{verdict.measure}; {verdict.count:,} {verdict.unit}, threshold {verdict.threshold:g}",
            f"{value}\n({low} to {high}){chance}",
        )
    stdout.print(table)
    stdout.print("Single weights: the estimate beside the true change (true over estimated size: 5 %, median, 95 %)")
    table = Table()
    for heading in ("estimate", "weights", "above noise", "rank correlation", "slope", "5 %", "median", "95 %", "sign"):
        table.add_column(heading, justify="left" if heading == "estimate" else "right")
    for name, record in (
        ("first order, token fixed", checks.fidelity[0]),
        ("first order, any token", checks.fidelity_free),
        ("integrated, token fixed", checks.fidelity_integrated),
    ):
        if record:
            ratios = (record.low_ratio, record.median_ratio, record.high_ratio)
            values = (record.correlation, record.slope, *ratios, record.sign)
            cells = [number(math.nan if v.value is None else v.value, 3) for v in values]
            above = "-" if record.above is None else f"{100 * record.above:.1f} %"
            table.add_row(name, f"{record.count:,}", above, *cells)
    stdout.print(table)
    if checks.integrated_cost:
        stdout.print(
            f"The integrated activation takes {checks.integrated_cost:.0f} times the operations of first order."
        )
    if not checks.breaking:
        stdout.print("Nothing that was taken away alone broke the model on any domain.")
        return
    stdout.print("Taken away alone, these break the model (a domain loses 1 nat per token or more)")
    table = Table()
    table.add_column("what", overflow="fold")
    table.add_column("domains broken", justify="right")
    table.add_column("worst", overflow="fold")
    table.add_column("nats per token", justify="right")
    for broken in checks.breaking[:_MOST_BREAKING]:
        damage = math.nan if broken.damage is None else broken.damage
        table.add_row(inert(broken.what), str(broken.broken), inert(broken.domain), number(damage))
    stdout.print(table)
    if len(checks.breaking) > _MOST_BREAKING:
        stdout.print(f"and {len(checks.breaking) - _MOST_BREAKING} more; --json lists all")


def number(value: float, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    return f"{value:.{digits}f}" if value == value else "-"


def inert(text: object) -> str:
    """Text from outside for a terminal: one line, no control characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def _layer_range(layers: list[int]) -> str:
    return str(layers[0]) if len(layers) == 1 else f"{layers[0]}-{layers[-1]}"


def stdout_console() -> Console:
    """Where results go; nothing in a text is markup."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=_width(sys.stdout))


def _width(stream: TextIO) -> int | None:
    """The terminal's width (None); a pipe has none to fit, and neither a table nor a warning must be cut there."""
    return None if stream.isatty() else 200 if stream is sys.stdout else 2000


def told_change(change: IntervalRecord, *, short: bool = False) -> str:
    """A change with its sign, and its interval unless ``short``."""
    if change.value is None:
        return "-"
    if short or change.low is None or change.high is None:
        return f"{change.value:+.3f}"
    return f"{change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
