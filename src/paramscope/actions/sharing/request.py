"""What a call to the sharing pilot asks for: checked, and told apart from other calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paramscope.errors import UsageError
from paramscope.settings import is_positive

DEFAULT_BUDGET = 900.0
"""Seconds that a pilot takes, about."""


@dataclass(frozen=True)
class PilotRequest:
    """What a call asks for.

    Attributes:
        rank: of all adapters.
        seeds: trainings of each way.
        steps: of each domain in a training; None takes as many as fit into the budget.
        budget: seconds; None where the steps are given.
        seed: the first one, of all draws.
    """

    rank: int
    seeds: int
    steps: int | None
    budget: float | None
    seed: int

    @classmethod
    def read(cls, *, rank: int, seeds: int, steps: int | None, budget: float | None, seed: int) -> PilotRequest:
        """Check what is asked for.

        Raises:
            UsageError: a number is out of range, or the steps and the time are both given.
        """
        numbers = [("--rank", rank, 1), ("--seeds", seeds, 1), ("--seed", seed, 0)]
        for name, value, least in [*numbers, *([("--steps", steps, 1)] if steps is not None else [])]:
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{name} {value!r} is out of range; give a whole number of at least {least}")
        if budget is not None and not is_positive(budget):
            raise UsageError(f"--budget {budget!r} is no time; give one such as 90s, 15m or 1h")
        if steps is not None and budget is not None:
            raise UsageError("--steps and --budget both say how long the pilot takes; give one of them")
        return cls(rank, seeds, steps, budget or (None if steps else DEFAULT_BUDGET), seed)

    @property
    def arguments(self) -> dict[str, Any]:
        """All that a pilot depends on, beside the run and the plan."""
        return {
            "rank": self.rank,
            "seeds": self.seeds,
            "steps": self.steps,
            "budget": self.budget,
            "seed": self.seed,
        }
