"""A layer's role follows from intervals: planted roles are found, and where there is too little data there is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from paramscope.actions.roles import Confidence, LayerRole, Role, layer_roles
from paramscope.result.profile import Profile
from paramscope.result.verification import Checks
from tests.reference import make_profile
from tests.report.checks import made_up_checks

NAMES = ["support", "code", "contracts"]
SIZES = dict.fromkeys(NAMES, 8)
SHARED_LAYER, OWN_LAYER = 0, 1


def planted(layers: int = 4, seed: int = 0) -> Profile:
    """Domains use the same weights in all layers but ``OWN_LAYER``, where each has its own."""
    rng = np.random.default_rng(seed)
    found = []
    for layer in range(layers):
        activation = rng.lognormal(sigma=0.5, size=(24, 6, 30))
        for place in range(3):
            if layer == OWN_LAYER:
                activation[8 * place : 8 * place + 8, :, 10 * place : 10 * place + 10] *= 8
        found.append({"mlp.up_proj": activation})
    return make_profile(found, SIZES)


def parts_of(damage: NDArray[np.float64], *, texts: int = 8, kind: str = "layer", name: str = "") -> pd.DataFrame:
    """Rows of ``verify``'s table for a damage ``[layers, domains]``, with a little scatter."""
    rng = np.random.default_rng(1)
    rows = [
        (kind, layer, name, domain, sample, 1.0, damage[layer, place] * (1 + 0.02 * rng.normal()))
        for layer in range(len(damage))
        for place, domain in enumerate(NAMES)
        for sample in range(texts)
    ]
    return pd.DataFrame(rows, columns=["kind", "layer", "name", "domain", "sample", "predicted", "damage"])


def roles_of(profile: Profile, parts: pd.DataFrame | None = None) -> list[LayerRole]:
    checks: Checks | None = None if parts is None else made_up_checks(NAMES, profile.layers, parts=parts)
    return layer_roles(profile, checks)


def test_layers_that_domains_share_and_that_are_their_own_are_told_apart() -> None:
    roles = roles_of(planted())
    assert [one.layer for one in roles] == [0, 1, 2, 3]
    assert [one.role for one in roles] == [Role.SHARED, Role.SPECIFIC, Role.SHARED, Role.SHARED]
    assert set(roles[OWN_LAYER].domains) == set(NAMES)
    assert not any(one.domains for one in roles if one.layer != OWN_LAYER)
    assert {one.confidence for one in roles} == {Confidence.ASSOCIATION}
    for one in roles:
        for evidence in one.evidence:
            assert evidence.low < evidence.value < evidence.high
            assert evidence.source == "gram.safetensors"


def test_without_checks_no_layer_is_fragile_or_spare() -> None:
    assert not {Role.FRAGILE, Role.SPARE} & {one.role for one in roles_of(planted())}


def test_intervention_goes_before_association() -> None:
    damage = np.full((4, 3), 0.5)
    damage[OWN_LAYER] = [0.2, 3.0, 0.2]
    damage[2] = 0.01
    roles = roles_of(planted(), parts_of(damage))
    assert [one.role for one in roles] == [Role.SHARED, Role.FRAGILE, Role.SPARE, Role.SHARED]
    assert roles[OWN_LAYER].confidence == roles[2].confidence == Confidence.TESTED
    assert roles[OWN_LAYER].domains  # it stays known whose own it is
    told = [evidence for evidence in roles[OWN_LAYER].evidence if evidence.source == "verify-parts.parquet"]
    assert len(told) == 1
    assert "code" in told[0].text
    assert told[0].value == pytest.approx(3.0, rel=0.05)


def test_a_layer_is_spare_only_where_no_domain_loses() -> None:
    damage = np.full((4, 3), 0.01)
    damage[3, 2] = 0.3
    roles = roles_of(planted(), parts_of(damage))
    assert [one.role for one in roles] == [Role.SPARE, Role.SPARE, Role.SPARE, Role.SHARED]


def test_few_texts_make_no_layer_spare() -> None:
    roles = roles_of(planted(), parts_of(np.full((4, 3), 0.01), texts=4))
    assert Role.SPARE not in {one.role for one in roles}


@pytest.mark.parametrize(
    ("kind", "name"), [("head", "head 2"), ("weight", "mlp.up_proj [1, 2]"), ("neurons", "6 neurons")]
)
def test_a_part_that_breaks_the_model_makes_its_layer_fragile(kind: str, name: str) -> None:
    parts = parts_of(np.full((4, 3), 0.01))
    damage = np.zeros((4, 3))
    damage[2, 1] = 2.0
    parts = pd.concat([parts, parts_of(damage, kind=kind, name=name)], ignore_index=True)
    roles = roles_of(planted(), parts)
    assert [one.layer for one in roles if one.role is Role.FRAGILE] == [2]
    assert name in roles[2].evidence[-1].text


def test_an_answer_that_is_no_number_any_more_is_a_loss_of_all() -> None:
    parts = parts_of(np.full((4, 3), 0.01))
    parts.loc[(parts["layer"] == 3) & (parts["domain"] == "code"), "damage"] = math.inf
    (fragile,) = [one for one in roles_of(planted(), parts) if one.role is Role.FRAGILE]
    assert fragile.layer == 3
    assert fragile.evidence[-1].value == math.inf


def test_one_domain_or_single_samples_leave_roles_open() -> None:
    rng = np.random.default_rng(0)
    for sizes in ({"a": 8}, {"a": 1, "b": 1}):
        layers = [{"mlp.up_proj": rng.lognormal(size=(sum(sizes.values()), 4, 5))} for _ in range(2)]
        roles = layer_roles(make_profile(layers, sizes), None)
        assert {one.role for one in roles} == {Role.OPEN}
        assert {one.confidence for one in roles} == {Confidence.NONE}
