"""Rules that choose layers: by hand, and what holds for all of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramscope import UsageError
from paramscope.actions.tuning.layers import (
    PLACE_RULES,
    choose_layers,
    given_layers,
    random_layers,
    read_layers,
    specificity,
    told_layers,
    usual_count,
)


def profile_of(totals: dict[str, list[float]]) -> Any:
    """A profile of which only the activation is known: totals by domain and layer, two modules a layer."""
    layers = len(next(iter(totals.values())))
    rows = [
        {"layer": layer, "module": module, "domain": domain, "total": share * values[layer]}
        for domain, values in totals.items()
        for layer in range(layers)
        for module, share in (("a", 0.25), ("b", 0.75))
    ]
    density = pd.DataFrame({domain: np.array(values) / 100 for domain, values in totals.items()})
    return SimpleNamespace(
        layers=layers,
        domains=list(totals),
        threshold=1e-3,
        tables=SimpleNamespace(activation=pd.DataFrame(rows)),
        density=lambda: density,
    )


THREE = profile_of(
    {"code": [10.0, 20.0, 30.0, 40.0], "mail": [25.0, 25.0, 25.0, 25.0], "law": [15.0, 15.0, 60.0, 10.0]}
)
THIRTY = profile_of({"code": [1.0] * 30})


@pytest.mark.parametrize(
    ("rule", "count", "expected"),
    [
        ("spread", 6, [2, 7, 12, 17, 22, 27]),
        ("spread", 1, [15]),
        ("first", 6, [0, 1, 2, 3, 4, 5]),
        ("middle", 6, [12, 13, 14, 15, 16, 17]),
        ("last", 6, [24, 25, 26, 27, 28, 29]),
        ("uniform", 6, list(range(30))),
    ],
)
def test_places_by_hand(rule: str, count: int, expected: list[int]) -> None:
    assert list(choose_layers(rule, count, THIRTY, "code").layers) == expected


@given(st.sampled_from(PLACE_RULES), st.data())
def test_every_place_rule_gives_as_many_different_layers_in_order(rule: str, data: st.DataObject) -> None:
    total = data.draw(st.integers(1, 90))
    count = data.draw(st.integers(1, total))
    found = choose_layers(rule, count, profile_of({"a": [1.0] * total}), "a", seed=3).layers
    assert len(found) == (total if rule == "uniform" else count)
    assert list(found) == sorted(set(found))
    assert 0 <= found[0] <= found[-1] < total
    if rule == "spread" and count > 1:
        gaps = np.diff(found)
        assert gaps.max() - gaps.min() <= 1


def test_specific_holds_shares_of_the_activation_against_the_others() -> None:
    # Shares of code: 0.1 0.2 0.3 0.4; of the others on the mean: 0.2 0.2 0.425 0.175.
    np.testing.assert_allclose(specificity(THREE, "code"), [0.5, 1.0, 0.3 / 0.425, 0.4 / 0.175])
    found = choose_layers("specific", 2, THREE, "code")
    assert found.layers == (1, 3)
    assert found.scores == tuple(specificity(THREE, "code"))
    assert "1 to 2.29 here, at most 0.706 elsewhere" in found.evidence


def test_specificity_does_not_depend_on_the_size_of_a_domains_activation() -> None:
    larger = profile_of({"code": [1e4, 2e4, 3e4, 4e4], "mail": [25.0] * 4, "law": [15.0, 15.0, 60.0, 10.0]})
    np.testing.assert_allclose(specificity(larger, "code"), specificity(THREE, "code"))


def test_density_takes_the_densest() -> None:
    found = choose_layers("density", 1, THREE, "law")
    assert found.layers == (2,)
    assert "density at 0.001: 0.6 to 0.6 here, at most 0.15 elsewhere" in found.evidence


def test_damage_takes_the_layers_that_the_domain_cannot_do_without() -> None:
    parts = pd.DataFrame(
        [
            {"kind": kind, "layer": layer, "domain": domain, "damage": damage}
            for kind, layer, domain, damage in [
                ("layer", 0, "code", 1.0),
                ("layer", 0, "code", 2.0),
                ("layer", 2, "code", math.inf),
                ("layer", 3, "code", 0.5),
                ("layer", 3, "law", 99.0),
                ("head", 1, "code", 99.0),
            ]
        ]
    )
    found = choose_layers("damage", 2, THREE, "code", damages=parts)
    assert found.layers == (0, 2)
    np.testing.assert_array_equal(found.scores, [1.5, np.nan, np.inf, 0.5])
    with pytest.raises(UsageError, match="--rule damage knows 3 layers, and 4 are asked for"):
        choose_layers("damage", 4, THREE, "code", damages=parts)
    with pytest.raises(UsageError, match="the run has none; 'paramscope verify' makes them"):
        choose_layers("damage", 2, THREE, "code")


def test_equal_scores_go_to_the_layer_nearer_to_the_input() -> None:
    assert choose_layers("gradient", 2, THREE, "code", measured=np.array([1.0, 2.0, 2.0, 2.0])).layers == (1, 2)


def test_what_is_measured_on_the_model_must_be_given() -> None:
    with pytest.raises(UsageError, match="--rule gradient is measured on the model and training texts; give --pilot"):
        choose_layers("gradient", 2, THREE, "code")


def test_random_layers_follow_seed_and_draw() -> None:
    def drawn(seed: int, draw: int) -> tuple[int, ...]:
        return choose_layers("random", 6, THIRTY, "code", seed=seed, draw=draw).layers

    assert drawn(1, 0) == drawn(1, 0)
    assert len({drawn(seed, draw) for seed in range(3) for draw in range(3)}) == 9


@pytest.mark.parametrize(
    ("rule", "count", "domain", "message"),
    [
        ("spred", 1, "code", r"--rule 'spred' is unknown \(did you mean 'spread'\?\); give one of spread, uniform"),
        ("spread", 0, "code", "--layers 0 is out of range; the model has 4 layers, so give 1 to 4"),
        ("spread", 5, "code", "--layers 5 is out of range"),
        ("spread", 1, "cod", r"domain 'cod' is not in the run \(did you mean 'code'\?\); it has code, mail, law"),
    ],
)
def test_what_is_not_there_is_refused(rule: str, count: int, domain: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_layers(rule, count, THREE, domain)


def test_a_single_domain_has_nothing_to_be_specific_against() -> None:
    with pytest.raises(UsageError, match="holds a domain against others, and the run has one"):
        choose_layers("specific", 1, THIRTY, "code")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6", 6), ("0", 0), ("2,7", [2, 7]), ("2, 7,20-23", [2, 7, 20, 21, 22, 23]), ("7-7", [7])],
)
def test_layers_are_read_as_a_number_or_a_list(text: str, expected: object) -> None:
    assert read_layers(text) == expected


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(UsageError, match="9-8 runs backwards; give 8-9"):
        read_layers("2,9-8")


def test_draws_at_random_differ_from_the_plan_and_from_each_other() -> None:
    for seed in range(50):
        drawn = random_layers(5, 1, [(2,)], draws=4, seed=seed)
        assert sorted(drawn) == [(0,), (1,), (3,), (4,)]
        assert random_layers(5, 1, [(2,)], draws=2, seed=seed) == drawn[:2]
    assert random_layers(2, 2, [(0, 1)], draws=1, seed=0) == ((0, 1),)  # there is no other


@pytest.mark.parametrize("text", ["", "x", "1,,2", "-1", "1-2-3", "1.5", "2,7,", "٣"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give a number of layers such as 6, or layers such as 2,7,20-23"):
        read_layers(text)


def test_named_layers_must_be_there_once() -> None:
    assert given_layers([3, 1], 4).layers == (1, 3)
    for layers, message in (
        ([4], "layer 4 is unknown; the model has 4 layers, 0 to 3"),
        ([-1], "layer -1 is unknown"),
        ([1, 1], "--layers names 1, 1; name one layer or more, each once"),
        ([], "--layers names none"),
    ):
        with pytest.raises(UsageError, match=message):
            given_layers(layers, 4)


def test_layers_are_told_in_runs() -> None:
    assert told_layers([23, 2, 20, 21, 7, 22, 8]) == "2, 7, 8, 20-23"
    assert [usual_count(total) for total in (1, 4, 30, 80)] == [1, 1, 6, 16]
