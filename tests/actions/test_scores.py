"""Scores by hand, and the norms that they need against plain sums."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from paramscope.actions.pruning import scores
from paramscope.models.weights import LinearWeight


def plain(values: list[list[float]]) -> LinearWeight:
    linear = nn.Linear(len(values[0]), len(values), bias=False)
    linear.weight.data = torch.tensor(values)
    return LinearWeight("proj", linear)


def test_wanda_by_hand() -> None:
    weight = plain([[1.0, -2.0], [0.5, 3.0]])
    x = torch.tensor([[3.0, 0.0], [4.0, 1.0]])
    norms = scores.input_norms([weight], [lambda: functional.linear(x, weight.parameter)])
    assert torch.equal(norms["proj"], torch.tensor([[5.0, 1.0]]).double())
    assert torch.equal(scores.wanda(weight, norms["proj"]), torch.tensor([[[5.0, 2.0], [2.5, 3.0]]]))
    assert torch.equal(scores.magnitude(weight), torch.tensor([[[1.0, 2.0], [0.5, 3.0]]]))


def test_norms_add_up_over_runs_and_uses() -> None:
    weight = plain([[1.0, 2.0]])
    x = torch.randn(6, 2)

    def use(some: torch.Tensor) -> None:
        functional.linear(some, weight.parameter)

    def twice() -> None:
        use(x[:2])
        use(x[2:3])

    found = scores.input_norms([weight], [twice, lambda: use(x[3:])])["proj"]
    torch.testing.assert_close(found, x.double().norm(dim=0)[None], rtol=1e-6, atol=0)


def test_an_expert_that_no_token_reached_goes_by_magnitude() -> None:
    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.Parameter(torch.tensor([[[1.0, -2.0]], [[3.0, 4.0]]]))

    held = Held()
    weight = LinearWeight("experts", held, "experts")
    norms = scores.input_norms([weight], [lambda: functional.linear(torch.tensor([[2.0, 0.0]]), held.experts[1])])[
        "experts"
    ]
    assert scores.unreached(norms) == 1
    assert torch.equal(scores.wanda(weight, norms), torch.tensor([[[1.0, 2.0]], [[6.0, 0.0]]]))
    means = torch.tensor([[0.0, 0.0], [0.2, 0.1]])
    assert scores.unreached(means) == 1
    assert torch.equal(scores.activation(weight, means), torch.tensor([[[1.0, 2.0]], [[0.2, 0.1]]]))


def test_scores_of_half_precision_neither_overflow_nor_tie() -> None:
    weight = plain([[60_000.0, 50_000.0]])
    weight.owner.half()
    found = scores.wanda(weight, torch.tensor([[1e6, 1e6]]).double())
    assert found.dtype == torch.float32
    assert bool(found.isfinite().all())
    assert found[0, 0, 0] > found[0, 0, 1]


@pytest.mark.parametrize("factor", [1.0, 2.0, 5.0])
def test_outliers_are_counted_over_the_whole_layer(factor: float) -> None:
    generator = torch.Generator().manual_seed(0)
    weights, norms, every = [], {}, []
    for number, (rows, columns) in enumerate(((5, 7), (4, 3))):
        weight = plain(torch.randn(rows, columns, generator=generator).exp().tolist())
        weight = LinearWeight(f"w{number}", weight.owner)
        norms[weight.name] = torch.rand(1, columns, generator=generator).double()
        weights.append(weight)
        every.append((weight.parameter.abs() * norms[weight.name]).flatten())
    together = torch.cat(every)
    expected = float((together > factor * together.mean()).float().mean())
    assert scores.outlier_share(weights, norms, factor) == pytest.approx(expected)
