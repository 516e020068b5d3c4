"""The section "What can be shared": similarity by depth, domains compared, their tree, and the sharing curve."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from paramscope.language import _
from paramscope.measures.similarity import DRAWS, FEWEST
from paramscope.report.findings import COSINE_STEP, DENSITY_STEP, Claim, Judged, Verdict
from paramscope.report.material import Material
from paramscope.report.sections.curve import CurveFigures, curve_figures, share_command
from paramscope.report.sections.groups import GroupFigures, group_figures
from paramscope.report.sections.matrices import MatrixFigures, matrix_figures
from paramscope.report.sections.ownlayers import OwnFigure, own_figure
from paramscope.report.sections.similarity import SimilarityFigure, similarity_figure
from paramscope.report.tables import Table, similarity_table
from paramscope.report.text import change, cosine, interval, percent, points

_CLAIMS = ("density", "across", "within", "gap", "gap_centred")
_FIRST_OF_ALL = ("across", "within", "gap")


@dataclass(frozen=True)
class ClaimRow:
    """A claim in words, and its numbers; None where there are none to judge by.

    Attributes:
        claim: what is claimed.
        told: what was found, in a sentence; "" where the claim stands in the table only.
        overall: all domains together.
        domains: each by itself, in the order of the domains; None for those with too few texts.
    """

    claim: str
    told: str
    overall: ClaimCell | None
    domains: list[ClaimCell | None]


@dataclass(frozen=True)
class ClaimCell:
    """Numbers of a claim as words."""

    shallow: str
    deep: str
    change: str
    interval: str
    verdict: Verdict


@dataclass(frozen=True)
class SharingSection:
    """All that the section shows.

    Attributes:
        claims: about depth; none where there are no two bands to compare.
        depth: the message of the charts by depth.
        raw: by depth.
        centred: by depth; None for one domain, whose centre is its own.
        numbers: of both.
        paired: how many texts of each domain were compared with others; None for all.
        matrices: of the domains.
        groups: their tree.
        own: own share by layer.
        curve: memory and costs.
        command: that makes the curve.
        steps: smallest changes that count, of a density in points and of a cosine.
        fewest: texts below which a domain has no interval.
        draws: of the texts, behind every interval.
    """

    claims: list[ClaimRow]
    depth: str
    raw: SimilarityFigure
    centred: SimilarityFigure | None
    numbers: Table
    paired: int | None
    matrices: MatrixFigures | None
    groups: GroupFigures | None
    own: OwnFigure | None
    curve: CurveFigures | None
    command: str
    steps: tuple[str, str]
    fewest: int
    draws: str

    @property
    def told(self) -> list[ClaimRow]:
        """The claims that are told in words."""
        return [row for row in self.claims if row.told]


def section(material: Material) -> SharingSection:
    """Make the section, in the language that is spoken."""
    raw = similarity_figure(material, centred=False)
    centred = similarity_figure(material, centred=True) if len(material.names) > 1 else None
    lines = {_("Within"): raw.within, _("Across"): raw.across}
    if centred:
        lines |= {_("Within, centred"): centred.within, _("Across, centred"): centred.across}
    return SharingSection(
        claims=_claims(material),
        depth=_depth(material),
        raw=raw,
        centred=centred,
        numbers=similarity_table(lines),
        paired=_paired(material),
        matrices=matrix_figures(material),
        groups=group_figures(material),
        own=own_figure(material),
        curve=curve_figures(material),
        command=share_command(material),
        steps=(f"{100 * DENSITY_STEP:g}", cosine(COSINE_STEP)),
        fewest=FEWEST,
        draws=f"{DRAWS:,}",
    )


def _claims(material: Material) -> list[ClaimRow]:
    findings = material.findings
    if not findings.comparable:
        return []
    names = {
        "density": _("Shallow layers are dense, deep layers sparse (density)"),
        "across": _("Domains are alike in shallow layers and differ in deep ones (LLMDcos across)"),
        "within": _("Within a domain, deep layers stay alike (LLMDcos within)"),
        "gap": _("Beyond the paper: deep layers tell domains apart better (within less across)"),
        "gap_centred": _("The same, centred: without what all texts share"),
    }
    rows = []
    for key in _CLAIMS:
        claim = findings.claims[key]
        by_place = {judged.domain: judged for judged in claim.domains}
        domains = [_cell(key, by_place.get(place)) for place in range(len(material.names))]
        overall = _cell(key, claim.overall)
        told = _told(claim) if overall and key in _FIRST_OF_ALL else ""
        rows.append(ClaimRow(names[key], told, overall, domains))
    return rows


def _cell(key: str, judged: Judged | None) -> ClaimCell | None:
    if judged is None or not math.isfinite(judged.shallow):
        return None
    form: Callable[[float], str] = percent if key == "density" else cosine
    difference: Callable[[float], str] = points if key == "density" else change
    return ClaimCell(
        form(judged.shallow),
        form(judged.deep),
        difference(judged.change.value),
        interval(judged.change.low, judged.change.high, difference),
        judged.verdict,
    )


def _told(claim: Claim) -> str:
    """What was found, from shallow to deep, with its numbers."""
    overall = claim.overall
    values = {
        "shallow": cosine(overall.shallow),
        "deep": cosine(overall.deep),
        "change": change(overall.change.value),
        "within": interval(overall.change.low, overall.change.high, change),
    }
    told = {
        ("across", Verdict.SUPPORTED): _(
            "Domains share shallow layers more than deep ones: LLMDcos of texts of different domains falls from "
            "%(shallow)s to %(deep)s (%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("across", Verdict.NOT_SUPPORTED): _(
            "Domains share deep layers as much as shallow ones: LLMDcos of texts of different domains goes from "
            "%(shallow)s to %(deep)s (%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("across", Verdict.UNDECIDED): _(
            "Whether domains share shallow layers more than deep ones is open: LLMDcos of texts of different domains "
            "goes from %(shallow)s to %(deep)s (%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("within", Verdict.SUPPORTED): _(
            "Texts of one domain stay as alike in deep layers as in shallow ones: %(shallow)s and %(deep)s "
            "(%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("within", Verdict.NOT_SUPPORTED): _(
            "Texts of one domain are less alike in deep layers too: %(shallow)s and %(deep)s "
            "(%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("within", Verdict.UNDECIDED): _(
            "Whether texts of one domain stay alike in deep layers is open: %(shallow)s and %(deep)s "
            "(%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("gap", Verdict.SUPPORTED): _(
            "Deep layers tell domains apart better: within less across is %(shallow)s in shallow and %(deep)s in "
            "deep layers (%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("gap", Verdict.NOT_SUPPORTED): _(
            "Deep layers do not tell domains apart better: within less across is %(shallow)s in shallow and %(deep)s "
            "in deep layers (%(change)s; 95%% interval %(within)s).",
            **values,
        ),
        ("gap", Verdict.UNDECIDED): _(
            "Whether deep layers tell domains apart better is open: within less across is %(shallow)s in shallow and "
            "%(deep)s in deep layers (%(change)s; 95%% interval %(within)s).",
            **values,
        ),
    }
    return told[claim.key, overall.verdict]


def _depth(material: Material) -> str:
    """The message of the charts by depth."""
    if len(material.names) < 2:
        return _("How alike the texts of the domain use each layer")
    told = {
        Verdict.SUPPORTED: _("The deeper the layer, the further the domains part"),
        Verdict.NOT_SUPPORTED: _("The domains do not part further with depth"),
        Verdict.UNDECIDED: _("Whether the domains part with depth is open"),
    }
    return told[material.findings.claims["gap"].overall.verdict]


def _paired(material: Material) -> int | None:
    """How many texts of each domain were compared with others; None for all."""
    domains = material.profile.manifest.domains
    if all(domain.paired in (None, domain.samples) for domain in domains):
        return None
    return max(domain.paired or 0 for domain in domains)
