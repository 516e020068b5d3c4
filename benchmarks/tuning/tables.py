"""The tables of the study, from its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.tuning.contenders import OTHERS, UNIFORM
from benchmarks.tuning.study import Tried
from paramscope.actions.pilots.judging import compare, told_interval


def selection_table(tried: Mapping[str, Tried]) -> list[str]:
    """Every contender on the domains that the best was chosen on: change of loss, and against uniform.

    Args:
        tried: by domain.

    Returns:
        Lines of Markdown, the best mean first.
    """
    names = list(next(iter(tried.values())).chosen)
    means = {name: np.mean([each.change(name, domain) for domain, each in tried.items()]) for name in names}
    heading = " | ".join(f"{domain} | less uniform" for domain in tried)
    lines = [f"| trained | mean | {heading} |", "|---" * (2 + 2 * len(tried)) + "|"]
    for name in sorted(names, key=lambda name: means[name]):
        cells = []
        for domain, each in tried.items():
            cells += [f"{each.change(name, domain):+.3f}", "" if name == UNIFORM else _against(each, name, domain)]
        told = f"{name}: {OTHERS[name]}" if name in OTHERS else name
        lines.append(f"| {told} | {means[name]:+.3f} | {' | '.join(cells)} |")
    return [*lines, ""]


def confirmation_table(tried: Mapping[str, Tried], best: str) -> list[str]:
    """Some contenders on the other domains: change of loss, the best choice of layers against each of the others.

    Args:
        tried: by domain.
        best: the contender that was chosen.

    Returns:
        Lines of Markdown.
    """
    lines = [
        f"| domain | before | trained | change | other domains | *{best}* less that |",
        "|---|---|---|---|---|---|",
    ]
    for domain, each in tried.items():
        for place, name in enumerate(each.chosen):
            others = np.mean([each.change(name, other) for other in each.before if other != domain])
            against = "" if name == best else _against(each, best, domain, control=name)
            start = f"{domain} | {each.before[domain].mean():.3f}" if place == 0 else " | "
            lines.append(f"| {start} | {name} | {each.change(name, domain):+.3f} | {others:+.3f} | {against} |")
    return [*lines, ""]


def verdicts(tried: Mapping[str, Tried], name: str, control: str = UNIFORM) -> Sequence[str]:
    """Of each domain, how a contender did against a control."""
    return [compare(control, each.losses(name), each.losses(control), domain).status for domain, each in tried.items()]


def _against(tried: Tried, name: str, domain: str, control: str = UNIFORM) -> str:
    found = compare(control, tried.losses(name), tried.losses(control), domain)
    return f"{told_interval(found.found)}, {found.status}"
