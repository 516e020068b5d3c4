"""``paramscope``: the group of commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

import click

from paramscope.cli.common import inert
from paramscope.errors import ParamscopeError, PeerError
from paramscope.launch import launch, talks

_COMMANDS = {
    "demo": "the whole main job on an embedded model and embedded domains",
    "profile": "measure a model on domains",
    "show": "the numbers of a run, as a table or JSON",
    "verify": "test by intervention what a run claims",
    "plan": "propose what to do with the model of a run",
    "tune": "plan which layers to train for a domain, and try the plan",
    "prune": "set the least needed weights of a model to zero",
    "share": "what the domains of a run can share, what that costs and brings",
    "evaluate": "perplexity, multiple choice, tasks of lm-evaluation-harness",
    "report": "one page of a run",
    "run": "all of it, as a study's file says",
}


class _LazyGroup(click.Group):
    """Loads a command's file when the command is called, so that ``--help`` loads none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"paramscope.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="paramscope")
def cli() -> None:
    """Which parameters of a language model each kind of input uses, layer by layer.

    Results go to stdout, progress and talk to stderr. Exit codes: 0 done, 1 a run failed, 2 wrong use or wrong input, 3
    a check says no, 130 interrupted.
    """


_NO_ARGUMENTS: type[click.ClickException] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""Its message is the help (click 8.2; older ones print it themselves)."""


def _fail(message: str, code: int, *, loud: bool = False) -> int:
    """Say what went wrong. Of several processes the first one does; ``loud`` when it may be the one that is gone."""
    if loud or talks():
        click.echo(f"paramscope: error: {inert(' '.join(message.splitlines()))}", err=True)
    return code


def main() -> None:
    """Run the command line and exit."""
    # tqdm reads it once, when it is first imported: from here on, other libraries' loading bars stay out of the talk.
    os.environ["TQDM_DISABLE"] = "1"
    try:
        code = cli.main(prog_name="paramscope", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        if talks():
            click.echo("paramscope: interrupted", err=True)
        code = 130
    except _NO_ARGUMENTS as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        see = f"; see '{context.command_path} --help'" if context else ""
        code = _fail(error.format_message().rstrip(".") + see, error.exit_code)
    except ParamscopeError as error:
        code = _fail(str(error), error.exit_code, loud=isinstance(error, PeerError))
    except BrokenPipeError:
        # The reader of stdout, such as `head`, has seen enough; Python's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:  # a full disk, a folder that vanished: not the user's wrong use, and no bug
        code = _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)
    except Exception:  # a bug: Python's own way out, but see below
        if launch().size == 1:
            raise
        traceback.print_exc()
        code = 1
    code = code if isinstance(code, int) else 0
    if launch().size > 1:
        # The threads of a process group may still run; when Python tears itself down under them, it aborts, and
        # the launcher takes a finished run for a failed one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
