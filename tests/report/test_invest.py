"""The section "Where to invest": what the page reckons is what ``paramscope share`` does, and nothing is made up."""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paramscope.actions.sharing.prices import load_prices
from paramscope.errors import UsageError
from paramscope.report import render_report
from paramscope.report.material import Material
from paramscope.report.sections import invest
from paramscope.report.sections.amounts import FORMS, fixed, significant
from paramscope.report.sections.cases import stored_case
from paramscope.report.sections.formulas import bounds, reckoning
from paramscope.report.sections.options import option_rows
from paramscope.report.sections.prices import as_typed, as_yaml
from paramscope.report.sections.stages import steps
from paramscope.report.sections.ways import answers, best_answer
from paramscope.report.text import change
from paramscope.result.shared import OptionRecord, Shared
from paramscope.result.tuned import TunedDomain, Tuning
from tests.actions.test_proposals import interval, tuned, tuning
from tests.actions.test_proposals import shared as shared_with_pilot
from tests.report.document import Document
from tests.report.invest import EDITS, NAMES, price_file, profile_of, reckoned
from tests.report.test_hostile import NASTY, check_inert

TUNED = tuned("code", {"plan": -0.4, "uniform": -0.3, "last": -0.2}, {"uniform": "better", "last": "better"})
SHARED = shared_with_pilot({"adapters": -0.4, "shared": -0.3, "all-adapters": -0.5}, {"shared": "better"})

FUNCTIONS: dict[str, Callable[..., float]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": lambda one, other: one / other,
    "ceil": math.ceil,
    "max": max,
}


def evaluated(tree: Any, prices: dict[str, float], figures: dict[str, float]) -> float:
    """A compiled formula, as the page's script evaluates it."""
    if not isinstance(tree, list):
        return float(tree)
    kind, *rest = tree
    if kind in ("price", "figure"):
        return (prices if kind == "price" else figures)[rest[0]]
    return FUNCTIONS[kind](*(evaluated(part, prices, figures) for part in rest))


@functools.cache
def ordinary() -> tuple[Material, Document]:
    material = Material(profile_of(), tuning=tuning(TUNED), shared=SHARED)
    return material, Document(render_report(material))


def section_of(page: Document) -> str:
    found = re.search(r'<section id="invest".*?</section>', page.page, re.DOTALL)
    assert found
    return found[0]


def old(shared: Shared) -> Shared:
    """As an earlier version wrote it."""
    options = [
        OptionRecord(
            name=option.name,
            text=option.text,
            layers=option.layers,
            figures=[figure.model_copy(update={"prices": None, "figures": None}) for figure in option.figures],
        )
        for option in shared.options
    ]
    return shared.model_copy(update={"options": options})


@pytest.mark.parametrize("edited", EDITS)
def test_compiled_formulas_give_what_share_gives_at_other_prices(tmp_path: Path, edited: dict[str, float]) -> None:
    profile_of().save(tmp_path / "run")
    found = reckoning(Material(profile_of(), shared=reckoned(tmp_path / "run")))
    assert found
    prices = found["prices"] | edited
    expected = reckoned(tmp_path / "run", price_file(tmp_path, edited))
    for option in expected.options:
        figures: dict[str, float] = {}
        for name, tree in found["ways"][option.name]["figures"]:
            figures[name] = evaluated(tree, prices, figures)
        assert figures == {figure.name: figure.value for figure in option.figures}


def test_page_shows_the_numbers_of_the_document(tmp_path: Path) -> None:
    profile_of().save(tmp_path / "run")
    shared = reckoned(tmp_path / "run")
    page = Document(render_report(Material(profile_of(), shared=shared)))
    told = answers(shared)
    cells = re.findall(r'<span data-way="([^"]*)" data-cell="([^"]*)">([^<]*)</span>', page.page)
    assert {way for way, _, _ in cells} == set(told)
    for way, cell, shown in cells:
        assert shown == told[way][cell]
    for option in shared.options:
        for name, form in FORMS.items():
            assert told[option.name][name] == form(option.figure(name).value)
    assert best_answer(shared) in page.text


def test_months_are_told_as_the_document_has_them(tmp_path: Path) -> None:
    profile_of().save(tmp_path / "run")
    told = {name: cells.get("pays back", "") for name, cells in answers(reckoned(tmp_path / "run")).items()}
    assert told["copies"] == told["layers"] == "not measured"
    assert told["shared"].startswith("after ")
    dear = answers(reckoned(tmp_path / "run", value=1e-9))
    assert dear["adapters"]["pays back"].startswith("never")
    open_ = answers(reckoned(tmp_path / "run", value=None))
    assert open_["shared"]["pays back"] == "needs the value of a request"
    assert open_["copies"]["pays back"] == "not measured"


