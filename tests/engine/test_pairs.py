"""Pairs of samples within a budget: the same numbers, for fewer samples."""

from __future__ import annotations

import numpy as np
import pytest

import paramscope
from paramscope.report import Material, render_report
from paramscope.result.summary import summarise
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.autograd import assert_same_tables
from tests.engine.runs import plan_of

GIVEN = {"a": random_ids([9, 3, 12, 6, 5]), "b": random_ids([7, 2, 10, 4], seed=1)}
MODEL = tiny_model("llama")
FIRST = [0, 1, 2, 5, 6, 7]
"""The first three samples of each domain."""


def test_pairs_of_some_samples_are_those_of_all() -> None:
    whole = paramscope.profile(MODEL, GIVEN, pairs="all")
    some = paramscope.profile(MODEL, GIVEN, pairs=3)
    rest = np.setdiff1d(np.arange(9), FIRST)
    kept = some.tables.gram[:, FIRST][:, :, FIRST]
    np.testing.assert_allclose(kept, whole.tables.gram[:, FIRST][:, :, FIRST], rtol=1e-12)
    assert np.isnan(some.tables.gram[:, rest]).all()
    assert np.isnan(some.tables.gram[:, :, rest]).all()
    assert some.density(1e-3).equals(whole.density(1e-3))
    assert [domain.paired for domain in some.manifest.domains] == [3, 3]
    assert [domain.paired for domain in whole.manifest.domains] == [5, 4]


def test_similarity_is_that_of_a_run_of_the_paired_samples_alone() -> None:
    some = paramscope.profile(MODEL, GIVEN, pairs=3)
    alone = paramscope.profile(MODEL, GIVEN, samples=3)
    for centred in (False, True):
        one, other = some.similarity(centred=centred), alone.similarity(centred=centred)
        np.testing.assert_allclose(one.within.value, other.within.value, rtol=1e-9)
        np.testing.assert_allclose(one.across.value, other.across.value, rtol=1e-9)


def test_no_pairs_leave_densities_and_no_similarity() -> None:
    none = paramscope.profile(MODEL, GIVEN, pairs=0)
    assert np.isnan(none.tables.gram).all()
    assert none.density(1e-3).equals(paramscope.profile(MODEL, GIVEN).density(1e-3))
    assert none.similarity().within.value.isna().all().all()
    assert summarise(none)["similarity"]["within"]["a"] == [None] * none.layers
    assert "No pairs of texts were compared in this run" in render_report(Material(none))


def test_a_page_of_some_pairs_says_how_many() -> None:
    assert "The first 3 texts of each domain" in render_report(Material(paramscope.profile(MODEL, GIVEN, pairs=3)))


@pytest.mark.parametrize(
    ("pairs", "paired"), [("all", None), (5, None), (2, [0, 1, 5, 6]), (4, [0, 1, 2, 3, 5, 6, 7, 8])]
)
def test_a_number_of_pairs_takes_the_first_samples_of_every_domain(pairs: int | str, paired: list[int] | None) -> None:
    assert plan_of(MODEL, GIVEN, pairs=pairs).reduction.paired == paired


def test_all_pairs_are_taken_while_they_cost_less_than_the_rest() -> None:
    # 8 samples for each token of an average one.
    short = {"a": [[5, place] for place in range(3, 19)], "b": [[6, 7]]}
    assert plan_of(MODEL, {"a": short["a"][:15], "b": short["b"]}, held_out=0).reduction.paired is None
    budget = plan_of(MODEL, short, held_out=0).reduction.paired
    assert budget == [*range(8), 16]


def test_a_run_of_the_same_pairs_is_the_same_whatever_the_tile() -> None:
    one = paramscope.profile(MODEL, GIVEN, pairs=3)
    assert_same_tables(one.tables, paramscope.profile(MODEL, GIVEN, pairs=3).tables)


@pytest.mark.parametrize("pairs", [-1, 1.5, True, "some"])
def test_wrong_pairs_are_refused(pairs: object) -> None:
    with pytest.raises(paramscope.UsageError, match=r"pairs .* is out of range; give all, or a whole number"):
        paramscope.profile(MODEL, GIVEN, pairs=pairs)
