"""Perplexity in blocks, as pruning papers measure it, and the loss of a run's held-out samples."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import nn

from paramscope.causal.texts import held_out_samples
from paramscope.domains import DomainSpec, read_texts
from paramscope.domains.hub import read_hub
from paramscope.domains.readers import find_files, read_rows, read_utf8
from paramscope.domains.source import parse_source
from paramscope.domains.template import field_text
from paramscope.errors import UsageError
from paramscope.evaluation.likelihood import BATCH_TOKENS, continuation_losses
from paramscope.measures.intervals import LEVEL
from paramscope.measures.ranks import Interval, mean_interval
from paramscope.result.profile import Profile

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = 2048
"""Tokens of a block, where nothing else is asked for and the model takes so many."""


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text, with its 95 % interval; NaN where there is none (one block).

    Attributes:
        value: ``exp(nats)``; infinite where the model gives no number.
        low: of the interval.
        high: of the interval.
        nats: mean negative log-likelihood of a predicted token.
        standard_error: of ``nats``, blocks being the independent units.
        tokens: predicted ones, ``context - 1`` of each block.
        blocks: that were scored.
    """

    value: float
    low: float
    high: float
    nats: float
    standard_error: float
    tokens: int
    blocks: int


def perplexity(
    model: nn.Module,
    token_ids: Sequence[int],
    *,
    context: int,
    limit: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], object] = lambda _: None,
) -> Perplexity:
    """Perplexity of a long text in blocks.

    The text's tokens are cut into blocks of ``context`` that do not overlap; what is left over at the end is dropped,
    unless it is all there is. Each block is scored on its own, its first token given and all others predicted, and the
    perplexity is ``exp`` of the mean negative log-likelihood over all predicted tokens. That is the convention of GPTQ,
    SparseGPT and Wanda. Wanda's code multiplies each block's mean loss, which is over the ``context - 1`` predicted
    tokens, by ``context`` and divides the sum by ``blocks * context``; ``context`` cancels, so the number is this one,
    but for the half precision that it is usually run in.

    The interval takes the blocks as a sample: mean plus and minus Student's t times the standard error of the blocks'
    means, on the scale of nats, then ``exp``. Neighbouring blocks may be of one article, so it is rather too narrow.

    Args:
        model: see ``continuation_losses``.
        token_ids: of the whole text.
        context: tokens of a block, two or more.
        limit: score so many blocks only, spread evenly over the text; None scores all.
        batch_tokens: see ``continuation_losses``.
        progress: told how many more blocks are scored.

    Returns:
        The perplexity.

    Raises:
        UsageError: the context has no room for a prediction, or the text has less than two tokens.
    """
    if context < 2:
        raise UsageError(f"--context {context} leaves nothing to predict; give a whole number of at least 2")
    if len(token_ids) < 2:
        raise UsageError(f"a text of {len(token_ids)} tokens has nothing to predict; give a longer one")
    whole = max(1, len(token_ids) // context)
    scored = whole if limit is None else min(limit, whole)
    starts = [context * (number * whole // scored) for number in range(scored)]
    rows = [(token_ids[start : start + 1], token_ids[start + 1 : start + context]) for start in starts]
    losses = [one.losses for one in continuation_losses(model, rows, batch_tokens=batch_tokens, progress=progress)]
    return _summary(losses)


def blocks_of(tokens: int, context: int, limit: int | None) -> int:
    """How many blocks ``perplexity`` scores of a text."""
    whole = max(1, tokens // context)
    return whole if limit is None else min(limit, whole)


def _summary(losses: Sequence[NDArray[np.float64]]) -> Perplexity:
    tokens = sum(len(block) for block in losses)
    means = np.array([block.mean() for block in losses])
    nats = float(means.mean())  # blocks are of one length, so this is the mean over tokens
    error = low = high = math.nan
    if len(means) > 1 and math.isfinite(nats):
        error = float(means.std(ddof=1) / math.sqrt(len(means)))
        margin = float(stdtrit(len(means) - 1, (1 + LEVEL) / 2)) * error
        low, high = _exp(nats - margin), _exp(nats + margin)
    return Perplexity(_exp(nats), low, high, nats, error, tokens, len(means))


def _exp(nats: float) -> float:
    """``exp``, infinite where it is beyond a float."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def joined_text(source: str) -> tuple[str, str]:
    r"""The text that a source's perplexity is measured on: all its texts, with ``\n\n`` between them.

    WikiText-2 is joined as the papers do: every row counts, headings and blank lines too. A row is a line with its end,
    and a blank line is an empty row, as in the version of the hub; from the raw file (``wikitext2@wiki.test.raw.txt``)
    the same rows are made. Of other sources, blank and repeated texts are left out, as ``profile`` does.

    Args:
        source: a SOURCE.

    Returns:
        The text, and the source as it was read.

    Raises:
        UsageError: it cannot be read.
    """
    parsed = parse_source(source)
    if parsed.built_in is None or not parsed.built_in.wikitext:
        texts = read_texts(DomainSpec("perplexity", source))
        return "\n\n".join(text.text for text in texts.texts), texts.source
    if parsed.path is not None:
        files = find_files(parsed.path)
        return "\n\n".join(row for file in files for row in _wikitext_rows(file)), parsed.label
    assert parsed.hub is not None
    rows, label = read_hub(parsed.hub, f"use a local file, such as {source}@path/wiki.test.raw.txt")
    return "\n\n".join(field_text(row, "text") for row in rows), label


def _wikitext_rows(file: Path) -> list[str]:
    if file.suffix.lower() != ".txt":
        return [field_text(row, "text") for row in read_rows(file)]
    lines = io.StringIO(read_utf8(file).replace("\r\n", "\n"))
    return [line if line.strip() else "" for line in lines]


@dataclass(frozen=True)
class DomainLoss:
    """Mean loss on the held-out samples of a domain, with its 95 % interval; NaN where there is none.

    Attributes:
        value: mean over the samples of each one's mean negative log-likelihood per token, in nats.
        low: of the interval.
        high: of the interval.
        samples: how many.
        tokens: predicted ones, all but the first of each sample.
        losses: ``[samples]``, that of each, in the order of the draw: for comparing two models pair by pair.
    """

    value: float
    low: float
    high: float
    samples: int
    tokens: int
    losses: NDArray[np.float64]


def held_out_losses(
    model: nn.Module,
    profile_run: Profile,
    *,
    seed: int = 0,
    limit: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], object] = lambda _: None,
) -> dict[str, DomainLoss]:
    """Loss of a model on the samples that a run kept apart.

    The interval is the bootstrap over a domain's samples (see ``measures.ranks.mean_interval``): how much the choice of
    the texts matters.

    Args:
        model: the run's own, or one made from it that reads the same tokens.
        profile_run: the run.
        seed: of the bootstrap.
        limit: samples of each domain, the first of the draw; None takes all.
        batch_tokens: see ``continuation_losses``.
        progress: told how many more samples are scored.

    Returns:
        By domain, in the run's order.

    Raises:
        UsageError: a domain has less than two held-out samples, or a token that the model does not know.
    """
    samples = {name: given[:limit] for name, given in held_out_samples(profile_run).items()}
    rows = [(one.token_ids[:1], one.token_ids[1:]) for given in samples.values() for one in given]
    scored = iter(continuation_losses(model, rows, batch_tokens=batch_tokens, progress=progress))
    found: dict[str, DomainLoss] = {}
    for name, given in samples.items():
        each = [next(scored).losses for _ in given]
        losses = np.array([one.mean() for one in each])
        interval = Interval(float(losses.mean()))
        if np.isfinite(losses).all():
            interval = mean_interval(losses, np.zeros(len(losses), dtype=np.int64), seed=seed)
        tokens = sum(len(one) for one in each)
        found[name] = DomainLoss(interval.value, interval.low, interval.high, len(losses), tokens, losses)
    return found
