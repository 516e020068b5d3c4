"""The page fits every screen and A4, and can be read without its script."""

from __future__ import annotations

import re

import pytest

from paramscope.language import LANGUAGES
from tests.browser.conftest import Visit
from tests.browser.pages import Made
from tests.browser.test_inert import OPEN_ALL

WIDTHS = (360, 480, 768, 1024, 1280, 1920)
A4 = {"width": 695, "height": 1016}
"""What the margins leave of the paper, in pixels of CSS."""

STICKING_OUT = """() => {
  const upright = document.documentElement.clientWidth;
  // What the style sheet puts on a page of its own lies across it: 297 mm less the margins.
  const across = (each) => getComputedStyle(each.closest(".scroll") ?? each).page === "wide";
  const width = (each) => (across(each) ? Math.max(upright, 1024) : upright);
  const clipped = (each) => {
    for (let up = each.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > width(each) + 1 && !clipped(each))
    .map((each) => `${each.tagName}.${each.getAttribute("class")}: ${each.textContent.trim().slice(0, 60)}`)
    .slice(0, 5);
}"""


@pytest.mark.parametrize("kind", ["ordinary", "large", "small", "hostile"])
def test_no_screen_needs_to_be_scrolled_sideways(
    visit: Visit, language: str, kind: str, request: pytest.FixtureRequest
) -> None:
    made: Made = request.getfixturevalue(kind)
    page = visit(made.page(language))
    page.evaluate(OPEN_ALL)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        needed = page.evaluate("document.documentElement.scrollWidth")
        assert needed <= width, f"{width}: {page.evaluate(STICKING_OUT)}"
        narrow = page.locator("caption:visible").evaluate_all(
            "(all) => all.map((each) => [each.getBoundingClientRect().width, each.textContent])"
        )
        assert not [text for measured, text in narrow if 2 < measured < 100], width


def test_what_is_wider_than_a_phone_scrolls_in_its_own_box_and_by_the_keyboard(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en"), viewport={"width": 360, "height": 800})
    box = page.get_by_role("region", name="Diagnosis table").filter(has=page.locator("table")).last
    assert box.evaluate("(each) => each.scrollWidth > each.clientWidth")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(each) => each.scrollLeft > 0", arg=box.element_handle())


def test_without_its_script_the_page_shows_everything_but_the_controls(
    visit: Visit, language: str, ordinary: Made
) -> None:
    page = visit(ordinary.page(language), java_script_enabled=False)
    sections = page.locator("main > section")
    assert sections.count() == 8
    for section in sections.all():
        assert section.is_visible()
        assert section.locator("h2").is_visible()
    assert page.locator("svg.chart:visible").count() > 5
    assert page.locator("table:visible").count() > 3
    assert page.locator("table.diagnosis tbody tr:visible").count() == ordinary.profile.layers
    assert page.locator("input:visible:not([readonly]), button:visible, select:visible").count() == 0
    page.locator("details").first.locator("summary").click()
    assert page.locator("details[open] > :not(summary):visible").count() > 0


@pytest.mark.parametrize("kind", ["ordinary", "large", "small"])
def test_on_paper_no_chart_is_split_and_nothing_is_cut_or_folded_away(
    visit: Visit, language: str, kind: str, request: pytest.FixtureRequest
) -> None:
    made: Made = request.getfixturevalue(kind)
    page = visit(made.page(language), viewport=A4)
    page.emulate_media(media="print")
    assert page.evaluate(STICKING_OUT) == []
    # A picture is one piece to the printer unless it is higher than the paper.
    charts = page.locator("svg.chart:visible")
    assert charts.evaluate_all(
        "(all, limit) => all.filter((each) => each.getBoundingClientRect().height > limit).map((each) => each.id)",
        A4["height"],
    ) == []  # fmt: skip
    assert charts.count() > 0
    assert set(
        page.locator("figure").evaluate_all("(all) => all.map((each) => getComputedStyle(each).breakInside)")
    ) <= {"avoid"}
    folded = page.locator("details > :not(summary)").evaluate_all(
        "(all) => all.filter((each) => each.parentElement.checkVisibility())"
        ".filter((each) => getComputedStyle(each).display !== 'none')"
        ".filter((each) => !each.checkVisibility({ contentVisibilityAuto: true }))"
        ".map((each) => each.outerHTML.slice(0, 80))"
    )
    assert folded == []
    # A head with buttons that have boxes of their own is not repeated on the next sheet.
    buttons = page.locator("thead button").evaluate_all("(all) => all.map((each) => getComputedStyle(each).display)")
    assert set(buttons) <= {"contents"}
    assert page.locator("nav:visible, .tools:visible, button.copy:visible").count() == 0


def test_the_page_prints(visit: Visit, ordinary: Made, language: str) -> None:
    paper = visit(ordinary.page(language)).pdf(format="A4", prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+) ([\d.]+)\]", paper)
    assert boxes
    sides = {tuple(sorted(round(float(side)) for side in box)) for box in boxes}
    assert sides <= {(595, 842), (596, 842)}


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("first", LANGUAGES)
def test_a_page_in_two_languages_shows_one_at_a_time(visit: Visit, ordinary: Made, first: str, scripts: bool) -> None:
    other = next(code for code in LANGUAGES if code != first)
    page = visit(ordinary.page("en", "ja"), locale=first, java_script_enabled=scripts)
    shown = page.locator(".page:visible")

    def told() -> tuple[str | None, list[str | None]]:
        return page.locator("html").get_attribute("lang"), [each.get_attribute("lang") for each in shown.all()]

    begun = first if scripts else "en"
    assert told() == (begun, [begun])
    page.locator(f".languages input[value={other}]").check()
    assert told()[1] == [other]
    if scripts:
        assert told()[0] == other
        assert page.locator("html").get_attribute("lang") == other
    page.emulate_media(media="print")
    assert told()[1] == [other]
    assert not page.locator(".languages").is_visible()
