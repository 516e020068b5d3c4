"""The page reads nothing, runs nothing but its own script, and complains about nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Visit
from tests.browser.pages import PAYLOADS, Made

OPEN_ALL = "() => document.querySelectorAll('details').forEach((each) => (each.open = true))"


@pytest.mark.parametrize("kind", ["ordinary", "large", "small"])
def test_no_error_and_no_request_in_any_state_of_the_page(
    visit: Visit, language: str, kind: str, request: pytest.FixtureRequest
) -> None:
    made: Made = request.getfixturevalue(kind)
    page = visit(made.page(language))
    page.evaluate(OPEN_ALL)
    page.emulate_media(color_scheme="dark")
    page.emulate_media(media="print")
    page.emulate_media(media="screen")
    # Whatever can be pressed is pressed, whatever can be moved is moved; the watch on the page tells what went wrong.
    page.evaluate(
        """() => {
          for (const button of document.querySelectorAll("button:not(.copy)")) button.click();
          for (const field of document.querySelectorAll("input[type=range], input[type=number], select")) {
            for (const value of [field.max, field.min, field.options?.[1]?.value]) {
              if (!value) continue;
              field.value = value;
              for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
            }
          }
        }"""
    )
    page.wait_for_timeout(50)


def test_the_policy_forbids_other_scripts_styles_and_pictures(
    visit: Visit, ordinary: Made, troubles: list[str], tmp_path: Path
) -> None:
    whole = ordinary.page("en").read_text("utf-8")
    added = """<script>window.pwned = 1</script><img src="http://attacker.test/x.png">
      <p id="styled" style="color: rgb(1, 2, 3)" onclick="window.pwned = 1">x</p>"""
    changed = tmp_path / "changed.html"
    changed.write_text(whole.replace("<main>", f"{added}<main>"), "utf-8")
    page = visit(changed)
    page.locator("#styled").click()
    assert page.evaluate("window.pwned") is None
    assert page.locator("#styled").evaluate("(each) => getComputedStyle(each).color") != "rgb(1, 2, 3)"
    assert not [trouble for trouble in troubles if trouble.startswith("request")]
    refused = [trouble for trouble in troubles if "Content Security Policy" in trouble]
    assert len(refused) == len(troubles) >= 4
    troubles.clear()


def test_the_policy_in_force_is_the_one_that_is_meant(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en"))
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content") or ""
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    assert "unsafe" not in policy
    for kind in ("script-src", "style-src"):
        assert [source.startswith("'sha256-") for source in parts[kind].split()] == [True]


def test_hostile_names_and_texts_run_nothing(visit: Visit, hostile: Made, language: str) -> None:
    page = visit(hostile.page(language))
    page.evaluate(OPEN_ALL)
    page.mouse.move(300, 300)
    page.mouse.wheel(0, 2000)
    page.keyboard.press("Tab")
    page.evaluate("document.querySelectorAll('button').forEach((button) => button.click())")
    page.evaluate("document.querySelectorAll('[tabindex], a, button').forEach((each) => each.focus())")
    page.wait_for_timeout(50)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, iframe, object, embed, base, form, script[src]").count() == 0
    assert page.evaluate(
        "[...document.querySelectorAll('a')].every((link) => link.getAttribute('href').startsWith('#'))"
    )
    # They are there, as the words that they are.
    assert page.get_by_text(PAYLOADS[1], exact=True).count() > 0
