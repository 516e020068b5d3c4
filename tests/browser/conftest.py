"""A browser, and pages that are watched: whatever goes wrong in one fails the test that opened it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Route, sync_playwright

from paramscope.language import LANGUAGES
from tests.browser import pages
from tests.browser.pages import Made

Visit = Callable[..., Page]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""As ``install.sh`` looks for them."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own browser; tests are skipped only where it has none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("there is no chromium; tests/browser/install.sh tells how to mend that")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture
def troubles() -> Iterator[list[str]]:
    """What went wrong in the pages of a test; one that provokes trouble looks at the list and clears it."""
    found: list[str] = []
    yield found
    assert not found


@pytest.fixture
def visit(browser: Browser, troubles: list[str]) -> Iterator[Visit]:
    """Open a file in a browser that knows nothing of other tests; options are those of a context."""
    opened: list[BrowserContext] = []

    def open_page(file: Path, **options: Any) -> Page:
        context = browser.new_context(**({"locale": "en-US"} | options))
        opened.append(context)
        address = file.as_uri()

        def go_on(route: Route) -> None:
            if route.request.url.partition("#")[0] == address:
                route.continue_()
            else:
                troubles.append(f"request: {route.request.url}")
                route.abort()

        def refuse(dialog: Dialog) -> None:
            troubles.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        context.route("**/*", go_on)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(f"console: {message.type}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("dialog", refuse)
        page.on("popup", lambda other: troubles.append(f"popup: {other.url}"))
        page.goto(address)
        return page

    yield open_page
    for context in opened:
        context.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def ordinary(folder: Path) -> Made:
    return pages.ordinary_run(folder)


@pytest.fixture(scope="session")
def large(folder: Path) -> Made:
    return pages.large_run(folder)


@pytest.fixture(scope="session")
def small(folder: Path) -> Made:
    return pages.small_run(folder)


@pytest.fixture(scope="session")
def hostile(folder: Path) -> Made:
    return pages.hostile_run(folder)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    """Each language of the page."""
    return str(request.param)
