"""axe-core in a page: what keeps people out who do not see, hear or point as others do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

REPEATED = ["tbody tr:nth-child(n+4)", "svg[role=img] > *"]
"""Further rows are as the first ones are, and what a picture is drawn of is hidden behind its name."""


def violations(page: Page, *, rules: Sequence[str] = (), within: Sequence[str] = ()) -> list[str]:
    """What axe-core finds against the standards.

    Args:
        page: as it is at the moment.
        rules: to look at; all of ``STANDARDS`` if none.
        within: selectors of the parts to look at; the whole page if none.

    Returns:
        One line a finding: its rule, what is asked for, and the first elements.
    """
    page.evaluate(_axe())
    found: dict[str, Any] = page.evaluate(
        "([within, only]) => axe.run(within, { runOnly: only, resultTypes: ['violations'], preload: false })",
        [
            {"include": list(within) or ["html"], "exclude": REPEATED},
            {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": STANDARDS},
        ],
    )
    assert found["passes"]
    return [
        f"{fault['id']}: {fault['help']}: "
        + "; ".join(f"{node['html'][:160]} {node['any'][0]['message'] if node['any'] else ''}" for node in nodes[:3])
        for fault in found["violations"]
        for nodes in [fault["nodes"]]
    ]


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
