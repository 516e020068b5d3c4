"""The sharing pilot: adapters shared to different degrees, trained on the same texts, and what each way brings.

In every training all domains' texts are gone through in batches of one domain, the domains in an order by chance in
every round, and each batch trains the adapters that its domain uses. So all ways see the same texts in the same order,
in as many steps; an adapter of a domain's own is trained by that domain's batches alone.
"""

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
    stacked,
    told_interval,
)
from paramscope.actions.pilots.material import Material, ordered
from paramscope.actions.pilots.sizes import Sizes
from paramscope.actions.pilots.training import PeakMemory, Tokens, text_losses, train
from paramscope.actions.pilots.trials import Measured, Progress, Trials, search_rate
from paramscope.actions.sharing.outcome import sentence
from paramscope.actions.sharing.ways import Activate, Way, partly_shared
from paramscope.actions.tuning.adapters import Modules
from paramscope.result.share_pilot import Outcome, WayComparison, WayRecord
from paramscope.result.tuned import TrialRecord

_ALL = "all domains"


@dataclass(frozen=True)
class Turns:
    """What is trained on, step by step.

    Attributes:
        texts: a batch a step, one after the other.
        domains: of each step, by number.
    """

    texts: list[Tokens]
    domains: list[int]


def make_turns(materials: Sequence[Material], sizes: Sizes, seed: int) -> Turns:
    """Rounds in which each domain has one batch, in an order by chance.

    Args:
        materials: by domain.
        sizes: that tell the steps of each domain.
        seed: of the orders; the same for every way.

    Returns:
        The turns.
    """
    rng = np.random.default_rng(seed)
    rows = [ordered(material.training, sizes.steps * sizes.batch, seed) for material in materials]
    domains = [int(each) for _ in range(sizes.steps) for each in rng.permutation(len(materials))]
    texts: list[Tokens] = []
    used = [0] * len(materials)
    for domain in domains:
        texts += rows[domain][used[domain] : used[domain] + sizes.batch]
        used[domain] += sizes.batch
    return Turns(texts, domains)


@dataclass(frozen=True)
class SharingPilot:
    """All that the trials need.

    Attributes:
        model: that is trained; it comes back unchanged after each trial.
        modules: that get adapters.
        rank: of all adapters.
        ways: the plan first.
        materials: texts to train on and to choose the rate by, by domain.
        tests: held-out texts by domain, in the same order.
        sizes: how much.
        seed: the first one.
        trials: finished ones.
        progress: told of every step.
    """

    model: nn.Module
    modules: Modules
    rank: int
    ways: Sequence[Way]
    materials: Sequence[Material]
    tests: Mapping[str, Sequence[Tokens]]
    sizes: Sizes
    seed: int
    trials: Trials
    progress: Progress

    def losses(self, activate: Activate = lambda _: None) -> dict[str, Array]:
        """Held-out losses by domain, each with its own adapters."""
        found = {}
        for domain, (name, texts) in enumerate(self.tests.items()):
            activate(domain)
            found[name] = text_losses(self.model, texts, batch=2 * self.sizes.batch)
        return found

    def run(self) -> dict[str, list[TrialRecord]]:
        """Try every way.

        Returns:
            By way, its trials at the rate that did best, one a seed. All trials are in ``trials``.
        """
        return {way.name: search_rate(self.sizes, functools.partial(self._trial, way)) for way in self.ways}

    def ranks(self, own: Sequence[int]) -> tuple[dict[str, int], dict[str, int]]:
        """Of the shared adapters and of the domains' own, by full name of the module."""
        shared = {module.name: self.rank for module in self.modules.able if module.layer not in own}
        return shared, {module.name: self.rank for module in self.modules.of(own)}

    def _trial(self, way: Way, turn: int, rate: float) -> TrialRecord:
        """One training, or what there is of it."""
        seed = self.seed + turn
        steps = self.sizes.steps * len(self.tests)
        total = len(self.ways) * self.sizes.trials * steps
        draw = way.draw(turn)

        def measure() -> Measured:
            turns = make_turns(self.materials, self.sizes, seed)
            peak = PeakMemory(next(self.model.parameters()).device)
            with partly_shared(self.model, *self.ranks(way.draws[draw]), len(self.tests), seed) as activate:
                loss, seconds = train(
                    self.model,
                    turns.texts,
                    batch=self.sizes.batch,
                    rate=rate,
                    seed=seed,
                    before_step=lambda step: activate(turns.domains[step]),
                    progress=lambda done: self.progress("training", done, total),
                )
                memory = peak.read()
                losses = self.losses(activate)
                validation = []
                for domain, material in enumerate(self.materials):
                    activate(domain)
                    validation.append(text_losses(self.model, material.validation, batch=2 * self.sizes.batch).mean())
                return Measured(loss, seconds, memory, float(np.mean(validation)), losses)

        return self.trials.tried(
            (way.name, seed, rate), draw, measure, there=lambda: self.progress("training", steps, total)
        )

    def parameters(self, own: Sequence[int]) -> int:
        """Of all adapters that are kept: the shared one's, and each domain's."""
        shared = sum(module.cost for module in self.modules.able if module.layer not in own)
        return self.rank * (shared + len(self.tests) * sum(module.cost for module in self.modules.of(own)))


def judge(pilot: SharingPilot, before: Mapping[str, Array], chosen: Mapping[str, Sequence[TrialRecord]]) -> Outcome:
    """What the trials showed.

    Args:
        pilot: that made them.
        before: held-out losses without training.
        chosen: from ``SharingPilot.run``.

    Returns:
        What each way changed, the plan against each other way, and all in a few sentences.
    """
    names = list(before)
    groups = np.repeat(np.arange(len(names)), [len(before[name]) for name in names])
    judged = functools.partial(effect, seed=pilot.seed)
    losses = {}
    for way, trials in chosen.items():
        found = stacked(trials)
        losses[way] = found | {_ALL: np.concatenate([found[name] for name in names], axis=1)}
    whole = np.concatenate([before[name] for name in names])
    ways = [
        WayRecord(
            name=way.name,
            layers=[list(draw) for draw in way.draws],
            parameters=max(map(pilot.parameters, way.draws)),
            rate=chosen[way.name][0].rate,
            at_edge=pilot.sizes.at_edge(chosen[way.name][0].rate),
            change=interval_record(judged(whole, losses[way.name][_ALL], groups=groups)),
            domains={name: interval_record(judged(before[name], losses[way.name][name])) for name in names},
            seconds=float(np.mean([trial.seconds for trial in chosen[way.name]])),
            memory_bytes=max(trial.memory_bytes for trial in chosen[way.name]),
        )
        for way in pilot.ways
    ]
    plan, *others = (way.name for way in pilot.ways)
    comparisons = []
    for other in others:
        alone = {
            name: comparison_record(
                compare(other, {name: losses[plan][name]}, {name: losses[other][name]}, name, seed=pilot.seed)
            )
            for name in names
        }
        of_all: dict[str, Array] = {_ALL: losses[plan][_ALL]}
        found_all = compare(other, of_all, {_ALL: losses[other][_ALL]}, _ALL, seed=pilot.seed, groups=groups)
        comparisons.append(WayComparison(**comparison_record(found_all).model_dump(), domains=alone))
    own = pilot.ways[0].draws[0]
    change = told_interval(judged(whole, losses[plan][_ALL], groups=groups))
    return Outcome(ways=ways, comparisons=comparisons, sentence=sentence(own, change, comparisons))
