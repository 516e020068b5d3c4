"""How fast a machine trains and tests a model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from torch import nn

from paramscope.actions.pilots.sizes import BATCH, Speed
from paramscope.actions.pilots.training import Tokens, adapted, text_losses, train

_TIMED_STEPS = 3
"""The first is not counted: it also makes what stays."""


def measure_speed(model: nn.Module, ranks: Mapping[str, int], texts: Sequence[Tokens]) -> Speed:
    """Time the first steps of a training, and a test.

    Args:
        model: a causal language model; it comes back unchanged.
        ranks: of adapters, by full name of the module; those in the most layers are the slowest.
        texts: a batch or more.

    Returns:
        The speed.
    """
    repeated = [texts[i % len(texts)] for i in range(_TIMED_STEPS * BATCH)]
    ends: list[float] = []
    with adapted(model, ranks, seed=0):
        train(model, repeated, batch=BATCH, rate=1e-6, seed=0, progress=lambda _: ends.append(time.perf_counter()))
        started = time.perf_counter()
        text_losses(model, repeated[-BATCH:], batch=BATCH)
        testing = time.perf_counter() - started
    batches = [repeated[start : start + BATCH] for start in range(0, len(repeated), BATCH)]
    padded = [BATCH * max(map(len, batch)) for batch in batches]
    return Speed((ends[-1] - ends[0]) / sum(padded[1:]), testing / padded[-1])
