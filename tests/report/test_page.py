"""The page as a document: well-formed, self-contained, accessible, and with the profile's numbers."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import re

import pytest

from paramscope.report import Material, render_report
from paramscope.report.text import cosine, interval, percent, scientific
from paramscope.report.words import objective_words
from paramscope.result.profile import Profile
from tests.reference import made_up_layers, make_profile
from tests.report.document import Document, tips

NAMES = ["support", "code", "contracts"]
MANY = [f"kind-of-work-{place}" for place in range(12)]
SHAPES: dict[str, tuple[int, dict[str, int]]] = {
    "ordinary": (8, dict.fromkeys(NAMES, 8)),
    "one text": (1, {"support": 1}),
    "one layer": (1, dict.fromkeys(NAMES, 4)),
    "two layers": (2, dict.fromkeys(NAMES, 3)),
    "one domain": (6, {"support": 5}),
    "mixed sizes": (4, {"support": 4, "code": 1, "contracts": 2}),
    "single texts": (6, {"support": 1, "code": 1}),
    "many": (80, dict.fromkeys(MANY, 3)),
}


@functools.cache
def profile_of(shape: str) -> Profile:
    layers, sizes = SHAPES[shape]
    return make_profile(made_up_layers(layers, sizes, rows=8, columns=6), sizes, threshold=4e-4)


@functools.cache
def document_of(shape: str) -> Document:
    return Document(render_report(Material(profile_of(shape))))


shapes = pytest.mark.parametrize("shape", SHAPES)


@shapes
def test_page_is_well_formed_and_its_charts_are_xml(shape: str) -> None:
    document = document_of(shape)
    assert document.page.startswith("<!DOCTYPE html>")
    assert len(document.charts()) == document.page.count("<svg ") >= 3


@shapes
def test_ids_are_unique_and_every_reference_has_its_target(shape: str) -> None:
    document = document_of(shape)
    idents = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(set(idents)) == len(idents)
    for _, attributes in document.elements:
        for key in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(key) is None or attributes[key] in idents
        target = attributes.get("href")
        assert target is None or target == "data:," or target.removeprefix("#") in idents


@shapes
def test_page_reads_nothing_and_runs_only_its_own_script(shape: str) -> None:
    document = document_of(shape)
    policies = [meta["content"] for meta in document.having("meta") if meta.get("http-equiv")]
    script, style = (re.search(f"<{tag}>(.*?)</{tag}>", document.page, re.DOTALL) for tag in ("script", "style"))
    assert script
    assert style
    hashes = [base64.b64encode(hashlib.sha256(part[1].encode()).digest()).decode() for part in (script, style)]
    assert policies == [
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    ]
    assert not {tag for tag, _ in document.elements} & {"iframe", "object", "embed", "img", "form", "base"}
    assert [attributes.get("type") for attributes in document.having("script")] == ["application/json", None]
    for tag, attributes in document.elements:
        assert not [
            key for key in attributes if key.startswith("on") or key in {"src", "srcset", "xlink:href", "style"}
        ], tag
    assert not re.search(r"url\(|@import|https?:", document.page.replace("http://www.w3.org/2000/svg", ""))


@shapes
def test_no_missing_number_shows(shape: str) -> None:
    document = document_of(shape)
    attributes = [value for _, given in document.elements for key, value in given.items() if value and key != "style"]
    shown = " ".join([document.text, *attributes])
    assert not re.search(r"\b(nan|inf|undefined)\b", shown, re.IGNORECASE)
    assert not re.search(r"\bNone\b", shown)


@shapes
def test_headings_are_in_order_and_landmarks_there(shape: str) -> None:
    document = document_of(shape)
    levels = [int(tag[1]) for tag, _ in document.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert document.having("html")[0]["lang"] == "en"
    for landmark in ("header", "main", "nav", "footer"):
        assert len(document.having(landmark)) == 1


@shapes
def test_table_heads_have_scope_and_charts_have_names(shape: str) -> None:
    document = document_of(shape)
    assert all(head.get("scope") in {"row", "col"} for head in document.having("th"))
    assert len(document.having("caption")) == len(document.having("table"))
    for chart in document.charts():
        assert chart.get("role") == "img"
        title, description = chart[0], chart[1]
        assert title.tag.endswith("title")
        assert title.text
        assert description.tag.endswith("desc")
        assert description.text


def test_density_on_the_page_is_the_profiles() -> None:
    profile, document = profile_of("ordinary"), document_of("ordinary")
    density = profile.density_estimate()
    numbers = zip(*(frame.to_numpy().ravel() for frame in (density.value, density.low, density.high)), strict=True)
    for value, low, high in numbers:
        bare = interval(low, high, lambda share: percent(share).removesuffix("%"))
        assert f"<td>{percent(value)}<small>{bare}</small></td>" in document.page


@pytest.mark.parametrize("centred", [False, True])
def test_similarity_on_the_page_is_the_profiles(centred: bool) -> None:
    profile, document = profile_of("ordinary"), document_of("ordinary")
    kind = "centred" if centred else "raw"
    found = profile.similarity(centred=centred)
    points = " ".join(tips(document.chart(f"similarity-{kind}")))
    for name, frame in (("within", found.within.value), ("across", found.across.value)):
        for layer, value in enumerate(frame.to_numpy().mean(axis=1)):
            assert f"{name}, layer {layer}: {cosine(value)} (95%" in points


def test_concentration_on_the_page_is_the_profiles() -> None:
    profile, document = profile_of("ordinary"), document_of("ordinary")
    frame = profile.concentration().loc[profile.bands["deep"]].groupby("domain", sort=False).mean()
    for share, gini, effective in frame[["share_90", "gini", "effective_number"]].to_numpy():
        assert f"<td>{percent(share)}</td>" in document.page
        assert f"<td>{cosine(gini)}</td>" in document.page
        assert f"<td>{effective:.0f}<small>" in document.page


def test_manifest_stands_on_the_page() -> None:
    profile, document = profile_of("ordinary"), document_of("ordinary")
    manifest = profile.manifest
    assert scientific(profile.threshold) in document.text
    assert objective_words("max-logit") in document.text
    assert "1 January 2026, 00:01 UTC" in document.text
    assert scientific(manifest.self_check.largest_relative_error) in document.text
    assert next(iter(manifest.model.files.values())) in document.text
    for domain in manifest.domains:
        numbers = [
            domain.rows,
            domain.empty,
            domain.duplicates,
            domain.unfit,
            domain.asked,
            domain.samples,
            domain.truncated,
        ]
        assert "".join(f"<td>{number}</td>" for number in numbers) in document.page


def test_warnings_of_the_run_are_shown() -> None:
    sizes = {"support": 3}
    layers = made_up_layers(6, sizes, rows=8, columns=6)
    page = render_report(Material(make_profile(layers, sizes, warnings=["domain 'support': 8 texts asked, 3 found"])))
    assert "domain 'support': 8 texts asked, 3 found" in Document(page).text
    assert "The run gave no warnings." in document_of("ordinary").text


def test_a_failed_self_check_is_not_praised() -> None:
    profile = profile_of("one text")
    check = profile.manifest.self_check.model_copy(update={"largest_relative_error": 0.5})
    failed = Profile(profile.manifest.model_copy(update={"self_check": check}), profile.tables)
    assert "does NOT pass" in render_report(Material(failed))
    assert "does NOT pass" not in document_of("one text").text


def test_domains_of_one_text_have_no_interval() -> None:
    document = document_of("mixed sizes")
    assert "no interval" in document.text


def test_a_model_of_one_layer_gets_no_verdict() -> None:
    document = document_of("one layer")
    assert "A model of one layer has no shallow and deep layers to compare." in document.text
    assert not re.search('class="chip (yes|no)"', document.page)


def test_many_domains_and_layers_stay_within_the_size_of_a_mail() -> None:
    names = [f"domain-{place}" for place in range(9)]
    sizes = dict.fromkeys(names, 3)
    page = render_report(Material(make_profile(made_up_layers(32, sizes, rows=6, columns=6), sizes)))
    assert len(page.encode()) < 1_000_000
