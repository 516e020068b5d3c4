"""What a user asks of pruning, and what of it contradicts itself."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from paramscope.actions.pruning import sparsity as rules
from paramscope.actions.pruning.masks import Pattern
from paramscope.actions.pruning.scores import SCORES
from paramscope.errors import UsageError
from paramscope.settings import Settings
from paramscope.wording import did_you_mean, one_line, quoted

_OF_A_RUN = ("paper", "histogram")
"""Allocations that read a profile."""


@dataclass(frozen=True)
class PruneSettings:
    """What a user can set, the same on the command line and in Python.

    Attributes:
        sparsity: share of the layers' linear weights that become zero.
        pattern: ``2:4`` or ``4:8`` in its place.
        allocation: a rule of ``rules.ALLOCATIONS``, a list or mapping of layers' sparsities, or a JSON file with one.
        score: one of ``scores.SCORES``.
        opening: how the model is opened and calibration texts are drawn.
    """

    sparsity: float | None = None
    pattern: str | None = None
    allocation: Any = "uniform"
    score: str = "wanda"
    opening: Settings = field(default_factory=lambda: Settings(samples=128, max_tokens=512))

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise UsageError(f"--score {quoted(self.score)} is unknown; give one of {', '.join(SCORES)}")
        if self.sparsity is not None and self.pattern is not None:
            raise UsageError(
                f"--sparsity and --pattern are both given, and {self.pattern} has its own; give one of them"
            )
        if self.pattern is not None:
            Pattern.parse(self.pattern)
            if self.rule != "uniform":
                raise UsageError(
                    f"--pattern {self.pattern} makes every layer equally sparse, so nothing is left to allocate; leave "
                    "out --allocation, or give --sparsity"
                )
        elif self.sparsity is None and self.rule != "given":
            raise UsageError("no sparsity is given; give --sparsity such as 0.5, or --pattern 2:4")
        given = self.sparsity
        if given is not None and (isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < 1):
            raise UsageError(f"--sparsity {given!r} is out of range; give a share above 0 and below 1, such as 0.5")

    @property
    def rule(self) -> str:
        """Name of the allocation; ``given`` for a list."""
        known = isinstance(self.allocation, str) and self.allocation in rules.ALLOCATIONS
        return self.allocation if known else "given"

    @property
    def needs_texts(self) -> bool:
        """Whether something is read off calibration texts."""
        return self.score != "magnitude" or self.rule == "owl"


def check_needs(settings: PruneSettings, spec: object, run: object) -> None:
    """Refuse a call that lacks what its rules read, or gives what they do not.

    Raises:
        UsageError: it does.
    """
    rule, score = settings.rule, settings.score
    if settings.needs_texts and spec is None:
        what = f"--score {score}" if score != "magnitude" else f"--allocation {rule}"
        raise UsageError(
            f"{what} reads calibration texts and none are given; give --domain NAME=SOURCE, such as c4=c4.jsonl "
            "(--score magnitude needs none)"
        )
    if spec is not None and not settings.needs_texts:
        raise UsageError("--score magnitude reads no calibration texts; leave out --domain")
    if rule in _OF_A_RUN and run is None:
        raise UsageError(f"--allocation {rule} reads a profile of this model and none is given; give --run RUN")
    if run is not None and rule not in _OF_A_RUN:
        raise UsageError(f"--run is for --allocation {' or '.join(_OF_A_RUN)}; leave it out")


def read_allocation(settings: PruneSettings) -> object:
    """A list or mapping of sparsities that is given, by itself or in a file; None for a rule.

    Raises:
        UsageError: it is no rule, and no file that can be read.
    """
    given = settings.allocation
    if settings.rule != "given" or settings.pattern:
        return None
    if not isinstance(given, str | os.PathLike):
        return given.tolist() if isinstance(given, np.ndarray) else list(given) if isinstance(given, tuple) else given
    path = Path(given)
    if not path.is_file():
        near = did_you_mean(str(given), rules.ALLOCATIONS)
        raise UsageError(
            f"--allocation {quoted(str(given))} is no rule and no file{near}; give one of "
            f"{', '.join(rules.ALLOCATIONS)}, or a JSON file with a sparsity for each layer"
        )
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--allocation {path} is no readable JSON ({one_line(error)}); give a list of sparsities such as [0.4, 0.5]"
        ) from error
    return content
