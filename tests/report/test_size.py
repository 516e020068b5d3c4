"""The largest page that has to fit into a mail: 32 layers, 9 domains, 64 texts of each, verified, in two languages."""

from __future__ import annotations

import time

from paramscope.report import Material, render_report
from tests.report.checks import made_up_checks
from tests.report.runs import made_up_run

NAMES = [f"kind-of-work-{place}" for place in range(9)]
MOST_BYTES = 1_000_000
MOST_SECONDS = 12.0
"""Of all cores together. Three seconds are promised of a machine that does nothing else; this one may be busy."""


def test_a_large_page_is_small_and_made_quickly() -> None:
    material = Material(made_up_run(NAMES, 32, 64), made_up_checks(NAMES, 32))
    before = time.process_time()
    page = render_report(material)
    assert time.process_time() - before < MOST_SECONDS
    assert len(page.encode()) < MOST_BYTES / 1.6
    assert len(render_report(material, ["en", "ja"]).encode()) < MOST_BYTES
