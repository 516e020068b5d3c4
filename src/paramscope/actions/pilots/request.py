"""How long a pilot is asked to take: checked alike for all pilots."""

from __future__ import annotations

from paramscope.errors import UsageError
from paramscope.settings import is_positive

DEFAULT_BUDGET = 900.0
"""Seconds that a pilot takes, about."""


def check_length(*, seeds: int, seed: int, steps: int | None, budget: float | None) -> None:
    """Refuse what does not say how long a pilot is.

    Raises:
        UsageError: a number is out of range, or the steps and the time are both given.
    """
    check_whole("seeds", seeds, 1)
    check_whole("seed", seed, 0)
    if steps is not None:
        check_whole("steps", steps, 1)
    if budget is not None and not is_positive(budget):
        raise UsageError(f"--budget {budget!r} is no time; give one such as 90s, 15m or 1h")
    if steps is not None and budget is not None:
        raise UsageError("--steps and --budget both say how long the pilot takes; give one of them")


def check_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number, or too small.

    Raises:
        UsageError: it is.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"--{name} {value!r} is out of range; give a whole number of at least {least}")
