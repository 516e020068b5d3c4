"""Figures that carry their formula: the value is calculated from the very text that is shown beside it."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paramscope.result.shared import Figure

_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "ceil": math.ceil,
    "max": max,
}

Tree = float | list[Any]
"""A number, ``["input", name]``, or a sign or function and what it takes."""


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
    tree = tree_of(formula)
    names = set(_inputs(tree))
    if names != set(values):
        raise ValueError(f"{formula!r} needs {sorted(names)}, not {sorted(values)}")
    return Figure(
        name=name,
        value=float(_value(tree, values)),
        unit=unit,
        formula=formula,
        inputs=values,
        prices={key: given.name for key, given in inputs.items() if isinstance(given, Price)},
        figures={key: given.name for key, given in inputs.items() if isinstance(given, Figure)},
    )


def tree_of(formula: str) -> Tree:
    """A formula as nested lists, for whoever calculates it.

    Args:
        formula: see ``figure``.

    Returns:
        The tree.

    Raises:
        ValueError: it is no such arithmetic.
    """
    return _tree(ast.parse(formula, mode="eval").body)


def _tree(node: ast.expr) -> Tree:
    """A part of a formula.

    Raises:
        ValueError: it is no arithmetic.
    """
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name):
            return ["input", name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _SIGNS:
            return [_SIGNS[type(op)], _tree(left), _tree(right)]
        case ast.Call(func=ast.Name(id="ceil" | "max" as name), args=arguments, keywords=[]):
            return [name, *map(_tree, arguments)]
    raise ValueError(f"{ast.unparse(node)!r} is no arithmetic of a figure")


def _inputs(tree: Tree) -> list[str]:
    match tree:
        case ["input", name]:
            return [name]
        case [_, *parts]:
            return [name for part in parts for name in _inputs(part)]
    return []


def _value(tree: Tree, inputs: dict[str, float]) -> float:
    match tree:
        case ["input", name]:
            return inputs[name]
        case [kind, *parts]:
            return _FUNCTIONS[kind](*(_value(part, inputs) for part in parts))
    assert isinstance(tree, (int, float))
    return tree
