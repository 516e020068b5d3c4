"""``paramscope demo``."""

from __future__ import annotations

import click

from paramscope.cli.common import inert, output_options, print_bands, print_json
from paramscope.cli.profile import run
from paramscope.cli.report import write_report
from paramscope.settings import Settings


@click.command()
@click.option("-o", "--output", type=click.Path(), default="demo-run", show_default=True, help="The run's folder.")
@click.option("--samples", type=int, default=16, show_default=True, help="Samples drawn of each domain.")
@click.option("--resume", is_flag=True, help="Finish an interrupted run.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")
@output_options
def command(output: str, samples: int, resume: bool, overwrite: bool, as_json: bool, quiet: bool) -> None:
    """Do the whole main job on an embedded model and embedded domains.

    The model is SmolLM2-135M-Instruct; the domains are six kinds of office work: customer support, code, contracts,
    finance, product specifications and general prose. Ends with a page.
    """
    from paramscope.domains import EMBEDDED, parse_domain
    from paramscope.models.embedded import EMBEDDED_MODEL

    specs = [parse_domain(f"{name}=embedded:{name}") for name in EMBEDDED]
    settings = Settings(samples=samples, max_tokens=128)
    profile = run(EMBEDDED_MODEL, specs, settings, output, resume=resume, overwrite=overwrite, quiet=quiet)
    assert profile is not None
    page = write_report(output)
    if as_json:
        from paramscope.result.summary import summarise

        print_json(summarise(profile) | {"report": str(page)})
    else:
        print_bands(profile)
    if not quiet:
        click.echo(f"page: {inert(page)}", err=True)
