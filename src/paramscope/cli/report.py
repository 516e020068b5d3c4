"""``paramscope report``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from paramscope.cli.common import inert, output_options, print_json
from paramscope.errors import UsageError


@click.command()
@click.argument("runs", type=click.Path(), nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="The file to write; RUN/report.html if left out (report.md with --format md), of several runs compare.html.",
)
@click.option(
    "--lang",
    type=click.Choice(["en", "ja", "both"]),
    default="en",
    show_default=True,
    help="English, Japanese, or both with a switch.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md"]),
    default="html",
    show_default=True,
    help="The page, or a short summary for a ticket.",
)
@click.option("--no-text", is_flag=True, help="Leave the samples' texts out.")
@click.option(
    "--figures", type=click.Path(), metavar="DIR", help="Also write figures for a paper into DIR: SVG, PNG, captions."
)
@output_options
def command(
    runs: tuple[str, ...],
    output: str | None,
    lang: str,
    form: Literal["html", "md"],
    no_text: bool,
    figures: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write one self-contained page about RUN, or about several runs side by side.

    Several are compared in the domains that all of them have, with their layers aligned by relative depth; the first is
    the one that the others are held against.

    It needs no network to be read, and no script.
    """
    drawn: dict[str, list[str]] = {}
    if len(runs) > 1:
        _check_of_several(form, figures)
        path = write_comparison(runs, output, languages=_languages(lang))
    else:
        drawn = _figures(runs[0], figures, quiet=quiet) if figures else {}
        path = write_report(runs[0], output, form=form, languages=_languages(lang), with_text=not no_text)
    if as_json:
        print_json({"report": str(path), **drawn})
    elif not quiet:
        click.echo(f"page: {inert(path)}", err=True)


def _check_of_several(form: str, figures: str | None) -> None:
    """Refuse what is made of one run only.

    Raises:
        UsageError: it is asked for.
    """
    if figures or form != "html":
        raise UsageError(f"--{'figures' if figures else 'format md'} is of one run; give one run, or leave it out")


def _languages(lang: str) -> tuple[str, ...]:
    return ("en", "ja") if lang == "both" else (lang,)


def write_report(
    run: str | Path,
    output: str | Path | None = None,
    *,
    form: Literal["html", "md"] = "html",
    languages: Sequence[str] = ("en",),
    with_text: bool = True,
) -> Path:
    """Write the page of a run, or its summary.

    Args:
        run: the run's folder.
        output: the file; ``report.html`` or ``report.md`` in the run's folder if None.
        form: the page, or a short summary in Markdown.
        languages: codes, the first is shown at first.
        with_text: whether it shows texts of the samples.

    Returns:
        The file.

    Raises:
        UsageError: there is no run, or the file cannot be written.
    """
    from paramscope.report import render_report
    from paramscope.report.markdown import render_markdown
    from paramscope.report.material import Material

    path = writable(Path(output) if output else Path(run) / f"report.{form}", form)
    material = Material.load(Path(run), with_text=with_text)
    return _written(
        path, render_report(material, languages) if form == "html" else render_markdown(material, languages)
    )


def write_comparison(
    runs: Sequence[str | Path], output: str | Path | None = None, *, languages: Sequence[str] = ("en",)
) -> Path:
    """Write the page of several runs side by side.

    Args:
        runs: the runs' folders, the first is the one that the others are held against.
        output: the file; ``compare.html`` in the working folder if None.
        languages: codes, the first is shown at first.

    Returns:
        The file.

    Raises:
        UsageError: the runs cannot be compared, or the file cannot be written.
    """
    from paramscope.report.comparison.page import render_comparison
    from paramscope.report.comparison.runs import Runs

    path = writable(Path(output or "compare.html"), "html")
    return _written(path, render_comparison(Runs.load([Path(run) for run in runs]), languages))


def _written(path: Path, page: str) -> Path:
    """Write a page whole.

    Raises:
        UsageError: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"output {path} cannot be written ({error.strerror}); give another with -o") from error
    return path


def _figures(run: str, folder: str, *, quiet: bool) -> dict[str, list[str]]:
    from paramscope.figures import write_run_figures

    paths = write_run_figures(Path(run), Path(folder), None if quiet else lambda line: click.echo(line, err=True))
    if not quiet:
        click.echo(f"figures: {len(paths)} files in {inert(folder)}", err=True)
    return {"figures": [str(path) for path in paths]}


def writable(path: Path, form: Literal["html", "md"]) -> Path:
    """Where a page may be written.

    Args:
        path: as it was asked for.
        form: of the page.

    Returns:
        The file itself, where the path is a link.

    Raises:
        UsageError: something is there that is no such page.
    """
    if str(path) == "-":
        raise UsageError(f"output - is no file; give a name such as report.{form}")
    if os.path.isdir(path):
        example = path / f"report.{form}"
        raise UsageError(f"output {path} is a folder, a file is expected; give one such as {example}")
    # What a link leads to is replaced, never the link.
    path = Path(os.path.realpath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"output {path} is no file but a device or a pipe; give a file")
    if os.path.isfile(path) and not _is_page(path, form):
        raise UsageError(f"output {path} is there and is no page, so it is not replaced; give another with -o")
    return path


def _is_page(path: Path, form: Literal["html", "md"]) -> bool:
    begins = b"<!doctype html>" if form == "html" else b"# paramscope: "
    with path.open("rb") as file:
        return file.read(len(begins)).lower() in (begins, b"")