def test_an_older_document_is_shown_but_cannot_be_edited() -> None:
    shared = old(SHARED)
    material = Material(profile_of(), shared=shared)
    assert reckoning(material) is None
    page = Document(render_report(material))
    for option in shared.options:
        assert answers(shared)[option.name]["money per month"] in page.text
    assert "cannot be edited here" in page.text
    assert "paramscope share RUN --prices prices.yaml --rank 1" in page.text
    fields = [given for tag, given in page.elements if tag == "input" and given.get("type") == "number"]
    assert fields
    assert all("readonly" in given for given in fields)
    assert 'class="reset"' not in page.page


def test_every_price_has_a_label_a_unit_and_no_less_than_nothing() -> None:
    section = section_of(ordinary()[1])
    fields = re.findall(r"<label><span>([^<]+)<small>([^<]+)</small></span>\s*<input([^>]*)></label>", section)
    assert len(fields) == section.count("<input") > 15
    for label, unit, given in fields:
        assert label.strip()
        assert unit.strip()
        assert 'min="' in given
        assert 'min="-' not in given
    shown = set(re.findall(r'data-price="(\w+)"', section))
    data = reckoning(ordinary()[0])
    assert data
    assert shown == set(data["bounds"]) - {"load_gb_per_second"} | {"value"}


@pytest.mark.parametrize("name", [name for name in load_prices().model_dump() if name != "currency"])
def test_what_the_page_refuses_is_what_share_refuses(tmp_path: Path, name: str) -> None:
    least, most = bounds(name)
    for number in (least, least - 1, least + 1e-9, most, most * 1.001):
        fits = least <= number <= most
        file = price_file(tmp_path, {name: number})
        if fits:
            load_prices(file)
        else:
            with pytest.raises(UsageError):
                load_prices(file)


def test_the_file_of_prices_brings_them_back(tmp_path: Path) -> None:
    profile_of().save(tmp_path / "run")
    edited = {"gpu_hour": 9.75, "storage_gb_month": 1e-7, "requests_per_month": 5e8}
    shared = reckoned(tmp_path / "run", price_file(tmp_path, edited))
    (tmp_path / "again.yaml").write_text(as_yaml(shared), "utf-8")
    assert load_prices(tmp_path / "again.yaml").model_dump() == shared.prices
    assert reckoned(tmp_path / "run", tmp_path / "again.yaml") == shared
    assert set(as_yaml(shared).splitlines()) == {
        "gpu_hour: 9.75",
        "storage_gb_month: 1.0e-07",
        "requests_per_month: 500000000",
    }


@pytest.mark.parametrize("value", [0.0, 1.0, 0.25, 1e-7, 1e22, 123456789.5, 1e15, 2.5e-300])
def test_typed_numbers_are_numbers_of_yaml(value: float) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(as_typed(value)) == value


def test_halves_are_rounded_as_the_script_rounds_them() -> None:
    assert [fixed(value, 0) for value in (0.5, 1.5, 2.5, -2.5, -0.4, 1234.5)] == ["1", "2", "3", "−3", "0", "1,235"]
    assert [fixed(0.125, 2), fixed(1e15, 0), fixed(math.inf, 1)] == ["0.13", "1.00e+15", "–"]
    assert [significant(value) for value in (0.0113333, 0.5, 2400.4, 0.0, 9.999, -0.00123)] == [
        "0.0113",
        "0.5",
        "2,400",
        "0",
        "10",
        "−0.00123",
    ]


def test_options_have_one_row_each_and_leaving_is_the_last() -> None:
    material, page = ordinary()
    rows = option_rows(material, stored_case(material))
    assert len(rows) == len(material.planned().proposals) + 1
    assert rows[-1].heading == "Leave as it is"
    assert {row.heading.split(":")[0] for row in rows} == {
        "Share", "Tune for code", "Tune", "Prune", "Leave as it is",
    }  # fmt: skip
    for row in rows:
        assert row.heading in page.text
        assert re.sub("<[^>]+>", "", row.payback) in page.text
        assert row.command in page.text
        assert row.evidence or row.untested


def test_nothing_unmeasured_has_a_benefit() -> None:
    for material in (Material(profile_of()), ordinary()[0]):
        for row in option_rows(material, stored_case(material)):
            if row.status == "not measured":
                assert row.benefit.main == "not measured"
                assert row.command
                assert row.heading == "Prune" or "--pilot" in row.command
                assert not re.search(r"\d", row.benefit.main + row.benefit.below)


