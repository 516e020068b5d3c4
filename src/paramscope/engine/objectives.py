"""Objectives D(s): the scalar of the model's output whose parameters are looked for.

An objective reads a sample twice: before the model runs, which tokens go in and at which positions the head is needed
(`read`), and on the logits at those positions (`evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from paramscope.domains.sample import Sample
from paramscope.errors import UnfitError
from paramscope.wording import quoted


@dataclass(frozen=True)
class Reading:
    """What an objective needs of one sample.

    Attributes:
        input_ids: the model's input.
        positions: where the logits are read.
        labels: the token looked at in each position; empty when the objective finds it in the logits.
        foil: the token whose logit is subtracted, or -1.
    """

    input_ids: tuple[int, ...]
    positions: tuple[int, ...]
    labels: tuple[int, ...] = ()
    foil: int = -1


@dataclass(frozen=True)
class Objective:
    """A scalar of the model's output.

    Attributes:
        name: on the command line.
        uses_target: whether samples need a target.
        uses_foil: whether samples need a foil.
        read: from a sample to its reading; raises ``UnfitError`` where there is none.
        evaluate: from logits ``[B, K, V]`` and the readings to D ``[B]`` and the token it looks at ``[B]`` (the first
            of several). Rows of K beyond a reading's own positions repeat its last one.
    """

    name: str
    uses_target: bool
    uses_foil: bool
    read: Callable[[Sample], Reading]
    evaluate: Callable[[torch.Tensor, Sequence[Reading]], tuple[torch.Tensor, torch.Tensor]]

    def at(self, logits: torch.Tensor, readings: Sequence[Reading], tokens: torch.Tensor) -> torch.Tensor:
        """D ``[B]`` with the token that it looks at fixed, though another may be the largest now.

        Args:
            logits: ``[B, K, V]``.
            readings: as in ``evaluate``.
            tokens: ``[B]``, as ``evaluate`` told them of the unchanged model.

        Returns:
            The values.
        """
        if self.name == "max-logit":
            return logits[:, 0].gather(1, tokens[:, None])[:, 0]
        return self.evaluate(logits, readings)[0]


def _last_position(sample: Sample) -> Reading:
    return Reading(sample.token_ids, (len(sample.token_ids) - 1,))


def _largest_logit(logits: torch.Tensor, readings: Sequence[Reading]) -> tuple[torch.Tensor, torch.Tensor]:
    last = logits[:, 0]
    token = last.detach().argmax(-1)
    return last.gather(1, token[:, None])[:, 0], token


def _target_positions(sample: Sample) -> Reading:
    ids = sample.token_ids + sample.target_ids[:-1]
    start = len(sample.token_ids) - 1
    return Reading(ids, tuple(range(start, len(ids))), sample.target_ids)


def _all_positions(sample: Sample) -> Reading:
    ids = sample.token_ids
    if len(ids) < 2:
        raise UnfitError(f"{sample.text.origin or repr(sample.text.text)}: one token, mean-logprob needs two")
    return Reading(ids[:-1], tuple(range(len(ids) - 1)), ids[1:])


def _label_logprobs(logits: torch.Tensor, readings: Sequence[Reading]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities ``[B, K]`` of the labels, 0 where a reading has no more positions, and the first labels.

    In float64: where one token is all but certain, a float32 softmax leaves its gradient wrong by up to a percent.
    """
    width = logits.shape[1]
    labels = torch.tensor([[*r.labels, *[-100] * (width - len(r.labels))] for r in readings], device=logits.device)
    losses = functional.cross_entropy(logits.double().transpose(1, 2), labels, reduction="none", ignore_index=-100)
    return -losses, labels[:, 0]


def _summed_logprob(logits: torch.Tensor, readings: Sequence[Reading]) -> tuple[torch.Tensor, torch.Tensor]:
    values, token = _label_logprobs(logits, readings)
    return values.sum(1), token


def _mean_logprob(logits: torch.Tensor, readings: Sequence[Reading]) -> tuple[torch.Tensor, torch.Tensor]:
    values, token = _label_logprobs(logits, readings)
    counts = torch.tensor([len(r.labels) for r in readings], device=logits.device)
    return values.sum(1) / counts, token


def _two_answers(sample: Sample) -> Reading:
    target, foil = sample.target_ids[0], sample.foil_ids[0]
    if target == foil:
        raise UnfitError(
            f"{sample.text.origin or repr(sample.text.text)}: target {quoted(sample.text.target, 40)} and foil "
            f"{quoted(sample.text.foil, 40)} begin with the same token, so their logits are equal"
        )
    return Reading(sample.token_ids, (len(sample.token_ids) - 1,), (target,), foil)


def _logit_difference(logits: torch.Tensor, readings: Sequence[Reading]) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.tensor([r.labels[0] for r in readings], device=logits.device)
    foil = torch.tensor([r.foil for r in readings], device=logits.device)
    last = logits[:, 0]
    return (last.gather(1, target[:, None]) - last.gather(1, foil[:, None]))[:, 0], target


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("max-logit", False, False, _last_position, _largest_logit),
        Objective("target-logprob", True, False, _target_positions, _summed_logprob),
        Objective("mean-logprob", False, False, _all_positions, _mean_logprob),
        Objective("logit-difference", True, True, _two_answers, _logit_difference),
    )
}
"""By name: the largest next-token logit at the last position with that token fixed (the paper's; the first one at a
tie), the target's log-probability, the mean log-likelihood of the text's tokens after the first, and the logit of the
target's first token minus that of the foil's."""
