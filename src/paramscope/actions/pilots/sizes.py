"""How much a pilot trains and tests, the same for all plans: what fits into a budget of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from paramscope.causal.verdicts.verdict import LEAST_COUNT

BATCH = 4
"""Texts a step."""

RATES = (1e-3, 3e-3, 1e-2)
"""Learning rates that every plan is tried with: high ones, since a pilot's trainings are short. On the embedded model 8
steps went best at 3e-3 or above with every plan."""

FULL_RATES = (3e-4, *RATES)

_STEPS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Numbers of steps, so coarse that two pilots of one budget mostly get the same."""

_ENOUGH_STEPS = 32
"""Steps that are preferred to longer texts and to more of them."""

_CUTS = ((128, 32), (128, 16), (64, 16), (64, LEAST_COUNT), (32, LEAST_COUNT))
"""Tokens that texts are cut to, and held-out texts of each domain; from rich to lean."""

_FIXED, _FULL = (64, 16), (128, 32)
"""Where the number of steps is given, and for the full set of controls."""

_FULL_STEPS = 192

_PLANNED = 0.8
"""Share of the budget that is planned for: estimates err."""


@dataclass(frozen=True)
class Sizes:
    """How much is trained and tested.

    Attributes:
        tokens: that all texts are cut to.
        batch: texts a step.
        steps: of each training; of each domain where several are trained on.
        training: most texts of a domain to train on; they are gone over again where the steps need more.
        validation: texts that the learning rate is chosen by.
        test: most held-out texts of each domain.
        rates: learning rates that are tried, with the first seed.
        seeds: trainings of each plan.
        expected_seconds: that all trials take; None where nothing was timed.
    """

    tokens: int
    batch: int
    steps: int
    training: int
    validation: int
    test: int
    rates: tuple[float, ...]
    seeds: int
    expected_seconds: float | None

    @property
    def trials(self) -> int:
        """Trainings of each plan: every rate with the first seed, the chosen one with the others."""
        return len(self.rates) + self.seeds - 1

    def at_edge(self, rate: float) -> bool:
        """Whether a rate is the smallest or largest of three or more."""
        return len(self.rates) > 2 and rate in (min(self.rates), max(self.rates))


@dataclass(frozen=True)
class Speed:
    """Seconds a token of a padded batch, trained on and tested on."""

    training: float
    testing: float


def fixed_sizes(*, longest: int, seeds: int, steps: int | None, full: bool = False) -> Sizes:
    """Sizes that no clock decides.

    Args:
        longest: tokens of the longest text.
        seeds: trainings of each plan.
        steps: of each; None takes those of a full set.
        full: whether the full set of controls is tried.

    Returns:
        The sizes.
    """
    tokens, test = _FULL if full else _FIXED
    return _sizes(min(tokens, longest), steps or _FULL_STEPS, test, FULL_RATES if full else RATES, seeds, None)


def fitting_sizes(
    speed: Speed,
    *,
    budget: float,
    plans: int,
    training: Sequence[int],
    held_out: Sequence[Sequence[int]],
    seeds: int,
    full: bool = False,
    domains: int = 1,
) -> Sizes:
    """Fit a pilot into a budget.

    Args:
        speed: of this machine.
        budget: seconds that are left.
        plans: that are tried, controls among them.
        training: tokens of each text that may be trained on, in their order.
        held_out: tokens of each held-out text, by domain.
        seeds: trainings of each plan.
        full: whether the full set of controls is tried.
        domains: that are trained on in each training, all with as many steps.

    Returns:
        The sizes: the richest that leave enough steps, and never less than the least that says anything, whatever the
        budget.
    """
    rates = FULL_RATES if full else RATES
    longest = max(*training, *(max(lengths) for lengths in held_out))
    found = None
    for tokens, test in _CUTS:
        sizes = _sizes(min(tokens, longest), _STEPS[0], test, rates, seeds, None)
        trials = plans * sizes.trials
        cut = [min(length, tokens) for length in training]
        step = domains * _padded_mean(cut, BATCH) * BATCH * speed.training
        tested = sum(min(length, tokens) for lengths in held_out for length in sorted(lengths)[-test:])
        # Texts are tested sorted by their length, so little is padded.
        testing = (tested + domains * sizes.validation * max(cut)) * speed.testing
        room = (_PLANNED * budget / trials - testing) / step
        steps = max((each for each in _STEPS if each <= room), default=_STEPS[0])
        found = _sizes(sizes.tokens, steps, test, rates, seeds, trials * (testing + steps * step))
        if domains * steps >= _ENOUGH_STEPS:
            break
    assert found is not None
    return found


def read_sizes(kept: dict[str, Any] | None) -> Sizes:
    """Sizes as ``Trials`` keeps them."""
    assert kept is not None
    return Sizes(**kept | {"rates": tuple(kept["rates"])})


def _sizes(tokens: int, steps: int, test: int, rates: tuple[float, ...], seeds: int, seconds: float | None) -> Sizes:
    return Sizes(tokens, BATCH, steps, steps * BATCH, max(test // 2, LEAST_COUNT), test, rates, seeds, seconds)


def _padded_mean(lengths: Sequence[int], batch: int) -> float:
    """Mean tokens of a row once neighbouring ones are padded to the longest of their batch."""
    longest = [max(lengths[start : start + batch]) for start in range(0, len(lengths), batch)]
    return sum(longest) / len(longest)
