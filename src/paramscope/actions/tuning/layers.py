"""Which layers are trained for a domain: rules, and the controls that they are held against.

Every rule gives a ``Choice``: layers, a score for each layer of the model where it has one, and a sentence that says
why. Nothing here needs torch; what has to be measured on the model (``MEASURED_RULES``) comes in as scores, from
``actions.tuning.signals``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.errors import UsageError
from paramscope.language import mark
from paramscope.result.profile import Profile
from paramscope.wording import did_you_mean, listed, quoted

DEFAULT_RULE = "uniform"
"""The rule where none is named: the simplest of all, as no choice of fewer layers did better on the domains that it was
not chosen by (``python -m benchmarks.tuning``; the numbers are in ``docs/results.md``)."""

PLACE_RULES = (mark("spread"), mark("uniform"), mark("first"), mark("middle"), mark("last"), mark("random"))
"""By a layer's place alone."""

PROFILE_RULES = (mark("specific"), mark("density"), mark("damage"))
"""By what a profile and its causal checks say of a layer."""

MEASURED_RULES = (mark("gradient"), mark("signal-to-noise"), mark("explained-variance"))
"""By what is measured on the model and the training texts, see ``actions.tuning.signals``."""

RULES = (*PLACE_RULES, *PROFILE_RULES, *MEASURED_RULES)

GIVEN = mark("given")
"""In place of a rule, of layers that the user names."""

_PLACED = {
    "spread": "evenly spread from the input to the output",
    "uniform": "all layers, each at a lower rank",
    "first": "the layers nearest to the input",
    "middle": "neighbouring layers in the middle",
    "last": "the layers nearest to the output",
}

_TRIES = 50
"""Draws of a set of layers until it differs from those that are there."""

_MEASURED = {
    "gradient": "norm of the training loss's gradient",
    "signal-to-noise": "signal-to-noise ratio of the weights, over the mean of their kind",
    "explained-variance": "share of the inputs' variance in their first directions",
}


@dataclass(frozen=True)
class Choice:
    """Layers that a rule chose.

    Attributes:
        rule: one of ``RULES``, or ``GIVEN``.
        layers: in rising order.
        scores: one a layer of the model; NaN where the rule has none.
        evidence: why, in a sentence.
    """

    rule: str
    layers: tuple[int, ...]
    scores: tuple[float, ...]
    evidence: str


def choose_layers(
    rule: str,
    count: int,
    profile: Profile,
    domain: str,
    *,
    damages: pd.DataFrame | None = None,
    measured: NDArray[np.float64] | None = None,
    seed: int = 0,
    draw: int = 0,
) -> Choice:
    """Choose layers by a rule.

    Args:
        rule: one of ``RULES``.
        count: how many; ``uniform`` takes all, whatever is said.
        profile: of a run.
        domain: that the model is to be tuned for.
        damages: ``Checks.parts`` of the run's causal checks, for ``damage``.
        measured: ``[layers]``, the scores of a rule of ``MEASURED_RULES``.
        seed: of ``random``.
        draw: number of the draw of ``random``.

    Returns:
        The choice. Of layers with equal scores the one nearer to the input is taken.

    Raises:
        UsageError: the rule or domain is unknown, there are not so many layers, or the rule lacks what it goes by.
    """
    if rule not in RULES:
        raise UsageError(f"--rule {rule!r} is unknown{did_you_mean(rule, RULES)}; give one of {', '.join(RULES)}")
    check_domain(profile, domain)
    total = profile.layers
    if not 1 <= count <= total:
        raise UsageError(f"--layers {count} is out of range; the model has {total} layers, so give 1 to {total}")
    none = (math.nan,) * total
    if rule == "random":
        return random_choices(total, count, (), draws=draw + 1, seed=seed)[draw]
    if rule in _PLACED:
        return Choice(rule, _placed(rule, count, total), none, _PLACED[rule])
    if rule in MEASURED_RULES:
        if measured is None:
            raise UsageError(f"--rule {rule} is measured on the model and training texts; give --pilot too")
        scores, what = np.asarray(measured, dtype=np.float64), _MEASURED[rule]
    elif rule == "specific":
        scores, what = specificity(profile, domain), f"{domain}'s share of its activation over the others' mean share"
    elif rule == "density":
        scores = profile.density()[domain].to_numpy(dtype=np.float64)
        what = f"{domain}'s density at {profile.threshold:.3g}"
    else:
        scores, what = _damage(damages, domain, total), f"nats per token that {domain} loses without the layer"
    return _largest(rule, count, scores, what)


def random_layers(
    total: int, count: int, others: Sequence[tuple[int, ...]], *, draws: int, seed: int
) -> tuple[tuple[int, ...], ...]:
    """Layers drawn at random, each draw another one than the sets that it is a control of.

    Args:
        total: layers of the model.
        count: of a draw; less than ``total``.
        others: sets that no draw may be, such as the plan's.
        draws: how many; they differ from each other as long as there are sets left.
        seed: of the draws; more of them begin with fewer.

    Returns:
        A set a draw.
    """
    found: list[tuple[int, ...]] = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        for _ in range(_TRIES):
            drawn = tuple(sorted(rng.choice(total, count, replace=False).tolist()))
            if drawn not in others and drawn not in found:
                break
        found.append(drawn)
    return tuple(found)


