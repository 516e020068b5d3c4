"""Which of several processes this one is, as torchrun tells in the environment; free of torch."""

from __future__ import annotations

import os
from typing import NamedTuple


class Launch(NamedTuple):
    """One process among those that measure together.

    Attributes:
        rank: its number among all.
        size: how many there are.
        local: its number on this machine.
    """

    rank: int
    size: int
    local: int


def launch() -> Launch:
    """What torchrun says; a single process where it says nothing."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if any(name not in os.environ for name in (*names, "MASTER_ADDR", "MASTER_PORT")):
        return Launch(0, 1, 0)
    return Launch(*(int(os.environ[name]) for name in names))


def talks() -> bool:
    """Whether this process tells the user how it goes: the first one does."""
    return launch().rank == 0
