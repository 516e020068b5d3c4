"""``paramscope prune``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from paramscope.result.pruned import STATEMENT
from tests.cli.conftest import Call
from tests.cli.test_start import HEAVY, loaded_by
from tests.conftest import made_texts
from tests.engine.test_streaming import saved


@pytest.fixture
def texts(write_jsonl: Callable[..., Path]) -> str:
    """Calibration texts, as the argument of ``--domain``."""
    return f"own={write_jsonl('texts.jsonl', made_texts(8))}"


def test_prune_writes_a_model_and_prints_what_is_zero(call: Call, tiny_model: Path, texts: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = call("prune", tiny_model, "-o", out, "--sparsity", "0.5", "--domain", texts)
    assert done.code == 0, done.err
    assert f"pruned: {out} (in" in done.err
    assert "are zero (50.00 %; allocation uniform, score wanda)" in done.out
    assert "mlp.down_proj" in done.out
    assert STATEMENT in " ".join(done.out.split())
    model = AutoModelForCausalLM.from_pretrained(out)
    weights = [p for layer in model.model.layers for p in layer.parameters() if p.dim() == 2]
    assert sum(int((p == 0).sum()) for p in weights) * 2 == sum(p.numel() for p in weights)


def test_json_is_one_document_that_equals_the_file(call: Call, tiny_model: Path, texts: str, tmp_path: Path) -> None:
    out, recipe = tmp_path / "out", tmp_path / "recipe.yaml"
    options = ["-o", out, "--sparsity", "0.4", "--allocation", "owl", "--domain", texts, "--samples", "4"]
    done = call("prune", tiny_model, *options, "--recipe", recipe, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert done.document == json.loads((out / "prune.json").read_text())
    assert done.document["calibration"]["samples"] == 4
    assert done.document["statement"] == STATEMENT
    assert "WandaPruningModifier" in recipe.read_text()
    again = call("prune", tiny_model, *options, "--resume", "--json", "--quiet")
    assert again.out == done.out


def test_a_run_and_a_list_allocate(call: Call, tiny_model: Path, texts: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert call("profile", tiny_model, "--domain", texts, "-o", run, "--held-out", "0", "--quiet").code == 0
    options = ["--score", "magnitude", "--quiet", "--json"]
    for rule in ("paper", "histogram"):
        done = call(
            "prune",
            tiny_model,
            "-o",
            tmp_path / rule,
            "--sparsity",
            "0.5",
            "--allocation",
            rule,
            "--run",
            run,
            *options,
        )
        assert done.code == 0, done.err
        assert len(set(done.document["allocation"]["wanted"])) > 1
    path = tmp_path / "list.json"
    path.write_text("[0.2, 0.4, 0.6, 0.8]")
    done = call("prune", tiny_model, "-o", tmp_path / "list", "--allocation", path, *options)
    assert done.document["allocation"]["wanted"] == [0.2, 0.4, 0.6, 0.8]
    assert done.document["target"] == pytest.approx(0.5)


def test_a_pattern_needs_no_sparsity(call: Call, tiny_model: Path, tmp_path: Path) -> None:
    done = call("prune", tiny_model, "-o", tmp_path / "out", "--pattern", "2:4", "--score", "magnitude")
    assert done.code == 0, done.err
    assert "(50.00 %; pattern 2:4, score magnitude)" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sparsity", "1.2"], "--sparsity 1.2 is out of range"),
        (["--sparsity", "1e-9", "--score", "magnitude"], "--sparsity 1e-09 is out of range: none of "),
        (["--sparsity", "0"], "--sparsity 0.0 is out of range"),
        ([], "no sparsity is given; give --sparsity such as 0.5, or --pattern 2:4"),
        (["--sparsity", "0.5"], "give --domain NAME=SOURCE"),
        (["--sparsity", "0.5", "--pattern", "2:4"], "--sparsity and --pattern are both given"),
        (["--pattern", "3:4"], "'3:4' is not one of '2:4', '4:8'"),
        (["--sparsity", "0.5", "--score", "magnitude", "--field", "text"], "--field is given, but no --domain"),
        (["--sparsity", "0.5", "--allocation", "ow"], "is no rule and no file (did you mean 'owl'?)"),
        (["--sparsity", "0.5", "--score", "magnitude", "--max-memory", "lots"], "--max-memory 'lots' is no size"),
        (["--sparsity", "0.5", "--score", "magnitude", "--allocation", "paper"], "give --run RUN"),
        (["--sparsity", "0.5", "--score", "magnitude", "--resume", "--overwrite"], "contradict each other"),
        (["--sparsity", "0.5", "--domain", "own=no-such-file.jsonl"], "domain 'own'"),
    ],
)
def test_wrong_use_is_one_line(
    refused: Call, tiny_model: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    assert message in refused("prune", tiny_model, "-o", tmp_path / "out", *options).err


def test_an_output_is_needed(refused: Call, tiny_model: Path) -> None:
    assert "give one with -o OUT" in refused("prune", tiny_model, "--sparsity", "0.5").err


def test_inputs_that_a_pattern_does_not_fit_are_named(refused: Call, tmp_path: Path) -> None:
    model = saved(tmp_path / "odd", "llama", intermediate_size=20)
    done = refused("prune", model, "-o", tmp_path / "out", "--pattern", "4:8", "--score", "magnitude")
    assert "model.layers.0.mlp.down_proj has 20 inputs, which is no multiple of 8" in done.err


def test_an_interrupted_call_says_how_to_go_on(
    call: Call, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from paramscope.actions.pruning.store import MaskStore

    plain = MaskStore.save

    def save(self: MaskStore, layer: int, *given: object) -> None:
        plain(self, layer, *given)  # type: ignore[arg-type]  # handed on as it came
        if layer == 1:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    options = ["prune", tiny_model, "-o", out, "--sparsity", "0.5", "--score", "magnitude"]
    with monkeypatch.context() as patched:
        patched.setattr(MaskStore, "save", save)
        done = call(*options)
    assert done.code == 130
    assert "keeps the finished layers: the same command with --resume goes on" in done.err
    assert not out.exists()
    assert call(*options, "--resume").code == 0


def test_help_loads_no_large_library() -> None:
    code = (
        "import sys, contextlib\n"
        "sys.argv = ['paramscope', 'prune', '--help']\n"
        "from paramscope.cli.main import main\n"
        "with contextlib.suppress(SystemExit): main()"
    )
    assert not loaded_by(code) & HEAVY
