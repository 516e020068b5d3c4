"""What a sharing pilot leads to: the way to take, and why. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paramscope.actions.sharing.costs import ADAPTERS, EVERYWHERE, SHARED
from paramscope.actions.tuning.layers import told_layers
from paramscope.result.share_pilot import WayComparison

RANDOM = "random layers"
"""The control: as many own layers as the plan has, drawn at random."""

_BETTER = "better"

_NAMES: Mapping[str, str] = {
    SHARED: "one adapter for all",
    EVERYWHERE: "own adapters everywhere",
    RANDOM: "as many own layers drawn at random",
}

_VERDICTS: Mapping[str, str] = {
    "better": "better than",
    "worse": "worse than",
    "equal": "equal to",
    "no difference shown": "not shown to differ from",
    "undecided": "not decided against",
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
    told = (
        f"Own adapters in layers {told_layers(own)} over a shared rest change the held-out loss by {change} nats per "
        "token over all domains"
    )
    parts = []
    for status, words in _VERDICTS.items():
        names = [_NAMES.get(each.control, each.control) for each in comparisons if each.status == status]
        if names:
            parts.append(f"{words} {', '.join(names)}")
    statuses = {each.control: each.status for each in comparisons}
    chosen = chosen_way(comparisons)
    if statuses.get(chosen) == "worse":
        end = f"Take {_NAMES.get(chosen, chosen)} rather than this plan."
    elif chosen == SHARED:
        end = "Nothing is shown to be gained by adapters of the domains' own: one for all is smaller, and would do."
    elif statuses.get(RANDOM) not in (None, _BETTER):
        end = "Adapters of the domains' own pay; in which layers they lie is not shown to matter."
    else:
        end = "Adapters of the domains' own pay, and so does the choice of their layers."
    return f"{told}; it is {'; '.join(parts)}. {end}"
