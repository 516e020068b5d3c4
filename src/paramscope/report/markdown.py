"""A short summary of a run in Markdown, for a ticket or a message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from paramscope.language import _, speaking
from paramscope.report import text
from paramscope.report.environment import told_date
from paramscope.report.material import Material
from paramscope.report.sections import summary
from paramscope.report.sections.audit import later_commands, replay_command
from paramscope.report.words import word

MARK = "# paramscope: "
"""How every such file begins."""


def render_markdown(material: Material, languages: Sequence[str] = ("en",)) -> str:
    """Make the summary: what was examined, what was found, what to do next, and how to make it again.

    Args:
        material: the run, and what its folder holds beside it.
        languages: codes; one summary each, one after the other.

    Returns:
        The document. Names from outside cannot begin markup in it, nor call for people.
    """
    parts = []
    for code in languages:
        with speaking(code):
            parts.append("\n".join(_lines(material)) + "\n")
    return "\n".join(parts)


def inert(words: str) -> str:
    """Words in which nothing is markup, a link, HTML or a mention."""
    escaped = re.sub(r"([\\`*_{}\[\]<>()#+!|~$])", r"\\\1", text.clean(words))
    # A number or a dash at the start of a line begins a list; ``@name`` and ``www.`` call for others by themselves.
    return escaped.replace("@", "&#64;").replace("www.", "www&#46;").replace("://", ":&#47;&#47;")


def _lines(material: Material) -> Iterator[str]:
    shown = summary.section(material)
    manifest = material.profile.manifest
    yield MARK + inert(material.shown(manifest.model.name))
    separator = _(", ")
    yield ""
    yield from _facts(
        {
            _("Model"): shown.model,
            _("Domains"): separator.join(material.names),
            _("Samples"): separator.join([shown.texts, shown.tokens]),
            _("Measured on"): f"{told_date(manifest.finished)} ({shown.made_from})",
        }
    )
    yield from _heading(_("Findings"))
    for finding in shown.findings:
        yield f"- **{word(finding.status)}**: {inert(finding.sentence)}"
        if finding.number:
            within = _("95%% interval %(interval)s", interval=finding.interval) if finding.interval else ""
            yield f"  {inert(finding.number)} {inert(finding.what)}{f' · {inert(within)}' if within else ''}"
    yield from _heading(_("Recommended next step"))
    step = shown.next[0][0]
    for words in filter(None, (step.headline, step.text)):
        yield inert(words)
        yield ""
    paid = {_("Break-even"): step.payback} if step.payback else {}
    within = _plain(step.benefit.below)
    told = [_plain(step.benefit.main), _("95%% interval %(interval)s", interval=within) if step.measured else within]
    cost = [_plain(step.cost.main), _plain(step.cost.below)]
    yield from _facts({_("Expected benefit"): _together(told), _("Expected cost"): _together(cost)} | paid)
    yield ""
    yield inert(step.note)
    yield ""
    yield _("Estimates of first order, from the texts that were given; they hold for texts like them.")
    yield from _heading(_("Command to replay"))
    lines = [text.clean(line) for line in (*replay_command(material).splitlines(), *later_commands(material))]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", " ".join(lines))), default=0))
    yield fence
    yield from lines
    yield fence


def _heading(words: str) -> list[str]:
    return ["", f"## {words}", ""]


def _facts(facts: dict[str, str]) -> list[str]:
    return [f"- {head}: {inert(_plain(told))}" for head, told in facts.items()]


def _together(parts: list[str]) -> str:
    return " · ".join(filter(None, parts))


def _plain(told: str) -> str:
    """Words without the marks by which the page's script finds numbers."""
    return told.striptags() if isinstance(told, Markup) else told
