"""The page that shows several runs side by side."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from paramscope.language import _, speaking
from paramscope.report.comparison import models, tables
from paramscope.report.comparison.differences import BY_LAYER, Differences
from paramscope.report.comparison.figures import Figure, Figures
from paramscope.report.comparison.limits import limits
from paramscope.report.comparison.runs import Run, Runs
from paramscope.report.comparison.sampled import Estimates
from paramscope.report.comparison.summary import counted, sentences
from paramscope.report.environment import environment
from paramscope.report.findings import COSINE_STEP, DENSITY_STEP, Verdict
from paramscope.report.glossary import Entry, glossary_entry
from paramscope.report.idents import suffixed
from paramscope.report.material import Material
from paramscope.report.page import wrap
from paramscope.report.sections.audit import replay_command
from paramscope.report.tables import Table
from paramscope.report.text import cosine
from paramscope.result.place import MANIFEST

STYLES = ("base", "charts", "tables", "controls", "comparison", "print")
SCRIPTS = ("common", "scroll", "tables", "language")

_TERMS = (
    "activation", "density", "threshold", "concentration", "llmdcos", "within", "centred", "own-share", "layer",
    "interval", "verdict", "self-check", "first-order",
)  # fmt: skip
"""Terms of the glossary that this page uses."""


@dataclass(frozen=True)
class ByLayer:
    """One other run, layer by layer."""

    label: str
    figures: list[Figure]
    table: Table
    domains: Table


@dataclass(frozen=True)
class Audited:
    """What makes one run's numbers again."""

    label: str
    digest: str
    command: str
    files: list[tuple[str, str]]


def render_comparison(runs: Runs, languages: Sequence[str] = ("en",)) -> str:
    """Make the page of several runs.

    Args:
        runs: the runs, the first is what the others are held against.
        languages: codes, the first is shown at first.

    Returns:
        One HTML document that reads nothing from anywhere.
    """
    found = Differences(runs)
    layers = [found.by_layer(other) if runs.same_shape(other) else None for other in range(len(runs.others))]
    bodies = []
    for place, code in enumerate(languages):
        with speaking(code), suffixed(f"-{code}" if place else ""):
            bodies.append((code, _body(found, layers)))
    title = f"{' / '.join(run.name for run in runs.runs)} · paramscope"
    return wrap(bodies, title, {}, styles=STYLES, scripts=SCRIPTS)


def _body(found: Differences, layers: Sequence[dict[str, Estimates] | None]) -> Markup:
    """All of the page, in the language that is spoken."""
    runs, figures = found.runs, Figures(found)
    headings = {
        "summary": _("In one minute"),
        "models": _("The runs side by side"),
        "density": _("How much of each layer is used"),
        "similarity": _("How alike the domains use the layers"),
        "differences": _("All differences"),
        "layers": _("Layer by layer"),
        "truth": _("Is it true?"),
        "limits": _("Limits and cautions"),
        "audit": _("Audit"),
    }
    by_layer = [_by_layer(found, figures, other, moved) for other, moved in enumerate(layers) if moved]
    if not by_layer:
        del headings["layers"]
    several = len(runs.domains) > 1
    content: dict[str, Any] = {
        "runs": runs,
        "seen": set(),
        "headings": headings,
        "names": runs.names,
        "steps": (f"{100 * DENSITY_STEP:g}", cosine(COSINE_STEP)),
        "sentences": sentences(found),
        "cautions": models.cautions(runs),
        "pairing": models.pairing(runs),
        "facts": models.facts(runs),
        "texts": models.texts(runs),
        "parts": found.parts,
        "density": figures.means("density") + figures.means("density_common"),
        "density_panels": figures.panels("density") if several else [],
        "density_differences": figures.difference_panels("density"),
        "density_counts": _counts(found, "density"),
        "concentration_charts": figures.means("share_90") + figures.means("gini"),
        "concentration": tables.concentration_table(found),
        "similarity": figures.means("across", "within") + figures.means("gap") + figures.means("gap_centred"),
        "similarity_differences": figures.mean_differences("gap") + figures.mean_differences("gap_centred"),
        "similarity_counts": _counts(found, "gap" if several else "within"),
        "similar_names": [runs.names[place] for place in found.similar_domains],
        "rows": tables.difference_rows(found),
        "part_tables": [
            (run.label, tables.part_table(found, "density", other)) for other, run in enumerate(runs.others)
        ],
        "by_layer": by_layer,
        "claims": tables.claim_rows(found),
        "unverified": [run.letter for run in runs.runs if run.checks is None],
        "limits": limits(found),
        "command": _command(runs),
        "audited": [_audited(run) for run in runs.runs],
        "glossary": _glossary(),
        "version": runs.first.profile.manifest.paramscope,
    }
    return Markup(environment().get_template("comparison.html.j2").render(**content))


def _counts(found: Differences, key: str) -> dict[str, int]:
    counts = counted(found, key)
    return {
        "yes": counts[Verdict.SUPPORTED],
        "no": counts[Verdict.NOT_SUPPORTED],
        "open": counts[Verdict.UNDECIDED],
        "all": sum(counts.values()),
    }


def _by_layer(found: Differences, figures: Figures, other: int, moved: dict[str, Estimates]) -> ByLayer:
    density = "density_common" if "density_common" in moved else "density"
    drawn = [figures.layers(other, key, moved[key]) for key in BY_LAYER if key in moved and key in (density, "gap")]
    return ByLayer(
        found.runs.others[other].label,
        drawn,
        tables.layer_table(found, moved),
        tables.layer_domain_table(found, density, moved[density]),
    )


def _command(runs: Runs) -> str:
    folders = [str(run.folder or run.letter) for run in runs.runs]
    return shlex.join(["paramscope", "report", *folders, "-o", "compare.html"])


def _audited(run: Run) -> Audited:
    manifest = run.profile.manifest
    return Audited(
        run.label,
        manifest.digest(),
        replay_command(Material(run.profile, folder=run.folder)),
        [(MANIFEST, manifest.digest()), *manifest.model.files.items()],
    )


def _glossary() -> list[Entry]:
    return [glossary_entry(key) for key in _TERMS]
