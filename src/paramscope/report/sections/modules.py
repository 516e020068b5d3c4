"""Which modules and which attention heads carry a layer's activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.report.charts.heattable import HeatTable, heat_table, packed, permille
from paramscope.report.material import Material
from paramscope.report.text import clean
from paramscope.result.profile import Profile

MOST_MODULES = 20
"""Modules with a row of their own; the rest share one."""

MOST_CELLS = 1600
"""Cells of the map of heads; where there would be more, only every second or third layer is in it."""

MOST_NUMBERS = 12000
"""Numbers for the script; where there would be more, a map shows the mean over the domains only."""

REST = "…"
"""Name of the row of all other modules."""

Permilles = list[list[int | None]]


@dataclass(frozen=True)
class Choice:
    """A heat map among which the reader chooses, as the first is shown.

    Attributes:
        key: of its numbers in the data for the script.
        table: the first choice.
        measures: what can be shown, in words.
        domains: of which domains; the first is the mean over all.
        largest: name of the row with the largest mean share, and that share.
        every: the layers shown are every so many-th.
    """

    key: str
    table: HeatTable
    measures: list[str]
    domains: list[str]
    largest: tuple[str, float]
    every: int = 1


def module_map(material: Material) -> Choice:
    """Layers by modules, in the language that is spoken."""
    profile = material.profile
    shares = module_shares(profile)
    means = [float(row.mean()) for row in shares.values.mean(0)]
    best = int(np.argmax(means))
    choices = module_choices(profile)
    tops = _tops(choices)
    names = [clean(name) if name != REST else _("all others") for name in shares.names]
    table = heat_table(choices[0][0], names, range(profile.layers), (_("Module"), _("Layer")), top=tops[0])
    return Choice(
        "modules",
        table,
        [_("share of the layer’s activation"), _("density at the run’s threshold")],
        [_("mean over all domains"), *material.names],
        (names[best], means[best]),
    )


def head_map(material: Material) -> Choice | None:
    """Layers by attention heads; None where the run does not tell the heads."""
    profile = material.profile
    shares = head_shares(profile)
    if shares is None or not np.isfinite(shares.mean(0)).any():
        return None
    every = _every(shares)
    choices = head_choices(profile)
    assert choices is not None
    names = [str(head) for head in range(shares.shape[1])]
    layers = range(0, profile.layers, every)
    corners = (_("Head"), _("Layer"))
    table = heat_table(choices[0][0], names, layers, corners, top=_tops(choices)[0], named=False)
    mean = shares.mean(0)
    head, layer = np.unravel_index(int(np.nanargmax(mean)), mean.shape)
    domains = [_("mean over all domains"), *(material.names if len(choices[0]) > 1 else [])]
    told = _("layer %(layer)s, head %(head)s", layer=int(layer), head=int(head))
    return Choice(
        "heads", table, [_("share of the attention output")], domains, (told, float(mean[head, layer])), every
    )


def map_data(material: Material) -> dict[str, dict[str, object]]:
    """Numbers of both maps for the script: by key, packed by measure and domain, and the darkest colour's permille."""
    profile = material.profile
    heads = head_shares(profile)
    told: dict[str, dict[str, object]] = {}
    for key, choices, layers in (
        ("modules", module_choices(profile), profile.layers),
        ("heads", head_choices(profile), 0 if heads is None else len(range(0, profile.layers, _every(heads)))),
    ):
        if choices is not None:
            values = [[packed(each) for each in measure] for measure in choices]
            told[key] = {"layers": layers, "tops": _tops(choices), "values": values}
    return told


@dataclass(frozen=True)
class ModuleShares:
    """Shares of the layers' activation.

    Attributes:
        names: of the modules, the last one ``REST`` where there are many.
        values: ``[domains, modules, layers]``, 0 where a layer has no such module.
        there: ``[modules, layers]``, whether it has.
    """

    names: list[str]
    values: NDArray[np.float64]
    there: NDArray[np.bool_]


def module_shares(profile: Profile) -> ModuleShares:
    """Share of each layer's activation that each module carries; they add up to 1 (0 in a layer without any)."""
    names = _kept(profile)
    table = profile.tables.activation
    tables = (table[table["domain"] == domain] for domain in profile.domains)
    totals = [own.pivot(index="module", columns="layer", values="total") for own in tables]
    values = np.stack([_rows(own, names, profile.layers) for own in totals])
    there: NDArray[np.bool_] = np.isfinite(values[0])
    values = np.nan_to_num(values)
    whole = values.sum(1, keepdims=True)
    return ModuleShares(names, np.divide(values, whole, out=np.zeros_like(values), where=whole > 0), there)


