"""What commands share: options, the talk on stderr, tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.result.profile import Profile


class PositiveNumber(click.ParamType):
    """A positive number, or the word ``auto`` where that is allowed (given as None)."""

    name = "number"

    def __init__(self, *, auto: bool = False) -> None:
        self._auto = auto

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse the option's value."""
        if self._auto and value == "auto":
            return None
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 < number < float("inf"):
            self.fail(f"{value!r} is no positive number; give one such as 2e-5{', or auto' if self._auto else ''}")
        return number


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json`` and ``--quiet``."""
    command = click.option("--quiet", is_flag=True, help="No progress and talk on stderr.")(command)
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(command)


def console(*, quiet: bool = False) -> Console:
    """Where talk and progress go: stderr."""
    from rich.console import Console

    return Console(stderr=True, quiet=quiet, highlight=False)


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

    stdout = _stdout()
    bands = profile.bands
    density = profile.density(threshold)
    gamma = profile.threshold if threshold is None else threshold
    table = Table(title=f"Density: share of weights with mean activation above {gamma:.3g}", title_justify="left")
    table.add_column("domain", overflow="fold")
    for name, layers in bands.items():
        table.add_column(f"{name}\n{_layer_range(layers)}", justify="right")
    for domain in profile.domains:
        values = [density.loc[layers, domain].mean() for layers in bands.values()]
        table.add_row(plain(domain), *(f"{100 * value:.1f} %" for value in values))
    stdout.print(table)
    for centred in (False, True):
        similarity = profile.similarity(centred=centred)
        table = Table(title=f"LLMDcos{', centred' if centred else ''}: mean over pairs", title_justify="left")
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
    table = Table(title="Density by layer in %, with half the width of its 95 % interval", title_justify="left")
    table.add_column("layer", justify="right")
    table.add_column("weights", justify="right")
    for domain in profile.domains:
        table.add_column(plain(domain), justify="right", overflow="fold")
    half = (density.high - density.low) / 2
    for layer in density.value.index:
        cells = [
            f"{100 * density.value.loc[layer, domain]:.1f} ±{number(100 * half.loc[layer, domain], 1)}"
            for domain in profile.domains
        ]
        table.add_row(str(layer), f"{profile.parameters[layer]:,}", *cells)
    _stdout().print(table)


def number(value: float, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    return f"{value:.{digits}f}" if value == value else "-"


def plain(text: str) -> str:
    """Text of the user's for a table: no markup, no control characters."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))


def _layer_range(layers: list[int]) -> str:
    return str(layers[0]) if len(layers) == 1 else f"{layers[0]}-{layers[-1]}"


def _stdout() -> Console:
    import sys

    from rich.console import Console

    # A pipe has no width to fit; a table must not be cut there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)
