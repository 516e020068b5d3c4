"""Weights that are set to zero for a while come back bit for bit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers.pytorch_utils import Conv1D

from paramscope.causal.zeroing import Cut, zeroed
from paramscope.models.blocks import find_structure
from paramscope.models.weights import LinearWeight
from tests.engine.architectures import tiny_model


def weight_of(kind: str) -> LinearWeight:
    owner: nn.Module
    if kind == "linear":
        owner, attribute, transposed = nn.Linear(5, 7), "weight", False
    elif kind == "conv1d":
        owner, attribute, transposed = Conv1D(7, 5), "weight", True
    else:
        owner, attribute, transposed = nn.Module(), "experts", kind == "turned stack"
        owner.experts = nn.Parameter(torch.empty(3, 5, 7))
    weight = LinearWeight("w", owner, attribute, transposed)
    nn.init.normal_(weight.parameter)
    flat = weight.parameter.data.view(-1)
    flat[3], flat[4], flat[5] = -0.0, float("nan"), float("inf")
    return weight


def bits(parameter: nn.Parameter) -> torch.Tensor:
    return parameter.detach().view(torch.int32).clone()


kinds = pytest.mark.parametrize("kind", ["linear", "conv1d", "stack", "turned stack"])


@kinds
@given(data=st.data())
def test_some_weights_are_zero_within_and_all_are_as_before_afterwards(kind: str, data: st.DataObject) -> None:
    weight = weight_of(kind)
    places = st.lists(st.integers(0, weight.size - 1), min_size=1, max_size=8)
    cuts = [Cut.at(weight, torch.tensor(data.draw(places))) for _ in range(data.draw(st.integers(1, 3)))]
    columns = data.draw(st.none() | st.sets(st.integers(0, weight.columns - 1), min_size=1))
    if columns:
        cuts.insert(data.draw(st.integers(0, len(cuts))), Cut.columns(weight, torch.tensor(sorted(columns))))
    before, identity = bits(weight.parameter), id(weight.parameter)

    expected = weight.matrices.reshape(-1).clone()
    for cut in cuts:
        mask = torch.zeros_like(weight.matrices, dtype=torch.bool)
        mask[cut.index] = True
        expected[mask.reshape(-1)] = 0
    with zeroed(cuts):
        torch.testing.assert_close(weight.matrices.reshape(-1), expected, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(bits(weight.parameter), before)
    assert id(weight.parameter) == identity
    assert weight.parameter.requires_grad


@kinds
def test_a_weight_is_named_by_row_and_column_of_the_stack(kind: str) -> None:
    weight = weight_of(kind)
    row, column = weight.rows - 1, 2
    with zeroed([Cut.at(weight, torch.tensor([row * weight.columns + column]))]):
        assert weight.matrices[-1, -1, column] == 0
    with zeroed([Cut.whole(weight)]):
        assert not weight.parameter.any()
    with zeroed([Cut.columns(weight, slice(1, 3))]):
        assert not weight.matrices[:, :, 1:3].any()
        assert weight.matrices[:, :, 0].any()


@kinds
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_weights_come_back_after_an_error(kind: str, error: type[BaseException]) -> None:
    weight = weight_of(kind)
    before = bits(weight.parameter)
    with pytest.raises(error), zeroed([Cut.whole(weight), Cut.at(weight, torch.tensor([1, 3])), Cut.whole(weight)]):
        raise error
    assert torch.equal(bits(weight.parameter), before)


def test_weights_come_back_where_a_later_cut_cannot_be_made() -> None:
    weight = weight_of("linear")
    before = bits(weight.parameter)
    with pytest.raises(IndexError), zeroed([Cut.whole(weight), Cut(weight, (slice(None), 99))]):
        pass
    assert torch.equal(bits(weight.parameter), before)


@pytest.mark.parametrize("name", ["gpt2", "mixtral", "gpt-oss", "recurrent-gemma"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_of_a_model_can_be_zeroed_and_comes_back(name: str, dtype: torch.dtype) -> None:
    model = tiny_model(name, dtype=dtype)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    weights = [weight for block in find_structure(model).blocks for weight in block.weights]
    with zeroed([Cut.whole(weight) for weight in weights for _ in range(2)]):
        assert not any(weight.parameter.any() for weight in weights)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
