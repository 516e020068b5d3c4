"""The page: figures, tables and findings of a run put into one HTML file."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from paramscope.measures.resample import Resampler
from paramscope.measures.similarity import FEWEST
from paramscope.report import text
from paramscope.report.causal import causal_section
from paramscope.report.colours import DARK, LIGHT, NIGHT, PAPER, series_style
from paramscope.report.decision import Decisions, decision_section
from paramscope.report.density import LITTLE_TO_SEE, density_figures, paper_figures
from paramscope.report.fidelity import FACTOR
from paramscope.report.findings import COSINE_STEP, DENSITY_STEP, Verdict, find
from paramscope.report.similarity import similarity_figures
from paramscope.report.tables import argument_rows, concentration_tables, density_table, similarity_table
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.verification import Checks

OBJECTIVES = {
    "max-logit": "the largest next-token logit at the last position",
    "target-logprob": "the log-probability of the target",
    "mean-logprob": "the mean log-likelihood of the text",
    "logit-difference": "the logit difference between the two answers",
}
"""What each objective is, in words."""


def render_report(profile: Profile, checks: Checks | None = None, decisions: Decisions | None = None) -> str:
    """Make the page of a run.

    Args:
        profile: the run.
        checks: of the run, where it was verified.
        decisions: what the run leads to, where anything was planned or tried.

    Returns:
        One HTML document in English without scripts that reads nothing from anywhere.
    """
    # Names stand in many tool tips, so the longest are cut here; the table of texts has them whole.
    names = [text.shorten(text.clean(name), 100) for name in profile.domains]
    density = profile.density_estimate()
    differs = not np.isclose(profile.threshold, PAPER_THRESHOLD, rtol=1e-3)
    paper = profile.density_estimate(PAPER_THRESHOLD) if differs else None
    resampler = Resampler(profile)
    findings = find(profile, resampler, density, paper)
    raw, centred = (
        similarity_figures(profile, resampler, findings, names, centred=centred) for centred in (False, True)
    )
    content = {
        "manifest": profile.manifest,
        "names": names,
        "layers": profile.layers,
        "parameters": int(profile.parameters.sum()),
        "bands": profile.bands,
        "threshold": profile.threshold,
        "paper_threshold": PAPER_THRESHOLD,
        "objective": OBJECTIVES.get(profile.manifest.objective, profile.manifest.objective),
        "findings": findings,
        "density": density_figures(density, names, profile.bands),
        "paper": paper_figures(paper, names, profile.bands) if paper else None,
        "paired": _paired(profile),
        "raw": raw,
        "centred": centred,
        "concentration": concentration_tables(profile, names),
        "density_table": density_table(density, names),
        "similarity_table": similarity_table(
            {
                "within, raw": raw.within,
                "across, raw": raw.across,
                "within, centred": centred.within,
                "across, centred": centred.across,
            }
        ),
        "causal": causal_section(profile, checks, names) if checks else None,
        "decision": decision_section(decisions) if decisions else None,
        "lengths": _lengths(profile),
        "arguments": argument_rows(profile.manifest.arguments),
    }
    return _environment().get_template("page.html.j2").render(content)


def _paired(profile: Profile) -> int | None:
    """How many texts of each domain were compared with others; None for all."""
    if all(domain.paired in (None, domain.samples) for domain in profile.manifest.domains):
        return None
    return max(domain.paired or 0 for domain in profile.manifest.domains)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("paramscope.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "percent": text.percent,
        "points": text.points,
        "change": text.change,
        "cosine": text.cosine,
        "compact": text.compact,
        "scientific": text.scientific,
        "small_percent": text.small_percent,
        "shorten": text.shorten,
        "clean": text.clean,
        "layer_range": text.layer_range,
        "date": _date,
        "lower_first": lambda sentence: sentence[:1].lower() + sentence[1:],
    }
    environment.globals |= {
        "Verdict": Verdict,
        "DENSITY_STEP": DENSITY_STEP,
        "COSINE_STEP": COSINE_STEP,
        "FACTOR": FACTOR,
        "FEWEST": FEWEST,
        "LITTLE_TO_SEE": LITTLE_TO_SEE,
        "colours": {"light": LIGHT, "dark": DARK, "paper": PAPER, "night": NIGHT},
        "series_style": series_style,
        "interval": text.interval,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Whatever a template writes is cleaned, so that no name can slip through."""
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _date(moment: str) -> str:
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    zone = " UTC" if parsed.utcoffset() == timedelta(0) else ""
    return f"{parsed.day} {parsed:%B %Y, %H:%M}{zone}"


def _lengths(profile: Profile) -> tuple[float, float]:
    """Mean tokens a text of the domain with the shortest and of the one with the longest texts."""
    means = [domain.tokens / max(domain.samples, 1) for domain in profile.manifest.domains]
    return min(means), max(means)