def module_densities(profile: Profile) -> NDArray[np.float64]:
    """``[domains, modules, layers]`` density of each module at the run's threshold; NaN where there is none."""
    found = profile.density(by="module").mul(
        profile.modules.groupby(["layer", "module"], sort=False)["parameters"].sum(), axis=0
    )
    sizes = profile.modules.set_index(["layer", "module"])["parameters"].unstack("layer")
    names = _kept(profile)
    weights = _rows(sizes, names, profile.layers)
    counts = np.stack([_rows(found[domain].unstack("layer"), names, profile.layers) for domain in profile.domains])
    return counts / weights


def module_choices(profile: Profile) -> list[list[Permilles]]:
    """Permilles of layers by modules: by measure (share, density), then of the mean over domains and of each."""
    shares = module_shares(profile)
    values = np.where(shares.there, shares.values, np.nan)
    return [_with_mean(values), _with_mean(module_densities(profile))]


def head_shares(profile: Profile) -> NDArray[np.float64] | None:
    """Share of the activation of each layer's attention output that belongs to each head.

    Args:
        profile: the run.

    Returns:
        ``[domains, heads, layers]``, NaN for layers without attention; None where the run has not recorded the heads.
    """
    modules = profile.modules
    if "heads" not in modules:
        return None
    own = modules[modules["heads"].fillna(0) > 0]
    most = int(own["heads"].max()) if len(own) else 0
    shares = np.full((len(profile.domains), most, profile.layers), np.nan)
    for layer, module, heads in zip(own["layer"], own["module"], own["heads"].astype(int), strict=True):
        sums = np.asarray(profile.tables.sums[f"{layer}/{module}/columns"], dtype=np.float64)
        each = sums.reshape(len(sums), heads, -1).sum(2)
        whole = each.sum(1, keepdims=True)
        shares[:, :heads, layer] = np.divide(each, whole, out=np.full_like(each, np.nan), where=whole > 0)
    return shares


def head_choices(profile: Profile) -> list[list[Permilles]] | None:
    """Permilles of layers by heads: of the mean over domains, and of each domain where that is not too much."""
    shares = head_shares(profile)
    if shares is None or not shares.size:
        return None
    shown = shares[:, :, :: _every(shares)]
    choices = _with_mean(shown)
    return [choices if shown.size <= MOST_NUMBERS else choices[:1]]


def _kept(profile: Profile) -> list[str]:
    """Names of the modules with a row of their own, and ``REST`` where there are more."""
    totals = profile.tables.activation.groupby("module", sort=False)["total"].sum()
    if len(totals) <= MOST_MODULES + 1:
        return [str(name) for name in totals.index]
    largest = set(totals.nlargest(MOST_MODULES).index)
    return [*(str(name) for name in totals.index if name in largest), REST]


def _rows(frame: pd.DataFrame, names: list[str], layers: int) -> NDArray[np.float64]:
    """``[modules, layers]`` of a frame of modules by layers, what has no row of its own added up in the last one."""
    frame = frame.reindex(columns=range(layers))
    if names[-1] != REST:
        return frame.reindex(names).to_numpy(dtype=float)
    own = frame.reindex(names[:-1]).to_numpy(dtype=float)
    others = frame.drop(index=[name for name in names[:-1] if name in frame.index]).sum(min_count=1)
    return np.concatenate([own, others.to_numpy(dtype=float)[None]])


def _with_mean(values: NDArray[np.float64]) -> list[Permilles]:
    """Permilles of the mean over the first axis, and of each."""
    return [
        [[permille(share) for share in row] for row in each] for each in (values.mean(0).tolist(), *values.tolist())
    ]


def _tops(choices: Sequence[Sequence[Permilles]]) -> list[int]:
    """Permille of the darkest colour of each measure: the largest there is, in steps of 10 %."""
    tops = []
    for measure in choices:
        largest = max((value for each in measure for row in each for value in row if value is not None), default=0)
        tops.append(max(100, -(-largest // 100) * 100))
    return tops


def _every(shares: NDArray[np.float64]) -> int:
    """How many layers the map of heads goes on by, so that it has at most ``MOST_CELLS`` cells."""
    return max(1, -(-shares.shape[1] * shares.shape[2] // MOST_CELLS))
