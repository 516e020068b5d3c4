"""The section about what to do: the numbers are those of the documents, and nothing hostile gets through."""

from __future__ import annotations

from pathlib import Path

import pytest

import paramscope
from paramscope.cli.report import write_report
from paramscope.deciding import decide
from paramscope.report import render_report
from paramscope.report.decision import Decisions, decision_section
from paramscope.report.text import change
from paramscope.result.profile import Profile
from paramscope.result.shared import Shared
from paramscope.result.tuned import Tuning
from paramscope.sharing import share
from tests.actions.test_proposals import shared as shared_with_pilot
from tests.actions.test_proposals import tuned, tuning
from tests.reference import made_up_layers, make_profile
from tests.report.document import Document
from tests.report.test_hostile import NASTY, check_inert, harmless_tags

NAMES = ["support", "code"]
TUNING = tuning(tuned("code", {"plan": -0.4, "uniform": -0.3, "last": -0.2}, {"uniform": "better", "last": "better"}))
SHARED = shared_with_pilot({"adapters": -0.4, "shared": -0.3, "all-adapters": -0.5}, {"shared": "better"})


def profile_of(*names: str) -> Profile:
    sizes = dict.fromkeys(names or NAMES, 4)
    return make_profile(made_up_layers(4, sizes, rows=8, columns=6), sizes, threshold=4e-4)


def decisions(folder: Path, tuned: Tuning | None = TUNING, shared: Shared | None = SHARED) -> Decisions:
    profile_of().save(folder / "ordinary")
    return Decisions(decide(profile_of(), folder / "ordinary", None, None, None), tuned, shared)


def test_the_section_is_there_only_when_something_was_planned_or_tried(tmp_path: Path) -> None:
    profile_of().save(tmp_path / "run")
    assert "What to do" not in Document(write_report(tmp_path / "run").read_text("utf-8")).text
    share(tmp_path / "run", rank=1)
    assert "What to do" in Document(write_report(tmp_path / "run").read_text("utf-8")).text


def test_pilots_are_told_with_their_verdicts(tmp_path: Path) -> None:
    found = decisions(tmp_path)
    page = Document(render_report(profile_of(), None, found))
    for words in ("Pilot: Tuning for code", "Pilot: Sharing", "the plan (spread)", "So it was.", "better", "Try first"):
        assert words in page.text, words
    for value in (-0.4, -0.3, -0.2, -0.5):
        assert change(value, 3) in page.text
    section = decision_section(found)
    (tuned_rows, shared_rows) = (pilot.rows for pilot in section.pilots)
    assert [row.status for row in tuned_rows] == ["", "better", "better"]
    assert [row.chip for row in tuned_rows] == ["", "yes", "yes"]
    assert [row.name for row in shared_rows] == ["adapters", "shared", "all-adapters"]


def test_every_proposal_role_and_option_stands_on_the_page(tmp_path: Path) -> None:
    found = decisions(tmp_path, None)
    section = decision_section(found)
    page = Document(render_report(profile_of(), None, found))
    for proposal in found.planned.proposals:
        assert proposal.text in page.text
    assert sum(len(row.layers) > 0 for row in section.roles) == len(section.roles)
    assert section.options
    assert [head.main for head in section.options.heads] == [option.name for option in SHARED.options]
    assert "nothing faster or smaller" in page.text


@pytest.mark.parametrize("nasty", NASTY[:6])
def test_names_and_sentences_are_inert(tmp_path: Path, nasty: str) -> None:
    profile = profile_of("a", nasty)
    profile.save(tmp_path / "run")
    share(tmp_path / "run", rank=1)
    done = tuned(nasty, {"plan": -0.4, "uniform": -0.3}, {"uniform": "better"})
    assert done.pilot
    spoken = done.model_copy(update={"pilot": done.pilot.model_copy(update={"sentence": nasty * 3})})
    found = Decisions(paramscope.plan(tmp_path / "run"), tuning(spoken), SHARED)
    tags = harmless_tags() | {
        tag for tag, _ in Document(render_report(profile_of(), None, decisions(tmp_path))).elements
    }
    check_inert(render_report(profile, None, found), tags)
