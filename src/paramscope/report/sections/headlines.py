"""Findings of a run in sentences, each with its number, interval and verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator

from paramscope.actions.roles import Risk
from paramscope.causal.verdicts import BREAKS
from paramscope.causal.verdicts.told import told_verdict
from paramscope.language import _, plural
from paramscope.report.material import Material
from paramscope.report.sections.finding import Finding
from paramscope.report.sections.headlines_pattern import apart_finding, depth_finding
from paramscope.report.sections.headlines_pilots import pilot_findings
from paramscope.report.text import clean, figure, interval
from paramscope.result.verification import VerdictRecord
from paramscope.wording import listed, sentences

MOST = 5
"""Findings on the page."""


def headlines(material: Material) -> list[Finding]:
    """The most telling, at most ``MOST``: the pattern, the domains, whether it is true, pilots, what is fragile."""
    found = [depth_finding(material)]
    if len(material.names) > 1:
        found.append(apart_finding(material))
    failed, rest = list(_failed(material)), [*pilot_findings(material), *_fragile(material), *_own(material)]
    # Where there is no room for both, what failed is told rather than what held: the reader has to know it.
    tested = [] if failed and len(found) + len(failed) + len(rest) >= MOST else [_tested(material)]
    return [*found, *tested, *failed, *rest][:MOST]


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
