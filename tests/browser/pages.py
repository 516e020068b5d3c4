"""The pages that the browser opens: of made-up runs, with all that a run's folder can hold beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from paramscope.causal.store import Stages
from paramscope.cli.report import write_report
from paramscope.result.documents import write_document
from paramscope.result.profile import Profile
from paramscope.result.shared import MeasuredGain
from paramscope.result.summary import summarise
from paramscope.result.tuned import DOCUMENT as TUNED
from paramscope.result.verification import run_digest
from paramscope.sharing import share
from tests.actions.test_proposals import tuned, tuning
from tests.reference import made_up_layers, make_profile
from tests.report.checks import made_up_checks, made_up_parts
from tests.report.test_hostile import NASTY

PAYLOADS = [
    "<img src=http://attacker.test/x.png onerror=window.pwned=1>",
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "</style><svg onload=window.pwned=1>",
    '" onmouseover="window.pwned=1" autofocus onfocus="window.pwned=1',
    "javascript:window.pwned=1",
    "<a href=javascript:window.pwned=1>click</a>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<!-- --><base href=http://attacker.test/>",
    "@import url(http://attacker.test/x.css);",
    "+cmd|' /C calc'!A0",
    "$(touch pwned); `touch pwned`",
]
"""Texts that would leave ``window.pwned`` or a request behind if they were taken for more than words."""


@dataclass(frozen=True)
class Made:
    """A run on disk, from which pages are made."""

    run: Path
    profile: Profile

    def page(self, *languages: str) -> Path:
        """The run's page, made once for each choice of languages."""
        path = self.run.with_name(f"{self.run.name}-{'-'.join(languages)}.html")
        return path if path.exists() else write_report(self.run, path, languages=languages)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What ``paramscope show --json`` prints."""
        found: dict[str, Any] = json.loads(json.dumps(summarise(self.profile)))
        return found


def made_up_run(
    folder: Path,
    sizes: Mapping[str, int],
    layers: int,
    *,
    checked: int = 0,
    tried: str = "",
    texts: Sequence[str] | None = None,
    model: str = "made-up-model",
) -> Made:
    """Save a made-up run.

    Args:
        folder: for the run.
        sizes: samples of each domain.
        layers: of the model.
        checked: how many of them, from the first, were tested by intervention; none leaves all checks out.
        tried: domain that tuning and sharing were tried for; none leaves both out.
        texts: of the samples.
        model: its name.

    Returns:
        The run.
    """
    activations = made_up_layers(layers, sizes, rows=8, columns=6)
    profile = make_profile(activations, sizes, threshold=4e-4, texts=texts, model=model, warnings=[model])
    profile.save(folder)
    if checked:
        parts = made_up_parts(list(sizes), layers)
        checks = made_up_checks(list(sizes), layers, parts=parts[parts["layer"] < checked])
        result = checks.result.model_copy(update={"run_sha256": run_digest(folder)})
        stages = Stages(folder, {}, overwrite=True)
        stages.finish(result, {"weights": checks.weights, "sets": checks.sets, "parts": checks.parts})
    if tried:
        document = tuning(tuned(tried, {"plan": -0.4, "uniform": -0.3, "last": -0.2}, {"uniform": "better"}))
        write_document(folder, TUNED, document.model_copy(update={"run_sha256": run_digest(folder)}))
        share_run(folder, list(sizes))
    return Made(folder, Profile.load(folder))


def share_run(folder: Path, domains: Sequence[str], *, value: float = 0.5, prices: Path | None = None) -> None:
    """Tell what the domains of a run can share, by a gain that was measured elsewhere."""
    gains = [
        MeasuredGain(domain=name, option=way, loss_before=2, loss_after=1.5, low=0.4, high=0.6, source="here")
        for name in domains
        for way in ("shared", "adapters")
    ]
    share(folder, rank=1, value=value, prices=prices, gains=gains)


def ordinary_run(folder: Path) -> Made:
    """Eight layers and four domains, with all there can be; the last two layers were not tested."""
    sizes = {"support": 8, "code": 8, "contracts": 8, "顧客対応": 8}
    return made_up_run(folder / "ordinary", sizes, 8, checked=6, tried="code")


def large_run(folder: Path) -> Made:
    """More layers than the diagnosis table has rows, more domains than there are colours, and nothing tried."""
    return made_up_run(folder / "large", {f"kind-of-work-{place}": 3 for place in range(9)}, 49)


def small_run(folder: Path) -> Made:
    """One layer, one domain and one text: most numbers do not exist."""
    return made_up_run(folder / "small", {"support": 1}, 1)


def hostile_run(folder: Path) -> Made:
    """Names and texts that would do harm if they were anything but words."""
    names = [*PAYLOADS, *NASTY]
    sizes = dict.fromkeys(names, 3)
    texts = [name for name in names for _ in range(3)]
    return made_up_run(
        folder / "hostile", sizes, 2, checked=1, tried=names[0], texts=texts, model="".join(PAYLOADS[:3])
    )
