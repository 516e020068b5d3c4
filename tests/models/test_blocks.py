"""Blocks, linear weights and the count of parameters, found by structure."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from paramscope.errors import UsageError
from paramscope.models.blocks import count_parameters, find_blocks, unmeasured_weights
from paramscope.models.weights import LinearWeight
from tests.engine.architectures import tiny_model


class Part(nn.Module):
    """A block with a map of its own, a norm, a convolution and a bare matrix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"map": nn.Linear(width, 2 * width)})
        self.back = Conv1D(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.mixing = nn.Conv1d(width, width, 3, bias=False)
        self.bare = nn.Parameter(torch.ones(width, width))


class Whole(nn.Module):
    """Two lists: the larger one is the blocks'."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.small = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.deep = nn.Module()
        self.deep.stack = nn.ModuleList([Part(4), Part(4), Part(4)])
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embedding.weight
        self.scale = nn.Parameter(torch.ones(1))


def test_the_list_with_most_linear_weights_holds_the_blocks() -> None:
    blocks = find_blocks(Whole())
    assert [block.name for block in blocks] == ["deep.stack.0", "deep.stack.1", "deep.stack.2"]
    assert [(weight.name, weight.kind) for weight in blocks[0].weights] == [("inner.map", "Linear"), ("back", "Conv1D")]
    assert [tuple(weight.matrices.shape) for weight in blocks[0].weights] == [(1, 8, 4), (1, 4, 8)]
    assert blocks[0].parameters == 64


def test_a_list_inside_a_block_is_not_taken_for_the_blocks() -> None:
    model = nn.Module()
    model.layers = nn.ModuleList([nn.Module() for _ in range(2)])
    for layer in model.layers:
        layer.experts = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
    blocks = find_blocks(model)
    assert [block.name for block in blocks] == ["layers.0", "layers.1"]
    assert [weight.name for weight in blocks[0].weights] == [f"experts.{i}" for i in range(4)]


@pytest.mark.parametrize(
    "model", [nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3)), nn.ModuleList([nn.LayerNorm(3)]), nn.Identity()]
)
def test_a_model_without_a_list_of_blocks_is_refused(model: nn.Module) -> None:
    expected = rf"{type(model).__name__} has no list of blocks with linear weights; a causal language model made of"
    with pytest.raises(UsageError, match=expected):
        find_blocks(model)


def test_every_parameter_is_counted_once_and_in_its_place() -> None:
    model = Whole()
    counts = count_parameters(model, find_blocks(model))
    assert counts == {
        "linear weights of the layers": 3 * 64,
        "biases, norms and other vectors of the layers": 3 * (8 + 4 + 4 + 4),
        "other weights of the layers (not measured)": 3 * (48 + 16),
        "embeddings": 36,  # the head's too, which are the same
        "head and other linear weights outside the layers": 2 * 16,
        "other parameters outside the layers": 2 * 4 + 1,
    }
    assert sum(counts.values()) == sum(parameter.numel() for parameter in model.parameters())


def test_weights_that_are_not_measured_are_named() -> None:
    assert unmeasured_weights(find_blocks(Whole())[:1]) == ["deep.stack.0.bare", "deep.stack.0.mixing.weight"]


@pytest.mark.parametrize("shape", [(5, 5), (3, 7)])
def test_a_conv1d_gradient_is_turned_like_its_weight_even_where_it_is_square(shape: tuple[int, int]) -> None:
    rows, columns = shape
    module = Conv1D(rows, columns)
    weight = LinearWeight("c_proj", module, transposed=True)
    given = torch.randn(2, columns)
    module(given).sum().backward()
    assert torch.equal(weight.matrices[0], module.weight.T)
    assert module.weight.grad is not None
    torch.testing.assert_close(weight.as_matrices(module.weight.grad)[0], given.sum(0).expand(rows, columns))


def test_matrix_is_a_view_of_the_weight() -> None:
    for name in ("llama", "gpt2"):
        weight = find_blocks(tiny_model(name))[0].weights[0]
        assert weight.matrices.data_ptr() == weight.parameter.data_ptr()
        assert not weight.matrices.requires_grad
