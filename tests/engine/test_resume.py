"""An interrupted run goes on where it stopped and gives the same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import paramscope
from paramscope.errors import UsageError
from paramscope.result.place import unfinished_folder
from paramscope.result.profile import Profile
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.autograd import assert_same_tables
from tests.engine.runs import assert_close

GIVEN = {"a": random_ids([9, 3, 12, 6, 5]), "b": random_ids([7, 2, 10], seed=1)}
SETTINGS: dict[str, Any] = {"batch_size": 3, "threshold": 1e-3}
LLAMA = tiny_model("llama")


class Stop(Exception):
    """Raised from the progress callback, as Ctrl-C would be."""


def interrupt(run: Path, stage: str, calls: int, model: torch.nn.Module = LLAMA, **settings: Any) -> None:
    """Start a run and stop it at the n-th call of a stage."""
    left = [calls]

    def progress(at: str, steps: int) -> None:
        left[0] -= at == stage
        if left[0] == 0:
            raise Stop

    with pytest.raises(Stop):
        paramscope.profile(model, GIVEN, output=run, progress=progress, **SETTINGS | settings)
    assert not run.exists()


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom"])
@pytest.mark.parametrize(("stage", "calls", "layers"), [("forward", 2, 0), ("backward", 1, 1), ("backward", 2, 2)])
def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, name: str, stage: str, calls: int, layers: int
) -> None:
    model = tiny_model(name)
    whole = paramscope.profile(model, GIVEN, **SETTINGS)
    interrupt(tmp_path / "run", stage, calls, model)
    resumed = paramscope.profile(model, GIVEN, output=tmp_path / "run", resume=True, **SETTINGS)
    assert resumed.manifest.engine.layers_resumed == layers
    assert_same_tables(resumed.tables, whole.tables)
    assert not unfinished_folder(tmp_path / "run").exists()
    assert_same_tables(Profile.load(tmp_path / "run").tables, resumed.tables)


def test_a_run_stopped_after_its_last_layer_only_has_to_be_written(tmp_path: Path) -> None:
    interrupt(tmp_path / "run", "backward", 3)
    resumed = paramscope.profile(LLAMA, GIVEN, output=tmp_path / "run", resume=True, **SETTINGS)
    assert resumed.manifest.engine.layers_resumed == 3
    assert_same_tables(resumed.tables, paramscope.profile(LLAMA, GIVEN, **SETTINGS).tables)


def test_a_run_can_be_stopped_and_resumed_many_times(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(run, "backward", 1)
    # The first call of the stage tells of the layers that are there.
    for calls in (2, 2):
        interrupt(run, "backward", calls, resume=True)
    resumed = paramscope.profile(LLAMA, GIVEN, output=run, resume=True, **SETTINGS)
    assert resumed.manifest.engine.layers_resumed == 3
    assert_same_tables(resumed.tables, paramscope.profile(LLAMA, GIVEN, **SETTINGS).tables)


def test_progress_of_a_resumed_run_reaches_the_same_total(tmp_path: Path) -> None:
    def steps(**settings: Any) -> int:
        told: list[int] = []
        paramscope.profile(LLAMA, GIVEN, progress=lambda _, n: told.append(n), **SETTINGS | settings)
        return sum(told)

    interrupt(tmp_path / "run", "backward", 1)
    assert steps() == 2 * 3 * 3
    # The forward of the one finished layer is not needed again.
    assert steps(output=tmp_path / "run", resume=True) == 2 * 3 * 3 - 3


def test_a_layer_written_without_its_state_is_computed_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(run, "backward", 1)
    state = unfinished_folder(run) / "state.safetensors"
    shutil.copy(state, tmp_path / "former")
    interrupt(run, "backward", 2, resume=True)
    shutil.copy(tmp_path / "former", state)
    resumed = paramscope.profile(LLAMA, GIVEN, output=run, resume=True, **SETTINGS)
    assert resumed.manifest.engine.layers_resumed == 1
    assert_same_tables(resumed.tables, paramscope.profile(LLAMA, GIVEN, **SETTINGS).tables)


def test_bfloat16_gradients_survive_the_stop(tmp_path: Path) -> None:
    model = tiny_model("llama", dtype=torch.bfloat16)
    whole = paramscope.profile(model, GIVEN, **SETTINGS)
    interrupt(tmp_path / "run", "backward", 1, model)
    resumed = paramscope.profile(model, GIVEN, output=tmp_path / "run", resume=True, **SETTINGS)
    assert resumed.manifest.engine.layers_resumed == 1
    assert_same_tables(resumed.tables, whole.tables)


def test_saved_scores_of_a_resumed_run_are_whole(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(run, "backward", 2, save_scores=True)
    resumed = paramscope.profile(LLAMA, GIVEN, output=run, resume=True, save_scores=True, **SETTINGS)
    assert resumed.manifest.engine.layers_resumed == 2
    for layer in range(3):
        scores = load_file(run / "scores" / f"layer-{layer:04d}.safetensors")
        totals = resumed.tables.activation.query("layer == @layer").groupby("module")["total"].apply(list)
        assert set(scores) == set(totals.index)
        for module, values in scores.items():
            np.testing.assert_allclose(values.sum((1, 2)), totals[module], rtol=1e-12)
    assert sorted(path.name for path in (run / "scores").iterdir()) == [f"layer-{i:04d}.safetensors" for i in range(3)]


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"threshold": 2e-3}, "threshold: 0.001 there, 0.002 now"),
        ({"objective": "mean-logprob"}, 'objective: "max-logit" there, "mean-logprob" now'),
    ],
)
def test_other_arguments_are_not_mixed_into_a_run(tmp_path: Path, changed: dict[str, Any], shown: str) -> None:
    run = tmp_path / "run"
    interrupt(run, "backward", 1)
    with pytest.raises(UsageError, match=shown):
        paramscope.profile(LLAMA, GIVEN, output=run, resume=True, **SETTINGS | changed)
    other = {"a": GIVEN["a"], "b": random_ids([7, 2, 11], seed=1)}
    with pytest.raises(UsageError, match=r"domains\.b\.samples: 3 there, 3 now, 2 of them the same"):
        paramscope.profile(LLAMA, other, output=run, resume=True, **SETTINGS)
    with pytest.raises(UsageError, match=r"model_files\.weights in memory: "):
        paramscope.profile(tiny_model("llama", seed=1), GIVEN, output=run, resume=True, **SETTINGS)
    assert paramscope.profile(LLAMA, GIVEN, output=run, resume=True, **SETTINGS).manifest.engine.layers_resumed == 1


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    interrupt(run, "backward", 2)
    state = unfinished_folder(run) / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"state\.safetensors is damaged .*overwrite begins the run anew"):
        paramscope.profile(LLAMA, GIVEN, output=run, resume=True, **SETTINGS)
    again = paramscope.profile(LLAMA, GIVEN, output=run, overwrite=True, **SETTINGS)
    assert again.manifest.engine.layers_resumed == 0


@pytest.mark.parametrize("changed", [{"batch_size": 2}, {"batch_size": None}, {"max_memory": 1 << 33}])
def test_a_run_resumes_with_other_micro_batches(tmp_path: Path, changed: dict[str, Any]) -> None:
    interrupt(tmp_path / "run", "backward", 2)
    resumed = paramscope.profile(LLAMA, GIVEN, output=tmp_path / "run", resume=True, **SETTINGS | changed)
    assert resumed.manifest.engine.layers_resumed == 2
    assert_close(resumed, paramscope.profile(LLAMA, GIVEN, **SETTINGS), 1e-11)
