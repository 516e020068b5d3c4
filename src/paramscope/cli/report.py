"""``paramscope report``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paramscope.cli.common import inert, output_options, print_json
from paramscope.errors import UsageError

if TYPE_CHECKING:
    from paramscope.report.decision import Decisions
    from paramscope.result.profile import Profile
    from paramscope.result.verification import Checks


@click.command()
@click.argument("run", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="The file to write; RUN/report.html if left out.")
@output_options
def command(run: str, output: str | None, as_json: bool, quiet: bool) -> None:
    """Write one self-contained page about RUN.

    It needs no network and no script to be read.
    """
    path = write_report(run, output)
    if as_json:
        print_json({"report": str(path)})
    elif not quiet:
        click.echo(f"page: {inert(path)}", err=True)


def write_report(run: str | Path, output: str | Path | None = None) -> Path:
    """Write the page of a run.

    Args:
        run: the run's folder.
        output: the file; ``report.html`` in the run's folder if None.

    Returns:
        The file.

    Raises:
        UsageError: there is no run, or the file cannot be written.
    """
    from paramscope.report import render_report
    from paramscope.result.profile import Profile
    from paramscope.result.verification import load_checks

    path = Path(output) if output else Path(run) / "report.html"
    if os.path.isdir(path):
        raise UsageError(f"output {path} is a folder, a file is expected; give one such as {path / 'report.html'}")
    # What a link leads to is replaced, never the link.
    path = Path(os.path.realpath(path))
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"output {path} is no file but a device or a pipe; give a file")
    if os.path.isfile(path) and not _is_page(path):
        raise UsageError(f"output {path} is there and is no page, so it is not replaced; give another with -o")
    profile, checks = Profile.load(run), load_checks(Path(run))
    page = render_report(profile, checks, _decisions(Path(run), profile, checks))
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UsageError(f"output {path} cannot be written ({error.strerror}); give another with -o") from error
    return path


def _decisions(run: Path, profile: Profile, checks: Checks | None) -> Decisions | None:
    """What the run leads to; None where nothing was planned or tried."""
    from paramscope.deciding import decide
    from paramscope.report.decision import Decisions
    from paramscope.result import planned, shared, tuned

    if not any((run / name).is_file() for name in (planned.DOCUMENT, tuned.DOCUMENT, shared.DOCUMENT)):
        return None
    tuning, sharing = tuned.read_tuning(run), shared.read_shared(run)
    return Decisions(decide(profile, run, checks, tuning, sharing), tuning, sharing)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(15).lower() in (b"<!doctype html>", b"")
