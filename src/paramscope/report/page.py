"""The page: its sections, in one or more languages, put into one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from paramscope.language import LANGUAGES, _, mark, speaking
from paramscope.report.environment import environment
from paramscope.report.idents import suffixed
from paramscope.report.material import Material
from paramscope.report.sections import (
    audit,
    density,
    details,
    diagnosis,
    formulas,
    invest,
    limits,
    matrices,
    modules,
    sharing,
    summary,
    truth,
)

SECTIONS: dict[str, tuple[str, Callable[[Material], Any]]] = {
    "summary": (mark("In one minute"), summary.section),
    "diagnosis": (mark("Diagnosis table"), diagnosis.section),
    "sharing": (mark("What can be shared"), sharing.section),
    "invest": (mark("Where to invest"), invest.section),
    "truth": (mark("Is it true?"), truth.section),
    "details": (mark("Details for engineers"), details.section),
    "limits": (mark("Limits and cautions"), limits.section),
    "audit": (mark("Audit"), audit.section),
}
"""In the order of the page: heading in the list of sections, and what makes it. Each has a template of its name."""

DATA: dict[str, Callable[[Material], Any]] = {
    "matrix": matrices.matrix_data,
    "invest": formulas.reckoning,
    "density": density.density_data,
    "maps": modules.map_data,
}
"""Numbers for the scripts, by the name under which they look for them."""

STYLES = ("base", "charts", "tables", "controls", "sharing", "invest", "details", "print")
SCRIPTS = ("common", "scroll", "tables", "matrix", "prices", "density", "maps", "language")


def render_report(material: Material, languages: Sequence[str] = ("en",)) -> str:
    """Make the page of a run.

    Args:
        material: the run, and what its folder holds beside it.
        languages: codes of one or more of ``paramscope.language.LANGUAGES``; the first is shown at first.

    Returns:
        One HTML document that reads nothing from anywhere. It can be read without its script, which sorts, filters,
        and moves thresholds, layers and prices.
    """
    data = {name: made(material) for name, made in DATA.items()}
    bodies = []
    for place, code in enumerate(languages):
        with speaking(code), suffixed(f"-{code}" if place else ""):
            bodies.append((code, render_sections(material)))
    return wrap(bodies, f"{material.shown(material.profile.manifest.model.name)} · paramscope", data)


def render_sections(material: Material) -> Markup:
    """All sections, in the language that is spoken."""
    content = {name: made(material) for name, (_heading, made) in SECTIONS.items()}
    headings = {name: _(heading) for name, (heading, _made) in SECTIONS.items()}
    template = environment().get_template("sections.html.j2")
    return Markup(template.render(content=content, headings=headings, material=material, seen=set()))


def wrap(
    bodies: Sequence[tuple[str, Markup]],
    title: str,
    data: dict[str, Any],
    *,
    styles: Sequence[str] = STYLES,
    scripts: Sequence[str] = SCRIPTS,
) -> str:
    """Put what was rendered into one document.

    Args:
        bodies: code of the language, and all that the page shows in it; the first is shown at first.
        title: of the document.
        data: for the scripts.
        styles: names of the style sheets that the page needs, in their order.
        scripts: likewise of the scripts.

    Returns:
        The document. Its policy allows this very style and this very script, by their hashes, and nothing else.
    """
    made = environment()
    style = "".join(made.get_template(f"styles/{name}.css").render() for name in styles)
    script = "".join(made.get_template(f"scripts/{name}.js").render() for name in scripts)
    return made.get_template("page.html.j2").render(
        bodies=bodies,
        title=title,
        names=LANGUAGES,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        # No name of an HTML element can end the block early.
        data=Markup(json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")),
    )


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
