"""Products by a weight are seen, whatever function makes them and however the weight lies in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from paramscope.models.products import Product, ProductWatch

PLAIN = nn.Parameter(torch.randn(5, 3))
SQUARE = nn.Parameter(torch.randn(3, 3))
STACK = nn.Parameter(torch.randn(4, 5, 3))
TURNED = nn.Parameter(torch.randn(4, 3, 5))
X = torch.randn(2, 7, 3)
EACH = torch.randn(4, 6, 3)

Call = Callable[[], torch.Tensor]

SEEN: dict[str, tuple[Call, nn.Parameter, tuple[int, int, bool]]] = {
    "linear": (lambda: functional.linear(X, PLAIN, torch.ones(5)), PLAIN, (0, 1, False)),
    "linear by name": (lambda: functional.linear(input=X, weight=PLAIN), PLAIN, (0, 1, False)),
    "matmul": (lambda: X @ PLAIN.T, PLAIN, (0, 1, False)),
    "matmul of a square": (lambda: torch.matmul(X, SQUARE), SQUARE, (0, 1, True)),
    "matmul of a turned square": (lambda: X.matmul(SQUARE.t()), SQUARE, (0, 1, False)),
    "mm": (lambda: torch.mm(X[0], PLAIN.T), PLAIN, (0, 1, False)),
    "addmm": (lambda: torch.addmm(torch.ones(5), X[0], TURNED[2]), TURNED, (2, 1, True)),
    "weight first": (lambda: PLAIN @ X.transpose(1, 2), PLAIN, (0, 1, False)),
    "slice of a stack": (lambda: functional.linear(X, STACK[3]), STACK, (3, 1, False)),
    "slice by a tensor": (lambda: X[0] @ TURNED[torch.tensor(1)], TURNED, (1, 1, True)),
    "bmm of a stack": (lambda: torch.bmm(EACH, TURNED), TURNED, (0, 4, True)),
    "bmm of a part of a stack": (lambda: torch.bmm(EACH[:2], TURNED[1:3]), TURNED, (1, 2, True)),
    "baddbmm": (lambda: torch.baddbmm(torch.ones(4, 1, 5), EACH, TURNED), TURNED, (0, 4, True)),
    "one input for a stack": (lambda: X[0] @ TURNED, TURNED, (0, 4, True)),
    "a batch for a stack": (lambda: EACH.expand(2, 4, 6, 3) @ TURNED, TURNED, (0, 4, True)),
    "converted": (lambda: functional.linear(X.double(), PLAIN.double()), PLAIN, (0, 1, False)),
    "converted slice": (lambda: X[0].to(torch.float64) @ TURNED.to(torch.float64)[3], TURNED, (3, 1, True)),
}


def watch(call: Call, *parameters: nn.Parameter) -> list[tuple[Product, torch.Tensor]]:
    seen: list[tuple[Product, torch.Tensor]] = []

    def tell(product: Product, output: torch.Tensor) -> torch.Tensor:
        seen.append((product, output))
        return output

    with ProductWatch(parameters, tell):
        call()
    return seen


@pytest.mark.parametrize("name", SEEN)
def test_a_product_is_seen_and_is_inputs_times_weight(name: str) -> None:
    call, parameter, (first, count, transposed) = SEEN[name]
    ((product, output),) = watch(call, PLAIN, SQUARE, STACK, TURNED)
    assert product.parameter is parameter
    assert (product.first, product.count, product.transposed) == (first, count, transposed)
    stack = parameter.detach().view(-1, *parameter.shape[-2:])[first : first + count]
    weight = (stack.mT if transposed else stack).to(output.dtype)
    made = product.per_map(product.inputs) @ weight.mT
    bias = 1 if name == "linear" or name in ("addmm", "baddbmm") else 0
    torch.testing.assert_close(made + bias, product.per_map(output))


@pytest.mark.parametrize(
    "call",
    [
        lambda: functional.linear(X, torch.randn(5, 3)),
        lambda: functional.linear(X, PLAIN * 2),
        lambda: functional.linear(X, PLAIN[1:4]),
        lambda: torch.addmm(torch.ones(5), X[0], TURNED[2], alpha=2),
        lambda: PLAIN + 1,
        lambda: X[0].T @ X[0],
    ],
)
def test_what_is_no_product_by_a_whole_weight_is_not_taken_for_one(call: Call) -> None:
    assert watch(call, PLAIN, SQUARE, STACK, TURNED) == []


def test_parameters_that_share_one_memory_are_told_apart() -> None:
    memory = torch.randn(2, 15)
    one, other = (nn.Parameter(memory[i].view(5, 3)) for i in (0, 1))
    ((product, _),) = watch(lambda: functional.linear(X, other), one, other)
    assert product.parameter is other
