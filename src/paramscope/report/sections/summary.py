"""The section "In one minute": what was examined, what was found, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from paramscope.language import _, plural
from paramscope.report.findings import COSINE_STEP, DENSITY_STEP
from paramscope.report.material import Material
from paramscope.report.sections.cases import by_case
from paramscope.report.sections.finding import Finding
from paramscope.report.sections.headlines import headlines
from paramscope.report.sections.next_step import Next, next_step
from paramscope.report.text import compact, cosine
from paramscope.report.words import objective_words


@dataclass(frozen=True)
class SummarySection:
    """All that the section shows; of the next steps, which depend on the prices, the stored one first."""

    model: str
    domains: str
    texts: str
    tokens: str
    made_from: str
    objective: str
    findings: list[Finding]
    next: list[tuple[Next, Markup]]
    density_step: str
    cosine_step: str


def section(material: Material) -> SummarySection:
    """Make the section, in the language that is spoken."""
    profile = material.profile
    manifest = profile.manifest
    tokens = sum(domain.tokens for domain in manifest.domains)
    return SummarySection(
        model=plural(
            "%(n)s layer, %(weights)s parameters in it",
            "%(n)s layers, %(weights)s parameters in them",
            profile.layers,
            weights=compact(float(profile.parameters.sum())),
        ),
        domains=plural("%(n)s domain", "%(n)s domains", len(material.names)),
        texts=plural("%(n)s text", "%(n)s texts", len(profile.samples)),
        tokens=plural("%(n)s token", "%(n)s tokens", tokens),
        made_from=_made_from(material),
        objective=objective_words(manifest.objective),
        findings=headlines(material),
        next=by_case(material, lambda case: next_step(material, case)),
        density_step=f"{100 * DENSITY_STEP:g}",
        cosine_step=cosine(COSINE_STEP),
    )


def _made_from(material: Material) -> str:
    """Which steps the page rests on."""
    steps = [_("profile")]
    if material.checks:
        steps.append(_("causal checks"))
    if material.piloted:
        steps.append(_("tuning pilot"))
    if material.shared and material.shared.pilot:
        steps.append(_("sharing pilot"))
    return _(", ").join(steps)
