"""``paramscope verify`` and what ``show`` says of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

import paramscope
from paramscope.result.verification import Verification
from tests.causal.conftest import Resize
from tests.cli.conftest import Call
from tests.cli.test_start import HEAVY, loaded_by
from tests.conftest import made_texts, save_tiny_model

pytestmark = pytest.mark.usefixtures("small")

TEXTS = {"a": made_texts(8), "b": made_texts(8, start=40)}


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run and its model in one folder. No test may change them."""
    folder = tmp_path_factory.mktemp("profiled")
    paramscope.profile(save_tiny_model(folder / "model"), TEXTS, output=folder / "run", samples=4, held_out=4)
    yield folder
    assert not list(folder.rglob("verify*"))


@pytest.fixture
def run(profiled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(profiled / "run", tmp_path / "run")


def test_verify_prints_the_verdicts_and_keeps_them(call: Call, run: Path) -> None:
    done = call("verify", run)
    assert done.code == 0, done.err
    assert f"checked: {run} (in" in done.err
    assert done.out.startswith("Causal checks: what was claimed")
    kept = Verification.model_validate_json((run / "verify.json").read_text())
    for verdict in kept.verdicts:
        assert verdict.status in done.out
        assert verdict.text[:40] in done.out
    assert "broke" in done.out or "break" in done.out

    shown = call("show", run)
    assert (shown.code, shown.err) == (0, "")
    assert done.out in shown.out
    document = call("show", run, "--json").document
    assert document["verification"] == json.loads((run / "verify.json").read_text())


def test_json_is_one_document_that_equals_the_file(call: Call, run: Path) -> None:
    done = call("verify", run, "--json", "--quiet", "--budget", "90s", "--seed", "3")
    assert (done.code, done.err) == (0, "")
    assert done.document == json.loads((run / "verify.json").read_text())
    assert (done.document["arguments"]["budget"], done.document["arguments"]["seed"]) == (90, 3)
    again = call("verify", run, "--json", "--quiet", "--budget", "1.5m", "--seed", "3")
    assert again.out == done.out


def test_show_of_a_run_without_checks_says_nothing_of_them(call: Call, profiled: Path) -> None:
    assert "Causal" not in call("show", profiled / "run").out
    assert call("show", profiled / "run", "--json").document["verification"] is None


@pytest.mark.parametrize("status", ["supported", "undecided", "not supported"])
def test_strict_says_by_the_exit_code_that_a_claim_is_not_supported(
    call: Call,
    run: Path,
    status: str,
) -> None:
    assert call("verify", run).code == 0
    document = json.loads((run / "verify.json").read_text())
    for verdict in document["verdicts"]:
        verdict["status"] = "supported"
    document["verdicts"][-1]["status"] = status
    (run / "verify.json").write_text(json.dumps(document))
    done = call("verify", run, "--strict", "--json")
    assert done.code == (3 if status == "not supported" else 0)
    assert done.document == document


def test_an_interrupted_check_goes_on(call: Call, run: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr("paramscope.verifying.check_parts", interrupt)
        stopped = call("verify", run)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.endswith("paramscope: interrupted\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paramscope.verifying.check_singles", interrupt)
        assert call("verify", run).code == 0


def test_other_arguments_are_named(call: Call, refused: Call, run: Path) -> None:
    assert call("verify", run, "--budget", "5m").code == 0
    assert "seed: 0 there, 1 now" in refused("verify", run, "--budget", "5m", "--seed", "1").err
    assert "budget: 300.0 there, 3600.0 now" in refused("verify", run, "--budget", "1h").err
    assert call("verify", run, "--budget", "1h", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget", "soon"), "--budget 'soon' is no time; give one such as 90s, 5m or 1h"),
        (("--budget", "-5m"), "--budget '-5m' is no time"),
        (("--budget", "0"), "--budget '0' is no time"),
        (("--budget", "5d"), "--budget '5d' is no time"),
        (("--budget", "1e3"), "--budget '1e3' is no time"),
        (("--budget", "nan"), "--budget 'nan' is no time"),
        (("--budget", "9" * 400), "is no time"),
        (("--seed", "-1"), "--seed -1 is out of range; give a whole number of at least 0"),
        (("--seed", "x"), "'x' is not a valid integer; see 'paramscope verify --help'"),
        (("--device", "cuda:99"), "device cuda:99 is not there; this machine has: cpu"),
        (("--fild", "x"), "No such option '--fild'"),
        (("--model", "./no/model"), "model './no/model': no such file or folder"),
    ],
)
def test_option_out_of_range(refused: Call, run: Path, options: tuple[str, ...], message: str) -> None:
    assert message in refused("verify", run, *options).err


def test_what_is_no_run(refused: Call, tmp_path: Path) -> None:
    assert "is no run folder (no run.json in it)" in refused("verify", tmp_path).err
    assert "is no run folder" in refused("verify", tmp_path / "nothing").err


def test_run_of_an_older_version(refused: Call, run: Path) -> None:
    samples = pd.read_parquet(run / "samples.parquet")
    samples.drop(columns=["token_ids", "target_ids", "foil_ids"]).to_parquet(run / "samples.parquet")
    (run / "held_out.parquet").unlink()
    err = refused("verify", run).err
    assert "kept no token ids; profile the model again to verify it" in err


def test_run_without_held_out_samples(refused: Call, profiled: Path, tmp_path: Path) -> None:
    paramscope.profile(profiled / "model", TEXTS, output=tmp_path / "run", samples=4, held_out=0)
    err = refused("verify", tmp_path / "run").err
    assert "domain 'a' has 0 held-out samples of two tokens or more" in err
    assert "--held-out" in err


def test_model_that_was_moved(call: Call, refused: Call, profiled: Path, tmp_path: Path) -> None:
    shutil.copytree(profiled / "model", tmp_path / "model")
    paramscope.profile(tmp_path / "model", TEXTS, output=tmp_path / "run", samples=4, held_out=4)
    (tmp_path / "model").rename(tmp_path / "moved")
    err = refused("verify", tmp_path / "run").err
    assert f"{tmp_path / 'model'}" in err
    assert "--model" in err
    assert call("verify", tmp_path / "run", "--model", tmp_path / "moved").code == 0


def test_another_model(refused: Call, run: Path, tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", seed=1)
    err = refused("verify", run, "--model", other).err
    assert "other is not the model of the run (model.safetensors differs); give the one that was profiled" in err
    sharded = tmp_path / "sharded"
    from transformers import AutoModelForCausalLM

    shutil.copytree(save_tiny_model(tmp_path / "deeper", layers=5), sharded)
    (sharded / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(tmp_path / "deeper").save_pretrained(sharded, max_shard_size="20KB")
    assert "sharded is not the model of the run" in refused("verify", run, "--model", sharded).err


def test_model_whose_weights_stay_on_the_disk(refused: Call, profiled: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    paramscope.profile(profiled / "model", TEXTS, output=run, samples=4, held_out=4, weights="streamed")
    err = refused("verify", run).err
    assert "weights stayed on the disk" in err
    assert "--weights resident" in err


def test_run_with_a_damaged_result(refused: Call, call: Call, run: Path) -> None:
    (run / "verify.json").write_text("{}")
    for command in ("verify", "show"):
        assert "verify.json is damaged or of another paramscope" in refused(command, run).err
    assert call("verify", run, "--overwrite").code == 0
    (run / "verify-sets.parquet").write_text("x")
    assert "verify-sets.parquet is missing or damaged" in refused("verify", run).err


def test_held_out_texts_are_asked_for_on_the_line(
    call: Call,
    profiled: Path,
    write_jsonl: Callable[..., Path],
    tmp_path: Path,
    resize: Resize,
) -> None:
    resize(held_out=99)
    source = f"a={write_jsonl('a.jsonl', made_texts(12))}"
    run = tmp_path / "run"
    line = ("profile", profiled / "model", "--domain", source, "--samples", "5", "-o", run, "--overwrite", "--quiet")
    for given, kept in ((("--held-out", "3"), 3), ((), 7)):
        assert call(*line, *given).code == 0
        assert call("verify", run, "--json").document["sizes"]["held_out"] == kept


def test_help_loads_no_large_library(call: Call) -> None:
    done = call("verify", "--help")
    assert (done.code, done.err) == (0, "")
    for option in ("--model", "--budget", "--seed", "--overwrite", "--strict", "--json", "--quiet"):
        assert option in done.out
    assert "verify" in call("--help").out
    code = (
        "import sys, contextlib\n"
        "sys.argv = ['paramscope', 'verify', '--help']\n"
        "from paramscope.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    assert not loaded_by(code) & HEAVY


def test_verdicts_are_shown_without_torch(call: Call, run: Path) -> None:
    assert call("verify", run).code == 0
    code = (
        "import sys, contextlib\n"
        f"sys.argv = ['paramscope', 'show', {str(run)!r}]\n"
        "from paramscope.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    assert "torch" not in loaded_by(code)
