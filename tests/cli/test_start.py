"""What a call costs before it does anything, and what it says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import Call

HEAVY = {
    "torch",
    "numpy",
    "pandas",
    "transformers",
    "rich",
    "pydantic",
    "scipy",
    "jinja2",
    "pyarrow",
    "datasets",
    "matplotlib",
}


def loaded_by(code: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after some code."""
    code += "\nimport json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr))


def test_importing_the_package_loads_no_large_library() -> None:
    assert not loaded_by("import paramscope") & HEAVY


@pytest.mark.parametrize(
    "arguments", [["--help"], ["profile", "--help"], ["show", "--help"], ["report", "--help"], ["--version"]]
)
def test_help_loads_no_large_library(arguments: list[str]) -> None:
    code = (
        "import sys, contextlib\n"
        f"sys.argv = ['paramscope', *{arguments}]\n"
        "from paramscope.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    assert not loaded_by(code) & HEAVY


def test_help_is_there_at_once() -> None:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "paramscope", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    assert min(times) < 1.0


def test_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "paramscope"]
    done = subprocess.run([*command, "show", "no-run"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("paramscope: error: no-run is no run folder")


@pytest.mark.parametrize("command", ["demo", "profile", "show", "report"])
def test_every_command_has_help_json_and_quiet(call: Call, command: str) -> None:
    assert command in call("--help").out
    done = call(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert "--json" in done.out
    assert "--quiet" in done.out


def test_help_shows_the_example_on_lines_of_its_own(call: Call) -> None:
    lines = call("profile", "--help").out.splitlines()
    place = next(i for i, line in enumerate(lines) if "paramscope profile ./model -o run" in line)
    assert lines[place].endswith("\\")
    assert lines[place + 1].strip() == "--domain support=tickets.csv --domain code=src.jsonl"


def test_no_command_shows_the_help(call: Call) -> None:
    done = call()
    assert "Commands:" in done.out + done.err


def test_unknown_command_is_named_on_one_line(call: Call) -> None:
    done = call("profil")
    assert done.code == 2
    assert done.err == "paramscope: error: No such command 'profil'; see 'paramscope --help'\n" or "Did you" in done.err
    assert done.err.count("\n") == 1
