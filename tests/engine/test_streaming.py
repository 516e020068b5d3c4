"""Weights that stay on the disk: the same bits, each read once a pass, never more than two blocks in memory."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import paramscope
from paramscope.domains.spec import DomainSpec
from paramscope.engine.measure import measure
from paramscope.models.open import load, locate, sketch
from paramscope.models.streaming import StreamedWeights
from paramscope.planning import make_plan
from paramscope.profiling import check_plan
from paramscope.settings import Settings
from tests.conftest import save_tiny_model
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.autograd import assert_same_tables

GIVEN = {"a": random_ids([9, 3, 12, 6, 5]), "b": random_ids([7, 2, 10], seed=1)}


def saved(folder: Path, name: str, shard: str = "5GB", **options: Any) -> Path:
    """A tiny model as a folder, with the tokenizer that a folder must have."""
    save_tiny_model(folder)
    (folder / "model.safetensors").unlink()
    tiny_model(name, dtype=torch.float32, **options).save_pretrained(folder, max_shard_size=shard)
    return folder


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "gemma3n", "mamba", "deepseek-v3"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_streamed_run_is_the_resident_one_bit_for_bit(tmp_path: Path, name: str, dtype: str) -> None:
    folder = saved(tmp_path / "model", name, shard="20KB")
    resident = paramscope.profile(folder, GIVEN, dtype=dtype, weights="resident", max_memory=None)
    streamed = paramscope.profile(folder, GIVEN, dtype=dtype, weights="streamed")
    assert_same_tables(streamed.tables, resident.tables)
    assert streamed.manifest.engine.weights == "streamed"
    assert streamed.manifest.engine.weight_bytes_read > 0
    check = streamed.manifest.self_check
    assert check.largest_relative_error <= check.tolerance / 10


def test_each_pass_reads_each_weight_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=5)
    specs = [DomainSpec(name, ids) for name, ids in GIVEN.items()]
    plan = make_plan(folder, specs, Settings(weights="streamed", batch_size=2))
    check_plan(plan)
    weights = plan.opened.weights
    assert weights
    weights.hold(0)
    read: Counter[int] = Counter()
    held: list[int] = []
    plain_read, plain_hold = StreamedWeights._read, StreamedWeights.hold

    def count(self: StreamedWeights, number: int) -> Any:
        read[number] += 1
        return plain_read(self, number)

    def watch(self: StreamedWeights, number: int, then: int | None = None) -> None:
        plain_hold(self, number, then)
        in_memory = [
            i for i, own in enumerate(self._parameters) if any(p.untyped_storage().nbytes() > 8 for p in own.values())
        ]
        assert in_memory == [number]
        held.append(number)

    monkeypatch.setattr(StreamedWeights, "_read", count)
    monkeypatch.setattr(StreamedWeights, "hold", watch)
    measure(plan.opened, plan.blocks, plan.batches, plan.objective, plan.reduction)
    assert held == [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]
    # The first block was there, and the last one stays for the backward pass.
    assert read == Counter({0: 1, 1: 2, 2: 2, 3: 2, 4: 1})


def test_a_dry_run_reads_no_weight_and_counts_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "model", "qwen3-moe")
    specs = [DomainSpec(name, ids) for name, ids in GIVEN.items()]
    whole = make_plan(folder, specs, Settings())
    monkeypatch.setattr("paramscope.planning.load", None)
    dry = make_plan(folder, specs, Settings(), dry=True)
    assert dry.parameters == whole.parameters
    assert dry.memory.parts | {"process": 0} == whole.memory.parts | {"process": 0}
    assert [len(batch.readings) for batch in dry.batches] == [len(batch.readings) for batch in whole.batches]


@pytest.mark.usefixtures("steady_process")
def test_weights_stay_on_the_disk_where_a_limit_asks_for_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=12, hidden_size=512, intermediate_size=2048)
    specs = [DomainSpec(name, ids) for name, ids in GIVEN.items()]
    resident = make_plan(folder, specs, Settings(max_memory=1 << 34), dry=True)
    tight = Settings(max_memory=resident.memory.total - resident.memory.graphs - resident.memory.weights // 2)
    assert not make_plan(folder, specs, Settings(max_memory=1 << 34)).opened.weights
    plan = make_plan(folder, specs, tight)
    assert plan.opened.weights
    assert plan.memory.weights < resident.memory.weights / 3
    with pytest.raises(paramscope.UsageError, match="is too little: at the least"):
        make_plan(folder, specs, Settings(max_memory=tight.max_memory, weights="resident"))


def test_a_streamed_run_resumes(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama")
    settings: dict[str, Any] = {"weights": "streamed", "batch_size": 3}
    whole = paramscope.profile(folder, GIVEN, **settings)
    left = [2]

    def progress(stage: str, steps: int) -> None:
        left[0] -= stage == "backward"
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.profile(folder, GIVEN, output=tmp_path / "run", progress=progress, **settings)
    resumed = paramscope.profile(folder, GIVEN, output=tmp_path / "run", resume=True, **settings)
    assert resumed.manifest.engine.layers_resumed == 2
    assert_same_tables(resumed.tables, whole.tables)


def test_a_weight_that_is_not_finite_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][2, 3] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(paramscope.UsageError, match=r"weight model\.layers\.1\.mlp\.up_proj\.weight has 1 values"):
        paramscope.profile(folder, GIVEN, weights="streamed")


def test_parameters_keep_their_identity(tmp_path: Path) -> None:
    located = locate(str(saved(tmp_path / "model", "llama")))
    opened = load(located, streamed=sketch(located))
    assert opened.weights
    before = {name: id(parameter) for name, parameter in opened.model.named_parameters()}
    for number in (0, 2, 1):
        opened.weights.hold(number)
    assert {name: id(parameter) for name, parameter in opened.model.named_parameters()} == before


def test_a_loaded_model_has_no_weights_on_the_disk() -> None:
    with pytest.raises(
        paramscope.UsageError, match="weights 'streamed' is given, but a loaded model is taken as it is"
    ):
        paramscope.profile(tiny_model("llama"), GIVEN, weights="streamed")


def test_the_sketch_has_the_configurations_sizes(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=4)
    drawn = sketch(locate(str(folder)))
    assert {parameter.device.type for parameter in drawn.model.parameters()} == {"meta"}
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 4
    assert sum(parameter.numel() for parameter in drawn.model.parameters()) > 0
