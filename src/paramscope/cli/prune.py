"""``paramscope prune``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paramscope.cli.common import console, inert, output_options, print_json, stdout_console
from paramscope.cli.profile import parse_bytes
from paramscope.cli.talk import silence_libraries, stage_bars
from paramscope.errors import UsageError
from paramscope.settings import DTYPE_NAMES, RESIDENCY_NAMES, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.result.pruned import Pruned

_SCORES = ("wanda", "magnitude", "activation")
_PATTERNS = ("2:4", "4:8")


@click.command()
@click.argument("model")
@click.option("-o", "--output", type=click.Path(), help="Folder of the pruned model.")
@click.option("--sparsity", type=float, metavar="SHARE", help="Share of the layers' linear weights to set to zero.")
@click.option("--pattern", type=click.Choice(_PATTERNS), help="In its place: so many of every 4 or 8 inputs stay.")
@click.option(
    "--allocation",
    default="uniform",
    show_default=True,
    metavar="RULE",
    help="Over the layers: uniform, paper, owl, histogram, or FILE.json with a sparsity for each.",
)
@click.option("--run", type=click.Path(), help="A run of this model, for the allocations paper and histogram.")
@click.option("--score", type=click.Choice(_SCORES), default="wanda", show_default=True, help="What weights go by.")
@click.option("--domain", "source", metavar="NAME=SOURCE", help="Calibration texts; see paramscope profile --help.")
@click.option("--field", help="Field of an own file that holds the text.")
@click.option("--template", help=r'Text made of fields of an own file: "{question}\n{answer}".')
@click.option("--lines", is_flag=True, help="In a .txt file, every line is a text, not every paragraph.")
@click.option("--samples", type=int, default=128, show_default=True, help="Calibration texts.")
@click.option("--max-tokens", type=int, default=512, show_default=True, help="Longer texts are cut.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw of texts.")
@click.option("--revision", help="Branch, tag or commit of a hub model.")
@click.option("--dtype", type=click.Choice(DTYPE_NAMES), default="auto", show_default=True, help="To compute in.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--weights", type=click.Choice(RESIDENCY_NAMES), default="auto", show_default=True)
@click.option("--max-memory", metavar="SIZE", help="Memory that the process may take, such as 3GiB.")
@click.option("--recipe", type=click.Path(), metavar="FILE.yaml", help="Also write the allocation for llm-compressor.")
@click.option("--resume", is_flag=True, help="Finish an interrupted call.")
@click.option("--overwrite", is_flag=True, help="Replace a pruned model that is there.")
@output_options
def command(
    model: str,
    output: str | None,
    source: str | None,
    field: str | None,
    template: str | None,
    lines: bool,
    max_memory: str | None,
    sparsity: float | None,
    pattern: str | None,
    allocation: str,
    score: str,
    run: str | None,
    revision: str | None,
    recipe: str | None,
    resume: bool,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **opening: Any,
) -> None:
    """Set the least needed weights of MODEL's layers to zero.

    Block by block with the model's own forward; each block is scored on what the pruned ones before it give. The
    result is a folder that plain transformers opens, with prune.json beside the weights. Zeros by themselves make
    nothing faster or smaller on common serving stacks.

    \b
    Half of all weights by Wanda, calibrated on own texts:
    paramscope prune ./model -o sparse --sparsity 0.5 --domain own=texts.jsonl --field text
    """  # noqa: DOC501, D301 - the text is the command's help; click wants the character \b itself
    if output is None:
        raise UsageError("no folder for the pruned model is given; give one with -o OUT")
    own: dict[str, Any] = {"field": field, "template": template, "lines": lines}
    if source is None and any(own.values()):
        name = next(name for name, value in own.items() if value)
        raise UsageError(f"--{name} is given, but no --domain that would use it; leave it out")
    talk = console(quiet=quiet)
    silence_libraries()
    from paramscope.domains import parse_domain
    from paramscope.pruning import PruneSettings, run_prune

    settings = PruneSettings(
        sparsity, pattern, allocation, score, Settings(max_memory=parse_bytes(max_memory), **opening)
    )
    spec = parse_domain(source, **own) if source is not None else None
    with _told_of_rest(talk, output), stage_bars(talk) as progress:
        result = run_prune(
            model,
            settings,
            output=output,
            domain=spec,
            run=run,
            recipe=recipe,
            revision=revision,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    for warning in result.warnings:
        talk.print(f"warning: {inert(warning)}", style="yellow")
    talk.print(f"pruned: {inert(output)} (in {sum(result.timings.values()):.0f} s)")
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        print_pruned(result)


@contextlib.contextmanager
def _told_of_rest(talk: Console, output: str) -> Iterator[None]:
    """Say what an interrupted call leaves.

    Raises:
        KeyboardInterrupt: after that.
    """
    from paramscope.result.place import unfinished_folder

    try:
        yield
    except KeyboardInterrupt:
        folder = unfinished_folder(Path(output))
        if folder.is_dir():
            talk.print(
                f"{inert(folder)} keeps the finished layers: the same command with --resume goes on, with --overwrite "
                "it begins anew"
            )
        raise


def print_pruned(result: Pruned) -> None:
    """Print the sparsity of each layer and kind of module, on stdout.

    Args:
        result: of pruning.
    """
    from rich.table import Table

    from paramscope.measures.bands import layer_bands

    stdout = stdout_console()
    weights = sum(module.weights for module in result.modules)
    zeros = sum(module.zeros for module in result.modules)
    way = f"pattern {result.pattern}" if result.pattern else f"allocation {result.allocation.rule}"
    stdout.print(
        f"{inert(result.model.name)}: {zeros:,} of {weights:,} weights of the layers are zero ("
        f"{100 * result.sparsity:.2f} %; {way}, score {result.score})"
    )
    table = Table()
    table.add_column("layers")
    for heading in ("least", "mean", "most"):
        table.add_column(f"{heading} sparse", justify="right")
    for name, layers in layer_bands(result.layers).items():
        found = [result.layer_sparsity(layer) for layer in layers]
        own = [module for module in result.modules if module.layer in layers]
        mean = sum(module.zeros for module in own) / sum(module.weights for module in own)
        where = str(layers[0]) if len(layers) == 1 else f"{layers[0]}-{layers[-1]}"
        table.add_row(f"{name} ({where})", *(f"{100 * value:.2f} %" for value in (min(found), mean, max(found))))
    stdout.print(table)
    table = Table()
    table.add_column("module", overflow="fold")
    for heading in ("weights", "zeros", "sparsity"):
        table.add_column(heading, justify="right")
    for name in dict.fromkeys(module.module for module in result.modules):
        own = [module for module in result.modules if module.module == name]
        size, none = sum(module.weights for module in own), sum(module.zeros for module in own)
        table.add_row(inert(name), f"{size:,}", f"{none:,}", f"{100 * none / size:.2f} %")
    stdout.print(table)
    stdout.print(result.statement)
