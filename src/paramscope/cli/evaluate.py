"""``paramscope evaluate``."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paramscope.cli.common import console, inert, number, output_options, print_json, stdout_console
from paramscope.cli.talk import silence_libraries, stage_bars
from paramscope.errors import UsageError
from paramscope.settings import DTYPE_NAMES, RESIDENCY_NAMES

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.result.evaluation import Evaluation


@click.command()
@click.argument("model")
@click.option("--perplexity", multiple=True, metavar="SOURCE", help="Of this text, in blocks; may be repeated.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME[@PATH]",
    help="boolq, siqa, piqa, hellaswag or mmlu, from the hub or local rows; may be repeated.",
)
@click.option("--run", type=click.Path(), metavar="RUN", help="Loss on the held-out samples of this run, by domain.")
@click.option("--harness", multiple=True, metavar="TASK", help="Of lm-evaluation-harness; may be repeated.")
@click.option("--harness-path", type=click.Path(), metavar="DIR", help="Folder with task files of your own for it.")
@click.option("--context", type=int, help="Tokens of a block of --perplexity; 2048, or all that the model takes.")
@click.option("--shots", type=int, help="Examples before a question of mmlu (5) and of --harness (what its task says).")
@click.option("--limit", type=int, help="Most blocks, questions, held-out samples of a domain, documents.")
@click.option("--revision", help="Branch, tag or commit of a hub model.")
@click.option("--dtype", type=click.Choice(DTYPE_NAMES), default="auto", show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--weights", type=click.Choice(RESIDENCY_NAMES), default="auto", show_default=True, help="Where they are kept."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of draws of questions and examples.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FILE.json",
    help="Also write the document there; until then it keeps what is finished.",
)
@output_options
def command(model: str, output: str | None, as_json: bool, quiet: bool, **arguments: Any) -> None:
    """Measure what MODEL can do.

    MODEL and SOURCE are those of 'paramscope profile'. Every number has its standard error or 95 % interval; these
    tell of the choice of the texts, not of what a task is good for.

    \b
    Two tasks from local rows, and perplexity as pruning papers report it:
    paramscope evaluate ./model --perplexity wikitext2 \\
        --task boolq@boolq.jsonl --task mmlu@mmlu/test.jsonl
    """  # noqa: DOC501, D301 - the text is the command's help; click wants the character \b itself
    target = _target(output)
    talk = console(quiet=quiet)
    silence_libraries()
    from paramscope.evaluating import evaluate
    from paramscope.evaluation.kept import kept_beside

    with talk.status("reading the texts and opening the model") as status, stage_bars(talk) as bars:

        def progress(stage: str, steps: int, total: int) -> None:
            status.stop()
            bars(stage, steps, total)

        try:
            found = evaluate(model, **arguments, output=target, progress=progress)
        except KeyboardInterrupt:
            if target and kept_beside(target).is_file():
                talk.print(f"{inert(output)}.unfinished keeps what is finished: the same command goes on")
            raise
    for warning in found.warnings:
        talk.print(f"warning: {inert(warning)}", style="yellow")
    if target:
        talk.print(f"evaluation: {inert(output)}")
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_evaluation(found)


def _target(output: str | None) -> Path | None:
    """The file to write; refused before any work is done.

    Raises:
        UsageError: it cannot be written, or is something else.
    """
    if output is None:
        return None
    # What a link leads to is replaced, never the link.
    path = Path(os.path.realpath(output))
    if os.path.isdir(path):
        raise UsageError(
            f"output {output} is a folder, a file is expected; give one such as {path / 'evaluation.json'}"
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"output {output} is no file but a device or a pipe; give a file")
    if os.path.isfile(path) and not _is_evaluation(path):
        raise UsageError(f"output {output} is there and is no evaluation, so it is not replaced; give another with -o")
    if not os.path.isdir(path.parent):
        raise UsageError(
            f"output {output} cannot be written: {path.parent} is no folder; make it, or give another with -o"
        )
    return path


def _is_evaluation(path: Path) -> bool:
    from paramscope.result.evaluation import Evaluation

    try:
        Evaluation.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def print_evaluation(found: Evaluation) -> None:
    """Print all numbers on stdout, with their errors.

    Args:
        found: the evaluation.
    """
    stdout = stdout_console()
    model = found.model
    stdout.print(f"{inert(model.name)} ({model.architecture}, {model.dtype} on {model.device})")
    if found.perplexity:
        _print_perplexity(stdout, found)
    if found.held_out:
        _print_held_out(stdout, found)
    if found.choices:
        _print_choices(stdout, found)
    if found.harness:
        _print_harness(stdout, found)


def _print_perplexity(stdout: Console, found: Evaluation) -> None:
    from rich.table import Table

    stdout.print("Perplexity, with its 95 % interval over blocks")
    table = Table()
    table.add_column("text", overflow="fold")
    for heading in ("perplexity", "95 % interval", "nats per token", "blocks", "tokens a block"):
        table.add_column(heading, justify="right")
    for one in found.perplexity:
        table.add_row(
            _text_name(one.source),
            "infinite" if one.value is None else number(one.value),
            _interval(one.low, one.high, 2),
            f"{_value(one.nats, 4)} ±{_value(one.standard_error, 4)}",
            f"{one.blocks:,}",
            f"{one.context:,}" if one.text_tokens >= one.context else f"{one.text_tokens:,}",
        )
    stdout.print(table)


def _print_held_out(stdout: Console, found: Evaluation) -> None:
    from rich.table import Table

    where = f" of {inert(found.run.place)}" if found.run and found.run.place else ""
    stdout.print(f"Held-out samples{where}: loss in nats per token")
    table = Table()
    table.add_column("domain", overflow="fold")
    for heading in ("loss", "95 % interval", "samples", "tokens"):
        table.add_column(heading, justify="right")
    for one in found.held_out:
        interval = _interval(one.low, one.high, 3)
        table.add_row(inert(one.domain), _value(one.value, 3), interval, f"{one.samples:,}", f"{one.tokens:,}")
    stdout.print(table)


def _print_choices(stdout: Console, found: Evaluation) -> None:
    from rich.table import Table

    stdout.print("Multiple choice: right answers in %, ± standard error")
    table = Table()
    table.add_column("task")
    for heading in ("by likelihood", "per character", "guessing", "always one", "questions", "examples"):
        table.add_column(heading, justify="right")
    for one in found.choices:
        table.add_row(
            one.task,
            _percent(one.accuracy, one.standard_error),
            _percent(one.normalised, one.normalised_error),
            f"{100 * one.chance:.1f}",
            f"{100 * one.constant:.1f}",
            f"{one.items:,}",
            str(one.shots),
        )
    stdout.print(table)
    stdout.print(
        "The likeliest option, and the likeliest for its number of characters (lm-evaluation-harness: acc, acc_norm); "
        "beside them, what guessing gives, and always the same one, the best"
    )


def _print_harness(stdout: Console, found: Evaluation) -> None:
    from rich.table import Table

    stdout.print("lm-evaluation-harness, ± standard error")
    table = Table()
    table.add_column("task", overflow="fold")
    table.add_column("metric", overflow="fold")
    for heading in ("value", "documents", "examples"):
        table.add_column(heading, justify="right")
    for one in found.harness:
        error = "" if one.standard_error is None else f" ±{one.standard_error:.4f}"
        table.add_row(
            inert(one.task),
            inert(one.metric if one.filter == "none" else f"{one.metric} ({one.filter})"),
            f"{_value(one.value, 4)}{error}",
            "-" if one.items is None else f"{one.items:,}",
            "-" if one.shots is None else str(one.shots),
        )
    stdout.print(table)


def _text_name(source: str) -> str:
    """A SOURCE without the folders of its path, for a table."""
    name, at, path = source.rpartition("@")
    return inert(source if source.startswith("hf:") else f"{name}{at}{Path(path).name}")


def _value(value: float | None, digits: int) -> str:
    return number(math.nan if value is None else value, digits)


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "-" if low is None else f"{_value(low, digits)} to {_value(high, digits)}"


def _percent(share: float, error: float | None) -> str:
    return f"{100 * share:.1f} ±{'-' if error is None else f'{100 * error:.1f}'}"
