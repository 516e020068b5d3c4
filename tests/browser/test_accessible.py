"""People who do not see the page, or do not point at it, can use all of it."""

from __future__ import annotations

from tests.browser.accessible import violations
from tests.browser.conftest import Visit
from tests.browser.pages import Made
from tests.browser.test_inert import OPEN_ALL


def test_axe_finds_no_violation(visit: Visit, ordinary: Made, language: str) -> None:
    page = visit(ordinary.page(language))
    page.evaluate(OPEN_ALL)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, rules=["color-contrast"]) == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert violations(page, rules=["target-size", "scrollable-region-focusable"]) == []


def test_axe_finds_no_violation_where_little_was_measured(visit: Visit, small: Made) -> None:
    page = visit(small.page("en"))
    page.evaluate(OPEN_ALL)
    assert violations(page) == []


def test_axe_finds_no_violation_in_what_a_page_of_two_languages_has_more(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en", "ja"))
    assert violations(page, within=[".languages"]) == []
    whole = ["landmark-one-main", "landmark-unique", "page-has-heading-one", "duplicate-id-aria", "region"]
    assert violations(page, rules=whole) == []


def test_axe_sees_a_violation(visit: Visit, small: Made) -> None:
    page = visit(small.page("en"))
    page.evaluate(
        """() => {
          const faint = document.createElement("p");
          faint.textContent = "faint";
          faint.style.color = "#ddd";
          document.querySelector("main").append(faint);
        }"""
    )
    assert [found.split(":")[0] for found in violations(page, rules=["color-contrast"])] == ["color-contrast"]


def test_every_chart_has_a_name_and_a_description(visit: Visit, ordinary: Made, language: str) -> None:
    page = visit(ordinary.page(language))
    for told in page.locator("svg[role=img]").evaluate_all(
        """(all) => all.map((each) => ["aria-labelledby", "aria-describedby"].map(
             (name) => document.getElementById(each.getAttribute(name))?.textContent.trim() ?? ""))"""
    ):
        assert all(told)


def test_the_first_key_offers_to_skip_to_the_findings(visit: Visit, ordinary: Made, language: str) -> None:
    page = visit(ordinary.page(language))
    page.keyboard.press("Tab")
    assert page.locator("a.skip").evaluate("(each) => each === document.activeElement")
    assert page.locator("a.skip").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.locator("#summary").is_visible()
    assert page.evaluate("location.hash") == "#summary"


def test_no_motion_where_none_is_wanted(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en"), reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
