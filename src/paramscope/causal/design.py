"""How much is tried: sizes of the checks that fit into a budget of time.

They follow from the run's own timings, written in its manifest, so that the same run and budget give the same sizes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from paramscope.causal.selection import OWN_CRITERIA, selection_memory
from paramscope.causal.sets import SetPlan
from paramscope.engine.cost import path_forwards
from paramscope.errors import RunError
from paramscope.measures.bands import thirds
from paramscope.models.blocks import Block
from paramscope.result.profile import Profile
from paramscope.wording import told_bytes

_PLANNED = 0.85
"""Share of the budget that is planned for; estimates err, and the verdicts take a few seconds."""

_SCORES, _SINGLES, _SETS = 0.2, 0.25, 0.35
"""Shares of the budget; what is left goes to the parts."""

_BACKWARD = 5
"""Time of a sample's forward, backward and products over that of its forward."""

_DOUBLE = 2.2
"""Time of a forward in float64 over one in float32."""

_TOKENS = (128, 64, 32)
"""Held-out texts are cut to so many tokens, the most that leave enough texts."""

_LEAST_TEXTS = 4
"""Held-out texts of a domain."""

_SET_PLANS = (
    SetPlan(("shallow", "middle", "deep"), (1e-5, 1e-3, 1e-2), OWN_CRITERIA, True, 6),
    SetPlan(("shallow", "middle", "deep"), (1e-3, 1e-2), ("activation", "input-norm", "ratio"), True, 4),
    SetPlan(("shallow", "deep"), (1e-2,), ("activation", "ratio"), True, 2),
)
"""From rich to lean."""


@dataclass(frozen=True)
class Sizes:
    """How much is tried.

    Attributes:
        scored: samples of each domain that the sets are chosen by.
        texts: that single weights are tried on, of all domains together.
        cells: weights tried on each of them.
        held_out: texts of each domain.
        tokens: that they are cut to.
        sets: which.
        parts: most of each kind.
        seconds: expected.
    """

    scored: int
    texts: int
    cells: int
    held_out: int
    tokens: int
    sets: SetPlan
    parts: dict[str, int]
    seconds: float


def plan_sizes(
    profile: Profile,
    blocks: Sequence[Block],
    *,
    budget: float,
    held_out: dict[str, list[int]],
    vocabulary_weights: int,
    double: bool,
    steps: int,
    memory: int | None,
) -> Sizes:
    """Fit the checks into a budget.

    Args:
        profile: of the run.
        blocks: of the model.
        budget: seconds, the opening of the model among them.
        held_out: tokens of each held-out text, by domain.
        vocabulary_weights: weights of the head.
        double: whether single weights are tried in float64.
        steps: of the path of the integrated activation; 0 where that is not tried.
        memory: bytes that the choice of sets may take; None for any.

    Returns:
        The sizes; never less than the least that says anything, whatever the budget.

    Raises:
        RunError: not even the leanest choice of sets fits into the memory.
    """
    domains, layers = profile.manifest.domains, len(blocks)
    # To open the model comes before.
    budget = _PLANNED * max(budget - profile.manifest.timings.get("opening", 0.0), budget / 2)
    tokens = sum(domain.tokens for domain in domains)
    samples = sum(domain.samples for domain in domains)
    timings = profile.manifest.timings
    # A resumed run tells of its last part only.
    token = max(timings.get("forward", 0.0), timings.get("measuring", 0.0) / (2 * _BACKWARD), 1e-3) / tokens
    sample = token * tokens / samples
    head = vocabulary_weights / sum(block.parameters for block in blocks)

    fewest = min(domain.samples for domain in domains)
    scored = _between(_SCORES * budget / (len(domains) * sample * _BACKWARD), 2, fewest)

    slower = _DOUBLE if double else 1
    trial, path = 0.6 * sample * slower, sample * slower * path_forwards(blocks, steps) if steps else 0.0
    texts = _between(_SINGLES * budget / (layers * trial + path), 1, min(samples, 64))
    weights = _between((_SINGLES * budget - texts * path) / trial, layers, 64 * layers)
    cells = -(-weights // texts)

    most = min(len(lengths) for lengths in held_out.values())
    bands = thirds(layers)
    plan, each = _SET_PLANS[-1], 0.0
    for plan in _fitting(blocks, bands, len(domains), memory):
        each = _evaluations(plan, bands, layers, len(domains), head) * len(domains) * token
        if _SETS * budget / each >= _LEAST_TEXTS * _TOKENS[-1]:
            break
    room = _SETS * budget / each
    longest = max(length for lengths in held_out.values() for length in lengths)
    cut = next((each for each in _TOKENS if room / min(each, longest) >= 2 * _LEAST_TEXTS), _TOKENS[-1])
    texts_held = _between(room / min(cut, longest), min(_LEAST_TEXTS, most), most)

    part = len(domains) * texts_held * min(cut, longest) * token * (0.5 + head)
    left = max(1 - _SCORES - _SINGLES - _SETS, 0) * budget
    count = max(int(left / part), min(layers, 8))
    of_layers = min(layers, count)
    rest = max(count - of_layers, 0)
    parts = {
        "layer": of_layers,
        "head": rest // 2,
        "neurons": rest // 6,
        "random neurons": rest // 6,
        "weight": rest // 6,
    }
    seconds = (
        scored * len(domains) * sample * _BACKWARD
        + texts * (cells * trial + path + sample * _BACKWARD)
        + each * texts_held * min(cut, longest)
        + part * sum(parts.values())
    )
    return Sizes(scored, texts, cells, texts_held, cut, plan, parts, seconds)


def _fitting(blocks: Sequence[Block], bands: dict[str, list[int]], domains: int, memory: int | None) -> list[SetPlan]:
    """The plans whose sets can be chosen in the memory, with the bands that the model has.

    Raises:
        RunError: there is none.
    """
    found, least = [], 0
    for plan in _SET_PLANS:
        there = tuple(band for band in plan.bands if band in bands) or tuple(bands)
        several = {band: bands[band] for band in there}
        least = selection_memory(blocks, several, plan.shares, domains, len(plan.criteria))
        if memory is None or least <= memory:
            found.append(dataclasses.replace(plan, bands=there))
    if not found:
        raise RunError(
            f"to choose sets of weights for {domains} domains takes {told_bytes(least)} of memory, and "
            f"{told_bytes(memory or 0)} may be used (half of what is free); free some, or profile fewer domains"
        )
    return found


def _evaluations(plan: SetPlan, bands: dict[str, list[int]], layers: int, domains: int, head: float) -> float:
    """Forwards through the whole model that trying a plan's sets costs, a text of one token."""
    return sum(plan.trials(domains) * (1 - bands[band][0] / layers + head) for band in plan.bands)


def _between(value: float, least: int, most: int) -> int:
    return max(min(int(value), most), min(least, most))
