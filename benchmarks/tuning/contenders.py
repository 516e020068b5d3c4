"""What is tried: plans of equal trainable parameters, by the package's rules and by others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from paramscope.actions.pilots.training import Tokens
from paramscope.actions.tuning.adapters import (
    Adapter,
    AdapterPlan,
    Modules,
    check_equal,
    plan_adapters,
    share_out,
)
from paramscope.actions.tuning.layers import MEASURED_RULES, RULES, Choice, choose_layers, usual_count
from paramscope.actions.tuning.pilot import Contender
from paramscope.actions.tuning.planner import Planner
from paramscope.actions.tuning.signals import layer_scores
from paramscope.result.verification import Checks

UNIFORM = "uniform"

OTHERS = {
    "spread, half": "every second layer",
    "uniform, attention": "the attention of all layers",
    "uniform, mlp": "the MLPs of all layers",
    "ranks by activation": "all layers, each rank in proportion to the domain's activation there",
    "ranks by gradient": "all layers, each rank in proportion to the norm of the loss's gradient there",
}
"""What is tried beyond the package's rules."""


def all_contenders(planner: Planner, texts: Sequence[Tokens], checks: Checks | None, seeds: int) -> list[Contender]:
    """Every rule with the usual number of layers, and ``OTHERS``; of ``random`` one draw a seed.

    Args:
        planner: of the model, the run and the domain; its plan's size is everybody's.
        texts: training texts, for rules that measure.
        checks: of the run; without them there is no ``damage``.
        seeds: trainings of each.

    Returns:
        The contenders, of equal trainable parameters.
    """
    profile, domain, modules = planner.profile, planner.domain, planner.modules
    budget = planner.plan({}).budget
    measured = {rule: layer_scores(rule, planner.model, texts) for rule in MEASURED_RULES}
    found = []
    for rule in RULES:
        if rule == "damage" and checks is None:
            continue
        choices = [
            choose_layers(
                rule,
                usual_count(profile.layers),
                profile,
                domain,
                damages=checks.parts if checks else None,
                measured=measured.get(rule),
                draw=draw,
            )
            for draw in range(seeds if rule == "random" else 1)
        ]
        found.append(Contender(rule, tuple(plan_adapters(choice, modules, budget) for choice in choices)))
    everywhere = choose_layers(UNIFORM, 1, profile, domain)
    half = choose_layers("spread", (profile.layers + 1) // 2, profile, domain)
    kinds = {
        kind: Modules(tuple(module for module in modules.able if mark in module.name), ())
        for kind, mark in (("attention", ".self_attn."), ("mlp", ".mlp."))
    }
    activation = profile.tables.activation.query("domain == @domain").groupby("layer")["total"].sum().to_numpy()
    plans = (
        plan_adapters(half, modules, budget),
        plan_adapters(everywhere, kinds["attention"], budget),
        plan_adapters(everywhere, kinds["mlp"], budget),
        weighted(everywhere, modules, budget, activation),
        weighted(everywhere, modules, budget, measured["gradient"]),
    )
    found += [Contender(name, (plan,)) for name, plan in zip(OTHERS, plans, strict=True)]
    check_equal([plan for contender in found for plan in contender.plans])
    return found


def weighted(choice: Choice, modules: Modules, budget: int, weights: NDArray[np.float64]) -> AdapterPlan:
    """Adapters in all layers, a layer's trainable parameters about in proportion to its weight, at least of rank 1."""
    layers = [modules.of([layer]) for layer in choice.layers]
    least = np.array([sum(module.cost for module in members) for members in layers], dtype=np.float64)
    wanted = least + (budget - least.sum()) * weights / weights.sum()
    adapters: list[Adapter] = []
    left = 0.0
    for members, share in zip(layers, wanted, strict=True):
        left += share  # what a layer leaves goes to the next one
        ranks = share_out([module.cost for module in members], int(left))
        adapters += map(Adapter, members, ranks)
        left -= sum(adapter.parameters for adapter in adapters[-len(members) :])
    return AdapterPlan(choice, tuple(adapters), budget)
