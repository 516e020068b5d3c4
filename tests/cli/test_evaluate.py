"""``paramscope evaluate``: what it prints and writes, what it refuses, and the same from Python."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import paramscope
from paramscope.evaluation.harness import Harness
from paramscope.result.evaluation import Evaluation
from tests.cli.conftest import Call
from tests.conftest import made_texts, save_tiny_model
from tests.evaluation.models import made_tokenizer, reading_model, save_reading_model
from tests.evaluation.rows import ROWS, write_rows


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_reading_model(tmp_path_factory.mktemp("reading") / "reader")


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, Path]:
    return {name: write_rows(tmp_path / "data" / f"{name}.jsonl", given) for name, given in ROWS.items()}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "wiki.txt"
    path.write_text(" \n = Ice = \n" + "".join(f" {row['passage']} \n" for row in ROWS["boolq"]), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    domains = {"support": made_texts(14), "code": made_texts(14, start=31)}
    paramscope.profile(tiny_model, domains, output=path, samples=5, held_out=5)
    return path


def test_all_at_once_as_a_table_and_as_a_document(
    call: Call, model: Path, rows: dict[str, Path], text: Path, tmp_path: Path
) -> None:
    asked = ["--perplexity", f"wikitext2@{text}", "--context", 32, "--task", f"boolq@{rows['boolq']}"]
    asked += ["--task", f"mmlu@{rows['mmlu']}", "--shots", 2, "-o", tmp_path / "found.json"]
    done = call("evaluate", model, *map(str, asked))
    assert done.code == 0, done.err
    for shown in ("reader (LlamaForCausalLM, float32 on cpu)", "Perplexity", "boolq", "mmlu", "by likelihood", "±"):
        assert shown in done.out
    found = Evaluation.model_validate_json((tmp_path / "found.json").read_text(encoding="utf-8"))
    again = call("evaluate", model, *map(str, asked), "--json", "--quiet")
    assert again.err == ""
    document = Evaluation.model_validate(again.document)
    assert (document.perplexity, document.choices) == (found.perplexity, found.choices)
    one = found.perplexity[0]
    assert one.low is not None
    assert one.value is not None
    assert one.high is not None
    assert one.low < one.value < one.high
    assert one.nats == pytest.approx(math.log(one.value))
    assert (one.context, one.blocks) == (32, one.text_tokens // 32)
    assert [(choice.task, choice.items, choice.shots) for choice in found.choices] == [
        ("boolq", 14, 0),
        ("mmlu", 14, 2),
    ]
    assert set(found.model.files) >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert f"{100 * found.choices[0].accuracy:.1f} ±{100 * (found.choices[0].standard_error or 0):.1f}" in done.out


def test_a_run_gives_the_loss_by_domain(call: Call, tiny_model: Path, run: Path) -> None:
    done = call("evaluate", tiny_model, "--run", run, "--json")
    found = Evaluation.model_validate(done.document)
    assert [(loss.domain, loss.samples) for loss in found.held_out] == [("support", 5), ("code", 5)]
    assert found.run is not None
    assert found.run.place == str(run)
    assert "Held-out samples of" in call("evaluate", tiny_model, "--run", run).out


def test_streamed_weights_give_the_same_numbers(call: Call, model: Path, rows: dict[str, Path], text: Path) -> None:
    asked = ["--perplexity", str(text), "--context", "32", "--task", f"piqa@{rows['piqa']}", "--json"]
    resident, streamed = (
        Evaluation.model_validate(call("evaluate", model, *asked, "--weights", weights).document)
        for weights in ("resident", "streamed")
    )
    assert (resident.model.weights, streamed.model.weights) == ("resident", "streamed")
    assert streamed.choices == resident.choices
    assert streamed.perplexity[0].value == pytest.approx(resident.perplexity[0].value, rel=1e-6)


@pytest.mark.parametrize(("free", "weights"), [(1 << 40, "resident"), (1000, "streamed"), (None, "resident")])
def test_weights_stay_on_the_disk_where_they_do_not_fit(
    model: Path, text: Path, monkeypatch: pytest.MonkeyPatch, free: int | None, weights: str
) -> None:
    monkeypatch.setattr("paramscope.evaluating.memory_free", lambda _: free)
    assert paramscope.evaluate(model, perplexity=text, context=32).model.weights == weights


def test_from_python_with_a_loaded_model(model: Path, rows: dict[str, Path], text: Path) -> None:
    asked: dict[str, Any] = {"perplexity": text, "context": 32, "tasks": f"boolq@{rows['boolq']}", "limit": 4}
    one = paramscope.evaluate(model, **asked)
    other = paramscope.evaluate(reading_model(), tokenizer=made_tokenizer(), **asked)
    assert one.choices == other.choices
    assert one.perplexity == other.perplexity
    assert one.choices[0].items == 4
    assert list(other.model.files) == ["weights in memory"]


def test_from_python_a_profile_in_memory_needs_no_tokenizer(tiny_model: Path, run: Path) -> None:
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(tiny_model)
    found = paramscope.evaluate(loaded, run=paramscope.Profile.load(str(run)))
    expected = paramscope.evaluate(tiny_model, run=run)
    assert found.held_out == expected.held_out
    assert found.run is not None
    assert found.run.place is None


def test_progress_comes_to_its_end_in_every_stage(model: Path, rows: dict[str, Path], text: Path) -> None:
    told: dict[str, list[int]] = {}

    def progress(stage: str, steps: int, total: int) -> None:
        done = told.setdefault(stage, [0, total])
        done[0] += steps
        assert done[1] == total

    asked: dict[str, Any] = {"perplexity": str(text), "context": 32, "tasks": [f"piqa@{rows['piqa']}"]}
    paramscope.evaluate(model, **asked, progress=progress)
    assert set(told) == {"perplexity", "piqa"}
    assert all(done == total for done, total in told.values())


def test_no_library_talks_where_quiet_is_asked_for(model: Path, text: Path) -> None:
    command = [sys.executable, "-m", "paramscope", "evaluate", str(model), "--perplexity", str(text), "--context", "32"]
    command += ["--weights", "streamed", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


OWN_TASK = """task: own_piqa
dataset_path: json
dataset_kwargs:
  data_files:
    test: {rows}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{goal}}}}"
