"""What a sharing pilot leads to: the way to take, and why. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paramscope.actions.pilots.judging import found_intervals, told_interval
from paramscope.actions.sharing.costs import ADAPTERS, EVERYWHERE, SHARED
from paramscope.actions.tuning.layers import told_layers
from paramscope.language import _, again, mark, term
from paramscope.result.share_pilot import Outcome, WayComparison
from paramscope.wording import joined, sentences

RANDOM = mark("random layers")
"""The control: as many own layers as the plan has, drawn at random."""

_BETTER = "better"

_NAMES: Mapping[str, str] = {
    SHARED: mark("one adapter for all"),
    EVERYWHERE: mark("own adapters everywhere"),
    RANDOM: mark("as many own layers drawn at random"),
}

_VERDICTS: Mapping[str, str] = {
    "better": mark("better than %(names)s"),
    "worse": mark("worse than %(names)s"),
    "equal": mark("equal to %(names)s"),
    "no difference shown": mark("not shown to differ from %(names)s"),
    "undecided": mark("not decided against %(names)s"),
}


def chosen_way(comparisons: Sequence[WayComparison]) -> str:
    """The way that the evidence speaks for.

    Args:
        comparisons: of the plan with the other ways.

    Returns:
        Its name: the way that did surely better than the plan, by most; else one adapter for all, as long as the plan
        is not surely better than that; else the plan.
    """
    worse = [each for each in comparisons if each.status == "worse"]
    if worse:
        return max(worse, key=lambda each: each.value or 0.0).control
    shared = next((each for each in comparisons if each.control == SHARED), None)
    return SHARED if shared and shared.status != _BETTER else ADAPTERS


def sentence(own: Sequence[int], change: str, comparisons: Sequence[WayComparison]) -> str:
    """The pilot in a few sentences.

    Args:
        own: layers of the plan that are the domains' own.
        change: of the held-out loss by the plan, with its interval.
        comparisons: of the plan with the other ways.

    Returns:
        What may be said, and what may not.
    """
    parts = []
    for status, message in _VERDICTS.items():
        names = [told_way(each.control) for each in comparisons if each.status == status]
        if names:
            parts.append(_(message, names=joined(names)))
    told = _(
        "Own adapters in layers %(layers)s over a shared rest change the held-out loss by %(change)s nats per token "
        "over all domains; it is %(against)s.",
        layers=told_layers(own),
        change=change,
        against=_("; ").join(parts),
    )
    statuses = {each.control: each.status for each in comparisons}
    chosen = chosen_way(comparisons)
    if statuses.get(chosen) == "worse":
        end = _("Take %(control)s rather than this plan.", control=told_way(chosen))
    elif chosen == SHARED:
        end = _("Nothing is shown to be gained by adapters of the domains' own: one for all is smaller, and would do.")
    elif statuses.get(RANDOM) not in (None, _BETTER):
        end = _("Adapters of the domains' own pay; in which layers they lie is not shown to matter.")
    else:
        end = _("Adapters of the domains' own pay, and so does the choice of their layers.")
    return sentences(told, end)


def told_way(name: str) -> str:
    """A way to share within a sentence."""
    return term(_NAMES.get(name, name))


def retold_outcome(pilot: Outcome) -> str:
    """What a pilot showed, in the language that is spoken.

    Args:
        pilot: of a document.

    Returns:
        The sentences; those of the document where they are of another version.
    """
    plan = pilot.ways[0]
    return again(
        pilot.sentence,
        lambda: [
            sentence(own, told_interval(change), pilot.comparisons)
            for own in plan.layers[:1]
            for change in found_intervals(plan.change)
        ],
    )