def random_choices(total: int, count: int, others: Sequence[tuple[int, ...]], *, draws: int, seed: int) -> list[Choice]:
    """Choices at random, see ``random_layers``."""
    drawn = random_layers(total, count, others, draws=draws, seed=seed)
    none = (math.nan,) * total
    return [
        Choice("random", layers, none, f"drawn at random (seed {seed}, draw {draw})")
        for draw, layers in enumerate(drawn)
    ]


def given_layers(layers: Sequence[int], total: int) -> Choice:
    """Layers that the user names.

    Args:
        layers: numbers.
        total: layers of the model.

    Returns:
        The choice.

    Raises:
        UsageError: a layer is unknown or named twice, or there is none.
    """
    for layer in layers:
        if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer < total:
            raise UsageError(f"layer {layer!r} is unknown; the model has {total} layers, 0 to {total - 1}")
    if not layers or len(set(layers)) < len(layers):
        raise UsageError(f"--layers names {listed(layers) or 'none'}; name one layer or more, each once")
    return Choice(GIVEN, tuple(sorted(layers)), (math.nan,) * total, "named by the user")


def read_layers(text: str) -> int | list[int]:
    """Read the value of ``--layers``.

    Args:
        text: a number of layers (``6``), or the layers themselves (``2,7,20-23``; a single one as ``7-7``).

    Returns:
        The number, or the layers.

    Raises:
        UsageError: it is neither, or a range runs backwards.
    """
    parts = [re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part.strip(), re.ASCII) for part in text.split(",")]
    if not all(parts):
        raise UsageError(f"--layers {quoted(text)}: give a number of layers such as 6, or layers such as 2,7,20-23")
    found = [(int(part[1]), int(part[2] or part[1])) for part in parts if part]
    if len(parts) == 1 and "-" not in text:
        return found[0][0]
    for low, high in found:
        if low > high:
            raise UsageError(f"--layers {quoted(text)}: {low}-{high} runs backwards; give {high}-{low}")
    return [layer for low, high in found for layer in range(low, high + 1)]


def usual_count(layers: int) -> int:
    """Layers that are trained where nothing else is asked for: a fifth, at least one."""
    return max(1, round(layers / 5))


def told_layers(layers: Sequence[int]) -> str:
    """Layers for people, runs of three or more shortened: ``2, 7, 20-23``."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def check_domain(profile: Profile, domain: str) -> None:
    """Refuse a domain that a run does not have.

    Args:
        profile: of the run.
        domain: name.

    Raises:
        UsageError: names the nearest one.
    """
    if domain not in profile.domains:
        near = did_you_mean(str(domain), profile.domains)
        raise UsageError(f"domain {quoted(domain)} is not in the run{near}; it has {listed(profile.domains)}")


def specificity(profile: Profile, domain: str) -> NDArray[np.float64]:
    """How much of its activation a domain has in each layer, against the other domains.

    With a(d, l) the sum of domain d's mean activations in layer l and p(d, l) = a(d, l) / sum over l of a(d, l):
    p(domain, l) over the mean of p(other, l). Above 1, the domain leans on the layer more than the others do.

    Args:
        profile: of a run with two domains or more.
        domain: name.

    Returns:
        ``[layers]``.

    Raises:
        UsageError: there is no other domain.
    """
    if len(profile.domains) < 2:
        raise UsageError("--rule specific holds a domain against others, and the run has one; give another --rule")
    table = profile.tables.activation.groupby(["layer", "domain"])["total"].sum().unstack("domain")
    shares = table / table.sum()
    others = shares.drop(columns=domain).mean(axis=1)
    found: NDArray[np.float64] = (shares[domain] / others).fillna(0.0).to_numpy(dtype=np.float64)
    return found


def _placed(rule: str, count: int, total: int) -> tuple[int, ...]:
    if rule == "uniform":
        return tuple(range(total))
    if rule == "spread":  # the middles of as many equal stretches
        return tuple((2 * place + 1) * total // (2 * count) for place in range(count))
    start = {"first": 0, "middle": (total - count) // 2, "last": total - count}[rule]
    return tuple(range(start, start + count))


def _damage(damages: pd.DataFrame | None, domain: str, total: int) -> NDArray[np.float64]:
    """``[layers]`` damage of zeroing each layer; NaN for those that were not tried.

    Raises:
        UsageError: there are no causal checks.
    """
    if damages is None:
        raise UsageError(
            "--rule damage goes by the causal checks, and the run has none; 'paramscope verify' makes them"
        )
    tried = damages[(damages["kind"] == "layer") & (damages["domain"] == domain)]
    return tried.groupby("layer")["damage"].mean().reindex(range(total)).to_numpy(dtype=np.float64)


def _largest(rule: str, count: int, scores: NDArray[np.float64], what: str) -> Choice:
    """The layers with the largest scores.

    Raises:
        UsageError: fewer layers have one.
    """
    known = int((~np.isnan(scores)).sum())
    if known < count:
        raise UsageError(f"--rule {rule} knows {known} layers, and {count} are asked for; give fewer --layers")
    order = np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable")[:count]
    chosen, others = scores[order], np.delete(scores, order)
    evidence = f"{what}: {chosen.min():.3g} to {chosen.max():.3g} here"
    if known > count:
        evidence += f", at most {np.nanmax(others):.3g} elsewhere"
    return Choice(rule, tuple(sorted(order.tolist())), tuple(scores.tolist()), evidence)
