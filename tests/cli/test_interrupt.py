"""Ctrl-C, --resume and --overwrite, and the exit codes of a run that ends early."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paramscope import CheckError, Profile, RunError
from paramscope.engine.measure import reduce_layer
from tests.cli.conftest import Call
from tests.conftest import made_texts, save_tiny_model

# A shell's background jobs ignore SIGINT, and so would this child; a user's terminal does not.
CHILD = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from paramscope.cli.main import main; main()"
)


@pytest.fixture
def command(tiny_model: Path, domains: list[str], tmp_path: Path) -> list[str]:
    return ["profile", str(tiny_model), *domains, "-o", str(tmp_path / "run"), "--samples", "5"]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, layers: int) -> None:
    """Let Ctrl-C come while a layer is reduced, after some others are finished."""
    count = itertools.count()

    def reduce_or_stop(*arguments: object) -> object:
        if next(count) >= layers:
            raise KeyboardInterrupt
        return reduce_layer(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("paramscope.engine.measure.reduce_layer", reduce_or_stop)


def assert_same_numbers(one: Path, other: Path) -> None:
    first, second = Profile.load(one), Profile.load(other)
    np.testing.assert_allclose(first.tables.gram, second.tables.gram, rtol=1e-5)
    pd.testing.assert_frame_equal(first.density(1e-3), second.density(1e-3), rtol=1e-5)
    pd.testing.assert_frame_equal(first.concentration(), second.concentration(), rtol=1e-5)
    pd.testing.assert_frame_equal(first.samples, second.samples, rtol=1e-5)


def test_interrupted_run_goes_on_to_the_numbers_of_an_uninterrupted_one(
    call: Call, command: list[str], tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 2)
        stopped = call(*command)
    assert stopped.code == 130
    assert f"{tmp_path / 'run.unfinished'} keeps the finished layers" in stopped.err
    assert stopped.err.endswith("paramscope: interrupted\n")
    assert not (tmp_path / "run").exists()

    again = call(*command)
    assert again.code == 2
    assert "holds an unfinished run; --resume finishes it, --overwrite replaces it" in again.err
    assert "with --resume" in call("show", tmp_path / "run").err
    other = call(*command, "--resume", "--seed", "1")
    assert other.code == 2
    assert "seed: 0 there, 1 now" in other.err

    resumed = call(*command, "--resume")
    assert resumed.code == 0
    assert "100%" in resumed.err
    assert not (tmp_path / "run.unfinished").exists()
    assert Profile.load(tmp_path / "run").manifest.engine.layers_resumed == 2
    whole = [part if part != str(tmp_path / "run") else str(tmp_path / "whole") for part in command]
    assert call(*whole).code == 0
    assert_same_numbers(tmp_path / "run", tmp_path / "whole")


def test_overwrite_begins_an_interrupted_run_anew(call: Call, command: list[str], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 2)
        assert call(*command).code == 130
    assert call(*command, "--overwrite", "--seed", "1").code == 0
    profile = Profile.load(tmp_path / "run")
    assert (profile.manifest.seed, profile.manifest.engine.layers_resumed) == (1, 0)
    assert not (tmp_path / "run.unfinished").exists()


def test_interrupt_before_the_first_layer_leaves_nothing(call: Call, command: list[str], tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 0)
        stopped = call(*command, "--quiet")
    assert (stopped.code, stopped.err.strip()) == (130, "paramscope: interrupted")
    assert sorted(tmp_path.iterdir()) == before


def test_interrupted_overwrite_keeps_the_old_run(call: Call, command: list[str], tmp_path: Path) -> None:
    assert call(*command).code == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 2)
        assert call(*command, "--overwrite", "--seed", "1").code == 130
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert call("show", tmp_path / "run", "--json").code == 0


def test_signal_of_the_terminal_ends_a_run_with_130(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    model = save_tiny_model(tmp_path / "slow", layers=24, hidden=256)
    path = write_jsonl("a.jsonl", made_texts(40))
    run = tmp_path / "run"
    arguments = ["profile", str(model), "--domain", f"a={path}", "-o", str(run), "--samples", "40"]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        waited = time.monotonic() + 60
        while not (tmp_path / "run.unfinished" / "state.safetensors").exists():
            assert child.poll() is None, child.communicate()
            assert time.monotonic() < waited
            time.sleep(0.005)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "with --resume goes on" in err.replace("\n", " ")
    assert (tmp_path / "run.unfinished" / "identity.json").is_file()
    assert not run.exists()


@pytest.mark.parametrize(("error", "code"), [(CheckError("no: model.layers.0"), 3), (RunError("the disk went"), 1)])
def test_error_decides_the_exit_code_and_leaves_nothing(
    call: Call, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("paramscope.profiling.self_check", fail)
    ended = call(*command, "--quiet", "--json")
    assert (ended.code, ended.out, ended.err) == (code, "", f"paramscope: error: {error}\n")
    assert sorted(tmp_path.iterdir()) == before


def test_other_process_on_the_same_run_is_named(call: Call, command: list[str], tmp_path: Path) -> None:
    from paramscope.result.store import Checkpoint

    held = Checkpoint(tmp_path / "run", {}, overwrite=False)
    done = call(*command, "--overwrite")
    held.close()
    assert done.code == 2
    assert f"another paramscope works on {tmp_path / 'run'} at the moment" in done.err
