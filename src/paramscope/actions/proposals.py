"""What to do with a model, from the roles of its layers and from what pilots measured.

Nothing gets a benefit that was not measured on held-out text. What a pilot did not show to be better than the controls
of equal size is not proposed as if it were: the control is.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from paramscope.actions.roles import LayerRole, Role
from paramscope.actions.sharing.outcome import chosen_way
from paramscope.result.planned import EvidenceRecord, PilotPlan, ProposalRecord
from paramscope.result.profile import Profile
from paramscope.result.share_pilot import Outcome
from paramscope.result.shared import BreakEvenRecord, Shared
from paramscope.result.tuned import EffectRecord, PilotRecord, TunedDomain, Tuning
from paramscope.result.verification import IntervalRecord, plain
from paramscope.wording import listed, told_share

MEASURED, UNMEASURED, UNSUPPORTED = "measured", "not measured", "not supported"

SIMPLEST = "uniform"
"""The control that takes no choice of layers."""

_BETTER = "better"
"""Status of a comparison in which the plan wins, see ``actions.judging``."""

_LOSS = "nats per token less on the domain's held-out texts"
_MONEY = "money per month"
_TRAINED = "% of the layers' parameters trained"


def evidence_records(role: LayerRole) -> list[EvidenceRecord]:
    """The numbers behind a role, as they are written."""
    return [EvidenceRecord(**plain(dataclasses.asdict(one))) for one in role.evidence]


def make_proposals(
    profile: Profile, roles: Sequence[LayerRole], tuning: Tuning | None, shared: Shared | None, run: Path | None
) -> list[ProposalRecord]:
    """All proposals, by priority.

    Args:
        profile: of the run.
        roles: of its layers.
        tuning: what was tried for single domains, where there was anything.
        shared: what the domains can share, where that was reckoned.
        run: folder, for the commands.

    Returns:
        The proposals, the first to carry out first.
    """
    words = _Words(profile, run)
    tried = [each for each in tuning.domains if each.pilot] if tuning else []
    untried = [name for name in profile.domains if name not in {each.domain for each in tried}]
    found = [_tuned(words, each.domain, each, each.pilot) for each in tried if each.pilot]
    if untried:
        found.append(_untried(words, untried, most_specific(roles, untried)))
    if len(profile.domains) > 1:
        found.append(_share(words, shared))
    found.append(_prune(words, profile, roles))
    ranked = sorted(found, key=_rank)
    return [proposal.model_copy(update={"priority": place + 1}) for place, proposal in enumerate(ranked)]


def first_pilot(
    profile: Profile, roles: Sequence[LayerRole], tuning: Tuning | None, run: Path | None
) -> PilotPlan | None:
    """What to try first: to tune for the domain that has most layers of its own among those without a pilot."""
    tried = {each.domain for each in tuning.domains if each.pilot} if tuning else set()
    waiting = [name for name in profile.domains if name not in tried]
    if not waiting:
        return None
    name = most_specific(roles, waiting)
    own = sum(name in role.domains for role in roles)
    reason = f", which has {own} of {profile.layers} layers of its own" if own else ""
    return PilotPlan(
        domain=name,
        text=f"Tune for {name}{reason}: train adapters in all layers, and hold them against choices of fewer layers of "
        "equal size.",
        command=_Words(profile, run).tune(name),
        go_on="The loss on the domain's held-out texts falls, with its whole interval and for every seed, and no other "
        "domain loses more than 0.05 nats per token. Where a choice of fewer layers does surely better, train that.",
        stop="The loss does not fall with its whole interval, or another domain loses more than that: then leave the "
        "model as it is.",
    )


def most_specific(roles: Sequence[LayerRole], domains: Sequence[str]) -> str:
    """The domain that has most layers of its own; the first of several."""
    return max(domains, key=lambda name: sum(name in role.domains for role in roles))


class _Words:
    """The commands of a run, to be typed as they are."""

    def __init__(self, profile: Profile, run: Path | None) -> None:
        self.model = shlex.quote(str(profile.manifest.model.place or "MODEL"))
        self.run = shlex.quote(str(run or "RUN"))

    def tune(self, domain: str) -> str:
        return f"paramscope tune {self.model} --run {self.run} --domain {shlex.quote(domain)} --pilot"


def _untried(words: _Words, names: Sequence[str], first: str) -> ProposalRecord:
    return ProposalRecord(
        name="tune",
        text=f"Train adapters for {listed(names)}; whether that helps, and in which layers, is for a pilot of each to "
        "tell.",
        layers=[],
        status=UNMEASURED,
        benefit=None,
        unit=_LOSS,
        cost=None,
        cost_unit=_TRAINED,
        priority=0,
        evidence=[],
        command=words.tune(first),
    )


def _tuned(words: _Words, name: str, tuned: TunedDomain, pilot: PilotRecord) -> ProposalRecord:
    effect, text = _chosen(tuned.plan.rule, pilot)
    benefit = _less(effect.domain)
    helps = benefit.low is not None and benefit.low > 0
    layers = tuned.plan.layers if effect is pilot.effects[0] else []
    return ProposalRecord(
        name=f"tune for {name}",
        text=text if helps else f"Do not tune for {name} as it was tried: its loss did not surely fall. {text}",
        layers=layers,
        status=MEASURED if helps else UNSUPPORTED,
        benefit=benefit,
        unit=_LOSS,
        cost=100 * tuned.share,
        cost_unit=_TRAINED,
        priority=0,
        evidence=_pilot_evidence(pilot),
        command=words.tune(name),
    )


def _chosen(rule: str, pilot: PilotRecord) -> tuple[EffectRecord, str]:
    """The plan where it beat every control, else the simplest, unless another control did surely better."""
    plan, *controls = pilot.effects
    beaten = [each.control for each in pilot.comparisons if each.status == _BETTER]
    if controls and len(beaten) == len(pilot.comparisons):
        return plan, f"Train the plan's layers (rule {rule}): it did better than {listed(beaten)}."
    if not controls:
        return plan, f"Train the plan's layers (rule {rule}); no control was tried beside it."
    worse = {each.control for each in pilot.comparisons if each.status == "worse"}
    best = min(controls, key=lambda each: math.inf if each.domain.value is None else each.domain.value)
    if best.plan in worse:
        chosen = best
    elif rule == SIMPLEST:
        return (
            plan,
            f"Train {SIMPLEST} adapters, which no choice of layers of equal size was better than. {pilot.sentence}",
        )
    else:
        chosen = next((each for each in controls if each.plan == SIMPLEST), plan)
    if chosen is plan:
        return plan, f"Train the plan's layers (rule {rule}), for want of a control that did better. {pilot.sentence}"
    return chosen, (
        f"Train {chosen.plan} adapters: the plan (rule {rule}) was not better than controls of equal size. "
        f"{pilot.sentence}"
    )


def _pilot_evidence(pilot: PilotRecord) -> list[EvidenceRecord]:
    told = [
        EvidenceRecord(
            text=f"change of loss by {each.plan}, nats per token", source="tune.json", **each.domain.model_dump()
        )
        for each in pilot.effects
    ]
    for comparison in pilot.comparisons:
        numbers = {name: getattr(comparison, name) for name in ("value", "low", "high")}
        told.append(
            EvidenceRecord(
                text=f"plan less {comparison.control}, nats per token: {comparison.status}",
                source="tune.json",
                **numbers,
            )
        )
    return told


def _less(change: IntervalRecord) -> IntervalRecord:
    """A fall of what rose."""

    def turned(value: float | None) -> float | None:
        return None if value is None else -value

    return IntervalRecord(value=turned(change.value), low=turned(change.high), high=turned(change.low))


def _share(words: _Words, shared: Shared | None) -> ProposalRecord:
    blank = ProposalRecord(
        name="share",
        text="Serve the domains from one model; what each way of sharing costs is not reckoned yet.",
        layers=[],
        status=UNMEASURED,
        benefit=None,
        unit=_MONEY,
        cost=None,
        cost_unit=_MONEY,
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
        grouped = f" {listed(['+'.join(group) for group in shared.groups])} can share more." if shared.groups else ""
        return blank.model_copy(
            update={
                "text": "Serve the domains from one model until a pilot shows a gain of parts of their own: without a "
                f"measured gain, only costs are known.{grouped}"
            }
        )
    horizon = float(shared.prices["horizon_months"])
    best = max(paying, key=lambda each: _surely_left(each, horizon))
    most = f"Of the ways whose gain was measured, it leaves the most money within {horizon:g} months."
    option = next(each for each in shared.options if each.name == best.option)
    return blank.model_copy(
        update={
            "text": " ".join(
                [_sentence(option.text), _sentence(best.told), *([most] if len(paying) > 1 else [])]
                + ([shared.pilot.sentence] if shared.pilot else [])
            ),
            "layers": option.layers,
            "status": MEASURED if _surely_pays(best) else UNSUPPORTED,
            "benefit": best.benefit,
            "cost": best.month.value,
        }
    )


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
    return f"{words[0].upper()}{words[1:]}."


_LEAVE = "leave the model as it is for all: what was tried did not surely lower the loss"


def _tried_sharing(blank: ProposalRecord, shared: Shared, pilot: Outcome) -> ProposalRecord:
    """The way that the pilot speaks for, by what it changes; no value of that was given."""
    name = chosen_way(pilot.comparisons)
    way = next(each for each in pilot.ways if each.name == name)
    benefit = _less(way.change)
    helps = benefit.low is not None and benefit.low > 0
    trained = sum(record.parameters for record in shared.layers)
    told = next((option.text for option in shared.options if option.name == name), name)
    return blank.model_copy(
        update={
            "text": f"{_sentence(told if helps else _LEAVE)} {pilot.sentence}",
            "layers": way.layers[0] if len(way.layers) == 1 else [],
            "status": MEASURED if helps else UNSUPPORTED,
            "benefit": benefit,
            "unit": "nats per token less on all domains' held-out texts",
            "cost": 100 * way.parameters / trained,
            "cost_unit": "% of the layers' parameters in adapters",
            "evidence": [
                EvidenceRecord(
                    text=f"change of loss by {each.name}, nats per token",
                    source="share-pilot.json",
                    **each.change.model_dump(),
                )
                for each in pilot.ways
            ],
        }
    )


def _prune(words: _Words, profile: Profile, roles: Sequence[LayerRole]) -> ProposalRecord:
    spare = [role for role in roles if role.role is Role.SPARE]
    total = float(profile.parameters.sum())
    share = sum(float(profile.parameters.loc[role.layer]) for role in spare) / total
    if spare:
        text = (
            f"Try to prune more in {'layer' if len(spare) == 1 else 'layers'} {listed(role.layer for role in spare)}, "
            f"{told_share(share)} of the weights: no domain loses much without any one of them. All of them together "
            "were not taken away. The command prunes all layers alike; --allocation FILE.json gives each its own share."
        )
    else:
        text = "No layer was shown to be spare; prune uniformly, and measure what it costs."
    return ProposalRecord(
        name="prune",
        text=f"{text} Sparse weights by themselves make nothing faster or smaller on common serving stacks.",
        layers=[role.layer for role in spare],
        status=UNMEASURED,
        benefit=None,
        unit="share of weights that are zero",
        cost=None,
        cost_unit="nats per token",
        priority=0,
        evidence=[record for role in spare for record in evidence_records(role)],
        command=f"paramscope prune {words.model} -o PRUNED --sparsity 0.5 --domain NAME=SOURCE",
    )


def _rank(proposal: ProposalRecord) -> tuple[int, bool, float]:
    """Measured benefit per cost first, then what is still to be measured, then what did not hold.

    Money and losses are no one scale: what pays in money by the reader's own value comes before what lowers a loss.
    """
    order = {MEASURED: 0, UNMEASURED: 1, UNSUPPORTED: 2}[proposal.status]
    benefit = proposal.benefit.value if proposal.benefit else None
    return order, proposal.cost_unit != _MONEY, -(benefit or 0.0) / proposal.cost if proposal.cost else 0.0
