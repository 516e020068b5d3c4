"""Log-likelihood of continuations: the one thing that perplexity and multiple choice are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from paramscope.engine.batches import plan_batches
from paramscope.engine.layout import logit_rows
from paramscope.engine.objectives import Reading
from paramscope.engine.schedule import head_at
from paramscope.errors import UsageError
from paramscope.models.running import evaluation_mode, output_head, vocabulary

BATCH_TOKENS = 2048
"""Tokens of a batch, padding included."""

_SOFTMAX_ELEMENTS = 1 << 24
"""Logits that are in float32 at a time."""

Row = tuple[Sequence[int], Sequence[int]]
"""Token ids of a context, and of the continuation that is scored after it."""


class Scored(NamedTuple):
    """How likely a continuation is.

    Attributes:
        losses: ``[K]``, negative log-likelihood of each of its tokens in nats, given all tokens before it.
        greedy: whether each of its tokens is the most likely one (the first of several).
    """

    losses: NDArray[np.float64]
    greedy: bool


def continuation_losses(
    model: nn.Module,
    rows: Sequence[Row],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], object] = lambda _: None,
) -> list[Scored]:
    """Score continuations, many at a time.

    Rows of like length share a forward, padded behind and without an attention mask: a causal model's real positions
    never see what follows. Rows with the same input, such as four answers of one token after one question, are run
    once. Only the positions that are read go through the head. The softmax is in float32, or finer where the logits
    are.

    Args:
        model: called with ``input_ids``, returns ``logits``; it is given back unchanged. One whose weights stay on the
            disk must be in ``OpenModel.running()``.
        rows: contexts of one token or more, continuations likewise.
        batch_tokens: most tokens, padding included, in a batch of several rows.
        progress: told how many more rows are scored.

    Returns:
        One result a row, in the given order. A token to which the model gives no number has the loss infinity.

    Raises:
        UsageError: a row has no context or no continuation, or a token that the model does not know.
    """
    _check(model, rows)
    members: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for number, (context, continuation) in enumerate(rows):
        members.setdefault(((*context, *continuation[:-1]), len(continuation)), []).append(number)
    if not members:
        return []
    readings = [Reading(ids, tuple(range(len(ids) - count, len(ids)))) for ids, count in members]
    batches, order = plan_batches(
        readings,
        [0] * len(readings),
        batch_size=None,
        tokens=batch_tokens,
        logit_rows=logit_rows(vocabulary(model)),
    )
    numbers = list(members.values())
    device = next(model.parameters()).device
    head = output_head(model)
    found: list[Scored | None] = [None] * len(rows)
    at_hand = [torch.empty(0)]
    with torch.no_grad(), evaluation_mode(model), head_at(head, lambda: at_hand[0]):
        for batch in batches:
            at_hand[0] = positions = batch.positions(device)
            logits: torch.Tensor = model(**batch.model_inputs(device, takes_positions=False)).logits
            if head is None:
                logits = logits[torch.arange(len(logits), device=device)[:, None], positions]
            for place, (own, reading) in enumerate(zip(logits, batch.readings, strict=True), start=batch.start):
                for number in numbers[order[place]]:
                    found[number] = _score(own[: len(reading.positions)], rows[number][1])
                progress(len(numbers[order[place]]))
            del logits
    return [scored for scored in found if scored is not None]


def _check(model: nn.Module, rows: Sequence[Row]) -> None:
    known = vocabulary(model)
    for number, (context, continuation) in enumerate(rows):
        if not len(context) or not len(continuation):
            what = "continuation" if len(context) else "context"
            raise UsageError(f"row {number} has no {what}; give one token or more of context and of continuation")
        largest = max(*context, *continuation)
        if known and largest >= known:
            raise UsageError(
                f"row {number}: token id {largest} is beyond the model's vocabulary of {known}; use the model's own "
                "tokenizer"
            )


def _score(logits: torch.Tensor, continuation: Sequence[int]) -> Scored:
    """Losses of a continuation ``[K]`` under logits ``[K, V]``, few positions at a time."""
    wanted = torch.tensor(list(continuation), device=logits.device)
    losses: list[NDArray[np.float64]] = []
    greedy = True
    together = max(1, _SOFTMAX_ELEMENTS // logits.shape[-1])
    for part, tokens in zip(logits.split(together), wanted.split(together), strict=True):
        fine = part.to(torch.promote_types(part.dtype, torch.float32))
        losses.append(functional.cross_entropy(fine, tokens, reduction="none").double().cpu().numpy())
        greedy = greedy and bool((fine.argmax(-1) == tokens).all())
    found = np.concatenate(losses)
    return Scored(np.where(np.isnan(found), np.inf, found), greedy)
