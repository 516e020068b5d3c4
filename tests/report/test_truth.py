"""The section about causal checks: the numbers are those of the tables, and odd checks break nothing."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from paramscope.cli.report import write_report
from paramscope.measures.bands import thirds
from paramscope.report import Material, render_report
from paramscope.report.sections.fidelity import MOST_POINTS
from paramscope.report.text import cosine, figure, interval
from paramscope.result.profile import Profile
from paramscope.result.verification import DOCUMENT, TABLES, Checks, load_checks, run_digest
from tests.reference import made_up_layers, make_profile
from tests.report.checks import (
    EVERY,
    VERDICTS,
    made_up_checks,
    made_up_parts,
    made_up_sets,
    made_up_weights,
)
from tests.report.document import Document, tips
from tests.report.test_hostile import NASTY, check_inert, harmless_tags

NAMES = ["support", "code", "contracts"]
LAYERS = 9


@functools.cache
def profile_of(*names: str, layers: int = LAYERS) -> Profile:
    sizes = dict.fromkeys(names, 4)
    return make_profile(made_up_layers(layers, sizes, rows=8, columns=6), sizes, threshold=4e-4)


def page_of(checks: Checks | None, *names: str, layers: int = LAYERS) -> Document:
    return Document(render_report(Material(profile_of(*(names or NAMES), layers=layers), checks)))


@functools.cache
def ordinary() -> tuple[Checks, Document]:
    checks = made_up_checks(NAMES, LAYERS, criteria=EVERY)
    return checks, page_of(checks)


def test_an_untested_run_says_so() -> None:
    assert "All claims" in ordinary()[1].text
    untested = page_of(None).text
    assert "All claims" not in untested
    assert "nothing on this page was tested by intervention yet" in untested


def test_page_is_well_formed_with_checks() -> None:
    document = ordinary()[1]
    assert len(document.charts()) == document.page.count("<svg ")
    idents = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(set(idents)) == len(idents)
    for _, attributes in document.elements:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(key) is None or attributes[key] in idents
    for link in document.having("a"):
        assert (link["href"] or "")[1:] in idents
    assert "nan" not in document.text.lower().split()


def test_verdicts_stand_in_words_with_their_numbers() -> None:
    text = ordinary()[1].text
    assert "Of 3 claims: 1 supported, 1 not supported, 1 undecided." in text
    for verdict in VERDICTS:
        assert verdict.text in text
        assert f"{figure(verdict.value)}{interval(verdict.low or 0, verdict.high or 0, figure)}" in text
        assert f"needed {verdict.threshold:g}" in text
    assert "From 1,234 weights." in text
    assert "Permutation test: p = 0.12" in text
    assert "About 97 layers would decide." in text


def test_fidelity_on_the_page_is_that_of_the_record_and_the_weights() -> None:
    checks, document = ordinary()
    assert [record.where for record in checks.result.fidelity] == [None, *thirds(LAYERS)]
    for found in (*checks.result.fidelity, checks.result.fidelity_free):
        assert found is not None
        for told in (found.correlation, found.slope, found.median_ratio):
            assert f"{figure(told.value)}{interval(told.low or 0, told.high or 0, figure)}" in document.text
        assert f"{figure(found.low_ratio.value)} to {figure(found.high_ratio.value)}" in document.text
    bands = thirds(LAYERS)
    for kind in ("fixed", "free"):
        chart = document.chart(f"fidelity-{kind}")
        drawn = [path.get("d", "").count("M") for path in chart.iter() if "dots" in path.get("class", "")]
        # Every third is followed by its sample in the legend.
        counts = [int(checks.weights["layer"].isin(layers).sum()) for layers in bands.values()]
        assert drawn == [number for count in counts for number in (count, 1)]


def test_points_lie_where_their_numbers_say() -> None:
    weights = made_up_weights(NAMES, LAYERS, 2)
    weights[["estimate", "change"]] = [[1e-1, -1e-2], [1e-3, 1e-3]]
    weights["layer"] = 0
    chart = page_of(made_up_checks(NAMES, LAYERS, weights=weights, free=False)).chart("fidelity-fixed")
    first = next(path.get("d", "") for path in chart.iter() if "dots" in path.get("class", ""))
    (ax, ay), (bx, by) = ([float(n) for n in part.removesuffix("h0").split()] for part in first[1:].split("M"))
    decade = (ax - bx) / 2
    assert decade > 0
    assert by - ay == pytest.approx((440 - 30 - 48) / (440 - 56 - 14) * decade, abs=0.2)


def test_noise_is_shaded_only_where_it_is_in_range() -> None:
    checks = made_up_checks(NAMES, LAYERS)
    assert 'class="noise"' not in page_of(checks).page
    checks.result.noise_floor = 1e-4
    document = page_of(checks)
    assert 'class="noise"' in document.page
    below = int((checks.weights["estimate"].abs() <= 1e-4).sum())
    assert f"({below} parameters)" in document.text


def own_damage(sets: pd.DataFrame, band: str, share: float, criterion: str) -> float:
    part = sets[(sets["band"] == band) & (sets["share"] == share) & (sets["criterion"] == criterion)]
    own = part if criterion in ("magnitude", "random") else part[part["chosen_for"] == part["domain"]]
    return float(own["damage"].mean())


def test_damage_on_the_page_is_that_of_the_sets() -> None:
    checks, document = ordinary()
    for band in thirds(LAYERS):
        told = tips(document.chart(f"damage-{band}"))
        assert len(told) >= len(EVERY) * 3
        for (share, words), criterion in itertools.product(((1e-5, "0.001%"), (1e-3, "0.1%"), (1e-2, "1%")), EVERY):
            value = own_damage(checks.sets, band, share, criterion)
            start = f"{criterion.replace('-', ' ')}, {words} of the parameters: {figure(value)} (95% interval "
            assert [tip for tip in told if tip.startswith(start)]


def test_one_share_gives_points_with_whiskers() -> None:
    checks = made_up_checks(NAMES, LAYERS, shares=[0.01])
    document = page_of(checks)
    chart = document.chart("damage-deep")
    assert len([path for path in chart.iter() if path.get("class") == "whisker"]) == 4
    assert not [path for path in chart.iter() if path.get("class") == "line"]
    value = own_damage(checks.sets, "deep", 0.01, "activation")
    assert [tip for tip in tips(chart) if tip.startswith(f"activation: {figure(value)} (95% interval")]


def test_matrices_are_those_of_the_sets_less_random() -> None:
    checks, document = ordinary()
    means = checks.sets.groupby(["band", "share", "criterion", "chosen_for", "domain"])["damage"].mean()
    tables = re.findall(r'<table class="heat square">(.*?)</table>', document.page, re.DOTALL)
    kinds = list(itertools.product(("activation", "ratio"), thirds(LAYERS)))
    assert len(tables) == len(kinds)
    for (criterion, band), table in zip(kinds, tables, strict=True):
        cells = re.findall(r"<td[^>]*>([^<]*)</td>", table)
        expected = [
            means[band, 0.01, criterion, one, other] - means[band, 0.01, "random", "", other]
            for one, other in itertools.product(NAMES, repeat=2)
        ]
        assert cells == [cosine(value) for value in expected]
        assert len(re.findall(r'<td class="h\d+ own">', table)) == len(NAMES)


def test_many_weights_are_thinned_out_and_that_is_said() -> None:
    weights = made_up_weights(NAMES, LAYERS, 3 * MOST_POINTS)
    document = page_of(made_up_checks(NAMES, LAYERS, weights=weights))
    assert "Drawn: every n-th of them, 800 of 2,400." in document.text


def test_parts_with_the_largest_damage_are_listed() -> None:
    checks, document = ordinary()
    means = checks.parts.groupby(["kind", "layer", "domain"])["damage"].mean().groupby(["kind", "layer"]).mean()
    for layer, damage in means["layer"].nlargest(5).items():
        # Sums of activations fall with depth, so the place is the layer's number, counted from one.
        row = document.text.index(f"layer {layer}layer{figure(damage)}")
        assert f"{layer + 1} of {LAYERS}" in document.text[row : row + 60]
    told = next(record for record in checks.result.part_correlations if record.domain is None)
    assert f"Layers{figure(told.value)}{interval(told.low or 0, told.high or 0, figure)}" in document.text


def test_what_breaks_the_model_is_listed_and_the_rest_is_folded() -> None:
    checks, document = ordinary()
    assert len(checks.result.breaking) > 8
    assert f"{len(checks.result.breaking) - 8} more" in document.text
    for row in checks.result.breaking:
        assert row.what in document.text
        assert f"{row.broken} of 3{row.domain}{figure(row.damage)}" in document.text


def test_nothing_that_breaks_the_model_is_said() -> None:
    checks = made_up_checks(NAMES, LAYERS)
    checks.result.breaking.clear()
    assert "Nothing that was taken away alone made any domain lose 1 nat per token." in page_of(checks).text


@functools.cache
def tags_with_checks() -> set[str]:
    return harmless_tags() | {tag for tag, _ in ordinary()[1].elements}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_are_inert_in_the_checks(name: str) -> None:
    names = [name, "other"]
    parts = made_up_parts(names, 3)
    parts["name"] = name
    verdicts = [VERDICTS[0].model_copy(update={"text": name, "measure": name, "unit": name, "status": name})]
    checks = made_up_checks(names, 3, shares=[0.01], parts=parts, verdicts=verdicts)
    for record in checks.result.breaking:
        record.what = name
    check_inert(render_report(Material(profile_of(*names, layers=3), checks)), tags_with_checks())


def test_one_domain_has_no_matrices() -> None:
    document = page_of(made_up_checks(["support"], LAYERS), "support")
    assert "heat square" not in document.page
    assert document.chart("damage-deep") is not None


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_few_layers(layers: int) -> None:
    document = page_of(made_up_checks(NAMES, layers), layers=layers)
    assert document.chart("fidelity-fixed") is not None


def test_numbers_that_there_are_none_of_are_no_words() -> None:
    unknown = [verdict.model_copy(update={"value": None, "low": None, "high": None}) for verdict in VERDICTS]
    checks = made_up_checks(NAMES, LAYERS, half=None, verdicts=unknown)
    checks.result.noise_floor = None
    document = page_of(checks)
    assert "–no intervalneeded 0.9" in document.text
    for word in ("nan", "None", "inf"):
        assert word not in document.text.split()


def test_models_that_answer_no_number_any_more() -> None:
    sets, parts = made_up_sets(NAMES, list(thirds(LAYERS)), (1e-3, 1e-2)), made_up_parts(NAMES, LAYERS)
    sets.loc[(sets["criterion"] == "activation") & (sets["share"] == 1e-2), "damage"] = math.inf
    parts.loc[parts["layer"] == 0, "damage"] = math.inf
    document = page_of(made_up_checks(NAMES, LAYERS, sets=sets, parts=parts))
    assert "the model’s answer was no number any more" in document.text
    assert "∞" in document.text


def test_nothing_tried_breaks_nothing() -> None:
    weights, sets = made_up_weights(NAMES, LAYERS, 0), made_up_sets(NAMES, [], [])
    parts = made_up_parts(NAMES, 0).iloc[:0]
    checks = made_up_checks(NAMES, LAYERS, weights=weights, sets=sets, parts=parts, verdicts=[])
    checks.result.fidelity.clear()
    document = page_of(checks)
    assert "Too little was tried for any verdict." in document.text
    assert "fidelity-" not in document.page


def test_weights_without_any_change_stand_at_the_edge() -> None:
    weights = made_up_weights(NAMES, LAYERS, 20)
    weights[["change", "change_free"]] = 0.0
    text = page_of(made_up_checks(NAMES, LAYERS, weights=weights)).text
    assert "20 parameters at the lower edge changed less than the axis shows." in text


def test_a_single_text_has_no_interval() -> None:
    sets = made_up_sets(["support"], ["shallow", "deep"], [1e-3, 1e-2], texts=1)
    told = tips(page_of(made_up_checks(["support"], LAYERS, sets=sets), "support").chart("damage-deep"))
    assert told
    assert not [tip for tip in told if "interval" in tip]


def test_many_weights_stay_within_the_size_of_a_mail() -> None:
    checks = made_up_checks(NAMES, LAYERS, weights=made_up_weights(NAMES, LAYERS, 4000))
    assert len(page_of(checks).page.encode()) < 1_000_000


def keep(run: Path) -> Checks:
    checks = made_up_checks(NAMES, LAYERS)
    profile_of(*NAMES).save(run)
    result = checks.result.model_copy(update={"run_sha256": run_digest(run)})
    checks = dataclasses.replace(checks, result=result)
    for name in TABLES:
        getattr(checks, name).to_parquet(run / f"verify-{name}.parquet")
    (run / DOCUMENT).write_text(checks.result.model_dump_json(), encoding="utf-8")
    return checks


def test_checks_are_read_back_and_shown_without_torch(tmp_path: Path) -> None:
    checks = keep(tmp_path / "run")
    found = load_checks(tmp_path / "run")
    assert found is not None
    assert found.result == checks.result
    pd.testing.assert_frame_equal(found.sets, checks.sets)
    program = (
        "import sys; from paramscope.cli.report import write_report; write_report(sys.argv[1]); "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "run")], check=True)
    assert "All claims" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    (tmp_path / "run" / DOCUMENT).unlink()
    assert load_checks(tmp_path / "run") is None
    assert "All claims" not in write_report(tmp_path / "run").read_text(encoding="utf-8")


def test_estimates_far_below_the_axis_are_left_out_and_counted() -> None:
    weights = made_up_weights(NAMES, LAYERS, 30)
    weights["estimate"] *= 1e-30
    assert (
        "30 parameters with smaller estimates are not drawn."
        in page_of(made_up_checks(NAMES, LAYERS, weights=weights)).text
    )
