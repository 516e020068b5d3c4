"""What a pilot showed: held-out losses of one way against another's, and a verdict. Needs no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from paramscope.actions.tuning.layers import told_layers
from paramscope.causal.verdicts.verdict import LEAST_COUNT, MOST_NEEDED
from paramscope.language import _, again, mark, term
from paramscope.measures.ranks import Interval, mean_interval
from paramscope.result.tuned import ComparisonRecord, TrialRecord, TunedDomain
from paramscope.result.verification import IntervalRecord, plain
from paramscope.wording import joined, sentences

Array = NDArray[np.float64]
Status = Literal["better", "equal", "worse", "no difference shown", "undecided"]
_STATUSES: tuple[Status, ...] = get_args(Status)
_WORDS = (mark("better"), mark("equal"), mark("worse"), mark("no difference shown"), mark("undecided"))
"""The same for the catalogue; ``term`` looks them up."""

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
    told = _(
        "%(plan)s changes %(domain)s's held-out loss by %(change)s nats per token",
        plan=plan,
        domain=domain,
        change=told_interval(change),
    )
    parts = []
    for status, message in _AGAINST.items():
        names = [term(each.control) for each in comparisons if each.status == status]
        if names:
            parts.append(_(message, names=joined(names), margin=f"{MARGIN:g}", count=LEAST_COUNT))
    if parts:
        against = _("; ").join(parts)
        told = _("%(told)s; at equal trainable parameters it is %(against)s.", told=told, against=against)
    else:
        told = _("%(told)s.", told=told)
    return sentences(told, _end(comparisons, chosen=chosen))


_AGAINST: Mapping[str, str] = {
    "better": mark("better than %(names)s"),
    "equal": mark("equal (within %(margin)s) to %(names)s"),
    "no difference shown": mark("not shown to differ from %(names)s"),
    "worse": mark("worse than %(names)s"),
    "undecided": mark("undecided (fewer than %(count)s texts) against %(names)s"),
}
"""What the plan is against the controls, by status."""


def _end(comparisons: Sequence[Comparison], *, chosen: bool) -> str:
    """What follows from the comparisons."""
    statuses = {each.status for each in comparisons}
    if not comparisons:
        return _("It was held against nothing.")
    if statuses == {"better"} and chosen:
        return _("The choice of layers pays here.")
    if statuses == {"better"}:
        return _("No choice of layers that was tried does as well here.")
    if "worse" in statuses:
        best = min((each for each in comparisons if each.status == "worse"), key=lambda each: -each.found.value)
        return _("Take %(control)s rather than this plan.", control=term(best.control))
    if "better" in statuses:
        rest = _(" or ").join(term(each.control) for each in comparisons if each.status != "better")
        return _("It is not shown to matter here whether this plan or %(controls)s is trained.", controls=rest)
    return _("The choice of layers is not shown to matter here: any of these would do.")


def told_training(layers: Sequence[int], rule: str) -> str:
    """What a plan trains, for ``overall``."""
    return _("Training layers %(layers)s (%(rule)s)", layers=told_layers(layers), rule=term(rule))


def retold(tuned: TunedDomain) -> str:
    """What a pilot showed, in the language that is spoken.

    Args:
        tuned: a domain with a pilot.

    Returns:
        The sentences; those of the document where they are of another version, nothing without a pilot.
    """
    pilot, plan = tuned.pilot, tuned.plan
    if pilot is None:
        return ""
    comparisons = [_found(each) for each in pilot.comparisons]

    def make() -> list[str]:
        told = told_training(plan.layers, plan.rule)
        chosen = plan.rule != "uniform"
        return [
            overall(tuned.domain, told, change, comparisons, chosen=chosen)
            for effect in pilot.effects[:1]
            for change in found_intervals(effect.domain)
        ]

    return again(pilot.sentence, make)


def found_intervals(record: IntervalRecord) -> list[Interval]:
    """What an interval of a document may have been before it was written: a value that is no number has none there."""
    low, high = (math.nan if end is None else end for end in (record.low, record.high))
    values = (math.inf, -math.inf, math.nan) if record.value is None else (record.value,)
    return [Interval(value, low, high) for value in values]


def _found(record: ComparisonRecord) -> Comparison:
    """A comparison as it was; a plan that is worse without a number diverged where the control did not."""
    status: Status = next((each for each in _STATUSES if each == record.status), "undecided")
    by_seed = tuple(math.nan if value is None else value for value in record.by_seed)
    found = found_intervals(record)[0]
    return Comparison(record.control, status, found, record.count, record.needed, by_seed, None, record.text)


def told_interval(found: Interval) -> str:
    """A difference with its sign, and its interval."""
    if math.isnan(found.low):
        return f"{found.value:+.3f}"
    value, low, high = (f"{number:+.3f}" for number in (found.value, found.low, found.high))
    return _("%(value)s (%(low)s to %(high)s)", value=value, low=low, high=high)


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
    told = _(
        "%(change)s nats per token against %(control)s on %(count)s texts",
        change=told_interval(found),
        control=term(control),
        count=count,
    )
    if status == "undecided":
        return _(
            "%(told)s: too few texts for a verdict, at least %(count)s of each domain are needed",
            told=told,
            count=LEAST_COUNT,
        )
    if status == "no difference shown" and needed:
        return _("%(told)s: no difference shown; about %(needed)s texts would do", told=told, needed=f"{needed:,}")
    return _("%(told)s: %(status)s", told=told, status=term(status))


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
