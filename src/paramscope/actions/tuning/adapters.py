"""Adapters for chosen layers: a LoRA rank for each linear module, so that a budget of parameters is met."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from paramscope.actions.pilots.lora import SCALE, refused_by_peft
from paramscope.actions.tuning.layers import Choice, told_layers
from paramscope.errors import UsageError
from paramscope.models.blocks import find_blocks
from paramscope.result.profile import Profile
from paramscope.wording import quoted

MOST_UNEQUAL = 0.01
"""Plans that are held against each other differ by less than this share in their trainable parameters."""


@dataclass(frozen=True)
class LinearModule:
    """A linear module that can have an adapter.

    Attributes:
        name: in full, such as ``model.layers.3.mlp.up_proj``.
        layer: number.
        inputs: features.
        outputs: features.
    """

    name: str
    layer: int
    inputs: int
    outputs: int

    @property
    def cost(self) -> int:
        """Trainable parameters a rank: of A ``[r, inputs]`` and B ``[outputs, r]``."""
        return self.inputs + self.outputs


@dataclass(frozen=True)
class Adapter:
    """A module and the rank of its adapter."""

    module: LinearModule
    rank: int

    @property
    def alpha(self) -> int:
        """LoRA's alpha; the adapter's output is multiplied by alpha / rank."""
        return SCALE * self.rank

    @property
    def parameters(self) -> int:
        """Trainable ones."""
        return self.rank * self.module.cost


@dataclass(frozen=True)
class AdapterPlan:
    """What is trained.

    Attributes:
        choice: of the layers.
        adapters: in the order of the model.
        budget: trainable parameters that were allowed.
    """

    choice: Choice
    adapters: tuple[Adapter, ...]
    budget: int

    @property
    def parameters(self) -> int:
        """Trainable ones, exactly."""
        return sum(adapter.parameters for adapter in self.adapters)

    @property
    def ranks(self) -> dict[str, int]:
        """By full name of the module."""
        return {adapter.module.name: adapter.rank for adapter in self.adapters}


@dataclass(frozen=True)
class Modules:
    """The linear modules of a model's layers.

    Attributes:
        able: those that LoRA takes, in the order of the model.
        left_out: names, layer by layer, of weights that it does not take, such as stacks of experts.
    """

    able: tuple[LinearModule, ...]
    left_out: tuple[str, ...]

    def of(self, layers: Sequence[int]) -> list[LinearModule]:
        """Those of some layers."""
        wanted = set(layers)
        return [module for module in self.able if module.layer in wanted]


def find_modules(profile: Profile, model: nn.Module) -> Modules:
    """The linear modules of a model that LoRA takes.

    Args:
        profile: of the model; what it measured and LoRA does not take is told.
        model: with weights or without.

    Returns:
        The modules.

    Raises:
        UsageError: the model is not the profile's.
    """
    there = {
        (layer, weight.name): LinearModule(f"{block.name}.{weight.name}", layer, weight.columns, weight.rows)
        for layer, block in enumerate(find_blocks(model))
        for weight in block.weights
    }
    measured = profile.tables.modules[["layer", "module", "rows", "columns"]].itertuples(index=False, name=None)
    shapes = {(layer, name): (columns, rows) for layer, name, rows, columns in measured}
    different = [key for key, module in there.items() if shapes.get(key) != (module.inputs, module.outputs)]
    if different or max(layer for layer, _ in shapes) != max(layer for layer, _ in there):
        raise UsageError(
            f"{type(model).__name__} is not the model of the run (its layers have other weights); give the one that "
            "was profiled"
        )
    refused = refused_by_peft(model, [module.name for module in there.values()])
    able = tuple(module for module in there.values() if module.name not in refused)
    known = {(module.layer, module.name) for module in able}
    left_out = [
        f"{layer}.{name}"
        for layer, name in shapes
        if (module := there.get((layer, name))) is None or (module.layer, module.name) not in known
    ]
    return Modules(able, tuple(left_out))


def plan_adapters(choice: Choice, modules: Modules, budget: int) -> AdapterPlan:
    """Give each linear module of the chosen layers a rank, so that together they come near to a budget.

    All get the same rank; what is left of the budget gives some modules one rank more, the largest first and evenly
    over the layers, until not even the smallest module has room for another.

    Args:
        choice: of layers.
        modules: of the model.
        budget: most trainable parameters.

    Returns:
        The plan; its parameters are less than one rank of its smallest module below the budget.

    Raises:
        UsageError: the budget does not give every module a rank of 1, or more than a module's width; or the layers
            have nothing that LoRA takes.
    """
    wanted = modules.of(choice.layers)
    where = f"layers {told_layers(choice.layers)}"
    if not wanted:
        raise UsageError(f"{where} have no linear module that LoRA takes; choose others with --layers")
    costs = [module.cost for module in wanted]
    if budget < sum(costs):
        raise UsageError(
            f"{budget:,} trainable parameters are too few: a rank of 1 in the {len(wanted)} modules of {where} takes "
            f"{sum(costs):,}; give at least that with --trainable, or fewer layers"
        )
    adapters = tuple(map(Adapter, wanted, share_out(costs, budget)))
    for adapter in adapters:
        module = adapter.module
        if adapter.rank > min(module.inputs, module.outputs):
            raise UsageError(
                f"{budget:,} trainable parameters are too many: {module.name} would get a rank of {adapter.rank}, and "
                f"its weight has {min(module.inputs, module.outputs)}; give less with --trainable, or more layers"
            )
    return AdapterPlan(choice, adapters, budget)


def share_out(costs: Sequence[int], budget: int) -> list[int]:
    """Ranks of modules; see ``plan_adapters``.

    Args:
        costs: parameters a rank, by module.
        budget: at least their sum.

    Returns:
        Ranks; the parameters that they take are at most the budget, and less than the smallest cost below it.
    """
    whole = sum(costs)
    ranks, rest = [budget // whole] * len(costs), budget % whole
    while rest >= min(costs):
        for cost in sorted(set(costs), reverse=True):
            members = [place for place, each in enumerate(costs) if each == cost]
            more = min(len(members), rest // cost)
            for turn in range(more):
                ranks[members[(2 * turn + 1) * len(members) // (2 * more)]] += 1
            rest -= more * cost
    return ranks


def check_equal(plans: Sequence[AdapterPlan]) -> None:
    """Refuse to hold plans of unequal size against each other.

    Args:
        plans: to be compared.

    Raises:
        UsageError: their trainable parameters differ by ``MOST_UNEQUAL`` or more.
    """
    sizes = [plan.parameters for plan in plans]
    if max(sizes) - min(sizes) >= MOST_UNEQUAL * min(sizes):
        least = max(min(adapter.module.cost for adapter in plan.adapters) for plan in plans)
        raise UsageError(
            f"the plan and its controls would have {min(sizes):,} to {max(sizes):,} trainable parameters, which is not "
            f"equal; give at least {round(least / MOST_UNEQUAL) + 2 * least:,} with --trainable"
        )


def read_trainable(text: str, parameters: int) -> int:
    """Read the value of ``--trainable``.

    Args:
        text: a share of the layers' parameters (``1%``) or a number of them (``500000``).
        parameters: of all layers.

    Returns:
        The number.

    Raises:
        UsageError: it is neither, or not between 1 and all of them.
    """
    parts = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?) ?(%?)", text.strip().replace(",", "").replace("_", ""), re.ASCII)
    number = float(parts[1]) if parts else 0.0
    budget = int(number * parameters / 100) if parts and parts[2] else int(number)
    if not 1 <= budget <= parameters:
        raise UsageError(
            f"--trainable {quoted(text)} is out of range; give a share of the layers' {parameters:,} parameters such "
            "as 1%, or a number of them"
        )
    return budget
