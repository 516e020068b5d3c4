"""Clustering of domains against a slow one, and what its support says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paramscope.actions.sharing.groups import _members, _merges, domain_tree, supported_groups
from paramscope.result.profile import Profile
from paramscope.result.shared import TreeRecord
from tests.actions.planted import planted_profile

NAMES = ("support", "code", "contracts", "finance", "prose")


def tree_of(profile: Profile) -> TreeRecord:
    tree = domain_tree(profile, profile.resampler, "all", list(range(profile.layers)))
    assert tree is not None
    return tree


def slow_average_linkage(distances: np.ndarray) -> list[tuple[frozenset[int], float]]:
    """The nearest two groups come together, by the mean over their pairs of domains."""
    groups = [frozenset([place]) for place in range(len(distances))]
    found = []

    def apart(pair: tuple[frozenset[int], frozenset[int]]) -> float:
        return float(np.mean([distances[i, j] for i, j in itertools.product(*pair)]))

    while len(groups) > 1:
        one, other = min(itertools.combinations(groups, 2), key=apart)
        groups = [group for group in groups if group not in (one, other)] + [one | other]
        found.append((one | other, apart((one, other))))
    return found


@given(domains=st.integers(2, 7), seed=st.integers(0, 10_000))
@settings(max_examples=50)
def test_tree_equals_slow_average_linkage(domains: int, seed: int) -> None:
    distances = np.random.default_rng(seed).uniform(0.1, 2, size=(domains, domains))
    distances += distances.T
    merges = _merges(distances)
    slow = slow_average_linkage(distances)
    assert _members(merges, domains) == [members for members, _ in slow]
    np.testing.assert_allclose(merges[:, 2], [distance for _, distance in slow])


def test_distances_are_those_of_the_profile() -> None:
    profile = planted_profile(dict.fromkeys(NAMES[:3], 6), (0.3, 0.6))
    tree = tree_of(profile)
    matrix = profile.similarity_matrix(range(profile.layers), centred=True).to_numpy()
    one, other = tree.nodes[0].children
    assert tree.nodes[0].alike.value == pytest.approx(matrix[one, other])
    third = 3 - one - other
    assert tree.nodes[1].alike.value == pytest.approx((matrix[one, third] + matrix[other, third]) / 2)


def test_interval_of_a_join_of_two_domains_is_that_of_the_profile() -> None:
    profile = planted_profile({"support": 6, "code": 6}, (0.5,))
    across = profile.similarity(centred=True).across
    alike = tree_of(profile).nodes[0].alike
    assert alike.low == pytest.approx(across.low.iloc[0, 0])
    assert alike.high == pytest.approx(across.high.iloc[0, 0])


def test_what_the_tree_joins_although_it_is_not_alike_is_no_group() -> None:
    # Two pairs are alike; the tree joins the fifth domain to one of them all the same.
    tree = tree_of(planted_profile(dict.fromkeys(NAMES, 8), (0.2, 0.2), groups=(0, 0, 1, 1, 2)))
    joined = [set(node.domains) for node in tree.nodes if node.support is not None]
    assert any(len(members) == 3 for members in joined) or any(len(members) == 4 for members in joined)
    assert {frozenset(group) for group in supported_groups(tree)} == {
        frozenset({"support", "code"}),
        frozenset({"contracts", "finance"}),
    }


@given(
    seed=st.integers(0, 10_000),
    groups=st.sampled_from([(0, 0, 1, 1, 1), (0, 1, 0, 1, 1), (0, 0, 0, 1, 2), (1, 0, 0, 2, 2)]),
)
@settings(max_examples=12)
def test_planted_groups_are_found_with_high_support(seed: int, groups: tuple[int, ...]) -> None:
    tree = tree_of(planted_profile(dict.fromkeys(NAMES, 6), (0.2, 0.2), groups=groups, seed=seed))
    planted = [
        {name for name, number in zip(NAMES, groups, strict=True) if number == group} for group in sorted(set(groups))
    ]
    for members in planted:
        if len(members) > 1:
            node = next(node for node in tree.nodes if set(node.domains) == members)
            assert node.support is not None
            assert node.support >= 0.95
    for members in planted:
        if len(members) > 1:
            assert members in [set(group) for group in supported_groups(tree)]


def test_domains_of_one_source_get_low_support() -> None:
    supports, named = [], 0
    for seed in range(20):
        tree = tree_of(planted_profile(dict.fromkeys(NAMES, 8), (0.0, 0.0), seed=seed))
        supports += [node.support for node in tree.nodes if node.support is not None]
        named += bool(supported_groups(tree))
    assert np.median(supports) < 0.6
    assert named <= 3


def test_all_domains_together_have_no_support_to_speak_of() -> None:
    tree = tree_of(planted_profile(dict.fromkeys(NAMES, 4), (0.2,)))
    assert tree.nodes[-1].support is None
    assert set(tree.nodes[-1].domains) == set(NAMES)
    assert [len(node.children) for node in tree.nodes] == [2] * 4


def test_order_of_the_domains_does_not_matter() -> None:
    groups = {"support": 0, "code": 1, "contracts": 0, "finance": 1}
    trees = [
        tree_of(planted_profile(dict.fromkeys(order, 6), (0.1,), groups=[groups[name] for name in order]))
        for order in (list(groups), list(groups)[::-1])
    ]
    assert {frozenset(group) for group in supported_groups(trees[0])} == {
        frozenset(group) for group in supported_groups(trees[1])
    }


def test_two_domains_form_no_group() -> None:
    tree = tree_of(planted_profile({"support": 5, "code": 5}, (0.9,)))
    assert len(tree.nodes) == 1
    assert supported_groups(tree) == []


def test_same_run_same_tree() -> None:
    one, other = (tree_of(planted_profile(dict.fromkeys(NAMES, 5), (0.3,), seed=4)) for _ in range(2))
    assert one == other
