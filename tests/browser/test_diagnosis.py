"""The diagnosis table sorts, filters and copies what it shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from playwright.sync_api import Locator, Page

from tests.browser.conftest import Visit
from tests.browser.pages import PAYLOADS, Made

ROLE, RISK, DAMAGE, SIMILARITY, DENSITY = 1, 3, 4, 6, 7
"""Columns; from the last on there is one a domain."""

CLIPBOARD = {"permissions": ["clipboard-read", "clipboard-write"]}


def table_of(page: Page) -> Locator:
    return page.locator("table.diagnosis").first


def values(table: Locator, column: int) -> list[float | None]:
    """What a column sorts by, from the top to the bottom."""
    found = table.locator("tbody tr").evaluate_all(f"(rows) => rows.map((row) => row.cells[{column}].dataset.value)")
    return [float(value) if value else None for value in found]


def heads(table: Locator) -> Locator:
    return table.locator("thead th")


def in_order(found: Sequence[float | None], *, descending: bool) -> list[float | None]:
    known = sorted((value for value in found if value is not None), reverse=descending)
    return [*known, *[None] * (len(found) - len(known))]


def test_a_head_sorts_by_number_up_and_down_and_what_has_no_value_stays_last(
    visit: Visit, ordinary: Made, language: str
) -> None:
    table = table_of(visit(ordinary.page(language)))
    for column in (DAMAGE, SIMILARITY, DENSITY + 1):
        head = heads(table).nth(column)
        before = values(table, column)
        assert (None in before) == (column == DAMAGE)
        for direction in ("ascending", "descending", "ascending"):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == direction
            assert values(table, column) == in_order(before, descending=direction == "descending")
        assert table.locator("[aria-sort]").count() == 1
        heads(table).first.get_by_role("button").click()
        assert table.locator("[aria-sort]").count() == 1
        assert values(table, column) == before


def test_a_row_keeps_its_cells_when_it_is_sorted(visit: Visit, ordinary: Made) -> None:
    table = table_of(visit(ordinary.page("en")))
    before = {row.split()[0]: row for row in table.locator("tbody tr").all_inner_texts()}
    heads(table).nth(DENSITY).get_by_role("button").click()
    after = table.locator("tbody tr").all_inner_texts()
    assert [row.split()[0] for row in after] != list(before)
    assert {row.split()[0]: row for row in after} == before


def test_heads_are_sorted_by_the_keyboard(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en"))
    table = table_of(page)
    heads(table).nth(0).get_by_role("button").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert heads(table).nth(1).get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert heads(table).nth(1).get_attribute("aria-sort") == "descending"


def test_the_filter_leaves_the_rows_with_all_its_words_and_says_how_many(
    visit: Visit, ordinary: Made, language: str
) -> None:
    page = visit(ordinary.page(language))
    table, tools = table_of(page), page.locator(".tools").first
    rows = table.locator("tbody tr")
    every, shown = rows.count(), tools.locator(".shown")
    whole = shown.inner_text()
    assert str(every) in whole
    role = rows.last.locator("td").nth(ROLE - 1).inner_text().split()[0]
    matching = [row for row in rows.all_inner_texts() if role.lower() in row.lower()]
    assert 0 < len(matching) < every
    tools.locator(".filter").fill(f"  {role.upper()} ")
    visible = table.locator("tbody tr:visible")
    assert visible.all_inner_texts() == matching
    assert str(len(matching)) in shown.inner_text()
    assert str(every) in shown.inner_text()
    assert shown.get_attribute("role") == "status"
    tools.locator(".filter").fill("no row has these words")
    assert visible.count() == 0
    tools.locator(".filter").fill("")
    assert visible.count() == every
    assert shown.inner_text() == whole


def copied(page: Page, button: Locator) -> list[list[str]]:
    button.click()
    page.wait_for_function("(each) => each.textContent === each.dataset.done", arg=button.element_handle())
    text = page.evaluate("navigator.clipboard.readText()")
    return list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_copy_is_the_table_as_it_is_shown_with_numbers_as_they_were_measured(
    visit: Visit, ordinary: Made, language: str
) -> None:
    page = visit(ordinary.page(language), **CLIPBOARD)
    table, tools = table_of(page), page.locator(".tools").first
    head, *rows = copied(page, tools.locator(".copy"))
    assert {len(row) for row in rows} == {len(head)}
    assert [name.split()[0] for name in head[DENSITY:]] == ordinary.profile.domains
    for place, domain in enumerate(ordinary.profile.domains):
        measured = ordinary.summary["density"][domain]
        assert [float(row[DENSITY + place]) for row in rows] == pytest.approx(measured, rel=1e-5)
    # Words are copied as they are read, not as the key that sorts them.
    shown = table.locator(f"tbody tr td:nth-child({RISK + 1})").all_inner_texts()
    assert [row[RISK] for row in rows] == [" ".join(text.split()) for text in shown]
    heads(table).nth(DENSITY).get_by_role("button").click()
    tools.locator(".filter").fill(rows[-1][ROLE])
    _head, *fewer = copied(page, tools.locator(".copy"))
    assert 0 < len(fewer) < len(rows)
    assert all(row in rows for row in fewer)


def test_no_cell_of_the_copy_is_a_formula(visit: Visit, hostile: Made) -> None:
    page = visit(hostile.page("en"), **CLIPBOARD)
    head, *rows = copied(page, page.locator(".tools .copy").first)
    assert {len(row) for row in rows} == {len(head)}
    assert any(cell.startswith("'=HYPERLINK") for cell in head)
    assert any(cell.startswith("'" + PAYLOADS[-2][:6]) for cell in head)
    for cell in [*head, *(cell for row in rows for cell in row)]:
        assert cell[:1] not in {"=", "+", "@"}
        assert not cell.startswith("-") or float(cell) < 0


def test_where_copying_is_not_allowed_the_table_is_selected(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en"))
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    button = page.locator(".tools .copy").first
    button.click()
    page.wait_for_function("(each) => each.textContent === each.dataset.failed", arg=button.element_handle())
    assert "tested by intervention" in page.evaluate("getSelection().toString()")
