"""The numbers on the page are those of ``paramscope show --json``, where it was made and wherever a control leads."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from playwright.sync_api import Locator, Page

from paramscope.report.text import cosine, percent
from paramscope.result.profile import Profile
from paramscope.result.summary import summarise
from tests.browser.conftest import Visit
from tests.browser.pages import Made, share_run
from tests.browser.test_diagnosis import DENSITY, SIMILARITY

SET = "(each, value) => { each.value = value; each.dispatchEvent(new Event('input', { bubbles: true })); }"
MAIN = "(rows) => rows.map((row) => [...row.cells].map((cell) => (cell.firstChild?.textContent ?? '').trim()))"
"""The larger line of each cell of a table."""


def rows_of(table: Locator) -> list[list[str]]:
    found: list[list[str]] = table.locator("tbody tr").evaluate_all(MAIN)
    return found


def columns(found: dict[str, list[float | None]]) -> list[list[float]]:
    """By layer and domain, with NaN for what does not exist."""
    return np.array(list(found.values()), dtype=float).T.tolist()


@pytest.mark.parametrize("kind", ["ordinary", "small"])
def test_the_diagnosis_table_has_the_numbers_of_show(
    visit: Visit, language: str, kind: str, request: pytest.FixtureRequest
) -> None:
    made: Made = request.getfixturevalue(kind)
    table = visit(made.page(language)).locator("table.diagnosis").last
    rows = rows_of(table)
    assert [row[DENSITY:] for row in rows] == [
        [percent(share) for share in shares] for shares in columns(made.summary["density"])
    ]
    across = made.summary["similarity"]["across"]
    means = np.array(list(across.values())).mean(axis=0) if across else [np.nan] * len(rows)
    assert [row[SIMILARITY] for row in rows] == [cosine(mean) for mean in means]


def thresholds_of(page: Page) -> list[float]:
    """Of the slider's stops, as they are written."""
    found = page.evaluate("JSON.parse(document.getElementById('data').textContent).density.thresholds")
    return [float(each) for each in found]


def heat_of(figure: Locator) -> list[list[str]]:
    """Cells of a heat map, layers by what it is of."""
    table = figure.locator("table.heat").first
    rows = table.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent))"
    )
    turned = "turned" in (table.get_attribute("class") or "").split()
    return rows if turned else [list(row) for row in zip(*rows, strict=True)]


def in_tenths(share: float) -> str:
    """A percentage as heat maps have it."""
    return percent(share).removesuffix("%").replace("100.0", "100")


def points(path: str | None) -> np.ndarray:
    """The numbers of a path."""
    return np.array(re.findall(r"-?[\d.]+", path or ""), dtype=float)


