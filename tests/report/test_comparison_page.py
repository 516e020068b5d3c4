"""The page of several runs: well-formed for every shape, its numbers those of the runs, names inert."""

from __future__ import annotations

import numpy as np
import pytest

from paramscope.report.comparison.align import overlaps
from paramscope.report.comparison.differences import Differences
from paramscope.report.comparison.page import render_comparison
from paramscope.report.comparison.runs import Runs
from paramscope.report.comparison.tables import difference_rows
from paramscope.report.text import percent
from paramscope.result.profile import Profile
from tests.reference import made_up_layers, make_profile
from tests.report.checks import made_up_checks
from tests.report.compared import SIZES, profile_of
from tests.report.document import Document
from tests.report.test_hostile import NASTY, check_inert

SHAPES: dict[str, list[tuple[int, dict[str, int]]]] = {
    "ordinary": [(6, SIZES), (6, SIZES)],
    "other depth": [(30, SIZES), (12, SIZES), (5, SIZES)],
    "one domain": [(4, {"code": 5}), (3, {"code": 5})],
    "one text": [(4, {"code": 1}), (3, {"code": 1})],
    "one layer": [(1, SIZES), (1, SIZES)],
    "one and many layers": [(1, SIZES), (40, SIZES)],
    "two texts": [(2, {"code": 2, "support": 2}), (4, {"code": 2, "support": 2})],
    "other sizes": [(4, {"code": 9, "support": 4}), (4, {"support": 6, "code": 1})],
}

shapes = pytest.mark.parametrize("shape", SHAPES)


def runs_of(shape: str) -> Runs:
    return Runs.of(
        [
            profile_of(layers, sizes, seed=place, model=f"model {place}")
            for place, (layers, sizes) in enumerate(SHAPES[shape])
        ]
    )


@shapes
def test_page_is_well_formed_self_contained_and_without_missing_numbers(shape: str) -> None:
    document = Document(render_comparison(runs_of(shape)))
    assert document.charts()
    idents = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(set(idents)) == len(idents)
    for tag, attributes in document.elements:
        assert not {key for key in attributes if key.startswith("on") or key in ("src", "style")}, tag
        for key in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(key) is None or attributes[key] in idents
        target = attributes.get("href")
        assert target is None or target == "data:," or target.removeprefix("#") in idents
    (policy,) = [meta["content"] for meta in document.having("meta") if meta.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "nan" not in document.text.lower().replace("nancy", "").split()


def test_a_layer_without_activation_leaves_a_gap_and_no_more() -> None:
    layers = made_up_layers(4, SIZES, rows=8, columns=6)
    silent = [{name: values * (place != 1) for name, values in layer.items()} for place, layer in enumerate(layers)]
    found = Differences(Runs.of([make_profile(layers, SIZES), make_profile(silent, SIZES, model="silent")]))
    moved = found.measures["across"].part_differences[0].value
    weights = overlaps(found.parts, 4)[:, 1]
    np.testing.assert_array_equal(np.isnan(moved[:, 0]), weights > 0)
    assert Document(render_comparison(found.runs)).charts()


def test_identifiers_stay_unique_where_the_page_holds_two_languages() -> None:
    document = Document(render_comparison(runs_of("ordinary"), ("en", "en")))
    idents = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(set(idents)) == len(idents)
    links = [one["href"] for one in document.having("a")]
    assert {link.removeprefix("#") for link in links if link} <= set(idents)


def test_one_domain_stands_under_its_own_name() -> None:
    found = Differences(runs_of("one domain"))
    assert {(row.domain, row.every) for row in difference_rows(found)} == {("code", True)}


def test_numbers_on_the_page_are_those_of_the_runs() -> None:
    runs = runs_of("other depth")
    text = Document(render_comparison(runs)).text
    for run in runs.runs:
        mean = run.shared.concentration()["share_90"].mean()
        assert percent(mean) in text


def test_models_of_one_shape_are_compared_layer_by_layer() -> None:
    alike, unlike = (
        Document(render_comparison(runs_of("ordinary"))),
        Document(render_comparison(runs_of("other depth"))),
    )
    assert "the same shape, other weights" not in unlike.text
    assert any(attributes.get("id") == "layer-rows-1" for _, attributes in unlike.elements) is False
    # The made-up models have the same files, so they count as one model; their layers compare all the same.
    assert any(attributes.get("id") == "layer-rows-1" for _, attributes in alike.elements)


def test_layer_by_layer_differences_average_to_those_of_all_layers() -> None:
    found = Differences(runs_of("ordinary"))
    whole = found.measures["share_90"].band_differences[0].value[0]
    np.testing.assert_allclose(found.by_layer(0)["share_90"].value.mean(0), whole)


def test_other_objectives_are_flagged_and_have_no_common_threshold() -> None:
    other = profile_of(seed=1, model="other")
    changed = Profile(other.manifest.model_copy(update={"objective": "mean-logprob"}), other.tables)
    runs = Runs.of([profile_of(), changed])
    assert "density_common" not in Differences(runs).measures
    document = Document(render_comparison(runs))
    assert "Not the same quantity: run B measured another objective" in document.text
    assert any(attributes.get("class") == "grave" for attributes in document.having("li"))


def test_settings_that_differ_are_marked() -> None:
    other = profile_of(seed=1, model="other")
    other.manifest.arguments["max_tokens"] = 96
    document = Document(render_comparison(Runs.of([profile_of(), other])))
    assert "Settings differ between the runs: Tokens of a text at most." in document.text
    assert len([one for one in document.having("tr") if one.get("class") == "differs"]) == 1


def test_verdicts_stand_side_by_side_once_all_runs_are_verified() -> None:
    profiles = [profile_of(), profile_of(seed=1, model="other")]
    checks = [made_up_checks(list(SIZES), 6) for _ in profiles]
    text = Document(render_comparison(Runs.of(profiles, checks))).text
    assert all(record.text in text for record in checks[0].result.verdicts)
    missing = Document(render_comparison(Runs.of(profiles, [checks[0], None]))).text
    assert "Missing for run B" in missing
    assert checks[0].result.verdicts[0].text not in missing


@pytest.mark.parametrize("name", NASTY)
def test_nasty_names_are_inert(name: str) -> None:
    def page(name: str) -> str:
        sizes = {name: 3, "other": 3}
        profiles = [profile_of(2, sizes, seed=place, model=f"{name}{place}") for place in range(2)]
        for profile in profiles:
            profile.manifest.domains[0].source = name
            profile.manifest.arguments["max_tokens"] = name
            profile.manifest.model.architecture = name
        return render_comparison(Runs.of(profiles))

    check_inert(page(name), {tag for tag, _ in Document(page("plain")).elements})
