"""``paramscope tune``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from paramscope.actions.pilots.trials import Trials
from paramscope.result.tuned import Tuning
from tests.actions.tuned_runs import TRAINABLE, lean, make_run, write_texts
from tests.cli.conftest import Call
from tests.cli.test_start import HEAVY, loaded_by
from tests.conftest import made_texts, save_tiny_model

PILOT = ("--pilot", "--steps", "2", "--seeds", "1", "--trainable", str(TRAINABLE))


_lean = pytest.fixture(autouse=True, scope="module")(lean)


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model, two sources and a run in one folder. No test may change them."""
    folder = tmp_path_factory.mktemp("profiled")
    make_run(save_tiny_model(folder / "model"), folder)
    yield folder
    assert not list(folder.rglob("tune*"))


@pytest.fixture
def line(profiled: Path, tmp_path: Path) -> tuple[str | Path, ...]:
    """The command on a run of one's own."""
    run = shutil.copytree(profiled / "run", tmp_path / "run")
    return ("tune", profiled / "model", "--run", run, "--domain", "a")


def test_a_plan_is_printed_exported_and_called_untested(call: Call, line: tuple[str, ...], tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    done = call(*line, "--trainable", "20%", "--rule", "spread", "--layers", "2", "--export", plan)
    assert done.code == 0, done.err
    assert "Plan for a: LoRA in layers 1, 3 (spread)" in done.out
    assert "This plan is untested: nothing says yet that it is better than any other; --pilot tries it." in done.out
    assert f"exported: {plan} (each file read again and checked against the plan)" in done.err
    assert sorted(path.name for path in plan.iterdir()) == ["adapter_config.json", "axolotl.yaml", "modules.txt"]
    kept = Tuning.model_validate_json((tmp_path / "run" / "tune.json").read_text())
    (found,) = kept.domains
    document = json.loads((plan / "adapter_config.json").read_text())
    assert document["target_modules"] == [module.name for module in found.plan.modules]
    again = call(*line, "--trainable", "20%", "--rule", "spread", "--layers", "2", "--export", plan)
    assert again.code == 2
    assert "holds adapter_config.json, axolotl.yaml, modules.txt; --overwrite replaces them" in again.err


def test_a_pilot_prints_what_it_showed_and_keeps_it(call: Call, line: tuple[str, ...], tmp_path: Path) -> None:
    done = call(*line, *PILOT)
    assert done.code == 0, done.err
    for told in (
        "Pilot: 2 steps of 4 texts cut to",
        "left out since the run has them",
        "Held-out loss of a before:",
        "uniform",
        "random",
        "changes a's held-out loss by",
        "Trainable parameters differ by at most 0",
        "short trainings on few texts say little of long ones",
    ):
        assert told in done.out
    assert "training" in done.err
    document = json.loads((tmp_path / "run" / "tune.json").read_text())
    quiet = call(*line, *PILOT, "--json", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert quiet.document == document["domains"][0]


def test_json_is_the_only_thing_on_stdout_while_a_pilot_runs(call: Call, line: tuple[str, ...]) -> None:
    done = call(*line, *PILOT, "--json")
    assert done.code == 0
    assert done.document["pilot"]["sizes"]["steps"] == 2


def test_an_interrupted_pilot_says_how_to_go_on(
    call: Call, line: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Trials.add

    def interrupt(self: Trials, trial: object) -> None:
        add(self, trial)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "add", interrupt)
        stopped = call(*line, *PILOT)
    assert (stopped.code, stopped.out) == (130, "")
    assert "keeps the finished trials: the same command with --resume goes on" in stopped.err
    waiting = call(*line, *PILOT)
    assert waiting.code == 2
    assert "holds an unfinished pilot; --resume finishes it, --overwrite begins it anew" in waiting.err
    assert call(*line, *PILOT, "--resume").code == 0
    assert not (tmp_path / "run" / "tune.unfinished").exists()


def test_other_texts_can_be_trained_on(call: Call, line: tuple[str, ...], tmp_path: Path) -> None:
    source = write_texts(tmp_path / "more.txt", made_texts(40, start=13, length=12))
    done = call(*line, *PILOT, "--train", source, "--json")
    assert done.code == 0, done.err
    assert done.document["pilot"]["texts"]["source"].endswith("more.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--domain", "c"), "domain 'c' is not in the run"),
        (("--layers", "9", "--rule", "spread"), "--layers 9 is out of range; the model has 4 layers, so give 1 to 4"),
        (("--layers", "2"), "--layers 2: the rule uniform trains all layers"),
        (("--layers", "1,9"), "layer 9 is unknown; the model has 4 layers, 0 to 3"),
        (("--layers", "all"), "--layers 'all': give a number of layers such as 6, or layers such as 2,7,20-23"),
        (("--layers", "1,2", "--rule", "last"), "--rule chooses layers, and --layers names them"),
        (("--rule", "lst"), "--rule 'lst' is unknown (did you mean 'last'?)"),
        (("--rank", "0"), "--rank 0 is out of range; give a whole number of at least 1"),
        (("--trainable", "500%"), "--trainable '500%' is out of range"),
        (("--trainable", "100"), "100 trainable parameters are too few"),
        (("--pilot", "--budget", "soon"), "--budget 'soon' is no time"),
        (("--pilot", "--train", "./none.txt"), "no such file or folder"),
        (("--full",), "--full is of the pilot; give --pilot too"),
        (("--resume", "--overwrite"), "--resume and --overwrite contradict each other"),
        (("--run", "nowhere"), "nowhere is no run folder"),
    ],
)
def test_option_out_of_range(refused: Call, line: tuple[str, ...], options: tuple[str, ...], message: str) -> None:
    assert message in refused(*line, *options).err


def test_another_model_is_refused(refused: Call, line: tuple[str, ...], tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", seed=1)
    for options in ((), PILOT):
        err = refused("tune", other, *line[2:], *options).err
        assert "is not the model of the run (model.safetensors differs)" in err


def test_help_loads_no_large_library(call: Call) -> None:
    done = call("tune", "--help")
    assert (done.code, done.err) == (0, "")
    for option in (
        "--run",
        "--domain",
        "--rule",
        "--layers",
        "--trainable",
        "--export",
        "--pilot",
        "--full",
        "--train",
    ):
        assert option in done.out
    assert "tune" in call("--help").out
    code = (
        "import sys, contextlib\n"
        "sys.argv = ['paramscope', 'tune', '--help']\n"
        "from paramscope.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    assert not loaded_by(code) & HEAVY
