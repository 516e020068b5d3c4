"""What a call to tune asks for: checked, and told apart from other calls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from paramscope.errors import UsageError
from paramscope.settings import is_positive

DEFAULT_TRAINABLE = "1%"
"""Of the layers' parameters."""

DEFAULT_BUDGET = 900.0
"""Seconds that a pilot takes, about."""


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
        for name, value, least in (("seeds", self.seeds, 1), ("seed", self.seed, 0)):
            _check_whole(name, value, least)
        if self.rule == "uniform" and isinstance(self.layers, int):
            raise UsageError(
                f"--layers {self.layers}: the rule uniform trains all layers; give another --rule, such as spread, or "
                "name the layers (2,7,20-23)"
            )
        for name, optional in (("steps", self.steps), ("rank", self.rank)):
            if optional is not None:
                _check_whole(name, optional, 1)
        if self.budget is not None and not is_positive(self.budget):
            raise UsageError(f"--budget {self.budget!r} is no time; give one such as 90s, 15m or 1h")
        if self.rank is not None and self.trainable != DEFAULT_TRAINABLE:
            raise UsageError("--rank and --trainable both say how much is trained; give one of them")
        if self.steps is not None and self.budget is not None:
            raise UsageError("--steps and --budget both say how long the pilot takes; give one of them")
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


def _check_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number, or too small.

    Raises:
        UsageError: it is.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"--{name} {value!r} is out of range; give a whole number of at least {least}")
