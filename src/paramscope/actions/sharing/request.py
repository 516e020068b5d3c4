"""What a call to the sharing pilot asks for: checked, and told apart from other calls."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from paramscope.actions.pilots.request import DEFAULT_BUDGET, check_length, check_whole


@dataclass(frozen=True)
class PilotRequest:
    """What a call asks for, as it was given.

    Attributes:
        rank: of all adapters.
        seeds: trainings of each way.
        steps: of each domain in a training; None takes as many as fit into the budget.
        budget: seconds.
        seed: the first one, of all draws.
    """

    rank: int
    seeds: int
    steps: int | None
    budget: float | None
    seed: int

    def __post_init__(self) -> None:
        check_whole("rank", self.rank, 1)
        check_length(seeds=self.seeds, seed=self.seed, steps=self.steps, budget=self.budget)

    @property
    def seconds(self) -> float | None:
        """That the pilot may take; None where the steps are given."""
        return self.budget or (None if self.steps else DEFAULT_BUDGET)

    @property
    def arguments(self) -> dict[str, Any]:
        """All that a pilot depends on, beside the run and the plan."""
        return dataclasses.asdict(self) | {"budget": self.seconds}
