"""Cases of the recommendation: the stored one first, and each other that prices can lead to once."""

from __future__ import annotations

from pathlib import Path

import pytest

from paramscope.report.material import Material
from paramscope.report.sections.cases import by_case, cases, stored_case
from paramscope.report.sections.options import option_rows, placed_rows
from tests.actions.test_proposals import tuning
from tests.report.invest import profile_of, reckoned
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


def test_gains_without_a_value_are_told_as_such(tmp_path: Path) -> None:
    (share,) = (each for each in material_at(tmp_path, None).planned().proposals if each.name == "share")
    assert "(--value)" in share.text
    assert share.status == "not measured"
