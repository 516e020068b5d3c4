"""Rows of the page's tables, as finished words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from paramscope.report.charts.frame import Series
from paramscope.report.text import compact, cosine, figure, interval, layer_range, percent
from paramscope.report.words import word
from paramscope.result.profile import Estimate, Profile


@dataclass(frozen=True)
class Cell:
    """A number and the smaller line below it."""

    main: str
    below: str = ""


def interval_of(low: float | None, high: float | None, form: Callable[[float], str] = figure) -> str:
    """The interval of a record, whose ends may be null."""
    return interval(math.nan if low is None else low, math.nan if high is None else high, form)


@dataclass(frozen=True)
class Table:
    """A table of domains by bands or layers by domains: heads of the columns, then a head and cells a row."""

    heads: list[Cell]
    rows: list[tuple[str, list[Cell]]]


def concentration_tables(profile: Profile, frame: pd.DataFrame, names: Sequence[str]) -> dict[str, Table]:
    """How few weights carry how much, by band: means over the band's layers.

    Args:
        profile: the run.
        frame: its ``Profile.concentration``.
        names: of the domains.

    Returns:
        Tables of domains by bands: ``share_90``, ``gini`` and ``effective``.
    """
    measures = {key: frame[key].unstack("domain")[profile.domains] for key in frame.columns}
    bands = profile.bands
    heads = [Cell(word(band), layer_range(layers)) for band, layers in bands.items()]

    def table(form: Callable[[dict[str, float]], Cell]) -> Table:
        rows = []
        for place, name in enumerate(names):
            means = [
                {key: float(values.iloc[layers, place].mean()) for key, values in measures.items()}
                for layers in bands.values()
            ]
            rows.append((name, [form(mean) for mean in means]))
        return Table(heads, rows)

    return {
        "share_90": table(lambda mean: Cell(percent(mean["share_90"]))),
        "gini": table(lambda mean: Cell(cosine(mean["gini"]))),
        "effective": table(_effective),
    }


def _effective(mean: dict[str, float]) -> Cell:
    share = mean["effective_share"]
    return Cell(compact(mean["effective_number"]), percent(share, 1 if share > 0.01 else 2))


def density_table(density: Estimate, names: Sequence[str]) -> Table:
    """Density of each layer and domain with its interval.

    Args:
        density: layers by domains.
        names: of the domains.

    Returns:
        The table, one row a layer.
    """
    value, low, high = (frame.to_numpy(dtype=float) for frame in (density.value, density.low, density.high))
    rows = [
        (
            str(layer),
            [
                Cell(percent(value[layer, place]), interval(low[layer, place], high[layer, place], _bare_percent))
                for place in range(len(names))
            ],
        )
        for layer in range(len(value))
    ]
    return Table([Cell(name) for name in names], rows)


def similarity_table(lines: dict[str, Series]) -> Table:
    """Mean LLMDcos of each layer with its interval.

    Args:
        lines: by the head of their column.

    Returns:
        The table, one row a layer.
    """
    layers = len(next(iter(lines.values())).values)
    rows = [
        (
            str(layer),
            [
                Cell(cosine(line.values[layer]), interval(line.low[layer], line.high[layer], cosine))
                for line in lines.values()
            ],
        )
        for layer in range(layers)
    ]
    return Table([Cell(name) for name in lines], rows)


def argument_rows(arguments: dict[str, Any]) -> list[tuple[str, str]]:
    """The run's arguments, values as JSON."""
    return [
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
        for key, value in arguments.items()
    ]


def _bare_percent(share: float) -> str:
    """In the interval below a percentage the sign would only take room."""
    return percent(share).removesuffix("%")
