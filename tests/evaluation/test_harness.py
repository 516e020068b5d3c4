"""lm-evaluation-harness on the same model and rows: what it says equals what paramscope says."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paramscope.errors import RunError, UsageError
from paramscope.evaluation.choice import evaluate_choices
from paramscope.evaluation.harness import Harness, HarnessMetric
from paramscope.evaluation.tasks import read_task
from tests.evaluation.local_tasks import write_local_tasks
from tests.evaluation.models import Unigram, made_tokenizer, reading_model
from tests.evaluation.rows import write_rows

NAMES = ("boolq", "piqa", "siqa", "hellaswag", "mmlu")
Told = tuple[list[HarnessMetric], dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tasks")


@pytest.fixture(scope="module")
def rows(folder: Path) -> dict[str, Path]:
    return write_local_tasks(folder)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "bos"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return made_tokenizer(bos=request.param)


@pytest.fixture(scope="module")
def told(folder: Path, rows: dict[str, Path], tokenizer: Any) -> Told:
    assert set(rows) == set(NAMES)
    return Harness([f"local_{name}" for name in NAMES], folder).run(reading_model(), tokenizer)


@pytest.mark.parametrize("name", NAMES)
def test_both_say_the_same_of_the_same_rows(name: str, told: Told, rows: dict[str, Path], tokenizer: Any) -> None:
    assert_same(name, told, rows, tokenizer, shots=0 if name == "mmlu" else None)


def test_both_say_the_same_after_the_same_examples(folder: Path, rows: dict[str, Path], tokenizer: Any) -> None:
    told = Harness(["local_mmlu"], folder).run(reading_model(), tokenizer, shots=3)
    assert told[0][0].shots == 3
    assert_same("mmlu", told, rows, tokenizer, shots=3)


def test_both_cut_prompts_that_are_too_long_alike(folder: Path, rows: dict[str, Path]) -> None:
    tokenizer, model = made_tokenizer(), reading_model(max_position_embeddings=40)
    told = Harness(["local_boolq"], folder).run(model, tokenizer)
    assert_same("boolq", told, rows, tokenizer, shots=None, model=model)


def assert_same(
    name: str, told: Told, rows: dict[str, Path], tokenizer: Any, *, shots: int | None, model: Any = None
) -> None:
    metrics, samples = told
    task = read_task(f"{name}@{rows[name]}", tokenizer, shots=shots)
    found = evaluate_choices(reading_model() if model is None else model, task.items)
    theirs = sorted(samples[f"local_{name}"], key=lambda sample: sample["doc_id"])
    assert len(theirs) == found.items
    for item, ours, sample in zip(task.items, found.log_likelihoods, theirs, strict=True):
        assert item.right == int(sample["target"])
        values = [answer for answer, _ in sample["filtered_resps"]]
        np.testing.assert_allclose(ours, values, rtol=2e-5)
    by_name = {metric.metric: metric for metric in metrics if metric.task == f"local_{name}"}
    assert by_name["acc"].value == found.accuracy
    assert by_name["acc"].standard_error == pytest.approx(found.standard_error, rel=1e-9)
    assert by_name["acc"].items == found.items
    if "acc_norm" in by_name:
        assert by_name["acc_norm"].value == found.normalised
        assert by_name["acc_norm"].standard_error == pytest.approx(found.normalised_error, rel=1e-9)


@pytest.fixture(scope="module")
def own_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task of one's own that writes answers, in a group, with a metric in Python beside it."""
    folder = tmp_path_factory.mktemp("own")
    rows = write_rows(folder / "rows.jsonl", [{"asked": f"lamp {n}", "wanted": "river"} for n in range(6)])
    (folder / "metric.py").write_text("def length(doc, results):\n    return {'length': len(results[0])}\n")
    shared = (
        f"dataset_path: json\ndataset_kwargs:\n  cache_dir: {folder / 'cache'}\n  data_files:\n    test: {rows}\n"
        'test_split: test\noutput_type: generate_until\ndoc_to_text: "{{asked}}"\ndoc_to_target: "{{wanted}}"\n'
        'generation_kwargs:\n  until: ["\\n"]\n  max_gen_toks: 4\n  do_sample: true\n  temperature: 1.0\n'
    )
    (folder / "own.yaml").write_text(
        f"task: own_length\n{shared}process_results: !function metric.length\nmetric_list:\n  - metric: length\n"
        "    aggregation: mean\n    higher_is_better: true\nmetadata:\n  version: 2.5\n"
    )
    (folder / "group.yaml").write_text("group: own_group\ntask:\n  - own_length\n")
    return folder


