"""What a call to tune asks for: checked, and told apart from other calls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from paramscope.actions.pilots.request import DEFAULT_BUDGET, check_length, check_whole
from paramscope.errors import UsageError

DEFAULT_TRAINABLE = "1%"
"""Of the layers' parameters."""


@dataclass(frozen=True)
class Request:
    """What a call asks for, as it was given."""

    rule: str
    layers: int | list[int] | None
    trainable: str
    rank: int | None
    pilot: bool
    full: bool
    train: Any
    seeds: int
    steps: int | None
    budget: float | None
    seed: int

    def __post_init__(self) -> None:
        check_length(seeds=self.seeds, seed=self.seed, steps=self.steps, budget=self.budget)
        if self.rule == "uniform" and isinstance(self.layers, int):
            raise UsageError(
                f"--layers {self.layers}: the rule uniform trains all layers; give another --rule, such as spread, or "
                "name the layers (2,7,20-23)"
            )
        if self.rank is not None:
            check_whole("rank", self.rank, 1)
        if self.rank is not None and self.trainable != DEFAULT_TRAINABLE:
            raise UsageError("--rank and --trainable both say how much is trained; give one of them")
        for name, given in (("full", self.full), ("train", self.train), ("steps", self.steps), ("budget", self.budget)):
            if given and not self.pilot:
                raise UsageError(f"--{name} is of the pilot; give --pilot too, or leave it out")

    def plan_arguments(self) -> dict[str, Any]:
        """All that a plan depends on."""
        return {
            "rule": self.rule if not isinstance(self.layers, list) else "given",
            "layers": self.layers,
            "trainable": self.trainable if self.rank is None else None,
            "rank": self.rank,
            "seed": self.seed,
        }

    def pilot_arguments(self) -> dict[str, Any]:
        """All that a pilot depends on besides."""
        train = self.train
        if train is not None and not isinstance(train, str):
            train = f"given in Python: {hashlib.sha256(repr(train).encode()).hexdigest()}"
        return {
            "full": self.full,
            "train": train,
            "seeds": self.seeds,
            "steps": self.steps,
            "budget": self.budget or (None if self.full or self.steps else DEFAULT_BUDGET),
        }
