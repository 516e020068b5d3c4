"""What the page's script reckons the ways to share with again: formulas as nested lists, prices and gains."""

from __future__ import annotations

from typing import Any

import yaml

from paramscope.actions.sharing.figures import Tree, tree_of
from paramscope.actions.sharing.prices import VALUE_BOUNDS, Prices, default_prices
from paramscope.report.material import Material
from paramscope.result.shared import Figure, Shared


def reckoning(material: Material) -> dict[str, Any] | None:
    """All that results follow from when a price changes.

    Args:
        material: of the page.

    Returns:
        Plain JSON; None where nothing is reckoned, or the document does not say which inputs are prices.
    """
    shared = material.shared
    if shared is None or not can_be_edited(shared):
        return None
    found = {record.option: record for record in shared.break_even}
    ways = {}
    for option in shared.options:
        record = found.get(option.name)
        ways[option.name] = {
            "figures": [[figure.name, compiled(figure)] for figure in option.figures],
            "gain": record.gain.model_dump() if record and record.gain else None,
            "measured": len(record.measured) if record else 0,
        }
    return {
        "prices": numbers(shared),
        "bounds": {name: bounds(name) for name in sorted(editable(shared))} | {"value": list(VALUE_BOUNDS)},
        "own": own_prices(shared),
        "currency": str(shared.prices["currency"]),
        "value": shared.arguments.get("value"),
        "domains": len(shared.domains),
        "ways": ways,
    }


def can_be_edited(shared: Shared) -> bool:
    """Whether a document says which inputs of its figures are prices and other figures."""
    return all(
        figure.prices is not None and figure.figures is not None
        for option in shared.options
        for figure in option.figures
    )


def editable(shared: Shared) -> set[str]:
    """Names of the prices that some figure depends on."""
    used = {price for option in shared.options for figure in option.figures for price in (figure.prices or {}).values()}
    return used | {"horizon_months", "requests_per_month"}


def numbers(shared: Shared) -> dict[str, float]:
    """The document's prices, its currency left out."""
    return {name: float(value) for name, value in shared.prices.items() if not isinstance(value, str)}


def defaults() -> dict[str, Any]:
    """The package's own prices."""
    return dict(yaml.safe_load(default_prices()))


def own_prices(shared: Shared) -> dict[str, float | str]:
    """The package's prices where a document's can differ from them: what a file of prices need not repeat.

    The bytes of a parameter are left out where the model's files told them, since no price counts then.
    """
    kept = editable(shared)
    return {name: value for name, value in defaults().items() if name != "bytes_per_parameter" or name in kept}


def bounds(name: str) -> list[float]:
    """What a price may be: its least and its most."""
    rules = Prices.model_fields[name].metadata
    return [float(next(getattr(rule, end) for rule in rules if hasattr(rule, end))) for end in ("ge", "le")]


def compiled(figure: Figure) -> Tree:
    """The formula of a figure, its constants put in.

    Args:
        figure: that says which inputs are prices and other figures.

    Returns:
        The formula, with ``["price", name]`` and ``["figure", name]`` of the same option in place of inputs.

    Raises:
        ValueError: it is no arithmetic, see ``actions.sharing.figures``.
    """
    return _bound(tree_of(figure.formula), figure)


def _bound(tree: Tree, figure: Figure) -> Tree:
    """A tree whose inputs are told apart: prices, other figures, and numbers that stay."""
    match tree:
        case ["input", name]:
            if name in (figure.prices or {}):
                return ["price", (figure.prices or {})[name]]
            if name in (figure.figures or {}):
                return ["figure", (figure.figures or {})[name]]
            return figure.inputs[name]
        case [kind, *parts]:
            return [kind, *(_bound(part, figure) for part in parts)]
    return tree
