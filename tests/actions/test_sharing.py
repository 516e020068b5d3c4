"""Own shares of layers, and the curve from one model for all to a model each."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paramscope
from paramscope.actions.sharing.curve import (
    adapter_parameters,
    compare_layers,
    in_order,
    output_shares,
    own_shares,
    removal_check,
    sharing_curve,
)
from paramscope.actions.sharing.prices import VALUE_BOUNDS, Prices
from paramscope.errors import UsageError
from paramscope.result.profile import Profile
from paramscope.result.shared import LayerRecord, MeasuredGain, read_shared
from paramscope.result.verification import Checks, IntervalRecord
from paramscope.sharing import share
from tests.actions.planted import own_share_by_loops, planted_layers, planted_profile
from tests.reference import make_profile

SIZES = {"support": 8, "code": 8, "contracts": 8}
OWN = (0.0, 0.9, 0.0, 0.0, 0.5, 0.0)
PROFILE = planted_profile(SIZES, OWN)


def compared(profile: Profile, checks: Checks | None = None, rank: int = 2) -> list[LayerRecord]:
    return compare_layers(profile, profile.resampler, checks, rank=rank)


def record(layer: int, parameters: int, adapters: int, share: float | None) -> LayerRecord:
    nothing = IntervalRecord(value=share, low=None, high=None)
    return LayerRecord(
        layer=layer,
        parameters=parameters,
        adapter_parameters=adapters,
        own_share=nothing,
        excess=nothing,
        stands_out=False,
        within=nothing,
        across=nothing,
        centred_gap=nothing,
        output_share=None,
    )


def test_own_share_equals_loops_over_pairs() -> None:
    layers = planted_layers(SIZES, OWN)
    for found, layer in zip(compared(PROFILE), layers, strict=True):
        assert found.own_share.value == pytest.approx(own_share_by_loops(layer, SIZES), abs=1e-9)


def test_own_share_is_the_squared_distance_of_the_domains_means_where_samples_do_not_scatter() -> None:
    vectors = np.array([[3.0, 0.0, 4.0], [0.0, 1.0, 0.0], [1.0, 2.0, 2.0]])
    layer = {"up": np.repeat(vectors, 3, axis=0)[:, None, :]}
    found = compared(make_profile([layer], {"a": 3, "b": 3, "c": 3}), rank=1)[0].own_share.value
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    squared = [np.sum((units[i] - units[j]) ** 2) / 2 for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found == pytest.approx(np.mean(squared))


def test_domains_that_use_other_weights_share_nothing_and_equal_ones_everything() -> None:
    apart = np.zeros((6, 2, 2))
    apart[:3, 0], apart[3:, 1] = 1.0, 1.0
    first, second = compared(make_profile([{"up": apart}, {"up": np.ones((6, 2, 2))}], {"a": 3, "b": 3}), rank=1)
    assert first.own_share.value == pytest.approx(1.0)
    assert second.own_share.value == pytest.approx(0.0)
    assert first.output_share == pytest.approx(1.0)
    assert second.output_share == pytest.approx(0.0)
    assert own_shares(np.array([0.0, np.nan]), np.array([0.0, 0.0])).tolist() == pytest.approx(
        [np.nan, np.nan], nan_ok=True
    )


def test_planted_layers_come_first_and_stand_out() -> None:
    layers = compared(PROFILE)
    assert in_order(layers)[:2] == [1, 4]
    assert [found.layer for found in layers if found.stands_out] == [1, 4]


@pytest.mark.parametrize("scatter", [0.0, 0.5, 20.0])
def test_scatter_in_directions_of_each_samples_own_cancels_out(scatter: float) -> None:
    means = np.repeat([[3.0, 1.0, 0.0], [1.0, 0.0, 3.0]], 4, axis=0)
    vectors = np.concatenate([means, scatter * np.eye(8)], axis=1)
    found = compared(make_profile([{"up": vectors[:, :, None]}], {"a": 4, "b": 4}), rank=1)[0]
    assert found.within.value == pytest.approx(10 / (10 + scatter**2))
    assert found.own_share.value == pytest.approx(1 - 3 / 10)


def test_one_source_has_no_own_share_and_seldom_a_layer_that_stands_out() -> None:
    shares, out = [], 0
    for seed in range(12):
        layers = compared(planted_profile(SIZES, (0.0,) * 5, seed=seed))
        shares += [found.own_share.value for found in layers]
        out += sum(found.stands_out for found in layers)
    assert abs(np.mean([share for share in shares if share is not None])) < 0.01
    assert out <= 6  # of 60, where one in forty is expected


def test_interval_holds_the_own_share_that_many_samples_have() -> None:
    many = {"a": 120, "b": 120}
    whole = planted_layers(many, (0.5,), seed=3)[0]
    truth = own_share_by_loops(whole, many)
    few = {name: part[[*range(12), *range(120, 132)]] for name, part in whole.items()}
    found = compared(make_profile([few], {"a": 12, "b": 12}))[0].own_share
    assert found.low is not None
    assert found.high is not None
    assert found.low < truth < found.high


def test_output_share_is_the_total_variation_to_the_mean_of_the_others() -> None:
    rows = np.array([[6.0, 2.0], [1.0, 3.0], [1.0, 1.0]])  # a domain each, by output
    layer = {"up": np.repeat(rows, 3, axis=0)[:, :, None]}
    parts = rows / rows.sum(1, keepdims=True)
    expected = np.mean([abs(parts[d] - np.delete(parts, d, 0).mean(0)).sum() / 2 for d in range(3)])
    assert output_shares(make_profile([layer], {"a": 3, "b": 3, "c": 3}))[0] == pytest.approx(expected)


def test_adapters_have_rank_times_inputs_and_outputs() -> None:
    # Two modules of 16 x 12 in each layer.
    assert adapter_parameters(PROFILE, 3) == [3 * 2 * (16 + 12)] * 6


@pytest.mark.parametrize("rank", [0, -1, 13, True, 1.5])
def test_rank_out_of_range_is_named(rank: int) -> None:
    with pytest.raises(UsageError, match=f"--rank {rank!r} is out of range; give a whole number from 1 to 12"):
        adapter_parameters(PROFILE, rank)


def test_curve_by_hand() -> None:
    layers = [record(0, 100, 8, 0.1), record(1, 50, 6, 0.4), record(2, 80, 7, None)]
    points = sharing_curve(
        layers, parameters=300, domains=3, parts=2, bytes_per_parameter=2.0, adapter_bytes_per_parameter=4.0
    )
    assert [point.own_layers for point in points] == [0, 1, 2, 3, None]
    assert [point.layers for point in points] == [[], [1], [0, 1], [0, 1, 2], [0, 1, 2]]
    assert [point.layer_bytes for point in points] == [600, 600 + 2 * 100, 600 + 2 * 300, 600 + 2 * 460, 1800]
    assert [point.adapter_bytes for point in points] == [600, 600 + 72, 600 + 168, 600 + 252, None]
    assert [point.group_layer_bytes for point in points] == [600, 700, 900, 1060, 1200]
    assert [point.group_adapter_bytes for point in points] == [600, 648, 712, 768, None]
    assert [point.own_share for point in points] == pytest.approx([0, 50 / 300, 0.5, 230 / 300, 1])


@given(
    sizes=st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**4), st.floats(-0.1, 1)), min_size=1, max_size=9),
    rest=st.integers(0, 10**6),
    domains=st.integers(2, 20),
    size=st.floats(0.5, 8),
)
def test_curve_grows_from_one_model_to_a_model_each(
    sizes: list[tuple[int, int, float]], rest: int, domains: int, size: float
) -> None:
    layers = [record(number, *given) for number, given in enumerate(sizes)]
    parameters = sum(parameters for parameters, _, _ in sizes) + rest
    points = sharing_curve(
        layers,
        parameters=parameters,
        domains=domains,
        parts=None,
        bytes_per_parameter=size,
        adapter_bytes_per_parameter=2.0,
    )
    copies = [point.layer_bytes for point in points]
    adapters = [point.adapter_bytes for point in points[:-1] if point.adapter_bytes is not None]
    assert len(adapters) == len(points) - 1
    assert copies == sorted(copies)
    assert adapters == sorted(adapters)
    assert copies[0] == adapters[0] == parameters * size
    assert copies[-1] == pytest.approx(domains * parameters * size)
    for before, after in itertools.pairwise(points):
        assert set(before.layers) <= set(after.layers)


def test_layer_without_activation_comes_last() -> None:
    dead = [*planted_layers(SIZES, (0.5, 0.1)), {"mlp.up_proj": np.zeros((24, 4, 4))}]
    layers = compared(make_profile(dead, SIZES))
    assert in_order(layers) == [0, 1, 2]
    assert layers[2].own_share.value is None
    assert layers[2].output_share is None
    assert not layers[2].stands_out


def test_one_domain_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one domain \(support\), sharing needs at least two"):
        compared(planted_profile({"support": 8}, (0.1,)))


def test_domains_of_too_few_samples_are_refused_or_left_out_and_named() -> None:
    with pytest.raises(UsageError, match="fewer than two domains of the run have 3 samples"):
        compared(planted_profile({"support": 8, "code": 2}, (0.1,)))
    shared = share(planted_profile({"support": 8, "code": 2, "prose": 8}, (0.1, 0.2)), rank=2)
    assert shared.trees[0].domains == ["support", "prose"]
    assert any(limit.startswith("Of code there are fewer than 3 samples") for limit in shared.limits)
    assert shared.curve[-1].layer_bytes == pytest.approx(3 * shared.curve[0].layer_bytes)


def test_run_without_pairs_is_refused() -> None:
    tables = dataclasses.replace(PROFILE.tables, gram=np.full_like(PROFILE.tables.gram, np.nan))
    with pytest.raises(UsageError, match="compares no pairs of samples"):
        compared(Profile(PROFILE.manifest, tables))


def test_damage_of_removed_layers_stands_beside_the_own_share() -> None:
    parts = pd.DataFrame(
        [
            ("layer", 1, "support", 0.5),
            ("layer", 1, "support", 2.5),
            ("layer", 1, "code", 0.2),
            ("layer", 1, "contracts", 1.0),
            ("head", 2, "code", 9.0),
        ],
        columns=["kind", "layer", "domain", "damage"],
    )
    checks = Checks(None, pd.DataFrame(), pd.DataFrame(), parts)
    layers = compared(PROFILE, checks)
    assert layers[1].damage == pytest.approx((1.5 + 0.2 + 1.0) / 3)
    assert layers[1].breaks == 2
    assert layers[2].damage is None


def removed(damage: Callable[[int, int, int], float], layers: int = 12) -> tuple[list[LayerRecord], Checks]:
    """Layers whose own share grows with their number, and the damage by layer, domain and text."""
    rows = [
        ("layer", layer, f"domain {domain}", damage(layer, domain, text))
        for layer in range(layers)
        for domain in range(4)
        for text in range(6)
    ]
    parts = pd.DataFrame(rows, columns=["kind", "layer", "domain", "damage"])
    checks = Checks(None, pd.DataFrame(), pd.DataFrame(), parts)
    return [record(layer, 10, 1, 0.05 * layer) for layer in range(layers)], checks


def test_removal_confirms_an_order_that_it_has_too() -> None:
    found = removal_check(*removed(lambda layer, domain, text: 1 + 0.05 * layer * domain + 0.01 * text), seed=0)
    assert found is not None
    assert found.layers == 12
    assert found.value == pytest.approx(1.0)
    assert found.low is not None
    assert found.low > 0


def test_chance_in_the_texts_confirms_no_order() -> None:
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        # The larger the own share, the more the texts scatter, and the domains with them, by chance alone.
        found = removal_check(*removed(lambda layer, *_, rng=rng: 5 + 0.1 * layer * rng.normal()), seed=0)
        assert found is not None
        values.append(found.value)
    assert abs(np.mean([value for value in values if value is not None])) < 0.25


def test_few_removed_layers_tell_nothing() -> None:
    assert removal_check(*removed(lambda layer, domain, _: 1 + layer * domain, layers=7), seed=0) is None
    assert removal_check(compared(PROFILE), None, seed=0) is None


def test_layers_that_stand_out_are_the_domains_own_unless_told() -> None:
    def own(count: int | None) -> list[int]:
        return share(PROFILE, rank=2, own_layers=count).options[2].layers

    assert own(None) == [1, 4]
    assert own(1) == [1]
    with pytest.raises(UsageError, match="--own-layers 7 is out of range; give a whole number from 1 to 6"):
        own(7)


def test_where_no_layer_stands_out_that_is_said() -> None:
    same = make_profile([planted_layers(SIZES, (0.4,))[0]] * 4, SIZES)
    shared = share(same, rank=2)
    assert len(shared.options[2].layers) == 2
    assert any(limit.startswith("No layer surely differs more") for limit in shared.limits)


def test_document_comes_back_from_the_run(tmp_path: Path) -> None:
    PROFILE.save(tmp_path / "run")
    shared = paramscope.share(tmp_path / "run", rank=2, value=0.1)
    assert read_shared(tmp_path / "run") == shared
    assert not list((tmp_path / "run").glob("*.part"))
    again = paramscope.share(PROFILE, rank=2, value=0.1)
    assert again.layers == shared.layers
    assert again.trees == shared.trees


def test_damaged_or_foreign_document_is_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    PROFILE.save(run)
    assert read_shared(run) is None
    share(run, rank=2)
    (run / "run.json").write_text((run / "run.json").read_text() + "\n")
    with pytest.raises(UsageError, match="was made of another run; 'paramscope share' makes it again"):
        read_shared(run)
    (run / "share.json").write_text("{}")
    with pytest.raises(UsageError, match="damaged or of another paramscope"):
        read_shared(run)


@settings(max_examples=25)
@given(st.data())
def test_no_allowed_price_is_too_large_for_a_number(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = []
    for name, field in Prices.model_fields.items():
        ends = [getattr(rule, end) for rule in field.metadata for end in ("ge", "le") if hasattr(rule, end)]
        if name != "currency":
            lines.append(f"{name}: {data.draw(st.sampled_from(ends)):.17f}")
    file = tmp_path_factory.mktemp("prices") / "prices.yaml"
    file.write_text("\n".join(lines), "utf-8")
    gains = [
        MeasuredGain(domain=name, option="shared", loss_before=2, loss_after=1, low=0.5, high=1.5, source="here")
        for name in PROFILE.domains
    ]
    found = share(PROFILE, prices=file, value=data.draw(st.sampled_from(VALUE_BOUNDS)), gains=gains)
    values = [figure.value for option in found.options for figure in option.figures]
    for record in found.break_even:
        values += [record.once.value, record.month.value, record.per_request.value]
        values += [end for each in (record.benefit, record.months) if each for end in each.model_dump().values() if end]
    assert all(map(math.isfinite, values))


def test_prices_and_values_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("requests_per_month: 1.0e+308", "utf-8")
    with pytest.raises(UsageError, match=r"requests_per_month.*1e\+308"):
        share(PROFILE, prices=tmp_path / "prices.yaml")
    with pytest.raises(UsageError, match=r"--value 1e\+308 is out of range; give one from 1e-18 to 1e\+18"):
        share(PROFILE, value=1e308)


@pytest.mark.parametrize(("name", "value"), [("value", 0.0), ("value", float("nan")), ("requests", -3.0)])
def test_amounts_that_are_none_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--{name} .* is no positive number"):
        share(PROFILE, **{name: value})
