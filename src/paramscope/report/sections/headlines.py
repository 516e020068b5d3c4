"""Findings of a run in sentences, each with its number, interval and verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from paramscope.actions.pilots.judging import MARGIN
from paramscope.actions.roles import Risk
from paramscope.causal.verdicts import BREAKS
from paramscope.causal.verdicts.told import told_verdict
from paramscope.language import _, plural
from paramscope.report.findings import Claim, Verdict
from paramscope.report.material import Material
from paramscope.report.sections.pilots import MOST_LOST
from paramscope.report.text import change, clean, cosine, figure, interval, percent, points
from paramscope.result.tuned import PilotRecord, TunedDomain
from paramscope.result.verification import VerdictRecord
from paramscope.wording import listed, sentences

MOST = 5
"""Findings on the page."""


@dataclass(frozen=True)
class Finding:
    """One sentence of evidence.

    Attributes:
        status: supported, not supported, undecided, or not tested.
        sentence: what was found.
        number: the number behind it.
        interval: its 95 % interval; "" where there is none.
        what: what the number is.
        more: what to know beside it.
        section: of the page, where the evidence stands.
    """

    status: str
    sentence: str
    number: str
    interval: str
    what: str
    more: str
    section: str


def headlines(material: Material) -> list[Finding]:
    """The most telling, at most ``MOST``: the pattern, the domains, whether it is true, pilots, what is fragile."""
    found = [_depth(material)]
    if len(material.names) > 1:
        found.append(_apart(material))
    failed, rest = list(_failed(material)), [*_pilots(material), *_fragile(material), *_own(material)]
    # Where there is no room for both, what failed is told rather than what held: the reader has to know it.
    tested = [] if failed and len(found) + len(failed) + len(rest) >= MOST else [_tested(material)]
    return [*found, *tested, *failed, *rest][:MOST]


def _moved(claim: Claim) -> tuple[str, str]:
    found = claim.overall.change
    form = points if claim.key == "density" else change
    number = form(found.value)
    return number, interval(found.low, found.high, form) if math.isfinite(found.low) else ""


def _depth(material: Material) -> Finding:
    findings, section_name = material.findings, "details"
    if not findings.comparable:
        return Finding(
            Verdict.UNDECIDED,
            _("A model of one layer has no shallow and deep layers to compare."),
            "", "", "", "", section_name,
        )  # fmt: skip
    claim = findings.claims["density"]
    shallow, deep = percent(claim.overall.shallow, 0), percent(claim.overall.deep, 0)
    told = {
        Verdict.SUPPORTED: _(
            "Shallow layers use more of their parameters than deep layers: density falls from %(shallow)s to %(deep)s.",
            shallow=shallow,
            deep=deep,
        ),
        Verdict.NOT_SUPPORTED: _(
            "That shallow layers use more of their parameters does not hold here: density is %(shallow)s in shallow "
            "and %(deep)s in deep layers. The paper’s pattern is not in this run.",
            shallow=shallow,
            deep=deep,
        ),
        Verdict.UNDECIDED: _(
            "Whether deep layers are used less than shallow ones is open: density is %(shallow)s in shallow and "
            "%(deep)s in deep layers.",
            shallow=shallow,
            deep=deep,
        ),
    }
    number, told_interval = _moved(claim)
    return Finding(
        claim.overall.verdict,
        told[claim.overall.verdict],
        _("%(points)s points", points=number),
        told_interval,
        _("change of density from shallow to deep layers"),
        _by_domain(claim),
        section_name,
    )


def _by_domain(claim: Claim) -> str:
    every = len(claim.domains)
    if every < 2:
        return ""
    return _(
        "By domain: supported in %(yes)s of %(all)s, not supported in %(no)s, undecided in %(open)s.",
        yes=claim.count(Verdict.SUPPORTED),
        no=claim.count(Verdict.NOT_SUPPORTED),
        open=claim.count(Verdict.UNDECIDED),
        all=every,
    )


def _apart(material: Material) -> Finding:
    claim = material.findings.claims["gap"]
    overall = claim.overall
    if not material.findings.comparable or not math.isfinite(overall.shallow):
        return Finding(
            Verdict.UNDECIDED,
            _("How alike the domains use the layers cannot be told from these texts."),
            "", "", "", "", "sharing",
        )  # fmt: skip
    values = {"shallow": cosine(overall.shallow), "deep": cosine(overall.deep)}
    told = {
        Verdict.SUPPORTED: _(
            "Domains part ways in deep layers: the distance between them (similarity within a domain less that across "
            "domains) grows from %(shallow)s to %(deep)s. What they share lies rather in shallow layers.",
            **values,
        ),
        Verdict.NOT_SUPPORTED: _(
            "That domains part ways in deep layers does not hold here: the distance between them (similarity within a "
            "domain less that across domains) is %(shallow)s in shallow and %(deep)s in deep layers.",
            **values,
        ),
        Verdict.UNDECIDED: _(
            "Whether the domains part ways in deep layers is open: the distance between them (similarity within a "
            "domain less that across domains) is %(shallow)s in shallow and %(deep)s in deep layers.",
            **values,
        ),
    }
    number, told_interval = _moved(claim)
    return Finding(
        overall.verdict,
        told[overall.verdict],
        number,
        told_interval,
        _("change from shallow to deep layers"),
        _by_domain(claim),
        "sharing",
    )


def _verdict(material: Material, *claims: str) -> VerdictRecord | None:
    found = material.checks.result.verdicts if material.checks else []
    return next((record for claim in claims for record in found if record.claim == claim), None)


def _recorded(record: VerdictRecord) -> tuple[str, str]:
    low, high = record.low, record.high
    return figure(record.value), "" if low is None or high is None else interval(low, high, figure)


def _tested(material: Material) -> Finding:
    record = _verdict(material, "first-order-order")
    if record is None:
        return Finding(
            "not tested",
            _("The picture is an estimate that was not tested by intervention yet."),
            "", "", "",
            _("“paramscope verify RUN” sets parameters to zero and compares."),
            "truth",
        )  # fmt: skip
    told = {
        "supported": _("The estimate holds for single parameters: zeroing them changes the model as estimated."),
        "not supported": _(
            "That the estimate holds for single parameters is not borne out: zeroing them changes the model otherwise."
        ),
    }
    open_words = _("Whether the estimate holds for single parameters is open: too few were set to zero.")
    number, told_interval = _recorded(record)
    verdicts = material.checks.result.verdicts if material.checks else []
    return Finding(
        record.status,
        told.get(record.status, open_words),
        number,
        told_interval,
        _("rank correlation of estimated and true change"),
        _(
            "Claims tested by intervention: %(all)s, of which %(yes)s supported, %(no)s not supported, %(open)s "
            "undecided.",
            all=len(verdicts),
            yes=sum(each.status == "supported" for each in verdicts),
            no=sum(each.status == "not supported" for each in verdicts),
            open=sum(each.status == "undecided" for each in verdicts),
        ),
        "truth",
    )


def _failed(material: Material) -> Iterator[Finding]:
    """The claim of the causal checks that failed by most, where one did."""
    if material.checks is None:
        return
    result = material.checks.result
    failed = [
        record for record in result.verdicts if record.status == "not supported" and record.claim != "first-order-order"
    ]
    if not failed:
        return
    worst = min(failed, key=lambda record: math.inf if record.value is None else record.value - record.threshold)
    told = told_verdict(worst, result)
    number, told_interval = _recorded(worst)
    yield Finding(
        worst.status,
        _("Failed the test by intervention: “%(claim)s”", claim=clean(told.text)),
        number,
        told_interval,
        _("%(measure)s; needed %(threshold)s", measure=clean(told.measure), threshold=f"{worst.threshold:g}"),
        plural(
            "%(n)s claim failed of %(all)s that were tested by intervention.",
            "%(n)s claims failed of %(all)s that were tested by intervention.",
            len(failed),
            all=len(result.verdicts),
        ),
        "truth",
    )


def _own(material: Material) -> Iterator[Finding]:
    record = _verdict(material, "specific-ratio", "specific-activation")
    if record is None or record.status == "not supported":  # that is told where what failed is told
        return
    told = {
        "supported": _("Parameters chosen for a domain are its own: without them it loses more than the others do."),
    }
    open_words = _("Whether parameters chosen for a domain are its own is open.")
    number, told_interval = _recorded(record)
    what = _("nats per token that the own domain loses more")
    yield Finding(record.status, told.get(record.status, open_words), number, told_interval, what, "", "truth")


def _fragile(material: Material) -> Iterator[Finding]:
    """The part whose removal alone costs most, where anything was removed."""
    every = [(layer, one) for layer, risks in material.risks.items() for one in risks]
    if not every:
        return
    tried = _(
        "Parts tried: %(parts)s, in %(layers)s of %(all)s layers.",
        parts=len(every),
        layers=len(material.risks),
        all=material.profile.layers,
    )
    breaking = sorted({layer for layer, one in every if one.risk is Risk.BREAKS})
    possible = sorted({layer for layer, one in every if one.risk is Risk.MAY_BREAK})
    _layer, worst = max(every, key=lambda pair: pair[1].damage.value)
    if breaking:
        status, sentence = (
            "supported",
            plural(
                "The model depends on single points: in %(n)s layer, taking away one part alone breaks a domain.",
                "The model depends on single points: in %(n)s layers, taking away one part alone breaks a domain.",
                len(breaking),
            ),
        )
        more = _(
            "Layers: %(layers)s. Plan a fallback before they are pruned, quantised or tuned.", layers=listed(breaking)
        )
    elif possible:
        status, sentence = (
            "undecided",
            _("Whether the model depends on single points is open: without some parts a domain may break."),
        )
        more = _("Layers: %(layers)s.", layers=listed(possible))
    else:
        status, sentence = (
            "not supported",
            _("That the model depends on single points was not found: no part that was taken away broke a domain."),
        )
        more = _("A part counts as one from %(limit)s nat per token on.", limit=f"{BREAKS:g}")
    yield Finding(
        status,
        sentence,
        figure(worst.damage.value),
        interval(worst.damage.low, worst.damage.high, figure) if math.isfinite(worst.damage.low) else "",
        _("loss added in the worst-hit domain, nats per token"),
        sentences(more, tried),
        "diagnosis",
    )


def _pilots(material: Material) -> Iterator[Finding]:
    """What tuning pilots showed: the first domain's, and what other domains lost by any."""
    made = [(each, each.pilot) for each in (material.tuning.domains if material.tuning else []) if each.pilot]
    made = [(each, pilot) for each, pilot in made if pilot.effects]
    if not made:
        return
    tuned, pilot = made[0]
    found = pilot.effects[0].domain
    value, low, high = (math.nan if end is None else end for end in (found.value, found.low, found.high))
    name = material.shown(tuned.domain)
    if high < -MARGIN:
        status, sentence = "supported", _("Tuning helps %(name)s: its held-out loss falls.", name=name)
    elif low > -MARGIN:
        status, sentence = (
            "not supported",
            _("That tuning helps %(name)s does not hold: its held-out loss did not fall.", name=name),
        )
    else:
        status, sentence = "undecided", _("Whether tuning for %(name)s lowers its loss is open.", name=name)
    counts = Counter(each.status for each in pilot.comparisons)
    against = _(
        "Against %(all)s controls of equal size: better than %(better)s, worse than %(worse)s.",
        all=len(pilot.comparisons),
        better=counts["better"],
        worse=counts["worse"],
    )
    yield Finding(
        status,
        sentence,
        change(value, 3),
        interval(low, high, lambda end: change(end, 3)) if math.isfinite(low) else "",
        _("nats per token, in a short pilot"),
        sentences(against, *_harm(material, made)),
        "invest",
    )


def _harm(material: Material, made: Sequence[tuple[TunedDomain, PilotRecord]]) -> Iterator[str]:
    """What another domain lost by a pilot's plan, where that is more than may be."""
    for tuned, pilot in made:
        lost = {name: found.value for name, found in pilot.effects[0].others.items() if found.value is not None}
        worst = max(lost, key=lambda name: lost[name], default=None)
        if worst is not None and lost[worst] > MOST_LOST:
            yield _(
                "Tuning for %(name)s raised the loss of %(other)s by %(loss)s.",
                name=material.shown(tuned.domain),
                other=material.shown(worst),
                loss=f"{lost[worst]:.3f}",
            )
