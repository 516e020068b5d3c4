"""The study: the trainings of every domain, each kept as soon as it is there."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.tuning.contenders import UNIFORM, all_contenders
from paramscope.actions.pilots.material import cut_pool, draw_pool, held_out_texts, training_spec
from paramscope.actions.pilots.sizes import BATCH, Sizes
from paramscope.actions.pilots.trials import Trials
from paramscope.actions.tuning.pilot import Array, Pilot
from paramscope.actions.tuning.planner import Planner
from paramscope.actions.tuning.request import Request
from paramscope.models.embedded import embedded_model
from paramscope.models.open import locate
from paramscope.result.profile import Profile
from paramscope.result.tuned import TrialRecord
from paramscope.result.verification import load_checks, run_digest

SCORED = 8
"""Training texts that rules measure on."""


@dataclass(frozen=True)
class Tried:
    """What a domain's trainings showed.

    Attributes:
        before: losses without training, by domain.
        chosen: by contender, its trials at the rate that did best on the validation texts.
    """

    before: Mapping[str, Array]
    chosen: Mapping[str, Sequence[TrialRecord]]

    def losses(self, contender: str) -> dict[str, Array]:
        """``[seeds, texts]`` by domain; infinite where a training diverged."""
        trials = self.chosen[contender]
        return {
            name: np.array([[np.inf if v is None else v for v in trial.losses[name]] for trial in trials])
            for name in self.before
        }

    def change(self, contender: str, domain: str) -> float:
        """Mean change of a domain's held-out loss, nats per token."""
        return float((self.losses(contender)[domain] - self.before[domain]).mean())


class Study:
    """The model, its run and the sizes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.profile = Profile.load(str(options.run))
        self.checks = load_checks(options.run)
        self.domains = [*options.select, *options.confirm]
        located = locate(str(embedded_model()))
        self.planner = Planner.begin(
            self.profile,
            options.run,
            str(embedded_model()),
            self.domains[0],
            Request(UNIFORM, None, options.trainable, None, True, False, None, 1, None, None, 0),
            "auto",
            located.tokenizer,
            time.perf_counter(),
            weights=True,
        )
        if self.checks and int(self.checks.result.sizes["held_out"]) > options.skip:
            sys.exit(f"the causal checks have seen {self.checks.result.sizes['held_out']} texts a domain; --skip them")

    def select(self) -> dict[str, Tried]:
        """Every contender on the domains that the best is chosen on."""
        seeds, rates = self.options.select_seeds, self.options.rates
        return {domain: self._tried(domain, None, seeds, rates) for domain in self.options.select}

    def confirm(self, names: Sequence[str]) -> dict[str, Tried]:
        """Some contenders on the other domains."""
        seeds, rates = self.options.confirm_seeds, self.options.confirm_rates
        return {domain: self._tried(domain, names, seeds, rates) for domain in self.options.confirm}

    def _tried(self, domain: str, names: Sequence[str] | None, seeds: int, rates: Sequence[float]) -> Tried:
        options, planner = self.options, self.planner
        planner.domain = domain
        sizes = Sizes(
            tokens=options.tokens,
            batch=BATCH,
            steps=options.steps,
            training=options.steps * BATCH,
            validation=options.validation,
            test=options.tests,
            rates=tuple(rates),
            seeds=seeds,
            expected_seconds=None,
        )
        pool = draw_pool(self.profile, training_spec(self.profile, domain, None), planner.tokenizer, 1024)
        material = cut_pool(
            self.profile, pool, tokens=sizes.tokens, training=sizes.training, validation=sizes.validation
        )
        contenders = all_contenders(planner, material.training[:SCORED], self.checks, seeds)
        if names is not None:
            contenders = [one for one in contenders if one.name in names]
        apart = held_out_texts(self.profile, skip=options.skip)
        tests = {
            name: [ids[: sizes.tokens] for ids in apart[name][: sizes.test if name == domain else options.other_tests]]
            for name in self.domains
        }
        identity = {
            "run_sha256": run_digest(options.run),
            "domain": domain,
            "domains": self.domains,
            "texts_sha256": material.sha256,
            "trainable": options.trainable,
            "steps": options.steps,
            "tokens": options.tokens,
            "tests": [options.skip, options.tests, options.other_tests],
        }
        trials = Trials(Path(options.work) / domain, identity, resume=True, overwrite=False)
        with contextlib.closing(trials):
            pilot = Pilot(planner.model, domain, contenders, material, tests, sizes, 0, trials, _Progress(domain))
            return Tried(pilot.losses(), pilot.run())


class _Progress:
    """Tells on stderr how many steps of a domain are done."""

    def __init__(self, domain: str) -> None:
        self._domain, self._done, self._told, self._started = domain, 0, 0, time.perf_counter()

    def __call__(self, _: str, steps: int, total: int) -> None:
        self._done += steps
        if self._done - self._told >= 100 or self._done >= total:
            self._told = self._done
            seconds = time.perf_counter() - self._started
            print(f"{self._domain}: {self._done} of {total} steps, {seconds:.0f} s", file=sys.stderr, flush=True)


def best_but_uniform(tried: Mapping[str, Tried]) -> str:
    """The contender other than uniform with the best mean over the domains."""
    names = [name for name in next(iter(tried.values())).chosen if name != UNIFORM]
    return min(names, key=lambda name: np.mean([each.change(name, domain) for domain, each in tried.items()]))