def test_a_task_of_ones_own_is_run(own_tasks: Path) -> None:
    found, samples = Harness(["own_length"], own_tasks).run(reading_model(), made_tokenizer(), limit=4)
    lengths = [sample["length"] for sample in samples["own_length"]]
    assert len(found) == 1
    metric = found[0]
    assert (metric.task, metric.metric, metric.filter, metric.version) == ("own_length", "length", "none", "2.5")
    assert (metric.items, metric.shots, metric.higher_is_better) == (4, 0, True)
    assert metric.value == pytest.approx(np.mean(lengths))
    assert metric.standard_error == pytest.approx(np.std(lengths, ddof=1) / 2)


def test_a_group_is_run_task_by_task(own_tasks: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found, _ = Harness(["own_group"], own_tasks).run(
        reading_model(), made_tokenizer(), progress=lambda *step: told.append(step)
    )
    assert [metric.task for metric in found] == ["own_length"]
    assert {(stage, total) for stage, _, total in told} == {("harness, writing", 6)}
    assert sum(steps for _, steps, _ in told) == 6


def test_same_seed_same_answers_and_the_generators_are_left_alone(own_tasks: Path) -> None:
    def answers(seed: int) -> list[Any]:
        _, samples = Harness(["own_length"], own_tasks).run(reading_model(), made_tokenizer(), seed=seed)
        return [sample["filtered_resps"] for sample in samples["own_length"]]

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = answers(0)
    assert (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    assert answers(0) == first
    assert answers(1) != first


def test_model_and_tokenizer_are_given_back_unchanged(own_tasks: Path) -> None:
    model, tokenizer = reading_model(), made_tokenizer()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    Harness(["own_length"], own_tasks).run(model, tokenizer)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert tokenizer.pad_token is None


def test_what_cannot_be_found_or_loaded_is_named(own_tasks: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no task of that name \(did you mean 'piqa'\?\); one of your own needs --harn"
    ):
        Harness(["piqaa"])
    with pytest.raises(UsageError, match=r"--harness-path .*rows.jsonl is no folder"):
        Harness(["own_length"], own_tasks / "rows.jsonl")
    text = (own_tasks / "own.yaml").read_text(encoding="utf-8")
    (tmp_path / "broken.yaml").write_text(text.replace("rows.jsonl", "gone.jsonl").replace("!function ", ""))
    with pytest.raises(UsageError, match=r"the task cannot be loaded \(FileNotFoundError: .*check its data"):
        Harness(["own_length"], tmp_path)


def test_a_task_that_runs_the_models_code_is_refused(own_tasks: Path, tmp_path: Path) -> None:
    text = (own_tasks / "own.yaml").read_text(encoding="utf-8").replace("!function ", "")
    (tmp_path / "own.yaml").write_text(f"{text}unsafe_code: true\n")
    with pytest.raises(UsageError, match="own_length runs code that the model writes, and paramscope does not"):
        Harness(["own_length"], tmp_path)


def test_a_task_that_fails_on_the_way_is_a_failed_run(own_tasks: Path, tmp_path: Path) -> None:
    text = (own_tasks / "own.yaml").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(text)
    (tmp_path / "metric.py").write_text("def length(doc, results):\n    raise KeyError('gone')\n")
    with pytest.raises(RunError, match=r"lm-evaluation-harness could not finish \(KeyError: 'gone'\)"):
        Harness(["own_length"], tmp_path).run(reading_model(), made_tokenizer())


def test_other_models_than_transformers_are_refused(own_tasks: Path) -> None:
    with pytest.raises(UsageError, match="takes models of transformers, this is a Unigram"):
        Harness(["own_length"], own_tasks).run(Unigram([0.5, 0.5]), made_tokenizer())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(
        UsageError, match=r"--harness arc needs lm-evaluation-harness .*pip install 'paramscope\[eval\]'"
    ):
        Harness(["arc"])
