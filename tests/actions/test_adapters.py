"""Ranks for a budget: equal for all plans, exact, and what cannot be given is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paramscope
from paramscope import UsageError
from paramscope.actions.pilots.lora import adapters_of, inject, lora_config, on_meta
from paramscope.actions.tuning.adapters import (
    MOST_UNEQUAL,
    LinearModule,
    Modules,
    check_equal,
    find_modules,
    plan_adapters,
    read_trainable,
    share_out,
)
from paramscope.actions.tuning.layers import Choice
from tests.engine.architectures import random_ids, tiny_model


def choice(layers: list[int]) -> Choice:
    return Choice("given", tuple(layers), (math.nan,) * 9, "")


SIDES = st.sampled_from([8, 12, 16, 24, 64, 96])


@st.composite
def layered(draw: st.DrawFn) -> Modules:
    """Layers of different modules, as in models whose layers alternate."""
    kinds = draw(st.lists(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5), min_size=1, max_size=3))
    count = draw(st.integers(2, 9))
    able = [
        LinearModule(f"layers.{layer}.m{place}", layer, inputs, outputs)
        for layer in range(count)
        for place, (inputs, outputs) in enumerate(kinds[layer % len(kinds)])
    ]
    return Modules(tuple(able), ())


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(0, 20_000))
def test_a_budget_is_met_to_less_than_one_rank_of_the_smallest_module(costs: list[int], more: int) -> None:
    budget = sum(costs) + more
    ranks = share_out(costs, budget)
    left = budget - sum(rank * cost for rank, cost in zip(ranks, costs, strict=True))
    assert 0 <= left < min(costs)
    assert min(ranks) >= budget // sum(costs) >= 1


@given(layered(), st.data())
def test_plans_over_any_layers_have_equal_trainable_parameters(modules: Modules, data: st.DataObject) -> None:
    layers = sorted({module.layer for module in modules.able})
    subsets = st.lists(st.sampled_from(layers), min_size=1, unique=True).map(sorted)
    chosen = [layers, data.draw(subsets), data.draw(subsets)]
    least = max(sum(module.cost for module in modules.of(each)) for each in chosen)
    finest = max(min(module.cost for module in modules.of(each)) for each in chosen)
    budget = max(least, math.ceil(finest / MOST_UNEQUAL) + 2 * finest) + data.draw(st.integers(0, 5000))
    try:
        plans = [plan_adapters(choice(each), modules, budget) for each in chosen]
    except UsageError as error:  # so few and small modules cannot take so many parameters
        assert "trainable parameters are too many" in str(error)  # noqa: PT017
        return
    check_equal(plans)
    sizes = [plan.parameters for plan in plans]
    assert max(sizes) - min(sizes) < MOST_UNEQUAL * min(sizes)
    assert all(budget - finest < size <= budget for size in sizes)
    for plan in plans:
        assert plan.parameters == sum(a.rank * (a.module.inputs + a.module.outputs) for a in plan.adapters)
        assert all(a.alpha == 2 * a.rank for a in plan.adapters)


def test_what_is_left_is_spread_over_the_layers() -> None:
    modules = Modules(tuple(LinearModule(f"layers.{i}.m", i, 10, 10) for i in range(8)), ())
    plan = plan_adapters(choice(list(range(8))), modules, 8 * 20 + 2 * 20)
    assert [adapter.rank for adapter in plan.adapters] == [1, 1, 2, 1, 1, 1, 2, 1]


def test_plans_that_cannot_be_equal_are_refused_with_the_least_that_can() -> None:
    modules = Modules((LinearModule("layers.0.m", 0, 30, 70), LinearModule("layers.1.m", 1, 40, 45)), ())
    plans = [plan_adapters(choice([layer]), modules, 350) for layer in (0, 1)]
    with pytest.raises(UsageError, match="would have 300 to 340 trainable parameters, which is not equal; give at l"):
        check_equal(plans)


def test_too_small_and_too_large_budgets_say_what_would_do() -> None:
    modules = Modules((LinearModule("layers.0.m", 0, 30, 70), LinearModule("layers.1.m", 1, 40, 45)), ())
    with pytest.raises(
        UsageError,
        match="184 trainable parameters are too few: a rank of 1 in the 2 modules of layers "
        "0, 1 takes 185; give at least that with --trainable, or fewer layers",
    ):
        plan_adapters(choice([0, 1]), modules, 184)
    assert [a.rank for a in plan_adapters(choice([0, 1]), modules, 185).adapters] == [1, 1]
    assert plan_adapters(choice([0]), modules, 3000).adapters[0].rank == 30
    with pytest.raises(UsageError, match=r"too many: layers\.0\.m would get a rank of 31, and its weight has 30"):
        plan_adapters(choice([0]), modules, 3100)
    with pytest.raises(UsageError, match="layers 7 have no linear module that LoRA takes"):
        plan_adapters(choice([7]), modules, 1000)


@pytest.mark.parametrize(
    ("text", "expected"), [("1%", 10), ("0.5 %", 5), ("100%", 1000), ("7", 7), ("1,000", 1000), ("1_0", 10)]
)
def test_trainable_is_a_share_or_a_number(text: str, expected: int) -> None:
    assert read_trainable(text, 1000) == expected


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "1001", "-1", "1e3", "nan", "one", "1%%", "0.01%"])
def test_trainable_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is out of range; give a share of the layers' 1,000 parameters such as 1%"):
        read_trainable(text, 1000)


@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3", "gpt-neox", "opt-projected", "bloom"])
def test_parameters_are_those_that_peft_trains(name: str) -> None:
    model = tiny_model(name)
    profile = paramscope.profile(model, {"a": random_ids([9, 5]), "b": random_ids([7, 6], seed=1)})
    modules = find_modules(profile, model)
    assert not modules.left_out
    assert len(modules.able) == len(profile.modules)
    plan = plan_adapters(choice([0, 1]), modules, 3000)
    trial = on_meta(model)
    inject(trial, lora_config(plan.ranks, trial), meta=True)
    assert plan.parameters == sum(p.numel() for p in trial.parameters() if p.requires_grad)
    assert plan.parameters == sum(parameters for _, _, parameters in adapters_of(trial).values())


@pytest.mark.parametrize(
    ("name", "left"),
    [("mixtral", "experts"), ("qwen2-moe", "experts"), ("mamba", "out_proj")],
)
def test_what_lora_does_not_take_is_left_out_and_told(name: str, left: str) -> None:
    model = tiny_model(name)
    profile = paramscope.profile(model, {"a": random_ids([9, 5])})
    modules = find_modules(profile, model)
    assert any(left in each for each in modules.left_out)
    assert modules.able
    names = {f"{m.layer}." + m.name.split(f".{m.layer}.", 1)[1] for m in modules.able}
    measured = {f"{layer}.{module}" for layer, module in profile.modules[["layer", "module"]].itertuples(index=False)}
    assert names | set(modules.left_out) == measured
    assert not names & set(modules.left_out)
    ranks = {module.name: 1 for module in modules.able}
    trial = on_meta(model)
    inject(trial, lora_config(ranks, trial), meta=True)
    assert set(adapters_of(trial)) == set(ranks)


def test_the_model_without_weights_takes_no_memory_and_leaves_the_model_alone() -> None:
    model = tiny_model("llama")
    copy = on_meta(model)
    assert all(p.is_meta for p in copy.parameters())
    assert not any(p.is_meta for p in model.parameters())
    assert [(n, p.shape) for n, p in copy.named_parameters()] == [(n, p.shape) for n, p in model.named_parameters()]


def test_another_model_is_refused() -> None:
    profile = paramscope.profile(tiny_model("llama"), {"a": random_ids([9, 5])})
    for other in (tiny_model("llama", num_hidden_layers=2), tiny_model("llama", intermediate_size=40)):
        with pytest.raises(UsageError, match="is not the model of the run"):
            find_modules(profile, other)
