"""Multiple choice by log-likelihood: the option that the model finds most likely is its answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from paramscope.domains.tokenise import token_ids
from paramscope.errors import UsageError
from paramscope.evaluation.likelihood import BATCH_TOKENS, Row, continuation_losses
from paramscope.models.open import max_positions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Item:
    """One question, tokenised.

    Attributes:
        context: token ids of the prompt.
        options: token ids of each answer.
        right: number of the right one.
        lengths: characters of each answer as text, without the blank before it: what log-likelihoods are divided by in
            the normalised accuracy.
        origin: of the row, for messages.
    """

    context: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]
    right: int
    lengths: tuple[int, ...]
    origin: str = ""


@dataclass(frozen=True)
class ChoiceResult:
    """How many questions a model answers right.

    Attributes:
        accuracy: share of items whose right option has the largest log-likelihood (the first of several).
        standard_error: of it, ``sqrt(p (1 - p) / (n - 1))``; NaN for one item.
        normalised: the same with each log-likelihood divided by the option's characters.
        normalised_error: its standard error.
        items: that were answered.
        chance: what guessing gives.
        constant: what always giving one and the same option, the best one, gives.
        cut: items whose prompt lost its beginning, being longer than the model's input.
        not_finite: options that the model gives no likelihood.
        log_likelihoods: of each item's options, in nats.
    """

    accuracy: float
    standard_error: float
    normalised: float
    normalised_error: float
    items: int
    chance: float
    constant: float
    cut: int
    not_finite: int
    log_likelihoods: tuple[tuple[float, ...], ...]


def make_item(
    tokenizer: PreTrainedTokenizerBase, prompt: str, options: Sequence[str], right: int, origin: str = ""
) -> Item:
    """Tokenise a question as lm-evaluation-harness does.

    An option's tokens are those that it adds to the prompt's when both are tokenised as one text, with a blank between
    them. Blanks at the prompt's end go to the option.

    Args:
        tokenizer: of the model.
        prompt: what stands before the answer.
        options: the answers, without the blank before them.
        right: number of the right one.
        origin: of the row.

    Returns:
        The item.

    Raises:
        UsageError: the tokenizer leaves nothing of the prompt or of an option.
    """
    before = prompt.rstrip()
    blanks = prompt[len(before) :]
    context = token_ids(tokenizer, before, special=True)
    if not context:
        raise UsageError(f"{origin}: the tokenizer leaves nothing of the prompt; leave the row out")
    answers: list[tuple[int, ...]] = []
    for option in options:
        whole = token_ids(tokenizer, f"{before}{blanks} {option}", special=True)
        answers.append(tuple(whole[len(context) :]))
        if not option or not answers[-1]:
            raise UsageError(f"{origin}: the option {option!r} adds no token to the prompt; leave the row out")
    return Item(tuple(context), tuple(answers), right, tuple(len(option) for option in options), origin)


def evaluate_choices(
    model: nn.Module,
    items: Sequence[Item],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], object] = lambda _: None,
) -> ChoiceResult:
    """Let a model answer questions.

    Accuracy and its length-normalised form are lm-evaluation-harness's ``acc`` and ``acc_norm``: log-likelihoods are
    divided by the characters of the option, blank before it not counted. A prompt that is too long for the model loses
    its beginning, as there.

    Args:
        model: see ``continuation_losses``.
        items: the questions.
        batch_tokens: see ``continuation_losses``.
        progress: told how many more options are scored.

    Returns:
        What came of it.

    Raises:
        UsageError: there is no item, or an option is longer than the model's input.
    """
    if not items:
        raise UsageError("there is no question to answer; give rows with an answer")
    room = max_positions(getattr(model, "config", None))
    fitted = [[_fit(item, option, room) for option in item.options] for item in items]
    rows = [row for own in fitted for row in own]
    scored = iter(continuation_losses(model, rows, batch_tokens=batch_tokens, progress=progress))
    likelihoods = [tuple(-float(next(scored).losses.sum()) for _ in item.options) for item in items]
    chosen = [int(np.argmax(own)) for own in likelihoods]
    normalised = [int(np.argmax(np.divide(own, item.lengths))) for own, item in zip(likelihoods, items, strict=True)]
    right = [item.right for item in items]
    accuracy, error = _share(chosen, right)
    accuracy_normalised, error_normalised = _share(normalised, right)
    return ChoiceResult(
        accuracy=accuracy,
        standard_error=error,
        normalised=accuracy_normalised,
        normalised_error=error_normalised,
        items=len(items),
        chance=float(np.mean([1 / len(item.options) for item in items])),
        constant=Counter(right).most_common(1)[0][1] / len(items),
        cut=sum(
            any(len(context) < len(item.context) for context, _ in own) for own, item in zip(fitted, items, strict=True)
        ),
        not_finite=sum(not math.isfinite(value) for own in likelihoods for value in own),
        log_likelihoods=tuple(likelihoods),
    )


def _fit(item: Item, option: tuple[int, ...], room: int | None) -> Row:
    """Context and option, cut in front to what the model takes (the last token is predicted, and not put in).

    Raises:
        UsageError: the option alone is longer.
    """
    if room is None or len(item.context) + len(option) <= room + 1:
        return item.context, option
    if len(option) > room:
        raise UsageError(
            f"{item.origin}: an option has {len(option)} tokens, and the model takes {room}; leave the row out"
        )
    return item.context[len(item.context) + len(option) - room - 1 :], option


def _share(chosen: Sequence[int], right: Sequence[int]) -> tuple[float, float]:
    """Share of right answers, with its standard error."""
    count = len(right)
    share = sum(one == other for one, other in zip(chosen, right, strict=True)) / count
    return share, math.sqrt(share * (1 - share) / (count - 1)) if count > 1 else math.nan
