"""What to do with a model, from the roles of its layers and from what pilots measured.

Nothing gets a benefit that was not measured on held-out text. What a pilot did not show to be better than the controls
of equal size is not proposed as if it were: the control is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from paramscope.actions.pilots.judging import retold
from paramscope.actions.proposing import (
    BETTER,
    COST_OF_PRUNING,
    LOSS,
    MEASURED,
    MONEY,
    SIMPLEST,
    TRAINED,
    UNMEASURED,
    UNSUPPORTED,
    ZERO,
    Words,
    changed,
    less,
)
from paramscope.actions.roles import LayerRole, Role
from paramscope.actions.share_proposal import share_proposal
from paramscope.language import _, plural, term
from paramscope.result.planned import EvidenceRecord, PilotPlan, ProposalRecord
from paramscope.result.profile import Profile
from paramscope.result.shared import Shared
from paramscope.result.tuned import EffectRecord, PilotRecord, TunedDomain, Tuning
from paramscope.result.verification import plain
from paramscope.wording import listed, sentences, told_share


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
    words = Words(profile, run)
    tried = [each for each in tuning.domains if each.pilot] if tuning else []
    untried = [name for name in profile.domains if name not in {each.domain for each in tried}]
    found = [_tuned(words, each.domain, each, each.pilot) for each in tried if each.pilot]
    if untried:
        found.append(_untried(words, untried, most_specific(roles, untried)))
    if len(profile.domains) > 1:
        found.append(share_proposal(words, shared))
    found.append(_prune(words, profile, roles))
    return by_priority(found)


def by_priority(proposals: Sequence[ProposalRecord]) -> list[ProposalRecord]:
    """Proposals in the order in which to carry them out, numbered from 1.

    Measured benefit per cost first, then what is still to be measured, then what did not hold.
    """
    return [
        proposal.model_copy(update={"priority": place + 1})
        for place, proposal in enumerate(sorted(proposals, key=_rank))
    ]


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
    why = (
        _(
            "Tune for %(domain)s, which has %(own)s of %(layers)s layers of its own: train adapters in all layers, and "
            "hold them against choices of fewer layers of equal size.",
            domain=name,
            own=own,
            layers=profile.layers,
        )
        if own
        else _(
            "Tune for %(domain)s: train adapters in all layers, and hold them against choices of fewer layers of equal "
            "size.",
            domain=name,
        )
    )
    return PilotPlan(
        domain=name,
        text=why,
        command=Words(profile, run).tune(name),
        go_on=_(
            "The loss on the domain's held-out texts falls, with its whole interval and for every seed. Where another "
            "domain loses more than 0.05 nats per token, what is trained serves this domain alone; where a choice of "
            "fewer layers does surely better, train that."
        ),
        stop=_("The loss does not fall with its whole interval: then leave the model as it is."),
    )


def most_specific(roles: Sequence[LayerRole], domains: Sequence[str]) -> str:
    """The domain that has most layers of its own; the first of several."""
    return max(domains, key=lambda name: sum(name in role.domains for role in roles))


def _untried(words: Words, names: Sequence[str], first: str) -> ProposalRecord:
    return ProposalRecord(
        name="tune",
        headline=_("Try adapters for %(domains)s in a pilot.", domains=listed(names)),
        text=_(
            "Train adapters for %(domains)s; whether that helps, and in which layers, is for a pilot of each to tell.",
            domains=listed(names),
        ),
        layers=[],
        status=UNMEASURED,
        benefit=None,
        unit=LOSS,
        cost=None,
        cost_unit=TRAINED,
        priority=0,
        evidence=[],
        command=words.tune(first),
    )


def _tuned(words: Words, name: str, tuned: TunedDomain, pilot: PilotRecord) -> ProposalRecord:
    effect, text = _chosen(tuned, pilot)
    benefit = less(effect.domain)
    helps = benefit.low is not None and benefit.low > 0
    layers = tuned.plan.layers if effect is pilot.effects[0] else []
    against = _("Do not tune for %(domain)s as it was tried: its loss did not surely fall.", domain=name)
    return ProposalRecord(
        name=f"tune for {name}",
        headline=_("Train adapters for %(domain)s.", domain=name) if helps else against,
        text=text if helps else sentences(against, retold(tuned)),
        layers=layers,
        status=MEASURED if helps else UNSUPPORTED,
        benefit=benefit,
        unit=LOSS,
        cost=100 * tuned.share,
        cost_unit=TRAINED,
        priority=0,
        evidence=_pilot_evidence(pilot),
        command=words.tune(name),
    )


def _chosen(tuned: TunedDomain, pilot: PilotRecord) -> tuple[EffectRecord, str]:
    """The plan where it beat every control, else the simplest, unless another control did surely better."""
    (plan, *controls), rule = pilot.effects, tuned.plan.rule
    told = {"rule": term(rule)}
    beaten = [each.control for each in pilot.comparisons if each.status == BETTER]
    if controls and len(beaten) == len(pilot.comparisons):
        names = listed(map(term, beaten))
        return plan, _("Train the plan's layers (rule %(rule)s): it did better than %(names)s.", **told, names=names)
    if not controls:
        return plan, _("Train the plan's layers (rule %(rule)s); no control was tried beside it.", **told)
    worse = {each.control for each in pilot.comparisons if each.status == "worse"}
    best = min(controls, key=lambda each: math.inf if each.domain.value is None else each.domain.value)
    if best.plan in worse:
        chosen = best
    elif rule == SIMPLEST:
        simplest = _(
            "Train %(control)s adapters, which no choice of layers of equal size was better than.",
            control=term(SIMPLEST),
        )
        return plan, sentences(simplest, retold(tuned))
    else:
        chosen = next((each for each in controls if each.plan == SIMPLEST), plan)
    if chosen is plan:
        want = _("Train the plan's layers (rule %(rule)s), for want of a control that did better.", **told)
        return plan, sentences(want, retold(tuned))
    instead = _(
        "Train %(control)s adapters: the plan (rule %(rule)s) was not better than controls of equal size.",
        **told,
        control=term(chosen.plan),
    )
    return chosen, sentences(instead, retold(tuned))


def _pilot_evidence(pilot: PilotRecord) -> list[EvidenceRecord]:
    told = [
        EvidenceRecord(text=changed(each.plan), source="tune.json", **each.domain.model_dump())
        for each in pilot.effects
    ]
    for comparison in pilot.comparisons:
        numbers = {name: getattr(comparison, name) for name in ("value", "low", "high")}
        told.append(
            EvidenceRecord(
                text=_(
                    "plan less %(control)s, nats per token: %(status)s",
                    control=term(comparison.control),
                    status=term(comparison.status),
                ),
                source="tune.json",
                **numbers,
            )
        )
    return told


def _prune(words: Words, profile: Profile, roles: Sequence[LayerRole]) -> ProposalRecord:
    spare = [role for role in roles if role.role is Role.SPARE]
    total = float(profile.parameters.sum())
    share = sum(float(profile.parameters.loc[role.layer]) for role in spare) / total
    if spare:
        text = plural(
            "Try to prune more in layer %(layers)s, %(share)s of the weights: no domain loses much without any one of "
            "them. All of them together were not taken away. The command prunes all layers alike; --allocation "
            "FILE.json gives each its own share.",
            "Try to prune more in layers %(layers)s, %(share)s of the weights: no domain loses much without any one of "
            "them. All of them together were not taken away. The command prunes all layers alike; --allocation "
            "FILE.json gives each its own share.",
            len(spare),
            layers=listed(role.layer for role in spare),
            share=told_share(share),
        )
    else:
        text = _("No layer was shown to be spare; prune uniformly, and measure what it costs.")
    sparse = _("Sparse weights by themselves make nothing faster or smaller on common serving stacks.")
    return ProposalRecord(
        name="prune",
        headline=_("Prune only after measuring what it costs."),
        text=sentences(text, sparse),
        layers=[role.layer for role in spare],
        status=UNMEASURED,
        benefit=None,
        unit=ZERO,
        cost=None,
        cost_unit=COST_OF_PRUNING,
        priority=0,
        evidence=[record for role in spare for record in evidence_records(role)],
        command=f"paramscope prune {words.model} -o PRUNED --sparsity 0.5 --domain NAME=SOURCE",
    )


def _rank(proposal: ProposalRecord) -> tuple[int, bool, float]:
    """Money and losses are no one scale: what pays in money, by the reader's own value, comes before a lower loss."""
    order = {MEASURED: 0, UNMEASURED: 1, UNSUPPORTED: 2}[proposal.status]
    benefit = proposal.benefit.value if proposal.benefit else None
    return order, proposal.cost_unit != MONEY, -(benefit or 0.0) / proposal.cost if proposal.cost else 0.0
