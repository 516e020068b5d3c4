"""Which domains belong together: their tree, and the groups that the texts support."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from paramscope.actions.sharing.groups import ALL_LAYERS, domain_tree, supported_groups
from paramscope.language import _
from paramscope.report.charts.frame import Axis
from paramscope.report.charts.tree import Node, tree_chart, tree_range
from paramscope.report.material import Material
from paramscope.report.tables import interval_of
from paramscope.report.text import cosine, percent
from paramscope.result.shared import NodeRecord, TreeRecord


@dataclass(frozen=True)
class GroupFigures:
    """The tree and what it says.

    Attributes:
        message: in one sentence.
        groups: names of the supported groups' domains.
        chart: the tree.
    """

    message: str
    groups: list[list[str]]
    chart: Markup


def group_figures(material: Material) -> GroupFigures | None:
    """Draw the tree over all layers.

    Args:
        material: the run, and its ``share.json`` where there is one.

    Returns:
        The figures; None where fewer than two domains have a distance.
    """
    tree = tree_of(material)
    if tree is None:
        return None
    groups = supported_groups(tree)
    names = [material.shown(name) for name in tree.domains]
    nodes = [_node(material, tree, record, groups) for record in tree.nodes]
    bounds = tree_range([node.value for node in nodes])
    axis = Axis(*bounds, lambda value: f"{value:.2f}".replace("-", "−").replace("−0.00", "0.00"), cosine)
    title = _("Tree of the domains: who uses the model alike")
    told = " ".join(node.tip for node in nodes)
    caption = _("centred LLMDcos at which they come together")
    chart = tree_chart("tree", title, told, names, nodes, caption, axis)
    return GroupFigures(_message(tree, groups, names), [[material.shown(n) for n in group] for group in groups], chart)


def tree_of(material: Material) -> TreeRecord | None:
    """The tree over all layers, of ``share.json`` where there is one."""
    if material.shared is not None:
        return next((tree for tree in material.shared.trees if tree.band == ALL_LAYERS), None)
    profile = material.profile
    return domain_tree(profile, material.resampler, ALL_LAYERS, list(range(profile.layers)))


def _node(material: Material, tree: TreeRecord, record: NodeRecord, groups: Sequence[Sequence[str]]) -> Node:
    value = math.nan if record.alike.value is None else record.alike.value
    values = {
        "names": _(", ").join(material.shown(name) for name in record.domains),
        "value": cosine(value),
        "within": interval_of(record.alike.low, record.alike.high, cosine),
    }
    if record.support is None:
        tip = _("%(names)s come together at %(value)s (95%% interval %(within)s).", **values)
    else:
        tip = _(
            "%(names)s come together at %(value)s (95%% interval %(within)s), in %(support)s of the draws.",
            support=percent(record.support, 0),
            **values,
        )
    one, other = record.children
    strong = any(set(record.domains) <= set(group) for group in groups)
    return Node((one, other), value, "" if record.support is None else percent(record.support, 0), tip, strong)


def _message(tree: TreeRecord, groups: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    if len(names) == 2:
        return _("Two domains come together in one way only")
    if not groups:
        return _("No group of domains stands out from the others")
    if len(groups) == 1:
        return _("One group of domains uses the model alike")
    return _("%(count)s groups of domains use the model alike", count=len(groups))
