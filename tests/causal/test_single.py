"""Single weights: the draw is fair, a linear model is exact, a saturated one is called what it is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from paramscope.causal import single, verdicts
from paramscope.causal.single import check_singles, draw_weights, noise_floor
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.models.blocks import find_structure
from tests.causal.models import Linear, Model, Saturated
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.autograd import Case, reference

MAX_LOGIT = OBJECTIVES["max-logit"]
IDS = random_ids([7, 5, 9, 6])
READINGS = [Reading(tuple(i % 24 for i in ids), (len(ids) - 1,)) for ids in IDS]
TEXTS = [("ab"[i % 2], i // 2, reading) for i, reading in enumerate(READINGS)]


def checked(model: nn.Module, *, cells: int = 40, seed: int = 0) -> pd.DataFrame:
    return check_singles(model, find_structure(model).blocks, MAX_LOGIT, TEXTS, cells=cells, seed=seed)


def statuses(table: pd.DataFrame) -> tuple[verdicts.Fidelity, dict[str, str]]:
    found = verdicts.fidelity(table, noise_floor(table))
    return found, {each.claim: each.status for each in verdicts.fidelity_verdicts(found)}


def test_a_linear_model_is_exact() -> None:
    model = Model([Linear(), Linear(), Linear()])
    table = pd.concat([checked(model, seed=seed) for seed in (0, 1)])
    assert len(table) == 2 * 4 * 6  # every module of every layer once a text
    np.testing.assert_allclose(table["change"], table["estimate"], rtol=1e-9, atol=1e-13)
    found, status = statuses(table)
    assert found.correlation.value == pytest.approx(1)
    assert found.slope.value == pytest.approx(1)
    for ratio in (found.low_ratio, found.median_ratio, found.high_ratio, found.sign):
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1, 1, 1))
    assert status == {"first-order-order": "supported", "first-order-size": "supported"}


def test_a_saturated_model_is_called_what_it_is() -> None:
    model = Model([Saturated(), Saturated(), Saturated()])
    _, status = statuses(pd.concat([checked(model, seed=seed) for seed in range(8)]))
    assert status["first-order-size"] == "not supported"
    assert status["first-order-order"] != "supported"


def test_estimates_are_minus_the_weight_times_its_gradient() -> None:
    model = tiny_model("llama")
    blocks = find_structure(model).blocks
    expected = reference(model, "model.layers", [Case(tuple(IDS[0]))])
    reading = Reading(tuple(IDS[0]), (len(IDS[0]) - 1,))
    drawn = draw_weights(model, blocks, MAX_LOGIT, reading, 21, np.random.default_rng(0))
    assert len(drawn) == 21
    for one in drawn:
        activation = expected.layers[one.layer][one.cut.weight.name][0]
        assert abs(one.estimate) == pytest.approx(activation[one.cut.row, one.cut.column], rel=1e-6)
        octaves = math.log2(activation.max() / abs(one.estimate)) / single.STRATUM_OCTAVES
        assert one.stratum == min(int(octaves + 1e-9), single.STRATA - 1)


@pytest.mark.parametrize("name", ["llama", "mixtral"])
@pytest.mark.parametrize("cells", [3, 8, 100])
def test_each_drawn_weight_stands_for_so_many_that_all_are_counted_on_average(name: str, cells: int) -> None:
    model = tiny_model(name)
    blocks = find_structure(model).blocks
    reading = Reading(tuple(IDS[0]), (len(IDS[0]) - 1,))
    case = reference(
        model,
        "model.layers",
        [Case(tuple(IDS[0]))],
        bare={"mlp.gate.weight": False, "mlp.experts.gate_up_proj": False, "mlp.experts.down_proj": False},
    )
    active = sum(int((a > 0).sum()) for layer in case.layers for a in layer.values())
    counted, summed = [], []
    for seed in range(60):
        drawn = draw_weights(model, blocks, MAX_LOGIT, reading, cells, np.random.default_rng(seed))
        counted.append(sum(one.share for one in drawn))
        summed.append(sum(one.share * abs(one.estimate) for one in drawn))
    everything = sum(float(a.sum()) for layer in case.layers for a in layer.values())
    for found, expected in ((counted, active), (summed, everything)):
        error = np.std(found, ddof=1) / math.sqrt(len(found))
        assert abs(np.mean(found) - expected) < 4 * error


def test_layers_take_turns_and_no_module_is_asked_twice() -> None:
    model = tiny_model("llama")
    blocks = find_structure(model).blocks
    for cells in range(1, 25):
        drawn = draw_weights(model, blocks, MAX_LOGIT, READINGS[0], cells, np.random.default_rng(cells))
        pairs = [(one.layer, one.cut.weight.name) for one in drawn]
        assert len(pairs) == len(set(pairs)) == min(cells, 21)
        counts = np.bincount([layer for layer, _ in pairs], minlength=3)
        assert counts.max() - counts.min() <= 1


def test_same_seed_same_table_and_another_seed_another_one() -> None:
    model = Model([Saturated(), Linear()])
    assert checked(model).equals(checked(model))
    assert not checked(model).equals(checked(model, seed=1))


def test_weights_that_do_nothing_leave_an_empty_table_with_its_columns() -> None:
    model = Model([Linear(), Linear()])
    with torch.no_grad():
        model.head.weight.zero_()
    table = checked(model)
    assert table.empty
    assert {"layer", "estimate", "change", "share", "stratum", "noise"} <= set(table.columns)
    assert set(statuses(table)[1].values()) == {"undecided"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_noise_of_lesser_types_is_seen_and_left_out(dtype: torch.dtype) -> None:
    model = tiny_model("llama", dtype=torch.float64)
    exact = noise_floor(checked(model))
    table = checked(model.to(dtype))
    floor = noise_floor(table)
    assert floor > exact
    found, _ = statuses(table)
    assert 0 <= found.above <= 1
    far = table[table["estimate"].abs() > 10 * floor]
    # What is far above the noise has mostly the right sign.
    assert (np.sign(far["change"]) == np.sign(far["estimate"])).mean() >= 0.7 or len(far) < 5


def test_activations_that_reach_from_the_largest_number_to_the_smallest_are_drawn() -> None:
    weight = find_structure(Model([Linear()])).blocks[0].weights[0]
    changes = torch.zeros(1, 12, 12)
    changes[0, 0, :4] = torch.tensor([1e30, -1e-42, 1e-20, 0.0])
    found = {single._draw(0, weight, changes, np.random.default_rng(seed))[0].stratum for seed in range(20)}
    assert found == {0, single.STRATA - 1}