doc_to_choice: "{{{{[sol1, sol2]}}}}"
doc_to_target: label
metric_list:
  - metric: acc
"""


def test_the_harness_runs_a_task_of_ones_own_offline(model: Path, rows: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "own.yaml").write_text(OWN_TASK.format(rows=rows["piqa"]), encoding="utf-8")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "paramscope", "evaluate", str(model), "--harness", "own_piqa"]
    command += ["--harness-path", str(tmp_path / "tasks"), "--json", "--quiet", "-o", str(tmp_path / "found.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | offline)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = Evaluation.model_validate(json.loads(done.stdout))
    assert [(one.task, one.metric, one.items) for one in found.harness] == [("own_piqa", "acc", 14)]
    assert found.harness[0].standard_error is not None
    assert "lm_eval" in found.versions
    assert (tmp_path / "found.json").is_file()


def test_numbers_of_the_harness_are_shown(call: Call, model: Path, rows: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    task = OWN_TASK.format(rows=rows["piqa"]).replace(
        "  data_files", f"  cache_dir: {tmp_path / 'cache'}\n  data_files"
    )
    (tmp_path / "tasks" / "own.yaml").write_text(task, encoding="utf-8")
    done = call("evaluate", model, "--harness", "own_piqa", "--harness-path", tmp_path / "tasks", "--limit", 5)
    assert done.code == 0, done.err
    assert "lm-evaluation-harness" in done.out
    row = next(line for line in done.out.splitlines() if "own_piqa" in line)
    assert "±" in row
    assert " 5 " in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to evaluate is given; give --perplexity SOURCE, --task NAME[@PATH], --run RUN or --harness TASK"),
        (["--task", "bolq"], "did you mean 'boolq'?"),
        (["--task", "boolq@nowhere.jsonl"], "no such file or folder"),
        (["--perplexity", "nowhere.txt"], "no such file or folder"),
        (["--perplexity", "TEXT", "--context", "1"], "--context 1 is out of range; give a whole number of at least 2"),
        (
            ["--perplexity", "TEXT", "--context", "513"],
            "--context 513 is more than the 512 tokens that the model takes",
        ),
        (["--perplexity", "TEXT", "--limit", "0"], "--limit 0 is out of range"),
        (["--task", "boolq@BOOLQ", "--shots", "3"], "--shots 3 is of --task mmlu and --harness; leave it out"),
        (["--task", "boolq@BOOLQ", "--context", "32"], "--context 32 is of --perplexity; give both or neither"),
        (["--task", "boolq@BOOLQ", "--harness-path", "."], "--harness-path . is of --harness TASK"),
        (["--task", "boolq@BOOLQ", "--device", "tpu"], "device tpu is not there"),
        (["--run", "nowhere"], "nowhere is no run folder"),
        (["--perplexity", "TEXT", "-o", "."], "is a folder, a file is expected"),
        (["--perplexity", "TEXT", "-o", "TEXT"], "is there and is no evaluation, so it is not replaced"),
        (["--perplexity", "TEXT", "-o", "gone/found.json"], "is no folder; make it, or give another with -o"),
        (["--harness", "own", "--harness-path", "nowhere"], "--harness-path nowhere is no folder"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    refused: Call, model: Path, rows: dict[str, Path], text: Path, arguments: list[str], message: str
) -> None:
    given = [part.replace("TEXT", str(text)).replace("BOOLQ", str(rows["boolq"])) for part in arguments]
    assert message in refused("evaluate", model, *given).err


def test_a_text_of_one_token_is_refused(refused: Call, model: Path, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("i", encoding="utf-8")
    assert "1 tokens, and perplexity needs two" in refused("evaluate", model, "--perplexity", tmp_path / "one.txt").err


def test_a_model_that_reads_other_tokens_than_the_run_is_refused(refused: Call, model: Path, run: Path) -> None:
    assert "give a model with the run's own tokenizer" in refused("evaluate", model, "--run", run).err


def test_streamed_weights_are_refused_where_they_cannot_be(
    refused: Call, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Harness, "__init__", lambda *_: None)
    asked = ["--harness", "own", "--weights", "streamed"]
    assert "runs models whose weights are in memory" in refused("evaluate", model, *asked).err


def test_settings_of_a_loaded_model_are_refused(text: Path) -> None:
    with pytest.raises(paramscope.UsageError, match="a loaded model is taken as it is; leave dtype out"):
        paramscope.evaluate(reading_model(), perplexity=text, tokenizer=made_tokenizer(), dtype="float32")
    with pytest.raises(paramscope.UsageError, match="texts need a tokenizer; give the loaded model's"):
        paramscope.evaluate(reading_model(), perplexity=text)


def test_tokenizer_of_a_model_on_disk_is_refused(model: Path, text: Path) -> None:
    with pytest.raises(paramscope.UsageError, match="one that is opened from disk brings its own"):
        paramscope.evaluate(model, perplexity=text, tokenizer=made_tokenizer())


def test_what_was_odd_is_told(call: Call, model: Path, text: Path, tmp_path: Path) -> None:
    given = write_rows(tmp_path / "boolq.jsonl", [*ROWS["boolq"], ROWS["boolq"][0] | {"answer": None}])
    done = call("evaluate", model, "--task", f"boolq@{given}", "--perplexity", text, "--limit", 1, "--json")
    assert "warning: boolq: 1 of 15 rows have no answer and are left out" in done.err
    assert "its perplexity is of one block, so nothing is known of its error" in done.err
    assert done.document["perplexity"][0]["low"] is None
    assert len(done.document["warnings"]) == 2


def test_hostile_text_is_shown_as_text(call: Call, tmp_path: Path, run: Path) -> None:
    folder = save_tiny_model(tmp_path / "[red]model\x1b[2J")
    done = call("evaluate", folder, "--run", run)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out + done.err
    assert "[red]model" in done.out


def test_help_is_there_and_loads_no_large_library(call: Call) -> None:
    assert "evaluate" in call("--help").out
    shown = call("evaluate", "--help").out
    assert "--json" in shown
    assert "--quiet" in shown
    from tests.cli.test_start import HEAVY, loaded_by

    code = (
        "import sys, contextlib\nsys.argv = ['paramscope', 'evaluate', '--help']\n"
        "from paramscope.cli.main import main\nwith contextlib.suppress(SystemExit): main()"
    )
    assert not loaded_by(code) & HEAVY


def test_an_interrupted_evaluation_goes_on_where_it_was(
    call: Call, model: Path, rows: dict[str, Path], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--perplexity", str(text), "--context", "32", "--task", f"boolq@{rows['boolq']}"]
    whole = Evaluation.model_validate(call("evaluate", model, *asked, "--json").document)
    with monkeypatch.context() as patch:
        patch.setattr("paramscope.evaluation.stages.evaluate_choices", interrupt)
        done = call("evaluate", model, *asked, "-o", tmp_path / "found.json")
    assert done.code == 130
    assert "found.json.unfinished keeps what is finished: the same command goes on" in " ".join(done.err.split())
    left = tmp_path / "found.json.unfinished"
    assert len(left.read_text().splitlines()) == 1
    with left.open("a") as file:
        file.write('{"key": "half wri')
    with monkeypatch.context() as patch:
        patch.setattr("paramscope.evaluation.stages.perplexity", interrupt)  # it is not measured again
        assert call("evaluate", model, *asked, "-o", tmp_path / "found.json").code == 0
    found = Evaluation.model_validate_json((tmp_path / "found.json").read_text())
    assert (found.perplexity, found.choices) == (whole.perplexity, whole.choices)
    assert not left.exists()


@pytest.mark.parametrize("changed", [["--context", "16"], ["--limit", "1"], ["--dtype", "float64"]])
def test_what_was_measured_otherwise_is_not_taken(
    call: Call,
    model: Path,
    rows: dict[str, Path],
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: list[str],
) -> None:
    asked = ["--perplexity", str(text), "--context", "32"]
    with monkeypatch.context() as patch:
        patch.setattr("paramscope.evaluation.stages.evaluate_choices", interrupt)
        call("evaluate", model, *asked, "--task", f"boolq@{rows['boolq']}", "-o", tmp_path / "found.json")
    expected = Evaluation.model_validate(call("evaluate", model, *asked, *changed, "--json").document)
    done = call("evaluate", model, *asked, *changed, "-o", tmp_path / "found.json", "--json")
    assert Evaluation.model_validate(done.document).perplexity == expected.perplexity


def test_what_is_given_twice_is_refused(refused: Call, model: Path, text: Path) -> None:
    for option, value in (("--perplexity", str(text)), ("--task", "boolq"), ("--harness", "one")):
        assert f"{option} {value} is given twice" in refused("evaluate", model, option, value, option, value).err


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
