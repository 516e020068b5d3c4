"""What a user can set for a profile, and the plan that comes of it."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from paramscope.errors import UsageError

OBJECTIVE_NAMES = ("max-logit", "target-logprob", "mean-logprob", "logit-difference")
RESIDENCY_NAMES = ("auto", "resident", "streamed")
ACTIVATION_NAMES = ("first-order", "integrated")
DTYPE_NAMES = ("auto", "float64", "float32", "bfloat16")

PATH_STEPS = 8
"""Of the integrated activation's path, where nothing else is asked for."""

_LAYOUT = ("batch_size", "weights", "max_memory")
"""Settings that change nothing but rounding: a run may be resumed with others."""


@dataclass(frozen=True)
class Settings:
    """Settings of a profile, the same on the command line and in Python.

    Attributes:
        samples: drawn of each domain.
        max_tokens: longest input; longer texts are cut.
        objective: D, one of ``OBJECTIVE_NAMES``.
        activation: ``first-order``, or ``integrated`` along the path on which a block's weights go to zero together:
            about ``steps * layers / 2`` times as dear.
        steps: of that path; None takes 8. Only with ``integrated``.
        dtype: that the model runs in, one of ``DTYPE_NAMES``; ``auto`` is float32 on the CPU and the model's own on a
            GPU.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_size: samples that go through the model together; None chooses. Changes nothing but rounding. Models with
            experts take one at a time, models in float64 too unless it is given.
        threshold: gamma that pictures use by default; None takes the pooled median of the run's activations.
        seed: of the draw and the bootstrap.
        held_out: further samples of each domain that are kept apart, for checks on texts that the profile has not seen.
        save_scores: also keep the mean activation of every weight.
        pairs: samples of each domain whose pairs are compared: all of them, none (0), a number (the first ones of the
            draw), or None: all while that costs less than the rest, else as many as cost the same.
        weights: ``resident`` in memory, ``streamed`` from the disk block by block, or ``auto``: resident where that
            fits. Changes nothing.
        max_memory: bytes that the process may take; None plans with usual sizes. Changes nothing but rounding.
    """

    samples: int = 64
    max_tokens: int = 256
    objective: str = "max-logit"
    activation: str = "first-order"
    steps: int | None = None
    dtype: str = "auto"
    device: str = "auto"
    batch_size: int | None = None
    threshold: float | None = None
    seed: int = 0
    held_out: int = 16
    save_scores: bool = False
    pairs: int | Literal["all"] | None = None
    weights: str = "auto"
    max_memory: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("samples", 1),
            ("max_tokens", 1),
            ("batch_size", 1),
            ("max_memory", 1),
            ("seed", 0),
            ("held_out", 0),
            ("steps", 1),
        ):
            value = getattr(self, name)
            if value is None and name in ("batch_size", "max_memory", "steps"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{_flag(name)} {value!r} is out of range; give a whole number of at least {least}")
        if self.steps is not None and self.activation != "integrated":
            raise UsageError(f"--steps {self.steps} is of the path of --activation integrated; give both or neither")
        if self.pairs not in (None, "all") and (
            isinstance(self.pairs, bool) or not isinstance(self.pairs, int) or self.pairs < 0
        ):
            raise UsageError(f"--pairs {self.pairs!r} is out of range; give all, or a whole number of at least 0")
        if self.threshold is not None and not is_positive(self.threshold):
            raise UsageError(f"--threshold {self.threshold!r} is no positive number; give one such as 2e-5")
        for name, known in (
            ("objective", OBJECTIVE_NAMES),
            ("activation", ACTIVATION_NAMES),
            ("dtype", DTYPE_NAMES),
            ("weights", RESIDENCY_NAMES),
        ):
            if getattr(self, name) not in known:
                raise UsageError(f"{_flag(name)} {getattr(self, name)!r} is unknown; give one of {', '.join(known)}")

    @property
    def path_steps(self) -> int:
        """Steps of the path that the activation is integrated along; 0 for first order."""
        return (self.steps or PATH_STEPS) if self.activation == "integrated" else 0

    def as_arguments(self) -> dict[str, Any]:
        """As JSON values, for the manifest: what the result depends on."""
        given = {name: value for name, value in dataclasses.asdict(self).items() if name not in _LAYOUT}
        return given | {"steps": self.path_steps or None}


def is_positive(value: object) -> bool:
    """Whether a value is a finite number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def read_seconds(value: str | None) -> float | None:
    """Read a time that a user gives as ``--budget``.

    Args:
        value: such as ``90s``, ``5m`` or ``1h``.

    Returns:
        Seconds; None for None.

    Raises:
        UsageError: it is no time.
    """
    if value is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smh]?)", value, re.ASCII)
    if not parts or not float(parts[1]):
        raise UsageError(f"--budget {value!r} is no time; give one such as 90s, 5m or 1h")
    return float(parts[1]) * _UNITS[parts[2]]
