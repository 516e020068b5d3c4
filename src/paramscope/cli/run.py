"""``paramscope run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paramscope.cli.common import console, inert, output_options, print_bands, print_json, print_verdicts
from paramscope.cli.plan import print_plan
from paramscope.cli.report import write_report
from paramscope.cli.talk import silence_libraries, stage_bars
from paramscope.settings import read_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from paramscope.result.planned import Planned
    from paramscope.study import ReadStudy, SharePart


@click.command()
@click.argument("study", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Read the file, say what would be done, and stop.")
@output_options
def command(study: str, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Do all that STUDY.yaml says: profile, verify, plan, pilots, sharing, plan, page.

    What is finished is not done again, so the same command goes on after an interruption. Another study is never mixed
    into a run that is there.

    \b
    model: ./my-model
    output: study-run
    domains:
      support: tickets.csv
      code: {source: snippets.jsonl, field: body}
    profile: {samples: 32, max_tokens: 128}
    verify: {budget: 10m}           # or false
    tune: {domains: [support]}      # or false; left out: what the plan says to try first
    share: {requests: 200000}       # or false; pilot: true tries the ways to share
    """  # noqa: D301 - click wants the character \b itself
    from paramscope.study import read_study

    talk = console(quiet=quiet)
    read = read_study(Path(study))
    for line in told(read):
        talk.print(inert(line), soft_wrap=True)
    if dry_run:
        if as_json:
            print_json(read.study.model_dump(mode="json"))
        return
    silence_libraries()
    planned = carry_out(read, talk, quiet=quiet)
    if as_json:
        print_json({"run": str(read.output), "plan": planned.model_dump(mode="json")})
        return
    from paramscope.result.profile import Profile
    from paramscope.result.verification import read_verification

    print_bands(Profile.load(read.output))
    checks = read_verification(read.output)
    if checks:
        print_verdicts(checks)
    print_plan(planned)


def told(read: ReadStudy) -> list[str]:
    """What will be done, a line a step."""
    from paramscope.study import told_length

    study = read.study
    lines = [f"profile: {read.model} on {', '.join(spec.name for spec in read.specs)} -> {read.output}"]
    if study.verify:
        lines.append(f"verify: {study.verify.budget or 'as long as the profile'}")
    if study.tune:
        pilots = ", ".join(study.tune.domains) if study.tune.domains else "what the plan says to try first"
        lines.append(f"tune: {pilots}; {told_length(study.tune)} each")
    if study.share and len(read.specs) > 1:
        lines.append("share: what the domains can share, what it costs, when it pays back")
        if study.share.pilot:
            lines.append(f"sharing pilot: {told_length(study.share)}")
    return [*lines, "plan and page"]


def carry_out(read: ReadStudy, talk: Console, *, quiet: bool) -> Planned:
    """Do what a study says; what is finished is not done again.

    Args:
        read: the study.
        talk: stderr.
        quiet: no talk.

    Returns:
        The plan that the results lead to.
    """
    from paramscope.cli.profile import run as run_profile
    from paramscope.deciding import first_to_try, plan
    from paramscope.verifying import verify

    study, run = read.study, read.output
    run_profile(read.model, read.specs, read.settings, run, revision=study.revision, resume=True, quiet=quiet)
    if study.verify:
        with stage_bars(talk) as progress:
            checked = study.verify
            verify(
                run,
                read.model,
                budget=read_seconds(checked.budget),
                seed=checked.seed,
                activation=checked.activation,
                steps=checked.steps,
                device=read.settings.device,
                progress=progress,
            )
    if study.tune:
        # What is first is asked of a run without pilots, so that the study means the same when it is gone on with.
        _pilots(read, talk, study.tune.domains or [first_to_try(run)])
    if study.share and len(read.specs) > 1:
        _sharing(read, study.share, talk)
    planned = plan(run)
    page = write_report(run)
    talk.print(f"page: {inert(page)}", soft_wrap=True)
    return planned


def _sharing(read: ReadStudy, asked: SharePart, talk: Console) -> None:
    from paramscope.sharing import share
    from paramscope.study import PILOT_KEYS

    given = {name: value for name, value in asked.model_dump(exclude={"pilot"}).items() if value is not None}
    of_pilot = {name: given.pop(name) for name in PILOT_KEYS if name in given}
    if asked.pilot:
        from paramscope.sharing_pilot import try_sharing

        of_both = {name: given[name] for name in ("rank", "own_layers") if name in given}
        of_pilot["budget"] = read_seconds(asked.budget)
        with stage_bars(talk) as progress:
            try_sharing(
                read.output,
                read.model,
                device=read.settings.device,
                resume=True,
                progress=progress,
                **of_both,
                **of_pilot,
            )
    if asked.prices is not None:
        given["prices"] = read.base / asked.prices
    share(read.output, **given)


def _pilots(read: ReadStudy, talk: Console, domains: list[str]) -> None:
    from paramscope.tuning import tune

    asked = read.study.tune
    assert asked
    given: dict[str, Any] = {
        name: value for name, value in asked.model_dump(exclude={"domains", "budget"}).items() if value is not None
    }
    for name in domains:
        talk.print(f"pilot: {inert(name)}")
        with stage_bars(talk) as progress:
            tune(
                read.model,
                read.output,
                name,
                pilot=True,
                budget=read_seconds(asked.budget),
                device=read.settings.device,
                resume=True,
                progress=progress,
                **given,
            )
