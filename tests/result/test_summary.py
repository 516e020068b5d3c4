"""The document of ``show --json``: scripts hold on to it."""

from __future__ import annotations

import json

import pytest

from paramscope.errors import UsageError
from paramscope.result.manifest import SCHEMA
from paramscope.result.profile import Profile
from paramscope.result.summary import summarise
from tests.reference import made_up_layers, make_profile
from tests.result.conftest import SIZES

NAMES = list(SIZES)


def test_document_has_the_keys_of_the_design(profile: Profile) -> None:
    document = summarise(profile, 5e-4)
    assert document["schema"] == SCHEMA
    assert document["model"] == "made-up-model"
    assert document["domains"] == NAMES
    assert document["layers"] == 4
    assert document["threshold"] == 5e-4
    assert document["parameters"] == [3 * 24 * 16] * 4
    assert document["samples"] == SIZES
    assert document["self_check"] == profile.manifest.self_check.largest_relative_error
    assert document["density"].keys() == SIZES.keys()
    assert document["similarity"]["within"].keys() == SIZES.keys()


def test_pairs_across_are_named_in_the_order_of_the_domains(profile: Profile) -> None:
    pairs = ["support|code", f"support|{NAMES[2]}", f"code|{NAMES[2]}"]
    for key in ("similarity", "similarity_centred"):
        assert list(summarise(profile)[key]["across"]) == pairs


def test_every_list_runs_over_the_layers(profile: Profile) -> None:
    document = summarise(profile)
    lists = [*document["density"].values(), *document["density_interval"].values()]
    for part in document["similarity"], document["similarity_centred"]:
        lists += [values for by_name in part.values() for values in by_name.values()]
    lists += [values for by_domain in document["concentration"].values() for values in by_domain.values()]
    assert {len(values) for values in lists} == {4}


def test_document_is_plain_json_without_nan(profile: Profile) -> None:
    text = json.dumps(summarise(profile), allow_nan=False)
    assert json.loads(text) == summarise(profile)


def test_numbers_that_do_not_exist_are_null(profile: Profile) -> None:
    document = summarise(profile)
    assert document["similarity"]["within"][NAMES[2]] == [None] * 4
    assert document["density_interval"][NAMES[2]] == [[None, None]] * 4
    assert document["similarity"]["within_interval"][NAMES[2]] == [[None, None]] * 4


def test_numbers_are_unrounded(profile: Profile) -> None:
    density = profile.density(5e-4)
    for domain in NAMES:
        assert summarise(profile, 5e-4)["density"][domain] == density[domain].tolist()


def test_threshold_says_where_it_comes_from(profile: Profile) -> None:
    assert summarise(profile)["threshold"] == profile.threshold
    assert summarise(profile)["threshold_rule"] == profile.manifest.thresholds.rule
    assert summarise(profile, 0.1)["threshold_rule"] == "given"


def test_threshold_that_is_no_positive_number_is_refused(profile: Profile) -> None:
    with pytest.raises(UsageError, match="no positive number"):
        summarise(profile, 0.0)


def test_one_domain_has_no_pairs_across() -> None:
    sizes = {"only": 4}
    document = summarise(make_profile(made_up_layers(2, sizes), sizes))
    assert document["similarity"]["across"] == {}
    assert list(document["similarity"]["within"]) == ["only"]


def test_samples_without_activation_give_a_document_too() -> None:
    sizes = {"a": 4, "b": 3}
    layers = made_up_layers(2, sizes)
    for activation in layers[0].values():
        activation[0] = 0.0
        activation[4:] = 0.0
    document = summarise(make_profile(layers, sizes))
    assert document["density"]["b"][0] == 0.0
    assert document["similarity"]["within"]["b"][0] is None
    assert document["similarity"]["across"]["a|b"][0] is None
    assert document["similarity"]["within"]["a"][0] is not None
    json.dumps(document, allow_nan=False)
