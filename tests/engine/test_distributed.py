"""Several processes measure what one does, and end together when one of them fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import paramscope
from paramscope.engine.distributed import Team
from paramscope.result.place import unfinished_folder
from paramscope.result.profile import Profile
from tests.conftest import made_texts, save_tiny_model
from tests.engine.architectures import tiny_model
from tests.engine.processes import Ended, forked, torchrun
from tests.engine.runs import assert_close

LENGTHS = {"a": (7, 5), "b": (4, 8)}
"""Texts of each domain, and words of each."""


class Job:
    """One model and its domains, to be measured by any number of processes."""

    def __init__(self, model: Path, folder: Path, lengths: dict[str, tuple[int, int]], **settings: Any) -> None:
        self.folder, self.settings = folder, settings
        self.model = model
        self.domains = {}
        for place, (name, (count, length)) in enumerate(lengths.items()):
            path = folder / f"{name}.jsonl"
            texts = made_texts(count, start=40 * place, length=length)
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
            self.domains[name] = str(path)
        self.run = folder / "run"

    def alone(self, **settings: Any) -> Profile:
        """The profile by one process."""
        return paramscope.profile(str(self.model), self.domains, **self.settings | settings)

    def arguments(self, *more: str) -> list[str]:
        """Of the command line."""
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings.items()]
        sources = [f"--domain={name}={path}" for name, path in self.domains.items()]
        return ["profile", str(self.model), *sources, *flags, "-o", str(self.run), *more]

    def together(self, count: int, *more: str, fail: str = "") -> Ended:
        """Run the command line in processes of its own."""
        return forked(count, self.arguments(*more), self.folder, fail=fail)


@pytest.fixture
def job(tiny_model: Path, tmp_path: Path) -> Job:
    return Job(tiny_model, tmp_path, LENGTHS, batch_size=2)


def assert_same(run: Path, expected: Profile) -> Profile:
    """All tables within 1e-6, densities and cosines of every layer as well."""
    found = Profile.load(run)
    assert_close(found, expected, 1e-6)
    for threshold in (None, 1e-3, 1e-2, 0.1):
        np.testing.assert_allclose(found.density(threshold), expected.density(threshold), rtol=0, atol=1e-6)
    for centred in (False, True):
        ours, theirs = found.similarity(centred=centred), expected.similarity(centred=centred)
        np.testing.assert_allclose(ours.within.value, theirs.within.value, rtol=0, atol=1e-6)
        np.testing.assert_allclose(ours.across.value, theirs.across.value, rtol=0, atol=1e-6)
    columns = ["zeros", *[name for name in found.tables.activation if name.startswith("above")]]
    np.testing.assert_array_equal(found.tables.activation[columns], expected.tables.activation[columns])
    return found


def test_torchrun_measures_what_one_process_does(job: Job) -> None:
    ended = torchrun(4, job.arguments())
    assert ended.codes == [0], ended.told
    found = assert_same(job.run, job.alone())
    assert found.manifest.engine.processes == 4
    assert ended.told[0].count("self-check: ") == 1
    assert ended.told[0].count("model: tiny") == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_processes_measures_the_same(job: Job, count: int) -> None:
    assert job.together(count).codes == [0] * count
    found = assert_same(job.run, job.alone())
    assert found.manifest.engine.micro_batches == [2, 2, 2, 2, 2, 1]
    assert (found.manifest.engine.wire_bytes > 0) == (count > 1)


def test_more_processes_than_samples(tiny_model: Path, tmp_path: Path) -> None:
    job = Job(tiny_model, tmp_path, {"a": (2, 3), "b": (1, 6)}, batch_size=2)
    assert job.together(5).codes == [0] * 5
    assert_same(job.run, job.alone())


def test_experts_that_some_samples_do_not_reach(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "model")
    config = tiny_model_config()
    torch.manual_seed(0)
    from transformers import MixtralForCausalLM

    MixtralForCausalLM(config).save_pretrained(folder)
    job = Job(folder, tmp_path, {"a": (2, 2), "b": (3, 4)})
    assert job.together(2).codes == [0, 0]
    assert (assert_same(job.run, job.alone()).tables.activation["zeros"] > 0).any()


def tiny_model_config() -> Any:
    config = tiny_model("mixtral").config
    config.vocab_size = 83
    return config


def test_scores_are_written_whole(job: Job) -> None:
    assert job.together(2, "--save-scores").codes == [0, 0]
    job.alone(output=job.folder / "alone", save_scores=True)
    for path in (job.folder / "alone" / "scores").iterdir():
        expected, found = load_file(path), load_file(job.run / "scores" / path.name)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_nothing_as_large_as_the_parameters_crosses_the_wire(tmp_path: Path) -> None:
    model = save_tiny_model(tmp_path / "model", layers=2, hidden=384)
    job = Job(model, tmp_path, {"a": (2, 2), "b": (2, 3)}, batch_size=1)
    assert job.together(2).codes == [0, 0]
    engine, parameters = Profile.load(job.run).manifest.engine, sum(Profile.load(job.run).parameters)
    # What must cross of every token and layer: all inputs of the weights, and the output gradients of half the rows.
    inputs, outputs = 6 * 384 + 768, 2 * 384 + 2 * 192 + 2 * 768 + 384
    captured = 4 * 2 * (2 * 3 + 2 * 4) * (inputs + outputs // 2)
    assert captured < engine.wire_bytes < 4 * parameters / 6


@pytest.mark.parametrize("launcher", [True, False])
def test_a_process_that_dies_ends_the_others_and_leaves_a_run_to_resume(job: Job, launcher: bool) -> None:
    fail = "kill:1:1"
    ended = torchrun(2, job.arguments(), fail=fail) if launcher else job.together(3, fail=fail)
    assert 0 not in ended.codes
    assert None not in ended.codes
    assert "paramscope: error: " in ended.told[0]
    assert "another" in ended.told[0]
    assert "run.unfinished keeps the finished layers: the same command with --resume goes on" in ended.told[0]
    assert not job.run.exists()
    resumed = job.alone(output=job.run, resume=True)
    assert resumed.manifest.engine.layers_resumed == 2
    assert_same(job.run, job.alone())


def test_the_first_process_dies(job: Job) -> None:
    ended = job.together(3, fail="kill:0:1")
    assert ended.codes == [-9, 1, 1]
    assert "paramscope: error: another process of the run ended" in ended.told[1]
    assert job.together(2, "--resume").codes == [0, 0]
    assert assert_same(job.run, job.alone()).manifest.engine.layers_resumed == 2


@pytest.mark.parametrize(("count", "changed"), [(2, {}), (3, {}), (3, {"batch_size": 3})])
def test_a_run_of_one_process_is_finished_by_several(job: Job, count: int, changed: dict[str, int]) -> None:
    class Stop(Exception):
        pass

    def progress(stage: str, steps: int) -> None:
        if stage == "backward":
            raise Stop

    whole = job.alone()
    with pytest.raises(Stop):
        job.alone(output=job.run, progress=progress)
    assert unfinished_folder(job.run).is_dir()
    job.settings |= changed
    ended = job.together(count, "--resume")
    assert ended.codes == [0] * count, ended.told
    assert assert_same(job.run, whole).manifest.engine.layers_resumed == 1


def test_an_error_of_one_process_is_told_by_the_first(job: Job) -> None:
    ended = job.together(3, fail="error:2:2")
    assert ended.codes == [1, 1, 1]
    assert "paramscope: error: process 2 of 3: ValueError: made up" in ended.told[0]
    assert ended.told[1] == ""
    assert "Traceback" in ended.told[2]
    assert unfinished_folder(job.run).is_dir()


def test_memory_that_runs_out_in_one_process_makes_all_go_on_in_smaller_pieces(job: Job) -> None:
    ended = job.together(2, fail="memory:1:2")
    assert ended.codes == [0, 0], ended.told
    found = assert_same(job.run, job.alone())
    assert any("memory ran out" in warning for warning in found.manifest.warnings)


def test_wrong_use_is_told_once(job: Job) -> None:
    job.domains["a"] = str(job.folder / "missing.jsonl")
    ended = job.together(2)
    assert ended.codes == [2, 2]
    assert ended.told[0].count("paramscope: error: ") == 1
    assert ended.told[1] == ""


def test_a_finished_run_is_not_measured_again(job: Job) -> None:
    job.alone(output=job.run)
    ended = job.together(2, "--resume")
    assert ended.codes == [0, 0]
    assert "nothing to do" in ended.told[0]
    ended = job.together(2)
    assert ended.codes == [2, 2]
    assert "holds a finished run" in ended.told[0]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 9))
def test_shares_are_neighbours_and_cover_everything(costs: list[int], size: int) -> None:
    for shares in ([Team(rank, size).share(costs) for rank in range(size)], Team(0, size).rows(7)):
        assert shares[0].start == 0
        assert [share.stop for share in shares[:-1]] == [share.start for share in shares[1:]]
    assert Team(size - 1, size).share(costs).stop == len(costs)
    assert Team(0, size).rows(7)[-1].stop == 7


def test_one_process_exchanges_nothing() -> None:
    team, tensors = Team(), {"x": torch.ones(3)}
    assert team.exchange(4) == [4]
    assert team.from_first(tensors) == team.to_first(tensors) == tensors
    assert team.swap([[tensors["x"]]]) == [[tensors["x"]]]
    assert team.wire_bytes == 0
