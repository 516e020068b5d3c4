"""Cases of the recommendation: the stored one first, and each other that prices can lead to once."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from paramscope.report.material import Material
from paramscope.report.sections.cases import by_case, cases, stored_case
from paramscope.report.sections.next_step import next_step
from paramscope.report.sections.options import option_rows, placed_rows
from paramscope.report.sections.roll_out import decide
from paramscope.report.sections.stages import steps
from paramscope.report.sections.ways import answers, best_answer, live, told_live
from tests.actions.test_proposals import shared, tuned, tuning
from tests.report.invest import NAMES, profile_of, reckoned
from tests.report.test_invest import TUNED, old

MEASURED = ["shared", "adapters", "all-adapters"]


def material_at(folder: Path, value: float | None) -> Material:
    profile_of().save(folder / "run")
    return Material(profile_of(), tuning=tuning(TUNED), shared=reckoned(folder / "run", value=value))


@pytest.mark.parametrize(("value", "stored"), [(None, "untold"), (5.0, "pays:adapters"), (1e-9, "short:shared")])
def test_the_stored_case_is_the_first_and_no_case_is_missing(tmp_path: Path, value: float | None, stored: str) -> None:
    names = [case.name for case in cases(material_at(tmp_path, value))]
    assert names[0] == stored
    assert sorted(names) == sorted(["untold", *(f"{kind}:{way}" for kind in ("pays", "short") for way in MEASURED)])


def test_what_pays_comes_first_and_what_falls_short_last(tmp_path: Path) -> None:
    for case in cases(material_at(tmp_path, None)):
        names = [proposal.name for proposal in case.proposals]
        assert [proposal.priority for proposal in case.proposals] == list(range(1, len(names) + 1))
        assert names.index("share") == {"pays": 0, "untold": 1, "short": len(names) - 1}[case.kind]


def test_where_no_price_can_be_edited_there_is_one_case(tmp_path: Path) -> None:
    made = material_at(tmp_path, 5.0)
    assert made.shared
    for material in (Material(profile_of()), Material(profile_of(), shared=old(made.shared))):
        assert cases(material) == [stored_case(material)]
        assert all(not placed.attributes for placed in placed_rows(material))
        assert by_case(material, lambda case: case.name) == [(stored_case(material).name, "")]


def test_rows_stand_in_every_case_as_that_case_has_them(tmp_path: Path) -> None:
    material = material_at(tmp_path, 0.001)
    placed = placed_rows(material)
    shown = [each for each in placed if each.place is not None]
    assert [each.place for each in shown] == list(range(1, len(shown) + 1))
    assert [each.row.heading for each in shown] == [row.heading for row in option_rows(material, stored_case(material))]
    hidden = [each.row.heading for each in placed if each.place is None]
    assert sum(heading.startswith("Share") for heading in hidden) == 2 * len(MEASURED)


@pytest.mark.parametrize("value", [5.0, 1e-3, 3e-4, 2e-4, 1e-4, 1e-9])
def test_what_is_recommended_is_what_is_said_to_pay_in_time(tmp_path: Path, value: float) -> None:
    material = material_at(tmp_path, value)
    assert material.shared
    case = stored_case(material)
    assert (case.kind == "pays") == ("leaves the most money" in best_answer(material.shared))
    share = next(row for row in option_rows(material, case) if row.heading.startswith("Share"))
    assert share.status == ("given" if case.kind == "pays" else "does not pay in time")
    assert ("not surely within" in share.payback or "never" in share.payback) == (case.kind == "short")
    assert (next_step(material, case).headline == share.heading) == (case.kind == "pays")


@pytest.mark.parametrize("value", [None, 1e-9])
def test_gains_that_are_known_are_not_called_unmeasured(tmp_path: Path, value: float | None) -> None:
    material = material_at(tmp_path, value)
    material = Material(material.profile, shared=material.shared)
    case = stored_case(material)
    share = next(row for row in option_rows(material, case) if row.heading.startswith("Share"))
    told = [share.text, *dataclasses.astuple(share.benefit), share.payback, option_rows(material, case)[-1].text]
    told += [next_step(material, case).text, *(note.text for note in steps(material)[2].notes if not note.attributes)]
    words = " ".join(re.sub("<[^>]+>", "", each) for each in told)
    assert not re.search("not measured|nothing was measured|without a measured gain", words)
    assert ("value" in words) if value is None else ("pay" in words)


def test_a_control_that_did_best_is_told_by_its_name_and_costed_as_the_plan(tmp_path: Path) -> None:
    profile_of().save(tmp_path / "run")
    tried = shared({"adapters": -0.3, "shared": -0.2, "random layers": -0.5}, {"random layers": "worse"})
    material = Material(profile_of(), shared=tried)
    share = next(row for row in option_rows(material, stored_case(material)) if row.heading.startswith("Share"))
    assert share.heading == "Share: Own adapters on layers drawn at random"
    assert share.text == "As many own layers drawn at random."
    assert share.payback == "needs the value of a request"
    assert str(share.cost.main) == str(told_live("{} USD once".format, live(tried, "adapters", "extra once")))


def test_where_pilots_failed_and_sharing_does_not_pay_nothing_is_recommended(tmp_path: Path) -> None:
    failed = [tuned(name, {"plan": 0.1, "uniform": 0.2}, {"uniform": "better"}) for name in NAMES]
    reckoned_with = material_at(tmp_path, 1e-9).shared
    material = Material(profile_of(), tuning=tuning(*failed), shared=reckoned_with)
    case = stored_case(material)
    assert next_step(material, case).headline == "Leave the model as it is."
    assert not any(row.status in ("measured", "given") for row in option_rows(material, case))
    told = " ".join(note.text for step in steps(material) for note in step.notes if "hidden" not in note.attributes)
    assert "first row" not in told
    assert "pays back in the time" not in told
    row = next(row for row in option_rows(material, case) if row.heading == "Tune for code")
    assert (row.benefit.main, row.benefit.below) == ("0.100 nats per token more", "0.080 to 0.120")
    assert "Train the plan" not in row.text


def test_money_that_speaks_against_the_pilot_says_so(tmp_path: Path) -> None:
    tried = shared({"adapters": -0.3, "shared": -0.2, "random layers": -0.5}, {"random layers": "worse"})
    paid = material_at(tmp_path, 0.001).shared
    assert paid
    material = Material(profile_of(), shared=paid.model_copy(update={"pilot": tried.pilot}))
    assert next_step(material, stored_case(material)).headline == "Share: Own adapters on some layers"
    assert "So it was." in next_step(material, stored_case(material)).text


def test_criteria_are_those_of_what_is_recommended(tmp_path: Path) -> None:
    for case, words in (("pays:adapters", "Sharing, go on if"), ("short:adapters", "Tuning for code, go on if")):
        material = material_at(tmp_path / case.replace(":", "-"), 0.001)
        found = next(each for each in cases(material) if each.name == case)
        notes = [note.text for note in decide(material, found)]
        assert notes[0].startswith(words)
        assert ("pays back" in notes[0]) == case.startswith("pays")


def test_a_gain_on_some_domains_is_told_over_all_of_them(tmp_path: Path) -> None:
    reckoned_with = material_at(tmp_path, 0.001).shared
    assert reckoned_with
    told = {way: cells.get("gain share") for way, cells in answers(reckoned_with).items()}
    assert told["adapters"] == "on 1 of 2 domains; over all 20.0%"
    assert told["shared"] == ""


def test_gains_without_a_value_are_told_as_such(tmp_path: Path) -> None:
    (share,) = (each for each in material_at(tmp_path, None).planned().proposals if each.name == "share")
    assert "(--value)" in share.text
    assert share.status == "not measured"
