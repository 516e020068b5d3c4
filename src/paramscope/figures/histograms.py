"""How large the activations of each module's weights are: histograms on a logarithmic scale, shallow against deep."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from paramscope.figures.style import COLUMN, PAGE, SIZE, SMALL, colour, dashes, fit, panel, sheet
from paramscope.figures.subject import Drawn, LeftOut, Subject
from paramscope.measures.histogram import EDGES
from paramscope.report.charts.colours import series_style
from paramscope.report.findings import end_bands
from paramscope.report.text import compact, scientific
from paramscope.report.words import band_name
from paramscope.result.profile import Profile
from paramscope.result.tables import ALL, pooled_histogram

MOST_MODULES = 12
_COLUMNS = 4
_EIGHTH = 8


def octave_shares(profile: Profile, module: str, layers: list[int]) -> tuple[NDArray[np.float64], float]:
    """Share of a module's weights in each octave of the mean activation, over all domains.

    Args:
        profile: the run.
        module: name.
        layers: which.

    Returns:
        A share for each octave of the histograms' grid, and the share of weights whose activation is 0.
    """
    table = profile.tables.histograms
    rows = table[(table["group"] == ALL) & (table["module"] == module) & table["layer"].isin(layers)]
    total = float(rows["weights"].sum())
    counts = pooled_histogram(rows)
    octaves = np.add.reduceat(counts, range(0, len(counts), _EIGHTH)).astype(float)
    share = octaves / total if total else octaves
    return share, max(0.0, 1.0 - float(share.sum())) if total else 0.0


def histogram_figure(subject: Subject) -> Drawn | LeftOut:
    """Draw one panel a module.

    Args:
        subject: the run.

    Returns:
        The figure.
    """
    name, profile = "activation-histograms", subject.profile
    sizes = profile.modules.groupby("module", sort=False)["parameters"].sum()
    kept = set(sizes.sort_values(ascending=False, kind="stable").index[:MOST_MODULES])
    modules = [module for module in sizes.index if module in kept]
    shallow, deep = end_bands(profile)
    bands = [shallow] if shallow[1] == deep[1] else [shallow, deep]
    found = {module: [octave_shares(profile, module, layers) for _, layers in bands] for module in modules}
    pooled = np.sum([share for several in found.values() for share, _ in several], axis=0)
    there = np.flatnonzero(np.cumsum(pooled) > 1e-4 * pooled.sum())
    above = np.flatnonzero(pooled > 1e-4 * pooled.max(initial=0.0))
    if not len(above):
        return LeftOut(name, "no activation is above 0")
    first, last = int(there[0]), int(above[-1])
    low_edges = EDGES[:-1][::_EIGHTH]
    start = int(np.log2(low_edges[first])) if low_edges[first] > 0 else -127
    edges = np.arange(start, start + last - first + 2, dtype=float)
    columns = min(_COLUMNS, len(modules))
    rows = -(-len(modules) // columns)
    width = PAGE if columns > 1 else COLUMN
    left, gap, bottom, over, height = 0.56, 0.13, 0.38, 0.2, 0.85
    across = (width - left - 0.06 - gap * (columns - 1)) / columns
    figure = sheet(width, bottom + rows * (height + over) + 0.02)
    top = 1.12 * max(float(share.max()) for several in found.values() for share, _ in several)
    for place, module in enumerate(modules):
        row, column = divmod(place, columns)
        lower = bottom + (rows - 1 - row) * (height + over)
        axes = panel(figure, left + column * (across + gap), lower, across, height)
        for k, (share, _) in enumerate(found[module]):
            style = series_style(k)
            axes.stairs(share[first : last + 1], edges, color=colour(style), linestyle=dashes(style), linewidth=1.0)
        axes.axvline(np.log2(profile.threshold), color="#767676", linewidth=0.6, zorder=1)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, top)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True, prune="both"))
        axes.set_title(fit(subject.letters.modules[module], across * 72, SMALL), pad=3, fontsize=SMALL)
        below = place + columns >= len(modules)
        axes.set_xlabel("log₂ activation" if below else "", labelpad=2)
        axes.tick_params(labelbottom=below, labelleft=column == 0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        axes.set_ylabel("Weights per octave" if column == 0 and rows == 1 else "", labelpad=3)
        if place == 0:
            for k, (band, _) in enumerate(bands):
                axes.text(
                    0.04, 0.88 - 0.17 * k, band, transform=axes.transAxes, color=colour(series_style(k)), va="center"
                )
            axes.text(np.log2(profile.threshold) + 0.4, 0.94 * top, "γ", color="#555555", va="center")
    if rows > 1:
        figure.text(0.012, 0.5, "Weights per octave", rotation=90, va="center", ha="left", fontsize=SIZE)
    zeros = max(zero for several in found.values() for _, zero in several)
    headings = " and ".join(band_name(band, layers).lower() for band, layers in bands)
    few = f"the largest {len(modules)} of {len(sizes)} kinds of modules" if len(sizes) > len(modules) else "each module"
    caption = [
        f"Share of the weights of {few} in each octave of the activation, averaged over the texts of a domain; all "
        f"domains together, {headings}. The grey line is the run's γ = {scientific(profile.threshold)}. Weights whose "
        f"activation is exactly 0 are not drawn (at most {compact(100 * zeros)}% of a module). No intervals.",
        subject.told,
        "The paper has no such figure.",
    ]
    return Drawn(name, "Histograms of the activation by module", figure, caption)
