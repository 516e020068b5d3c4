"""What a pilot showed: held-out losses of one way against another's, and a verdict. Needs no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paramscope.causal.verdicts.verdict import LEAST_COUNT, MOST_NEEDED
from paramscope.measures.ranks import Interval, mean_interval
from paramscope.result.tuned import ComparisonRecord, TrialRecord
from paramscope.result.verification import IntervalRecord, plain

Array = NDArray[np.float64]
Status = Literal["better", "equal", "worse", "no difference shown", "undecided"]

MARGIN = 0.01
"""Nats per token: an interval within this of zero is called equal."""


@dataclass(frozen=True)
class Comparison:
    """The plan against one control.

    Attributes:
        control: its name.
        status: ``better``: the interval is below zero, and so is the mean of each seed. ``worse``: the reverse.
            ``equal``: the interval lies within ``MARGIN`` of zero. ``no difference shown``: neither. ``undecided``:
            fewer than ``LEAST_COUNT`` texts, or of some group of them.
        found: the plan's loss less the control's, nats per token.
        count: held-out texts.
        needed: about how many would do to see a difference; None where it is seen, or cannot be told.
        by_seed: the same mean for each seed.
        forgetting: of the other domains' texts; None where there are none.
        text: the verdict in a sentence.
    """

    control: str
    status: Status
    found: Interval
    count: int
    needed: int | None
    by_seed: tuple[float, ...]
    forgetting: Interval | None
    text: str


def compare(
    control: str,
    plan: Mapping[str, Array],
    other: Mapping[str, Array],
    domain: str,
    *,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> Comparison:
    """Hold a plan against a control on the same held-out texts.

    The interval is a bootstrap over texts of the difference of each, mean over seeds: it tells how much the choice of
    texts matters. How much a seed matters is told by ``by_seed``, which must agree in sign.

    Args:
        control: name.
        plan: ``[seeds, texts]`` losses of the plan by domain, in nats per token.
        other: likewise of the control, the same seeds and texts.
        domain: that was tuned for.
        seed: of the bootstrap.
        groups: ``[texts]``, of each of the domain's texts the group within which it is drawn; all are one if left out.

    Returns:
        The comparison.
    """
    differences = plan[domain] - other[domain]
    found = _interval(differences, seed, groups)
    by_seed = tuple(differences.mean(1).tolist())
    count = differences.shape[1]
    status = _status(found, by_seed, count if groups is None else int(np.unique(groups, return_counts=True)[1].min()))
    needed = _needed(found, count) if status == "no difference shown" else None
    rest = [plan[name] - other[name] for name in plan if name != domain]
    forgetting = _interval(np.concatenate(rest, axis=1), seed) if rest else None
    return Comparison(
        control, status, found, count, needed, by_seed, forgetting, _sentence(control, status, found, count, needed)
    )


def effect(before: Array, after: Array, *, seed: int = 0, groups: NDArray[np.int64] | None = None) -> Interval:
    """What training changed.

    Args:
        before: ``[texts]`` losses without training.
        after: ``[seeds, texts]`` with it.
        seed: of the bootstrap.
        groups: see ``compare``.

    Returns:
        The mean of after less before, nats per token.
    """
    return _interval(after - before, seed, groups)


def overall(domain: str, plan: str, change: Interval, comparisons: Sequence[Comparison], *, chosen: bool = True) -> str:
    """The pilot in a few sentences.

    Args:
        domain: that was tuned for.
        plan: what was trained, in words.
        change: of the domain's held-out loss by training the plan.
        comparisons: with the controls.
        chosen: whether the plan chooses layers; otherwise it trains all.

    Returns:
        What may be said, and what may not.
    """
    told = f"{plan} changes {domain}'s held-out loss by {told_interval(change)} nats per token"
    parts = []
    for status, words in (
        ("better", "better than"),
        ("equal", f"equal (within {MARGIN:g}) to"),
        ("no difference shown", "not shown to differ from"),
        ("worse", "worse than"),
        ("undecided", f"undecided (fewer than {LEAST_COUNT} texts) against"),
    ):
        names = [each.control for each in comparisons if each.status == status]
        if names:
            parts.append(f"{words} {', '.join(names)}")
    against = f"; at equal trainable parameters it is {'; '.join(parts)}" if parts else ""
    statuses = {each.status for each in comparisons}
    if not comparisons:
        end = " It was held against nothing."
    elif statuses == {"better"}:
        end = " The choice of layers pays here." if chosen else " No choice of layers that was tried does as well here."
    elif "worse" in statuses:
        best = min((each for each in comparisons if each.status == "worse"), key=lambda each: -each.found.value)
        end = f" Take {best.control} rather than this plan."
    elif "better" in statuses:
        rest = [each.control for each in comparisons if each.status != "better"]
        end = f" It is not shown to matter here whether this plan or {' or '.join(rest)} is trained."
    else:
        end = " The choice of layers is not shown to matter here: any of these would do."
    return f"{told}{against}.{end}"


def told_interval(found: Interval) -> str:
    """A difference with its sign, and its interval."""
    if math.isnan(found.low):
        return f"{found.value:+.3f}"
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _interval(differences: Array, seed: int, groups: NDArray[np.int64] | None = None) -> Interval:
    """The mean over seeds and texts of ``[seeds, texts]``, with a bootstrap over texts."""
    values = differences.mean(0)
    groups = np.zeros(len(values), dtype=np.int64) if groups is None else groups
    if not np.isfinite(values).all():
        return Interval(float(values.mean()))
    return mean_interval(values, groups, seed=seed)


def _status(found: Interval, by_seed: Sequence[float], count: int) -> Status:
    if count < LEAST_COUNT:
        return "undecided"
    if math.isnan(found.low):  # a training that diverged
        below = found.value < 0
        return "better" if below else "worse" if found.value > 0 else "no difference shown"
    if found.low >= -MARGIN and found.high <= MARGIN:
        return "equal"
    if found.high < 0 and max(by_seed) < 0:
        return "better"
    if found.low > 0 and min(by_seed) > 0:
        return "worse"
    return "no difference shown"


def _needed(found: Interval, count: int) -> int | None:
    """About how many texts would do, as in ``causal.verdicts``: an interval narrows with the root of their number."""
    half = (found.high - found.low) / 2
    if not found.low <= 0 <= found.high or found.value == 0:
        return None
    wanted = count * (half / abs(found.value)) ** 2
    return max(count + 1, math.ceil(wanted)) if wanted < MOST_NEEDED else None


def _sentence(control: str, status: Status, found: Interval, count: int, needed: int | None) -> str:
    told = f"{told_interval(found)} nats per token against {control} on {count} texts"
    if status == "undecided":
        return f"{told}: too few texts for a verdict, at least {LEAST_COUNT} of each domain are needed"
    if status == "no difference shown":
        more = f"; about {needed:,} texts would do" if needed else ""
        return f"{told}: no difference shown{more}"
    return f"{told}: {status}"


def stacked(trials: Sequence[TrialRecord]) -> dict[str, Array]:
    """``[seeds, texts]`` losses by domain; infinite where a training diverged."""
    return {
        name: np.array([[math.inf if v is None else v for v in trial.losses[name]] for trial in trials])
        for name in trials[0].losses
    }


def interval_record(found: Interval) -> IntervalRecord:
    """An interval as it is written."""
    return IntervalRecord(**plain(dataclasses.asdict(found)))


def comparison_record(found: Comparison) -> ComparisonRecord:
    """A comparison as it is written."""
    return ComparisonRecord(
        control=found.control,
        status=found.status,
        text=found.text,
        count=found.count,
        needed=found.needed,
        by_seed=plain(list(found.by_seed)),
        forgetting=None if found.forgetting is None else interval_record(found.forgetting),
        **plain(dataclasses.asdict(found.found)),
    )