def test_pilots_are_told_with_their_verdicts() -> None:
    material, page = ordinary()
    section = invest.section(material)
    assert [pilot.title for pilot in section.pilots] == ["Tuning for code", "Ways to share"]
    tuned_rows, shared_rows = (pilot.rows for pilot in section.pilots)
    assert [row.status for row in tuned_rows] == ["", "better", "better"]
    assert [row.name for row in shared_rows] == [
        "Own adapters on some layers", "One tuned model for all", "Own adapters on all layers",
    ]  # fmt: skip
    for value in (-0.4, -0.3, -0.2, -0.5):
        assert change(value, 3) in page.text
    assert "So it was." in page.text


def harmful(loss: float) -> TunedDomain:
    """A pilot whose plan costs another domain something."""
    assert TUNED.pilot
    effect = TUNED.pilot.effects[0].model_copy(update={"others": {"support": interval(loss)}})
    pilot = TUNED.pilot.model_copy(update={"effects": [effect, *TUNED.pilot.effects[1:]]})
    return TUNED.model_copy(update={"pilot": pilot})


@pytest.mark.parametrize(
    ("loss", "told"),
    [(0.04, "The criteria to go on are met."), (0.3, "are met for code alone: the loss of support rose by 0.300")],
)
def test_a_pilot_is_held_against_the_criteria_to_go_on(loss: float, told: str) -> None:
    found = steps(Material(profile_of(), tuning=Tuning(paramscope="0", run_sha256="0", domains=[harmful(loss)])))
    assert [step.heading for step in found] == ["Pilot", "Decide: go on or stop", "Roll out in stages", "Monitor"]
    assert found[0].notes[0].status == "supported"
    assert told in found[0].notes[0].text


def test_the_plan_names_domain_command_and_criteria() -> None:
    material, page = ordinary()
    pilot = material.planned().pilot
    assert pilot
    for words in (pilot.text, pilot.command, pilot.go_on, pilot.stop):
        assert words in page.text


def test_without_evidence_nothing_is_rolled_out() -> None:
    found = steps(Material(profile_of()))
    assert found[2].notes[0].text.startswith("Not yet")
    assert [note.status for note in found[0].notes] == ["not measured", "not measured"]


@pytest.mark.parametrize("names", [("only",), tuple(NAMES)])
def test_without_costs_there_are_words_and_the_command(names: tuple[str, ...]) -> None:
    page = Document(render_report(Material(profile_of(*names))))
    section = section_of(page)
    assert "data-price" not in section
    assert section.count("<table") == 1
    assert ("paramscope share RUN" if len(names) > 1 else "nothing to share") in section


def test_section_is_small_and_without_styles_of_its_own() -> None:
    section = section_of(ordinary()[1])
    assert len(section.encode()) < 80_000
    assert "style=" not in section
    assert not re.search(r"\son\w+=", section)
    assert "nothing faster or smaller" in section


@pytest.mark.parametrize("nasty", NASTY[:6])
def test_names_sentences_and_currencies_are_inert(tmp_path: Path, nasty: str) -> None:
    profile = profile_of("a", nasty)
    done = tuned(nasty, {"plan": -0.4, "uniform": -0.3}, {"uniform": "better"})
    assert done.pilot
    spoken = done.model_copy(update={"pilot": done.pilot.model_copy(update={"sentence": nasty * 3})})
    shared = SHARED.model_copy(
        update={"prices": SHARED.prices | {"currency": nasty[:8]}, "limits": [nasty], "domains": profile.domains}
    )
    tags = {tag for tag, _ in ordinary()[1].elements}
    check_inert(render_report(Material(profile, tuning=tuning(spoken), shared=shared)), tags)


def test_scripts_hold_no_words_and_no_evaluation() -> None:
    script = Path(invest.__file__).parents[1] / "templates" / "scripts" / "prices.js"
    text = script.read_text("utf-8")
    assert not re.search(r"\beval\b|\bFunction\b|innerHTML|setTimeout\(\s*[\"']", text)


def test_formulas_are_arithmetic_alone() -> None:
    figure = SHARED.options[0].figures[0].model_copy(update={"formula": "__import__('os')"})
    option = SHARED.options[0].model_copy(update={"figures": [figure]})
    assert ast.parse(figure.formula)
    with pytest.raises(ValueError, match="no arithmetic"):
        reckoning(Material(profile_of(), shared=SHARED.model_copy(update={"options": [option]})))
