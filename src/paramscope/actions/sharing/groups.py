"""Groups of domains that can share more than all of them can: hierarchical clustering with bootstrap support."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from paramscope.measures.intervals import LEVEL
from paramscope.measures.resample import Resampler, percentile_intervals
from paramscope.result.profile import Profile
from paramscope.result.shared import NodeRecord, TreeRecord
from paramscope.result.verification import IntervalRecord

ALL_LAYERS = "all"
"""Name of the tree over all layers, beside those of the bands."""


def domain_tree(profile: Profile, resampler: Resampler, band: str, layers: list[int]) -> TreeRecord | None:
    """Cluster the domains by what they have in common in some layers.

    The distance of two domains is 1 less the mean centred LLMDcos of their pairs of samples, that of two groups the
    mean over their pairs of domains (average linkage). The support of a node is the share of bootstrap draws, over
    samples within domains, in whose tree the same domains are a node (Felsenstein 1985). It tells how much the choice
    of texts matters. It is no probability that the group exists: domains of one source form some tree too, and about
    half of the draws may agree with it.

    Args:
        profile: the run.
        resampler: of that run; domains with too few samples for it are left out.
        band: a name for the layers.
        layers: which.

    Returns:
        The tree; None where fewer than two domains have a distance.
    """
    names = [profile.domains[place] for place in resampler.domains]
    if len(names) < 2:
        return None
    distances = 1.0 - resampler.pairs(layers, centred=True)
    apart = ~np.eye(len(names), dtype=bool)
    whole = np.asarray(np.isfinite(distances[:, apart]).all(axis=1))
    if not whole[0]:
        return None
    merges = _merges(distances[0])
    members = _members(merges, len(names))
    drawn = [set(_members(_merges(draw), len(names))) for draw in distances[1:][whole[1:]]]
    every = [frozenset([place]) for place in range(len(names))] + members
    nodes = []
    for merge, node in zip(merges, members, strict=True):
        support = float(np.mean([node in draw for draw in drawn])) if drawn and len(node) < len(names) else None
        nodes.append(
            NodeRecord(
                domains=[names[place] for place in sorted(node)],
                children=[int(merge[0]), int(merge[1])],
                alike=_between(1.0 - distances[whole], every[int(merge[0])], every[int(merge[1])]),
                support=support,
            )
        )
    return TreeRecord(band=band, layers=layers, domains=names, nodes=nodes)


def supported_groups(tree: TreeRecord) -> list[list[str]]:
    """The largest groups that nearly every draw agrees on and whose domains are alike.

    A tree joins what is left however far apart it is. A centred LLMDcos of 0 is that of samples which have no more in
    common than all samples have, so a group counts only where the whole interval of its last join is above 0.

    Args:
        tree: of the domains.

    Returns:
        Groups of two or more, of at least ``LEVEL`` support, none within another; not all domains together.
    """
    found: list[list[str]] = []
    for node in reversed(tree.nodes):  # a node comes after those within it
        supported = node.support is not None and node.support >= LEVEL
        alike = node.alike.low is not None and node.alike.low > 0
        if supported and alike and not any(set(node.domains) <= set(group) for group in found):
            found.append(node.domains)
    return found


def _merges(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[D - 1, 4]`` as scipy's ``linkage`` gives it, of distances ``[D, D]`` whose diagonal is not read."""
    between = distances.copy()
    np.fill_diagonal(between, 0.0)
    merges: NDArray[np.float64] = linkage(squareform(between, checks=False), "average")
    return merges


def _between(cosines: NDArray[np.float64], one: frozenset[int], other: frozenset[int]) -> IntervalRecord:
    """Mean over the pairs of domains of two groups, of cosines ``[B + 1, D, D]``; see ``Resampler.pairs``."""
    means = cosines[:, sorted(one)][:, :, sorted(other)].mean((1, 2))
    if len(means) == 1:
        return IntervalRecord(value=float(means[0]), low=None, high=None)
    found = percentile_intervals(means[:1], means[1:, None])[0]
    return IntervalRecord(value=found.value, low=found.low, high=found.high)


def _members(merges: NDArray[np.float64], domains: int) -> list[frozenset[int]]:
    """The domains of each node."""
    nodes = [frozenset([place]) for place in range(domains)]
    for one, other in merges[:, :2].astype(int):
        nodes.append(nodes[one] | nodes[other])
    return nodes[domains:]
