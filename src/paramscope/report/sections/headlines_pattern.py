"""Findings about the paper's pattern: density over the depth, and whether the domains part ways."""

from __future__ import annotations

import math

from paramscope.language import _
from paramscope.report.findings import Claim, Verdict
from paramscope.report.material import Material
from paramscope.report.sections.finding import Finding
from paramscope.report.text import change, cosine, interval, percent, points


def depth_finding(material: Material) -> Finding:
    """Whether deep layers use fewer of their parameters."""
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


def apart_finding(material: Material) -> Finding:
    """Whether the domains part ways in deep layers."""
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


def _moved(claim: Claim) -> tuple[str, str]:
    found = claim.overall.change
    form = points if claim.key == "density" else change
    number = form(found.value)
    return number, interval(found.low, found.high, form) if math.isfinite(found.low) else ""


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
