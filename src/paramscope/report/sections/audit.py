"""The section "Audit": what makes every number again, and the terms of the page."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from typing import Any

import yaml

from paramscope.language import _, plural
from paramscope.report.environment import told_date
from paramscope.report.glossary import Entry, glossary
from paramscope.report.material import Material
from paramscope.report.tables import argument_rows
from paramscope.report.text import scientific
from paramscope.result import planned, share_pilot, shared, tuned, verification
from paramscope.result.place import MANIFEST
from paramscope.wording import told_bytes

_DOCUMENTS = (MANIFEST, verification.DOCUMENT, tuned.DOCUMENT, share_pilot.DOCUMENT, shared.DOCUMENT, planned.DOCUMENT)


@dataclass(frozen=True)
class AuditSection:
    """All that the section shows.

    Attributes:
        command: that makes the run again, line by line, with the file of domains that it may need.
        later: commands that made what lies beside it.
        run: facts, by head.
        documents: files of the run's folder, and their SHA-256.
        arguments: of the run.
        glossary: terms of the page.
    """

    command: list[str]
    later: list[str]
    run: list[tuple[str, str]]
    documents: list[tuple[str, str]]
    arguments: list[tuple[str, str]]
    glossary: list[Entry]


def section(material: Material) -> AuditSection:
    """Make the section, in the language that is spoken."""
    manifest = material.profile.manifest
    return AuditSection(
        command=replay_command(material).splitlines(),
        later=later_commands(material),
        run=_facts(material),
        documents=_documents(material),
        arguments=argument_rows(manifest.arguments),
        glossary=glossary(),
    )


def replay_command(material: Material) -> str:
    """The command that makes the run again, to be typed as it is; with the file of domains that it may need."""
    manifest = material.profile.manifest
    given = manifest.arguments
    words = ["paramscope", "profile", manifest.model.place or "MODEL"]
    domains = {
        name: {key: value for key, value in (settings or {}).items() if key not in _DIGESTS and value is not None}
        for name, settings in _domains(given).items()
    }
    plain = all(set(settings) <= {"source"} and settings.get("source") for settings in domains.values())
    if plain:
        for name, settings in domains.items():
            words += ["--domain", f"{name}={settings['source']}"]
    else:
        words += ["--domains", "domains.yaml"]
    for key, flag in _FLAGS.items():
        value = given.get(key)
        if value is True:
            words.append(flag)
        elif value is not None and value is not False:
            words += [flag, str(value)]
    command = shlex.join([*words, "-o", material.place])
    return command if plain else f"{command}\n\n# domains.yaml\n{yaml.safe_dump(domains, allow_unicode=True)}"


_DIGESTS = ("samples", "held_out")
"""Of a domain's arguments, what tells its texts and is no setting."""

_FLAGS = {
    "revision": "--revision",
    "samples": "--samples",
    "max_tokens": "--max-tokens",
    "objective": "--objective",
    "activation": "--activation",
    "steps": "--steps",
    "dtype": "--dtype",
    "threshold": "--threshold",
    "seed": "--seed",
    "held_out": "--held-out",
    "pairs": "--pairs",
    "save_scores": "--save-scores",
}
"""Arguments of a run that its numbers depend on, and their flags."""


def _domains(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = given.get("domains")
    return found if isinstance(found, dict) else {}


def later_commands(material: Material) -> list[str]:
    """Commands that made what lies beside the run."""
    run, model = material.place, material.profile.manifest.model.place or "MODEL"
    commands = []
    if material.checks:
        budget = material.checks.result.arguments.get("budget")
        told = [] if budget is None else ["--budget", f"{float(budget):g}s"]
        commands.append(["paramscope", "verify", run, *told])
    for tuned_domain in material.tuning.domains if material.tuning else []:
        pilot = ["--pilot"] if tuned_domain.pilot else []
        budget = tuned_domain.pilot.arguments.get("budget") if tuned_domain.pilot else None
        pilot += [] if budget is None else ["--budget", f"{float(budget):g}s"]
        commands.append(["paramscope", "tune", model, "--run", run, "--domain", tuned_domain.domain, *pilot])
    if material.shared:
        pilot = ["--pilot"] if material.shared.pilot else []
        value = material.shared.arguments.get("value")
        pilot += [] if value is None else ["--value", f"{float(value):g}"]
        commands.append(["paramscope", "share", run, *pilot])
    return [shlex.join(words) for words in commands]


def _facts(material: Material) -> list[tuple[str, str]]:
    manifest = material.profile.manifest
    engine, check = manifest.engine, manifest.self_check
    return [
        (_("Started"), told_date(manifest.started)),
        (_("Finished"), told_date(manifest.finished)),
        (
            _("Self-check"),
            _(
                "largest relative error %(error)s (up to %(tolerance)s is accepted)",
                error=scientific(check.largest_relative_error),
                tolerance=scientific(check.tolerance),
            ),
        ),
        (
            _("Device"),
            plural(
                "%(device)s, %(dtype)s, %(n)s thread",
                "%(device)s, %(dtype)s, %(n)s threads",
                engine.threads,
                device=engine.device,
                dtype=engine.dtype,
            ),
        ),
        (_("Peak memory"), told_bytes(engine.peak_memory_bytes)),
        (_("Processes"), str(engine.processes)),
        (_("Layers taken from an interrupted run"), str(engine.layers_resumed)),
        (_("Seed"), str(manifest.seed)),
        (_("Groups of samples, for intervals"), str(manifest.groups)),
        (_("Architecture"), manifest.model.architecture),
        (_("Blocks"), manifest.model.blocks),
        (_("Schema of the run’s folder"), str(manifest.schema_)),
    ]


def _documents(material: Material) -> list[tuple[str, str]]:
    """SHA-256 of the documents that lie in the run's folder; of a run in memory that of its manifest."""
    if material.folder is None:
        return [(MANIFEST, material.profile.manifest.digest())]
    there = [(name, material.folder / name) for name in _DOCUMENTS]
    return [(name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in there if path.is_file()]
