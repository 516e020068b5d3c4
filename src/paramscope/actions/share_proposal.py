"""The proposal to share: by money where a gain was measured and valued, else by the pilot, else by costs."""

from __future__ import annotations

import math

from paramscope.actions.proposing import (
    ALL_LOSS,
    BETTER,
    IN_ADAPTERS,
    MEASURED,
    MONEY,
    UNMEASURED,
    UNSUPPORTED,
    Words,
    changed,
    less,
)
from paramscope.actions.sharing.breakeven import told_break_even
from paramscope.actions.sharing.costs import told_option
from paramscope.actions.sharing.outcome import chosen_way, retold_outcome, told_way
from paramscope.language import _
from paramscope.result.planned import EvidenceRecord, ProposalRecord
from paramscope.result.share_pilot import Outcome
from paramscope.result.shared import BreakEvenRecord, Shared
from paramscope.wording import listed, sentences


def share_proposal(words: Words, shared: Shared | None) -> ProposalRecord:
    """Which way to share the evidence speaks for.

    Args:
        words: of the run.
        shared: what the domains can share, where that was reckoned.

    Returns:
        The proposal.
    """
    blank = ProposalRecord(
        name="share",
        headline=_("Serve the domains from one model."),
        text=_("Serve the domains from one model; what each way of sharing costs is not reckoned yet."),
        layers=[],
        status=UNMEASURED,
        benefit=None,
        unit=MONEY,
        cost=None,
        cost_unit=MONEY,
        priority=0,
        evidence=[],
        command=f"paramscope share {words.run}",
    )
    if shared is None:
        return blank
    blank = blank.model_copy(update={"command": f"{blank.command} --pilot{_as_reckoned(shared)}"})
    paying = _paying(shared)
    best = best_way(shared)
    if best is None and shared.pilot:
        return _tried_sharing(blank, shared, shared.pilot)
    if best is None:
        groups = listed("+".join(group) for group in shared.groups)
        grouped = _("%(groups)s can share more.", groups=groups) if groups else ""
        return blank.model_copy(update={"text": sentences(_until(shared), grouped)})
    horizon = _horizon(shared)
    most = _(
        "Of the ways whose gain was measured, it leaves the most money in the time to pay back (in months: "
        "%(horizon)s).",
        horizon=f"{horizon:g}",
    )
    pays = surely_pays(shared, best)
    told, paid = way_sentence(shared, best.option), _sentence(told_break_even(best, horizon))
    return blank.model_copy(
        update={
            "headline": sentences(told, paid),
            "text": sentences(
                told,
                paid,
                most if pays and len(paying) > 1 else "",
                beside_plan(shared, best.option),
            ),
            "layers": next(each.layers for each in shared.options if each.name == best.option),
            "status": MEASURED if pays else UNSUPPORTED,
            "benefit": best.benefit,
            "cost": best.month.value,
        }
    )


def best_way(shared: Shared) -> BreakEvenRecord | None:
    """The way to share that leaves the most money within the time to pay back, see ``surely_left``.

    Args:
        shared: what the domains can share.

    Returns:
        Its record; None where no gain was measured, or a request was given no value.
    """
    return max(_paying(shared), key=lambda each: surely_left(shared, each), default=None)


def way_sentence(shared: Shared, way: str) -> str:
    """What a way to share is, as a sentence."""
    told = next((told_option(option, shared) for option in shared.options if option.name == way), told_way(way))
    return _sentence(told)


def surely_left(shared: Shared, record: BreakEvenRecord) -> float:
    """Money that a way leaves within the time to pay back, at the lower end of its benefit."""
    low = record.benefit.low if record.benefit else None
    return -math.inf if low is None else _horizon(shared) * (low - record.month.value) - record.once.value


def surely_pays(shared: Shared, record: BreakEvenRecord) -> bool:
    """Whether a way pays back within the time to do so, over the whole interval of its benefit."""
    months = record.months
    return months is not None and months.high is not None and months.high <= _horizon(shared)


def _horizon(shared: Shared) -> float:
    return float(shared.prices["horizon_months"])


def _paying(shared: Shared) -> list[BreakEvenRecord]:
    return [each for each in shared.break_even if each.benefit is not None and each.benefit.value is not None]


def _until(shared: Shared) -> str:
    """What has to be known before a way can be proposed."""
    if any(each.gain for each in shared.break_even):
        return _(
            "Serve the domains from one model until it is said what a request is worth more for each percent of errors "
            "fewer (--value): gains were measured, and only then can they be held against their costs."
        )
    return _(
        "Serve the domains from one model until a pilot shows a gain of parts of their own: without a measured gain, "
        "only costs are known."
    )


def beside_plan(shared: Shared, way: str) -> str:
    """What the pilot's losses say beside the money of the way that leaves most: of the plan all, else against it.

    Args:
        shared: what the domains can share.
        way: that leaves the most money.

    Returns:
        The sentences; empty without a pilot.
    """
    if shared.pilot is None:
        return ""
    plan = shared.pilot.ways[0].name
    against = next((each for each in shared.pilot.comparisons if each.control == way), None)
    if way == plan or against is None:
        return retold_outcome(shared.pilot)
    if against.status == BETTER and against.value is not None:
        return _(
            "Own adapters on some layers lower the loss by %(more)s nats per token more, but leave less money in the "
            "time to pay back.",
            more=f"{-against.value:.3f}",
        )
    return _("Own adapters on some layers were not shown to do better.")


def _as_reckoned(shared: Shared) -> str:
    """Options that make the pilot one of what was reckoned with."""
    own = shared.arguments.get("own_layers")
    return f" --rank {shared.arguments.get('rank')}" + ("" if own is None else f" --own-layers {own}")


def _sentence(words: str) -> str:
    return _("%(words)s.", words=f"{words[0].upper()}{words[1:]}")


def _tried_sharing(blank: ProposalRecord, shared: Shared, pilot: Outcome) -> ProposalRecord:
    """The way that the pilot speaks for, by what it changes; no value of that was given."""
    name = chosen_way(pilot.comparisons)
    way = next(each for each in pilot.ways if each.name == name)
    benefit = less(way.change)
    helps = benefit.low is not None and benefit.low > 0
    trained = sum(record.parameters for record in shared.layers)
    told = way_sentence(shared, name)
    leave = _("Leave the model as it is for all: what was tried did not surely lower the loss.")
    return blank.model_copy(
        update={
            "headline": told if helps else leave,
            "text": sentences(told if helps else leave, retold_outcome(pilot)),
            "layers": way.layers[0] if len(way.layers) == 1 else [],
            "status": MEASURED if helps else UNSUPPORTED,
            "benefit": benefit,
            "unit": ALL_LOSS,
            "cost": 100 * way.parameters / trained,
            "cost_unit": IN_ADAPTERS,
            "evidence": [
                EvidenceRecord(text=changed(each.name), source="share-pilot.json", **each.change.model_dump())
                for each in pilot.ways
            ],
        }
    )
