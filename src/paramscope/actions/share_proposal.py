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
from paramscope.actions.sharing.outcome import chosen_way, retold_outcome
from paramscope.language import _, term
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
    paying = [each for each in shared.break_even if each.benefit is not None and each.benefit.value is not None]
    if not paying and shared.pilot:
        return _tried_sharing(blank, shared, shared.pilot)
    if not paying:
        until = _(
            "Serve the domains from one model until a pilot shows a gain of parts of their own: without a measured "
            "gain, only costs are known."
        )
        groups = listed("+".join(group) for group in shared.groups)
        grouped = _("%(groups)s can share more.", groups=groups) if groups else ""
        return blank.model_copy(update={"text": sentences(until, grouped)})
    horizon = float(shared.prices["horizon_months"])
    best = max(paying, key=lambda each: _surely_left(each, horizon))
    most = _(
        "Of the ways whose gain was measured, it leaves the most money within %(horizon)s months.",
        horizon=f"{horizon:g}",
    )
    option = next(each for each in shared.options if each.name == best.option)
    return blank.model_copy(
        update={
            "headline": sentences(_sentence(told_option(option, shared)), _sentence(told_break_even(best, horizon))),
            "text": sentences(
                _sentence(told_option(option, shared)),
                _sentence(told_break_even(best, horizon)),
                most if len(paying) > 1 else "",
                _beside(shared, best, horizon),
            ),
            "layers": option.layers,
            "status": MEASURED if _surely_pays(best) else UNSUPPORTED,
            "benefit": best.benefit,
            "cost": best.month.value,
        }
    )


def _beside(shared: Shared, best: BreakEvenRecord, horizon: float) -> str:
    """How the way that leaves most money did against the plan of the pilot, where that is another one."""
    if shared.pilot is None:
        return ""
    plan = shared.pilot.ways[0].name
    against = next((each for each in shared.pilot.comparisons if each.control == best.option), None)
    if best.option == plan or against is None:
        return retold_outcome(shared.pilot)
    if against.status == BETTER and against.value is not None:
        return _(
            "Own adapters on some layers lower the loss by %(more)s nats per token more, but leave less money within "
            "%(horizon)s months.",
            more=f"{-against.value:.3f}",
            horizon=f"{horizon:g}",
        )
    return _("Own adapters on some layers were not shown to do better.")


def _surely_pays(record: BreakEvenRecord) -> bool:
    """Whether an option pays back some day, over the whole interval of its benefit."""
    return record.months is not None and record.months.high is not None


def _surely_left(record: BreakEvenRecord, horizon: float) -> float:
    """Money that an option leaves within some months, at the lower end of its benefit."""
    low = record.benefit.low if record.benefit else None
    return -math.inf if low is None else horizon * (low - record.month.value) - record.once.value


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
    told = next((told_option(option, shared) for option in shared.options if option.name == name), term(name))
    leave = _("Leave the model as it is for all: what was tried did not surely lower the loss.")
    return blank.model_copy(
        update={
            "headline": _sentence(told) if helps else leave,
            "text": sentences(_sentence(told) if helps else leave, retold_outcome(pilot)),
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
