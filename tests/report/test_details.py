"""The section for engineers: what its sliders, maps and lists show is what the run holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import paramscope
from paramscope.domains import DomainSpec
from paramscope.language import speaking
from paramscope.report.charts.heattable import heat_cell, packed, permille
from paramscope.report.material import Material
from paramscope.report.page import render_report
from paramscope.report.sections import density, details, histograms, modules, neurons, samples
from paramscope.report.text import percent
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.tables import ALL, pooled_histogram
from tests.conftest import made_texts
from tests.reference import made_up_layers, make_profile
from tests.report.document import Document
from tests.report.test_hostile import NASTY, check_inert

SIZES = {"code": 5, "chat": 4, "law": 1}


def made_up(layers: int = 7, sizes: dict[str, int] = SIZES, **given: object) -> Profile:
    return make_profile(made_up_layers(layers, sizes), sizes, **given)  # type: ignore[arg-type]


def unpacked(text: str) -> list[int | None]:
    digits = [text[k : k + 2] for k in range(0, len(text), 2)]
    return [None if pair == "--" else int(pair, 36) for pair in digits]


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]


@pytest.mark.parametrize("threshold", [1e-3, PAPER_THRESHOLD, 3.3e-7])
def test_density_at_every_stop_is_that_of_the_profile(threshold: float) -> None:
    profile = made_up(threshold=threshold)
    stops = density.density_stops(profile)
    shares = density.densities_at(profile, stops)
    told = density.density_data(Material(profile))
    assert told["layers"] == profile.layers
    for stop, at, values in zip(stops, shares, told["values"], strict=True):  # type: ignore[call-overload]
        expected = profile.density(stop).to_numpy()
        np.testing.assert_allclose(at, expected, rtol=1e-12, atol=1e-15)
        shown = [f"{value / 10:.1f}%" for value in unpacked(values)]  # type: ignore[operator]
        assert shown == [percent(share) for share in expected.T.ravel()]


def test_stops_rise_and_hold_both_thresholds_and_the_whole_range() -> None:
    profile = made_up()
    stops = density.density_stops(profile)
    assert stops == sorted(set(stops))
    assert 38 <= len(stops) <= 50
    assert profile.threshold in stops
    assert PAPER_THRESHOLD in stops
    shares = density.densities_at(profile, stops)
    assert shares[0].mean() > 0.98
    assert shares[-1].mean() < 0.02
    # What is written is what the density is at: a reader can give it to 'paramscope show --threshold'.
    told = density.density_data(Material(profile))["thresholds"]
    rounded = [stop for stop in stops if stop != profile.threshold]
    assert [float(text) for text in told if float(text) in rounded] == rounded  # type: ignore[attr-defined]


def test_stops_exist_for_a_run_without_any_activation() -> None:
    layers = [{"up": np.zeros((4, 2, 3))}]
    profile = make_profile(layers, {"a": 2, "b": 2})
    assert density.density_stops(profile) == sorted(density.density_stops(profile))
    assert not density.densities_at(profile, density.density_stops(profile)).any()
    render_report(Material(profile))


def test_page_shows_the_densities_of_the_run_without_the_script() -> None:
    profile = made_up()
    page = render_report(Material(profile))
    table = re.search(r'<figure class="density">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1]  # type: ignore[index]
    shown = re.findall(r"<td[^>]*>([\d.]+)</td>", table)
    expected = [percent(share).removesuffix("%") for share in profile.density().to_numpy().T.ravel()]
    assert [f"{float(text):.1f}" for text in shown] == expected
    slider = re.compile(r'type="range"[^>]* value="(\d+)"')
    start = int(slider.search(page, page.index('<figure class="density">'))[1])  # type: ignore[index]
    at_start = unpacked(data_of(page)["density"]["values"][start])
    assert [f"{value / 10:.1f}" for value in at_start] == expected  # type: ignore[operator]


def test_many_layers_run_down() -> None:
    with speaking("en"):
        many = details.section(Material(made_up(40, {"a": 2, "b": 2})))
    assert many.density.heat.turned
    assert many.density.heat.heads == ["a", "b"]
    assert [head for head, _ in many.density.heat.rows] == [str(layer) for layer in range(40)]


@pytest.mark.parametrize("share", [0.0, 0.0625, 0.66649999, 0.6665, 0.99949, 0.9996, 1.0, 1 / 3])
def test_a_cell_says_what_a_percentage_says(share: float) -> None:
    value = permille(share)
    assert value is not None
    assert f"{float(heat_cell(value, 1000).text):.1f}%" == percent(share)
    assert unpacked(packed([[value, None]])) == [value, None]


def test_shares_of_modules_add_up_to_one_in_every_layer() -> None:
    profile = made_up()
    shares = modules.module_shares(profile)
    assert shares.names == ["self_attn.q_proj", "mlp.up_proj", "mlp.down_proj"]
    np.testing.assert_allclose(shares.values.sum(1), 1.0, rtol=1e-12)
    total = profile.tables.activation.set_index(["layer", "module", "domain"])["total"]
    own = total[(3, "mlp.up_proj", "chat")] / total[3].xs("chat", level="domain").sum()
    assert shares.values[1, 1, 3] == pytest.approx(own, rel=1e-12)


def test_densities_of_modules_are_those_of_the_profile() -> None:
    profile = made_up()
    found = modules.module_densities(profile)
    names = modules.module_shares(profile).names
    for place, domain in enumerate(profile.domains):
        expected = profile.density(by="module")[domain].unstack("layer").loc[names].to_numpy(dtype=float)
        np.testing.assert_allclose(found[place], expected, rtol=1e-12)


def test_more_modules_than_rows_share_the_last_one() -> None:
    rng = np.random.default_rng(0)
    names = [f"expert.{k}" for k in range(modules.MOST_MODULES + 5)]
    layers = [{name: rng.random((4, 3, 2)) for name in names[layer:]} for layer in range(2)]
    shares = modules.module_shares(make_profile(layers, {"a": 2, "b": 2}))
    assert len(shares.names) == modules.MOST_MODULES + 1
    assert shares.names[-1] == modules.REST
    np.testing.assert_allclose(shares.values.sum(1), 1.0, rtol=1e-12)


def with_heads(profile: Profile, heads: int) -> Profile:
    table = profile.tables.modules
    table["heads"] = np.where(table["module"] == "self_attn.q_proj", heads, 0)
    return profile


def test_shares_of_heads_add_up_to_one_and_are_sums_of_their_columns() -> None:
    profile = with_heads(made_up(), 4)
    shares = modules.head_shares(profile)
    assert shares is not None
    assert shares.shape == (3, 4, 7)
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-6)
    sums = profile.tables.sums["2/self_attn.q_proj/columns"]
    assert shares[1, 3, 2] == pytest.approx(sums[1, 12:16].sum() / sums[1].sum(), rel=1e-6)
    page = render_report(Material(profile))
    assert "All heads by layer" in page
    assert "not recorded in this run" not in page


def test_a_run_that_tells_no_heads_says_so() -> None:
    assert modules.head_shares(made_up()) is None
    assert "not recorded in this run" in render_report(Material(made_up()))


def test_a_profile_records_the_heads_of_its_model(tiny_model: Path, tmp_path: Path) -> None:
    specs = {"a": DomainSpec("a", made_texts(4)), "b": DomainSpec("b", made_texts(4, start=40))}
    run = tmp_path / "run"
    paramscope.profile(tiny_model, specs, samples=3, held_out=0, output=run)
    table = Profile.load(run).modules
    assert dict(zip(table["module"], table["heads"], strict=True)) == {
        name: 4 if name == "self_attn.o_proj" else 0 for name in table["module"]
    }


def test_half_of_the_activation_needs_so_many_neurons_and_no_fewer() -> None:
    rng = np.random.default_rng(1)
    layers = [{"up": rng.random((6, 8, 4)), "down": rng.lognormal(size=(6, 4, 8))} for _ in range(3)]
    profile = make_profile(layers, {"a": 3, "b": 3})
    found = neurons.half_neurons(profile)
    for layer, made in enumerate(layers):
        module, counts, size = found[layer]
        assert (module, size) == ("down", 8)
        for place in range(2):
            each = sorted(made["down"][3 * place : 3 * place + 3].mean(0).sum(0), reverse=True)
            half = sum(each) / 2
            assert sum(each[: counts[place]]) >= half > sum(each[: counts[place] - 1])


def test_octaves_hold_the_counts_of_the_histograms() -> None:
    profile = made_up()
    shares = histograms.octave_shares(profile, ["mlp.up_proj"], [[1, 2]])
    table = profile.tables.histograms
    rows = table[(table["module"] == "mlp.up_proj") & (table["domain"] == "chat") & (table["group"] == ALL)]
    counts = pooled_histogram(rows[rows["layer"].isin([1, 2])])
    np.testing.assert_allclose(shares[0, 0, 1], counts.reshape(-1, 8).sum(1) / (2 * 24 * 16), rtol=1e-12)


def naive_belonging(layers: list[dict[str, np.ndarray]], owners: list[str]) -> list[float]:
    """Mean centred cosine of each sample with the others of its domain, from the whole vectors."""
    scores = np.zeros(len(owners))
    for activations in layers:
        vectors = np.concatenate([a.reshape(len(a), -1) for a in activations.values()], axis=1)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors - vectors.mean(0)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for i, mine in enumerate(owners):
            others = [vectors[i] @ vectors[j] for j, other in enumerate(owners) if other == mine and j != i]
            scores[i] += np.mean(others) / len(layers) if others else np.nan
    return list(scores)


def test_typical_and_odd_samples_are_those_nearest_to_and_farthest_from_their_domain() -> None:
    sizes = {"code": 6, "chat": 5}
    layers = made_up_layers(7, sizes)
    profile = make_profile(layers, sizes)
    material = Material(profile)
    listed = samples.sample_lists(material)
    assert listed.layers == profile.bands["deep"]
    owners = list(profile.samples["domain"])
    scores = naive_belonging([layers[layer] for layer in listed.layers], owners)
    np.testing.assert_allclose(samples.belonging(profile, listed.layers), scores, rtol=1e-9)
    for domain, shown in zip(sizes, listed.domains, strict=True):
        ranked = sorted((k for k, owner in enumerate(owners) if owner == domain), key=lambda k: -scores[k])
        numbers = [int(profile.samples["index"][k]) for k in ranked]
        assert [sample.number for sample in shown.typical] == numbers[:2]
        assert [sample.number for sample in shown.odd] == numbers[:-3:-1]
        assert shown.typical[0].text == f"text {ranked[0]}"


def test_a_domain_of_one_sample_has_neither_typical_nor_odd_ones() -> None:
    listed = samples.sample_lists(Material(made_up())).domains[-1]
    assert (listed.typical, listed.odd) == ([], [])


def test_without_text_no_text_of_any_sample_is_on_the_page() -> None:
    texts = [f"secret{k}secret" for k in range(10)]
    profile = made_up(texts=texts)
    assert "secret" in render_report(Material(profile))
    page = render_report(Material(profile, with_text=False))
    assert "secret" not in page
    assert "left out of this page" in page
    assert "Sample " in page


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts_are_inert(text: str) -> None:
    usual = {tag for tag, _ in Document(render_report(Material(made_up()))).elements}
    check_inert(render_report(Material(made_up(texts=[text] * 10))), usual)


def test_lines_and_spaces_of_a_text_stay() -> None:
    assert samples.shown_text("def f():\n\treturn 1\r\n\n") == "def f():\n    return 1"
    assert samples.shown_text("a<b>\u202e\x00") == "a&lt;b&gt;\ufffd\ufffd"
    long = samples.shown_text("word " * 200)
    assert len(long) == samples.LONGEST_TEXT + 1
    assert samples.shown_text("\n".join("x" * 30)).count("\n") == samples.MOST_LINES - 1


def test_lines_over_many_layers_are_drawn_to_their_end() -> None:
    profile = made_up(300, {"a": 2, "b": 2})
    paths = re.findall(r' d="([^"]*)"', str(density.density_figures(Material(profile)).lines))
    assert max(map(len, paths)) > 2000
    assert not [path for path in paths if not re.fullmatch(r"[MmLlHhVvAaZz\d .-]*", path)]


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [(1, {"a": 1}), (1, {"a": 3, "b": 2}), (2, {"a": 1, "b": 1}), (3, dict.fromkeys("abcdefghijkl", 2))],
)
def test_page_of_any_shape_of_run(layers: int, sizes: dict[str, int]) -> None:
    page = render_report(Material(with_heads(made_up(layers, sizes), 2)))
    document = Document(page)
    document.charts()
    assert "nan" not in document.text.split()
    density_of = data_of(page)["density"]
    assert {len(values) for values in density_of["values"]} == {2 * layers * len(sizes)}
