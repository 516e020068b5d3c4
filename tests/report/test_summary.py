"""In one minute: every sentence follows from the run's evidence, with its number, interval and verdict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paramscope.actions.roles import Role
from paramscope.report import Material
from paramscope.report.sections import summary
from paramscope.report.sections.amounts import fixed
from paramscope.report.sections.finding import Finding
from paramscope.report.text import change, figure, interval, points
from tests.reference import make_profile
from tests.report.checks import VERDICTS, made_up_checks, made_up_parts
from tests.report.runs import LAYERS, NAMES, full_run, made_up_run


def even(falling: list[float]) -> Material:
    """Layers whose weights are all about as large as is said, the same for every text."""
    rng = np.random.default_rng(0)
    layers = [{"up": np.abs(size * rng.lognormal(0, 0.3, (8, 8, 6)))} for size in falling]
    return Material(make_profile(layers, {"a": 4, "b": 4}, threshold=1e-3))


def found(material: Material, section: str) -> list[Finding]:
    return [finding for finding in summary.section(material).findings if finding.section == section]


@pytest.mark.parametrize(
    ("sizes", "verdict", "words"),
    [
        ([1e-2] * 4 + [1e-4] * 5, "supported", "Shallow layers use more"),
        ([1e-4] * 4 + [1e-2] * 5, "not supported", "The paper’s pattern is not in this run"),
    ],
)
def test_the_papers_pattern_is_told_only_where_it_is(sizes: list[float], verdict: str, words: str) -> None:
    material = even(sizes)
    (finding,) = found(material, "details")
    assert finding.status == verdict
    assert words in finding.sentence
    moved = material.findings.claims["density"].overall.change
    assert points(moved.value) in finding.number
    assert finding.interval == interval(moved.low, moved.high, points)


def test_a_run_without_checks_says_that_nothing_was_tested() -> None:
    (finding,) = found(Material(made_up_run(NAMES, LAYERS, 4)), "truth")
    assert finding.status == "not tested"
    assert "paramscope verify" in finding.more


@pytest.mark.parametrize("status", ["supported", "not supported", "undecided"])
def test_a_verdict_of_the_checks_is_told_as_it_is(status: str) -> None:
    verdict = VERDICTS[0].model_copy(update={"status": status})
    checks = made_up_checks(NAMES, LAYERS, verdicts=[verdict])
    finding = found(Material(made_up_run(NAMES, LAYERS, 4), checks), "truth")[0]
    assert finding.status == status
    assert finding.number == figure(verdict.value)
    assert finding.interval == interval(verdict.low or 0, verdict.high or 0, figure)


def test_single_points_of_failure_have_their_loss_and_layers() -> None:
    checks = made_up_checks(NAMES, LAYERS)
    material = Material(made_up_run(NAMES, LAYERS, 4), checks)
    fragile = [layer.layer for layer in material.planned().layers if layer.role == Role.FRAGILE]
    (finding,) = found(material, "diagnosis")
    worst = checks.parts.groupby(["layer", "kind", "name", "domain"])["damage"].mean().max()
    assert finding.status == "supported"
    assert finding.number == figure(worst)
    assert all(str(layer) in finding.more for layer in fragile)


def test_no_single_point_of_failure_is_no_promise() -> None:
    parts = made_up_parts(NAMES, LAYERS)
    parts["damage"] = 0.01
    material = Material(made_up_run(NAMES, LAYERS, 4), made_up_checks(NAMES, LAYERS, parts=parts))
    (finding,) = found(material, "diagnosis")
    assert finding.status == "not supported"
    assert "no part that was taken away broke a domain" in finding.sentence
    assert "Parts tried" in finding.more


def test_three_to_five_findings_and_a_next_step_from_the_pilots(tmp_path: Path) -> None:
    material = Material.load(full_run(tmp_path / "run"))
    shown = summary.section(material)
    assert 3 <= len(shown.findings) <= 5
    (pilot,) = [finding for finding in shown.findings if finding.section == "invest"]
    assert pilot.status == "supported"
    assert pilot.number == change(-0.4, 3)
    first = next(proposal for proposal in material.planned().proposals if proposal.status == "measured")
    assert first.benefit
    step = shown.next[0][0]
    assert step.headline == first.headline
    assert first.benefit.value is not None
    assert fixed(first.benefit.value, 3) in step.benefit.main


def test_without_a_pilot_the_next_step_is_one_and_promises_nothing() -> None:
    shown = summary.section(Material(made_up_run(NAMES, LAYERS, 4)))
    ((step, _),) = shown.next
    assert step.headline.startswith("Tune for ")
    assert step.benefit.main == "not known yet: that is what the pilot measures"


@pytest.mark.parametrize(("layers", "names"), [(1, ["a"]), (1, ["a", "b"]), (6, ["a"])])
def test_small_runs_have_sentences_too(layers: int, names: list[str]) -> None:
    shown = summary.section(Material(made_up_run(names, layers, 2)))
    assert all(finding.sentence for finding in shown.findings)
