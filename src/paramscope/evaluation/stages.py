"""The stages of an evaluation: each kind of input to its records, timed and with progress."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from paramscope.causal.texts import held_out_samples
from paramscope.evaluation.choice import evaluate_choices
from paramscope.evaluation.harness import Progress
from paramscope.evaluation.inputs import Inputs, LongText
from paramscope.evaluation.kept import Kept
from paramscope.evaluation.likelihood import BATCH_TOKENS
from paramscope.evaluation.perplexity import blocks_of, held_out_losses, perplexity
from paramscope.evaluation.tasks import ChoiceTask
from paramscope.models.open import OpenModel
from paramscope.result.evaluation import ChoiceRecord, DomainLossRecord, HarnessRecord, PerplexityRecord
from paramscope.result.profile import Profile
from paramscope.result.verification import plain

_STREAMED_TOKENS = 8 * BATCH_TOKENS
"""Tokens of a batch where each batch reads all weights from the disk."""


@dataclass
class Timings:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Time what is done within it."""
        since = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - since


class Stages:
    """The stages of an evaluation, and what was odd in them.

    Attributes:
        warnings: one sentence each.
    """

    def __init__(
        self,
        opened: OpenModel,
        tokenizer: Any,
        wanted: Inputs,
        *,
        limit: int | None,
        shots: int | None,
        seed: int,
        progress: Progress,
        timings: Timings,
        kept: Kept,
    ) -> None:
        self.warnings: list[str] = []
        self._kept = kept
        self._opened, self._tokenizer, self._wanted = opened, tokenizer, wanted
        self._limit, self._shots, self._seed = limit, shots, seed
        self._progress, self._timings = progress, timings
        self._tokens = _STREAMED_TOKENS if opened.weights else BATCH_TOKENS

    def _told(self, stage: str, total: int) -> Callable[[int], object]:
        """Begin a stage; its time counts from here."""
        self._progress(stage, 0, total)
        return lambda steps: self._progress(stage, steps, total)

    def perplexities(self) -> list[PerplexityRecord]:
        """Of each long text."""
        found = []
        for text in self._wanted.texts:
            depends = {"source": text.source, "ids": _ids_digest(text), "context": text.context, "limit": self._limit}
            (record,) = self._kept.get(PerplexityRecord, depends, functools.partial(self._perplexity, text))
            if record.blocks == 1:
                self.warnings.append(
                    f"{text.source}: its perplexity is of one block, so nothing is known of its error; give a longer "
                    "text, a smaller --context or a larger --limit"
                )
            found.append(record)
        return found

    def _perplexity(self, text: LongText) -> list[PerplexityRecord]:
        blocks = blocks_of(len(text.token_ids), text.context, self._limit)
        with self._timings.of(f"perplexity {text.source}"), self._opened.running():
            measured = perplexity(
                self._opened.model,
                text.token_ids,
                context=text.context,
                limit=self._limit,
                batch_tokens=self._tokens,
                progress=self._told("perplexity", blocks),
            )
        return [
            PerplexityRecord(
                source=text.source,
                **plain(dataclasses.asdict(measured)),
                context=text.context,
                text_tokens=len(text.token_ids),
                token_ids_sha256=_ids_digest(text),
            )
        ]

    def held_out(self) -> list[DomainLossRecord]:
        """Of each domain of the run."""
        profile, run = self._wanted.profile, self._wanted.run
        if not profile or not run:
            return []
        depends = {"run": run.manifest_sha256, "limit": self._limit, "seed": self._seed}
        return self._kept.get(DomainLossRecord, depends, functools.partial(self._held_out, profile))

    def _held_out(self, profile: Profile) -> list[DomainLossRecord]:
        samples = held_out_samples(profile).values()
        total = sum(len(given[: self._limit]) for given in samples)
        with self._timings.of("held-out"), self._opened.running():
            losses = held_out_losses(
                self._opened.model,
                profile,
                seed=self._seed,
                limit=self._limit,
                batch_tokens=self._tokens,
                progress=self._told("held-out", total),
            )
        return [
            DomainLossRecord(
                domain=name,
                samples=loss.samples,
                tokens=loss.tokens,
                **plain({"value": loss.value, "low": loss.low, "high": loss.high}),
            )
            for name, loss in losses.items()
        ]

    def choices(self) -> list[ChoiceRecord]:
        """Of each multiple-choice task."""
        found = []
        for task in self._wanted.tasks:
            depends = {"task": hashlib.sha256(repr(task).encode("utf-8", "backslashreplace")).hexdigest()}
            (record,) = self._kept.get(ChoiceRecord, depends, functools.partial(self._choices, task))
            self.warnings += _oddities(record)
            found.append(record)
        return found

    def _choices(self, task: ChoiceTask) -> list[ChoiceRecord]:
        total = sum(len(item.options) for item in task.items)
        with self._timings.of(f"task {task.name}"), self._opened.running():
            result = evaluate_choices(
                self._opened.model, task.items, batch_tokens=self._tokens, progress=self._told(task.name, total)
            )
        shown = dataclasses.asdict(result)
        del shown["log_likelihoods"]
        return [
            ChoiceRecord(
                task=task.name,
                source=task.source,
                **plain(shown),
                rows=task.rows,
                unanswered=task.unanswered,
                shots=task.shots,
                examples=task.examples,
            )
        ]

    def harness(self) -> list[HarnessRecord]:
        """What lm-evaluation-harness tells; it is not kept, since what its tasks read is not known here."""
        if not self._wanted.harness:
            return []
        with self._timings.of("harness"):
            metrics, _ = self._wanted.harness.run(
                self._opened.model,
                self._tokenizer,
                limit=self._limit,
                shots=self._shots,
                seed=self._seed,
                progress=self._progress,
            )
        return [HarnessRecord(**plain(dataclasses.asdict(metric))) for metric in metrics]


def _ids_digest(text: LongText) -> str:
    return hashlib.sha256(np.asarray(text.token_ids, dtype="<i8").tobytes()).hexdigest()


def _oddities(record: ChoiceRecord) -> list[str]:
    found = []
    if record.unanswered:
        found.append(f"{record.task}: {record.unanswered} of {record.rows} rows have no answer and are left out")
    if record.cut:
        found.append(
            f"{record.task}: the prompts of {record.cut} questions are longer than the model's input and lost "
            "their beginning"
        )
    if record.not_finite:
        found.append(f"{record.task}: the model gives {record.not_finite} options no likelihood, as if impossible")
    return found
