"""Prices edited in a real browser: what the page shows then is what ``paramscope share`` gives at those prices."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from paramscope.actions.sharing.prices import load_prices
from paramscope.cli.report import write_report
from paramscope.report import Material, render_report
from paramscope.report.sections.ways import answers, best_answer
from paramscope.result.shared import Shared
from tests.actions.test_proposals import tuning
from tests.browser.conftest import Visit
from tests.report.invest import EDITS, price_file, profile_of, reckoned
from tests.report.test_invest import SHARED, TUNED


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prices") / "run"
    profile_of().save(folder)
    return folder


@pytest.fixture(scope="module")
def file(run: Path) -> Path:
    """The page of the run at the package's own prices."""
    reckoned(run)
    return write_report(run)


@pytest.fixture
def page(visit: Visit, file: Path) -> Page:
    return visit(file)


def shown(page: Page) -> dict[str, dict[str, str]]:
    cells: dict[str, dict[str, str]] = {}
    found = page.eval_on_selector_all(
        "[data-cell]", "cells => cells.map(c => [c.dataset.way, c.dataset.cell, c.textContent])"
    )
    for way, cell, text in found:
        cells.setdefault(way, {})[cell] = text
    return cells


def put(page: Page, prices: dict[str, float]) -> None:
    for name, value in prices.items():
        page.fill(f'[data-price="{name}"]', repr(value))


def check_shown(page: Page, expected: Shared) -> None:
    told = answers(expected)
    for way, cells in shown(page).items():
        for cell, text in cells.items():
            assert text == told[way][cell], (way, cell)
    assert page.inner_text(".best") == best_answer(expected)


@pytest.mark.parametrize("value", [0.001, 5.0, None])
def test_results_follow_as_share_gives_them(page: Page, run: Path, tmp_path: Path, value: float | None) -> None:
    for edited in EDITS:
        page.click(".reset")
        page.fill('[data-price="value"]', "" if value is None else repr(value))
        put(page, edited)
        check_shown(page, reckoned(run, price_file(tmp_path, edited), value))


def recommended(page: Page) -> list[str]:
    """What is seen of all that is recommended: the next step, the options in their order, the plan in stages."""
    page.evaluate("document.querySelectorAll('.price-edited').forEach(note => note.remove())")
    return [page.inner_text(part) for part in (".next", ".options", ".stages")]


@pytest.mark.parametrize("piloted", [False, True])
@pytest.mark.parametrize("tuned", [False, True])
def test_the_recommendation_is_that_of_a_page_made_at_the_edited_prices(
    visit: Visit, run: Path, tmp_path: Path, piloted: bool, tuned: bool
) -> None:
    def page_at(file: Path, prices: Path | None, value: float | None, **options: bool) -> Page:
        shared = reckoned(run, prices, value)
        shared = shared.model_copy(update={"pilot": SHARED.pilot if piloted else None})
        trained = tuning(TUNED) if tuned else None
        file.write_text(render_report(Material(profile_of(), tuning=trained, shared=shared, folder=run)), "utf-8")
        return visit(file, **options)

    page = page_at(tmp_path / "edited.html", None, None if tuned else 0.001)
    seen = set()
    for number, value in ((0, None), (0, 2e-4), (1, 0.001), (3, 1e-6), (5, 0.001)):
        page.click(".reset")
        page.fill('[data-price="value"]', "" if value is None else repr(value))
        put(page, EDITS[number])
        prices = price_file(tmp_path, EDITS[number])
        expected = page_at(tmp_path / "made.html", prices, value, java_script_enabled=False)
        assert recommended(page) == recommended(expected), (number, value)
        seen.add(tuple(recommended(page)))
    assert len(seen) > 3


def test_the_shown_file_takes_the_prices_to_the_command_line(page: Page, run: Path, tmp_path: Path) -> None:
    edited = {"gpu_hour": 9.75, "setup_days_copies": 1e-7, "requests_per_month": 5e8}
    put(page, edited)
    file = tmp_path / "prices.yaml"
    file.write_text(page.text_content(".yaml") or "", "utf-8")
    assert {name: getattr(load_prices(file), name) for name in edited} == edited
    assert len(file.read_text("utf-8").splitlines()) == len(edited)
    check_shown(page, reckoned(run, file))
    assert (page.text_content(".price-command") or "").endswith("--value 0.001")
    page.fill('[data-price="value"]', "")
    assert "--value" not in (page.text_content(".price-command") or "")


def test_what_is_out_of_range_is_not_used_and_said(page: Page) -> None:
    before = shown(page)
    for name, wrong in {"gpu_memory_usable": "1.5", "horizon_months": "0", "gpu_hour": "", "value": "-1"}.items():
        field = page.locator(f'[data-price="{name}"]')
        field.fill(wrong)
        assert field.get_attribute("aria-invalid") == "true"
        assert (field.get_attribute("data-label") or "?") in (page.text_content(".price-tools .told") or "")
    assert shown(page) == before


def test_reset_brings_the_stored_prices_back(page: Page) -> None:
    before, best = shown(page), page.inner_text(".best")
    put(page, {"gpu_hour": 99.0, "requests_per_month": 7.0})
    page.fill('[data-price="gpu_tflops"]', "")
    page.fill('[data-price="value"]', "3")
    assert shown(page) != before
    assert page.is_visible(".price-edited")
    page.click(".reset")
    assert (shown(page), page.inner_text(".best")) == (before, best)
    assert not page.is_visible(".price-edited")
    assert page.locator(".prices [aria-invalid]").count() == 0
    assert page.input_value('[data-price="gpu_tflops"]') == "990"


def test_edited_prices_are_printed_with_the_file_that_keeps_them(page: Page) -> None:
    page.emulate_media(media="print")
    assert not page.locator(".price-file").is_visible()
    page.emulate_media(media="screen")
    put(page, {"gpu_hour": 9.75})
    page.emulate_media(media="print")
    assert page.locator(".price-file .yaml").is_visible()
    assert page.inner_text(".price-file .yaml") == "gpu_hour: 9.75"


def test_the_curve_is_called_outdated_only_where_its_bytes_were_edited(page: Page) -> None:
    note = page.locator("#sharing .price-edited")
    put(page, {"gpu_hour": 9.75})
    assert not note.is_visible()
    put(page, {"adapter_bytes_per_parameter": 4})
    assert note.is_visible()


def test_both_languages_follow_whichever_field_was_edited(visit: Visit, run: Path, tmp_path: Path) -> None:
    # Twice in English: what is tested is that the script knows the two apart, and edits both.
    material = Material(profile_of(), shared=reckoned(run), folder=run)
    file = tmp_path / "page.html"
    file.write_text(render_report(material, ("en", "en")), "utf-8")
    page = visit(file)
    page.locator('[data-price="gpu_hour"]').first.fill("9.75")
    told = answers(reckoned(run, price_file(tmp_path, {"gpu_hour": 9.75})))["copies"]["money per month"]
    cells = page.locator('[data-way="copies"][data-cell="money per month"]').all_text_contents()
    fields = [field.input_value() for field in page.locator('[data-price="gpu_hour"]').all()]
    assert cells
    assert set(cells) == {told}
    assert fields == ["9.75", "9.75"]
