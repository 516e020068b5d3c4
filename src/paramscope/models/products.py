"""Watching a model multiply activations by its weights: ``y = x W^T``, whatever the module that does it is called.

A weight that counts is one that the model multiplies activations by. So it is found, and its inputs and outputs are
captured, where the product happens: at the handful of PyTorch functions that take one. Which parameter an operand is
follows from the memory that it lies in; so a slice of a stack of experts, a transposed view and a copy in another type
are known as what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Product:
    """One use of a weight.

    Attributes:
        parameter: that the weight is, or is a slice of.
        first: the first map of the stack that takes part; 0 for a plain weight.
        count: how many maps take part.
        transposed: whether the parameter is kept as ``[in, out]``.
        stacked: whether several maps were multiplied at once, each by activations of its own.
        turned: whether the weight stood first, so that features come before rows.
        inputs: what the weight is multiplied by, as the model had it.
    """

    parameter: nn.Parameter
    first: int
    count: int
    transposed: bool
    stacked: bool
    turned: bool
    inputs: torch.Tensor

    def per_map(self, tensor: torch.Tensor) -> torch.Tensor:
        """The inputs, or what is laid out like the output, as ``[count, rows, features]``."""
        tensor = tensor.mT if self.turned else tensor
        if not self.stacked:
            return tensor.reshape(1, -1, tensor.shape[-1])
        if tensor.dim() > 3:
            tensor = tensor.movedim(-3, 0)
        elif tensor.dim() == 2:
            tensor = tensor[None]
        return tensor.expand(self.count, *tensor.shape[1:]).reshape(self.count, -1, tensor.shape[-1])


Tell = Callable[[Product, torch.Tensor], torch.Tensor]
"""Told of a product and its output; returns what the model goes on with."""

_CONVERSIONS = {"to", "float", "double", "half", "bfloat16", "type", "type_as"}


_PRODUCTS = {"matmul": 2, "__matmul__": 2, "__rmatmul__": 2, "mm": 2, "bmm": 2, "addmm": 3, "baddbmm": 3}
"""Functions that multiply their last two arguments, with their number of arguments."""


@dataclass(frozen=True)
class _Place:
    """Where a parameter lies in memory: sizes and strides as a stack ``[E, a, b]``."""

    parameter: nn.Parameter
    offset: int
    shape: tuple[int, int, int]
    strides: tuple[int, int, int]

    @classmethod
    def of(cls, parameter: nn.Parameter, tensor: torch.Tensor) -> _Place:
        stack = tensor.detach() if tensor.dim() == 3 else tensor.detach()[None]
        e, a, b = stack.shape
        across, down, along = stack.stride()
        return cls(parameter, int(stack.storage_offset()), (e, a, b), (max(across, 1), down, along))


class ProductWatch(TorchFunctionMode):
    """Within it, ``tell`` is called for every product by one of the parameters."""

    def __init__(self, parameters: Iterable[nn.Parameter], tell: Tell) -> None:
        """Prepare the watch.

        Args:
            parameters: of two or three dimensions.
            tell: told of each product.
        """
        super().__init__()
        self._tell = tell
        self._places: dict[int, list[_Place]] = {}
        self._alive: list[torch.Tensor] = []
        self.go_to(parameters)

    def go_to(self, parameters: Iterable[nn.Parameter]) -> None:
        """Watch for these, where they lie now, and no longer for others, whose memory may be these' by now."""
        self._places.clear()
        self._alive.clear()
        for parameter in parameters:
            self._remember(parameter, parameter)

    def _remember(self, parameter: nn.Parameter, tensor: torch.Tensor) -> None:
        self._places.setdefault(_memory(tensor), []).append(_Place.of(parameter, tensor))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function, and tell of it where it is such a product."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in _CONVERSIONS:
            self._follow(args[0], result)
            return result
        for inputs, weight, turned in _operands(name, args, kwargs):
            product = self._product(inputs, weight, turned)
            if product:
                return self._tell(product, result)
        return result

    def _follow(self, source: Any, result: Any) -> None:
        """Know a parameter again that the model has converted."""
        if not (isinstance(source, torch.Tensor) and isinstance(result, torch.Tensor)) or result is source:
            return
        for place in self._places.get(_memory(source), []):
            whole = source.numel() == place.parameter.numel() and source.dim() == place.parameter.dim()
            if whole and source.storage_offset() == place.offset and _memory(result) != _memory(source):
                self._alive.append(result)  # else its memory could become another tensor's
                self._remember(place.parameter, result)
                return

    def _product(self, inputs: torch.Tensor, weight: torch.Tensor, turned: bool) -> Product | None:
        """The product of ``inputs`` by ``weight`` ``[..., out, in]``, if that is a watched parameter."""
        if weight.dim() not in (2, 3):
            return None
        stack = weight if weight.dim() == 3 else weight[None]
        for place in self._places.get(_memory(weight), []):
            first, rest = divmod(int(weight.storage_offset()) - place.offset, place.strides[0])
            if rest or not 0 <= first <= place.shape[0] - len(stack):
                continue
            if len(stack) > 1 and stack.stride(0) != place.strides[0]:
                continue
            for transposed in (False, True):
                turn = (2, 1) if transposed else (1, 2)
                sizes, strides = tuple(place.shape[i] for i in turn), tuple(place.strides[i] for i in turn)
                # The stride of a dimension of size 1 says nothing.
                same = all(
                    size == 1 or stride == other
                    for size, stride, other in zip(sizes, strides, stack.stride()[1:], strict=True)
                )
                if stack.shape[1:] == sizes and same:
                    return Product(place.parameter, first, len(stack), transposed, weight.dim() == 3, turned, inputs)
        return None


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0


def _operands(name: str, args: Any, kwargs: dict[str, Any]) -> list[tuple[torch.Tensor, torch.Tensor, bool]]:
    """What may be inputs and weight ``[..., out, in]`` of a plain product, perhaps with a bias."""
    if name == "linear":
        inputs = args[0] if args else kwargs["input"]
        found = [(inputs, args[1] if len(args) > 1 else kwargs["weight"], False)]
    elif name in _PRODUCTS and len(args) == _PRODUCTS[name] and kwargs.get("alpha", 1) == 1:
        first, second = args[-2:] if name != "__rmatmul__" else args[::-1]
        if not (isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor)):
            return []
        # Either may be the weight.
        found = [(first, second.mT, False)] if second.dim() > 1 else []
        found += [(second, first, True)] if second.dim() > 1 else []
    else:
        return []
    return [each for each in found if isinstance(each[1], torch.Tensor) and each[1].dim() > 1]