def test_the_slider_gives_the_densities_of_show_at_its_threshold(visit: Visit, ordinary: Made, language: str) -> None:
    page = visit(ordinary.page(language))
    figure = page.locator("figure.density")
    slider, told = figure.locator("input[type=range]"), figure.locator("output")
    thresholds = thresholds_of(page)
    start = int(slider.input_value())
    assert thresholds[start] == ordinary.profile.threshold
    path = figure.locator("svg:visible .series .line").first
    before = path.get_attribute("d")
    for stop in (start, 0, len(thresholds) // 3, len(thresholds) - 1):
        slider.evaluate(SET, str(stop))
        there = summarise(ordinary.profile, thresholds[stop])
        shares = columns(there["density"])
        assert heat_of(figure) == [[in_tenths(share) for share in row] for row in shares]
        for number in (np.min(shares), np.max(shares)):
            assert in_tenths(float(number)) in told.inner_text()
        moved = np.abs(points(path.get_attribute("d")) - points(before)).max()
        # The script draws by permille, so the line comes back to within a fifth of a pixel.
        assert (moved < 0.3) == (stop == start)


def test_the_slider_moves_by_the_keyboard_and_is_told_as_a_threshold(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en"))
    slider = page.locator("figure.density input[type=range]")
    start = int(slider.input_value())
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert int(slider.input_value()) == start + 1
    assert float(slider.get_attribute("aria-valuetext") or "") == thresholds_of(page)[start + 1]


def test_maps_follow_their_choices(visit: Visit, ordinary: Made, language: str) -> None:
    figure = visit(ordinary.page(language)).locator("figure.map[data-map=modules]")
    before = heat_of(figure)
    select = figure.locator("select.domain")
    assert select.locator("option").count() >= len(ordinary.profile.domains)
    select.select_option(index=2)
    after = heat_of(figure)
    assert after != before
    for layer in (*before, *after):
        assert sum(float(cell) for cell in layer) == pytest.approx(100, abs=0.2)
    select.select_option(index=0)
    assert heat_of(figure) == before


@pytest.mark.parametrize("layer", [0, 7])
def test_the_matrix_of_a_layer_has_the_similarities_of_show(
    visit: Visit, ordinary: Made, language: str, layer: int
) -> None:
    page = visit(ordinary.page(language))
    box = page.locator(".matrices .movable")
    domains = ordinary.profile.domains
    for kind, key in (("raw", "similarity"), ("centred", "similarity_centred")):
        box.locator(f".kind[value={kind}]").check()
        box.locator("input.single").evaluate(SET, str(layer))
        found = ordinary.summary[key]
        wanted = []
        for one in domains:
            for other in domains:
                pair = "|".join(sorted((one, other), key=domains.index))
                values = found["within"][one] if one == other else found["across"][pair]
                wanted.append(cosine(values[layer]))
        cells = box.locator("svg .cells text").all_text_contents()
        assert [cell.replace("−.", "−0.") if "0" not in cell[:2] else cell for cell in cells] == wanted
        pairs = {pair: values[layer] for pair, values in found["across"].items()}
        for end in (min, max):
            assert cosine(end(pairs.values())) in box.locator(".matrix-told").inner_text()
        assert str(layer) in box.locator(".matrix-heading").inner_text()


def reckoned(page: Page) -> dict[str, str]:
    """Everything about the ways to share that depends on prices."""
    found: list[list[str]] = page.locator(".ways [data-cell]").evaluate_all(
        "(all) => all.map((each) => [`${each.dataset.way} ${each.dataset.cell}`, each.textContent])"
    )
    return dict(map(tuple, found)) | {"best": page.locator(".ways .best").inner_text()}  # type: ignore[arg-type]


def test_edited_prices_give_what_sharing_at_those_prices_gives(
    visit: Visit, ordinary: Made, language: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"requests_per_month": 1234567.0, "horizon_months": 7.0}
    value = 0.037
    page = visit(ordinary.page(language))
    before = reckoned(page)
    for name, number in (*changes.items(), ("value", value)):
        page.locator(f".prices [data-price={name}]").fill(f"{number:g}" if number < 1e6 else f"{number:.0f}")
    edited = reckoned(page)
    assert edited != before

    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump(changes), "utf-8")
    run = Path(shutil.copytree(ordinary.run, tmp_path / "run"))
    share_run(run, ordinary.profile.domains, value=value, prices=prices)
    again = visit(Made(run, Profile.load(run)).page(language), java_script_enabled=False)
    assert edited == reckoned(again)

    assert yaml.safe_load(page.locator(".yaml").text_content() or "") == changes
    assert f"--value {value}" in (page.locator(".price-command").text_content() or "")
    page.locator(".ways .reset").click()
    assert reckoned(page) == before


def test_controls_work_in_each_language_of_a_page(visit: Visit, ordinary: Made) -> None:
    page = visit(ordinary.page("en", "ja"), locale="ja")
    shown = page.locator(".page:visible")
    slider = shown.locator("figure.density input[type=range]")
    before = heat_of(shown.locator("figure.density"))
    slider.evaluate(SET, "0")
    assert heat_of(shown.locator("figure.density")) != before
    shown.locator(".prices [data-price=horizon_months]").fill("5")
    kept = shown.locator(".ways [data-cell]").all_text_contents()
    page.locator(".languages input[value=en]").check()
    english = page.locator(".page[lang=en] .ways [data-cell]").all_text_contents()
    number = re.compile(r"[\d.,]+%?")
    assert [text for text in english if number.fullmatch(text)] == [text for text in kept if number.fullmatch(text)]
