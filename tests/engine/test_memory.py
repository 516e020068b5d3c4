"""Memory: kept graphs, limits, and what happens when there is not enough."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

import paramscope
from paramscope.engine import measure as measuring
from paramscope.engine.estimate import graph_bytes
from paramscope.errors import RunError, UsageError
from paramscope.profiling import check_plan, run_plan
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.autograd import assert_same_tables
from tests.engine.runs import assert_close, plan_of

GIVEN = {"a": random_ids([9, 3, 12, 6, 5]), "b": random_ids([7, 2, 10], seed=1)}


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "mixtral", "mamba", "gemma3n"])
def test_kept_graphs_change_no_bit(name: str) -> None:
    plan = plan_of(tiny_model(name), GIVEN, batch_size=None if name == "llama" else 1)
    check = check_plan(plan)
    none, one, all_kept = (run_plan(dataclasses.replace(plan, keep=k), check) for k in (0, 1, len(plan.blocks)))
    assert [p.manifest.engine.blocks_with_kept_graph for p in (none, one, all_kept)] == [0, 1, len(plan.blocks)]
    assert_same_tables(one.tables, none.tables)
    assert_same_tables(all_kept.tables, none.tables)


@pytest.mark.usefixtures("steady_process")
def test_a_limit_is_kept_to_by_smaller_pieces_and_gives_the_same_numbers() -> None:
    model = tiny_model("llama", dtype=torch.float32, hidden_size=64, intermediate_size=256)
    given = {"a": random_ids([60] * 40)}
    free = plan_of_settings(model, given, None)
    tight = plan_of_settings(model, given, free.memory.total - free.memory.graphs - (8 << 20))
    assert tight.memory.total <= free.memory.total - free.memory.graphs - (8 << 20)
    assert tight.reduction.tile_bytes < free.reduction.tile_bytes
    assert len(tight.batches) > len(free.batches)
    assert_close(run_plan(tight, check_plan(tight)), run_plan(free, check_plan(free)), 1e-4)


@pytest.mark.usefixtures("steady_process")
def test_room_under_the_limit_keeps_graphs() -> None:
    model = tiny_model("llama", dtype=torch.float32)
    given = {"a": random_ids([60] * 40)}
    base = plan_of_settings(model, given, None)
    rest = base.memory.total - base.memory.graphs
    each = graph_bytes(base.blocks, base.batches)
    for keep in range(len(base.blocks) + 1):
        plan = plan_of_settings(model, given, rest + keep * each + (4 << 20))
        assert abs(plan.keep - keep) <= (4 << 20) // each + 1
    assert plan_of_settings(model, given, 1 << 40).keep == len(base.blocks)


def test_a_limit_that_nothing_fits_names_what_would_have_to_give() -> None:
    with pytest.raises(UsageError, match=r"--max-memory 10 MiB is too little: at the least .* \(fewer --samples or"):
        plan_of_settings(tiny_model("llama"), GIVEN, 10 << 20)


def plan_of_settings(model: Any, given: Any, limit: int | None) -> Any:
    from paramscope.domains.spec import DomainSpec
    from paramscope.planning import make_plan
    from paramscope.settings import Settings

    specs = [DomainSpec(name, source) for name, source in given.items()]
    return make_plan(model, specs, Settings(max_memory=limit, max_tokens=64))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
@pytest.mark.parametrize("layer", [2, 1, 0])
def test_out_of_memory_halves_the_micro_batches_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, layer: int
) -> None:
    plan = dataclasses.replace(plan_of(tiny_model("llama"), GIVEN, batch_size=5), keep=1)
    check = check_plan(plan)
    expected = run_plan(plan, check)
    reduce_layer = measuring.reduce_layer
    failures: list[int] = []

    def failing(number: int, *args: Any) -> Any:
        if number == layer and len(failures) < 3:
            failures.append(number)
            raise error
        return reduce_layer(number, *args)

    monkeypatch.setattr(measuring, "reduce_layer", failing)
    found = run_plan(plan, check)
    assert_close(found, expected, 1e-11)
    assert found.manifest.engine.micro_batches == [1, 1, 1, 2, 1, 1, 1]
    assert found.manifest.warnings[-3:] == [
        "memory ran out; went on without kept graphs",
        "memory ran out; went on with micro-batches of at most 3 samples",
        "memory ran out; went on with micro-batches of at most 2 samples",
    ]


def test_out_of_memory_with_one_sample_at_a_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measuring, "reduce_layer", failing)
    with pytest.raises(RunError, match="memory ran out with one sample at a time"):
        paramscope.profile(tiny_model("llama"), GIVEN)
