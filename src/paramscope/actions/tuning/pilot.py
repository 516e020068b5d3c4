"""The pilot: a plan and its controls trained alike, and what that did to held-out texts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from paramscope.actions.pilots.judging import (
    Array,
    compare,
    comparison_record,
    effect,
    interval_record,
    overall,
    stacked,
    told_training,
)
from paramscope.actions.pilots.material import Material, ordered
from paramscope.actions.pilots.sizes import Sizes
from paramscope.actions.pilots.training import PeakMemory, Tokens, adapted, text_losses, train
from paramscope.actions.pilots.trials import Measured, Progress, Trials, search_rate
from paramscope.actions.tuning.adapters import AdapterPlan, Modules, check_equal, plan_adapters
from paramscope.actions.tuning.layers import choose_layers, random_choices
from paramscope.language import mark
from paramscope.result.profile import Profile
from paramscope.result.tuned import (
    ComparisonRecord,
    EffectRecord,
    TrialRecord,
)

PLAN = mark("plan")
"""Name of the plan among its controls."""

CONTROLS = ("uniform", "last", "random")
FULL_CONTROLS = ("uniform", "first", "middle", "last", "random", "gradient", "signal-to-noise", "explained-variance")


@dataclass(frozen=True)
class Contender:
    """A plan that is tried.

    Attributes:
        name: ``plan``, or the control's rule.
        plans: of ``random`` one a draw, of the others one.
    """

    name: str
    plans: tuple[AdapterPlan, ...]

    def draw(self, turn: int) -> int:
        """Which of the plans is trained with the seed of a number."""
        return turn % len(self.plans)


def make_contenders(
    plan: AdapterPlan,
    names: Sequence[str],
    count: int,
    *,
    profile: Profile,
    domain: str,
    modules: Modules,
    measured: Mapping[str, Array],
    seeds: int,
    seed: int,
) -> tuple[list[Contender], list[str]]:
    """The plan and its controls, of equal trainable parameters.

    Args:
        plan: to be held against the others.
        names: rules of the controls.
        count: layers of a control.
        profile: of the run.
        domain: name.
        modules: of the model.
        measured: scores for the controls that go by them.
        seeds: trainings of each; so many draws has ``random``.
        seed: of the draws.

    Returns:
        The plan first; and the names of controls that were left out since they would train the very same.

    Raises:
        UsageError: the budget is too small for a control, or their sizes are not equal.
    """
    contenders, same = [Contender(PLAN, (plan,))], []
    for name in names:
        if name == "random":
            choices = random_choices(profile.layers, count, [plan.choice.layers], draws=seeds, seed=seed)
        else:
            choices = [choose_layers(name, count, profile, domain, measured=measured.get(name), seed=seed)]
        plans = [plan_adapters(choice, modules, plan.budget) for choice in choices]
        if all(each.ranks == plan.ranks for each in plans):
            same.append(name)
        else:
            contenders.append(Contender(name, tuple(plans)))
    check_equal([each for contender in contenders for each in contender.plans])
    return contenders, same


@dataclass(frozen=True)
class Pilot:
    """All that the trials need.

    Attributes:
        model: that is trained; it comes back unchanged after each trial.
        domain: that it is tuned for.
        contenders: the plan first.
        material: texts to train on and to choose the rate by.
        tests: held-out texts by domain.
        sizes: how much.
        seed: the first one.
        trials: finished ones.
        progress: told of every step.
    """

    model: nn.Module
    domain: str
    contenders: Sequence[Contender]
    material: Material
    tests: Mapping[str, Sequence[Tokens]]
    sizes: Sizes
    seed: int
    trials: Trials
    progress: Progress

    def losses(self) -> dict[str, Array]:
        """Held-out losses of the model as it is, by domain."""
        batch = 2 * self.sizes.batch
        return {name: text_losses(self.model, texts, batch=batch) for name, texts in self.tests.items()}

    def run(self) -> dict[str, list[TrialRecord]]:
        """Try every plan.

        Returns:
            By contender, its trials at the rate that did best, one a seed. All trials are in ``trials``.
        """
        return {
            contender.name: search_rate(self.sizes, functools.partial(self._trial, contender))
            for contender in self.contenders
        }

    def _trial(self, contender: Contender, turn: int, rate: float) -> TrialRecord:
        """One training, or what there is of it."""
        seed = self.seed + turn
        total = len(self.contenders) * self.sizes.trials * self.sizes.steps
        draw = contender.draw(turn)

        def measure() -> Measured:
            texts = ordered(self.material.training, self.sizes.steps * self.sizes.batch, seed)
            peak = PeakMemory(next(self.model.parameters()).device)
            with adapted(self.model, contender.plans[draw].ranks, seed):
                loss, seconds = train(
                    self.model,
                    texts,
                    batch=self.sizes.batch,
                    rate=rate,
                    seed=seed,
                    progress=lambda steps: self.progress("training", steps, total),
                )
                memory = peak.read()
                validation = text_losses(self.model, self.material.validation, batch=2 * self.sizes.batch)
                return Measured(loss, seconds, memory, float(validation.mean()), self.losses())

        return self.trials.tried(
            (contender.name, seed, rate),
            draw,
            measure,
            there=lambda: self.progress("training", self.sizes.steps, total),
        )


def judge_pilot(
    pilot: Pilot, before: Mapping[str, Array], chosen: Mapping[str, Sequence[TrialRecord]]
) -> tuple[list[EffectRecord], list[ComparisonRecord], str]:
    """What the trials showed.

    Args:
        pilot: that made them.
        before: held-out losses without training.
        chosen: from ``Pilot.run``.

    Returns:
        What each plan changed, the plan against each control, and all in a few sentences.
    """
    losses = {name: stacked(trials) for name, trials in chosen.items()}
    effects = [
        EffectRecord(
            plan=name,
            rate=trials[0].rate,
            at_edge=pilot.sizes.at_edge(trials[0].rate),
            domain=interval_record(effect(before[pilot.domain], losses[name][pilot.domain], seed=pilot.seed)),
            others={
                other: interval_record(effect(before[other], losses[name][other], seed=pilot.seed))
                for other in before
                if other != pilot.domain
            },
            seconds=float(np.mean([trial.seconds for trial in trials])),
            memory_bytes=max(trial.memory_bytes for trial in trials),
        )
        for name, trials in chosen.items()
    ]
    found = [
        compare(name, losses[PLAN], losses[name], pilot.domain, seed=pilot.seed) for name in losses if name != PLAN
    ]
    plan = pilot.contenders[0].plans[0]
    told = told_training(plan.choice.layers, plan.choice.rule)
    change = effect(before[pilot.domain], losses[PLAN][pilot.domain], seed=pilot.seed)
    sentence = overall(pilot.domain, told, change, found, chosen=plan.choice.rule != "uniform")
    return effects, [comparison_record(each) for each in found], sentence
