"""Figures that carry their formula: the value is calculated from the very text that is shown beside it."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from paramscope.result.shared import Figure

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"ceil": math.ceil, "max": max}


@dataclass(frozen=True)
class Price:
    """A price or another assumption, by its name in ``Prices``."""

    name: str
    value: float


def figure(name: str, unit: str, formula: str, **inputs: float | Figure | Price) -> Figure:
    """Calculate a figure.

    Args:
        name: of the figure.
        unit: of its value.
        formula: numbers, names of inputs, ``+ - * /``, parentheses, ``ceil`` and ``max``.
        inputs: by name; of another figure or a price its value, and from which it is is kept.

    Returns:
        The figure.

    Raises:
        ValueError: the formula holds something else, or an input is missing or not used.
    """
    values = {key: float(given if isinstance(given, (int, float)) else given.value) for key, given in inputs.items()}
    tree = ast.parse(formula, mode="eval")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - set(_FUNCTIONS)
    if names != set(values):
        raise ValueError(f"{formula!r} needs {sorted(names)}, not {sorted(values)}")
    return Figure(
        name=name,
        value=float(_value(tree.body, values)),
        unit=unit,
        formula=formula,
        inputs=values,
        prices={key: given.name for key, given in inputs.items() if isinstance(given, Price)},
        figures={key: given.name for key, given in inputs.items() if isinstance(given, Figure)},
    )


def _value(node: ast.expr, inputs: dict[str, float]) -> float:
    """The value of a part of a formula.

    Raises:
        ValueError: it is no arithmetic.
    """
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return inputs[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, inputs), _value(right, inputs))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(argument, inputs) for argument in arguments))
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic of a figure")
