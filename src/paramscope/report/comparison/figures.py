"""Charts over the relative depth: one line a run, with 95 % bands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from paramscope.language import _
from paramscope.report.charts.colours import series_style
from paramscope.report.charts.frame import HALF, PANEL, Across, Axis, Frame, Series
from paramscope.report.charts.lines import line_chart
from paramscope.report.charts.svg import nice_range
from paramscope.report.comparison.differences import Differences
from paramscope.report.comparison.sampled import Estimates
from paramscope.report.comparison.words import band_words, depth_words, difference_form, measure_name, value_form
from paramscope.report.text import change, percent

_PANEL = replace(PANEL, width=300, height=190, right=46, ticks=5, labels=True, tips=True)
_HALF = replace(HALF, right=46)


@dataclass(frozen=True)
class Figure:
    """A chart and what it is of."""

    heading: str
    chart: Markup


class Figures:
    """Charts of the differences, in the language that is spoken."""

    def __init__(self, found: Differences) -> None:
        self._found = found
        self._letters = [run.letter for run in found.runs.runs]
        parts = found.parts
        self._depth = Across(
            tuple(map(float, range(parts))),
            0.5,
            tuple(f"{100 * (part + 0.5) / parts:.0f}%" for part in range(parts)),
            tuple(_("depth %(where)s", where=depth_words(part, parts)) for part in range(parts)),
            _("relative depth (0 %%: input, 100 %%: output)"),
        )
        self._zones = {band_words(name): members for name, members in list(found.bands.items())[1:]}

    def means(self, *keys: str) -> list[Figure]:
        """Some measures on one scale, mean over the domains, one line a run."""
        measures = [self._found.measures[key] for key in keys if key in self._found.measures]
        charts = [(f"mean-{each.key}", measure_name(each.key), each.parts, 0) for each in measures]
        return self._drawn(charts, keys[0], _HALF, difference=False)

    def mean_differences(self, key: str) -> list[Figure]:
        """One measure's difference to the first run, mean over the domains, one line for each other run."""
        if key not in self._found.measures:
            return []
        heading = _("Difference of %(measure)s", measure=measure_name(key))
        charts = [(f"difference-{key}", heading, self._found.measures[key].part_differences, 0)]
        return self._drawn(charts, key, _HALF, difference=True)

    def panels(self, key: str) -> list[Figure]:
        """One measure on one scale, a chart for each domain with a line a run."""
        found = self._found.measures[key].parts
        charts = [(f"panel-{key}-{place}", name, found, place + 1) for place, name in self._domains()]
        return self._drawn(charts, key, _PANEL, difference=False)

    def difference_panels(self, key: str) -> list[Figure]:
        """One measure's difference to the first run, a chart for each domain with a line for each other run."""
        found = self._found.measures[key].part_differences
        charts = [(f"difference-{key}-{place}", name, found, place + 1) for place, name in self._domains()]
        return self._drawn(charts, key, _PANEL, difference=True)

    def _domains(self) -> Iterator[tuple[int, str]]:
        return enumerate(self._found.runs.names)

    def layers(self, other: int, key: str, found: Estimates) -> Figure:
        """One measure's difference layer by layer, of models of one shape."""
        heading = _("Difference of %(measure)s", measure=measure_name(key))
        line = _series(self._letters[other + 1], found, 0, other + 1)
        axis = _axis([line], key, difference=True)
        bands = self._found.runs.first.profile.bands
        zones = {band_words(name): members for name, members in bands.items()}
        chart = line_chart(f"layers-{other}-{key}", heading, _told([line], axis), [line], axis, zones, _HALF)
        return Figure(heading, chart)

    def _drawn(
        self, charts: Sequence[tuple[str, str, Sequence[Estimates], int]], key: str, frame: Frame, *, difference: bool
    ) -> list[Figure]:
        """Charts on one scale, each of an identifier, a heading, what it is of and the column that it shows."""
        first = 1 if difference else 0
        letters = self._letters[first:]
        each = [
            [
                _series(letter, one, column, first + place)
                for place, (letter, one) in enumerate(zip(letters, of, strict=True))
            ]
            for _ident, _heading, of, column in charts
        ]
        if not each:
            return []
        axis = _axis([line for lines in each for line in lines], key, difference=difference)
        what = measure_name(key)
        told = _("difference of %(measure)s to run A", measure=what) if difference else what
        drawn = []
        for (ident, heading, _of, _column), lines in zip(charts, each, strict=True):
            title = _("%(heading)s: %(what)s by relative depth, one line a run", heading=heading, what=told)
            chart = line_chart(ident, title, _told(lines, axis), lines, axis, self._zones, frame, self._depth)
            drawn.append(Figure(heading, chart))
        return drawn


def _series(name: str, found: Estimates, column: int, style: int) -> Series:
    return Series(name, found.value[:, column], found.low[:, column], found.high[:, column], series_style(style))


def _axis(lines: Sequence[Series], key: str, *, difference: bool) -> Axis:
    ends: list[NDArray[np.float64]] = [part for line in lines for part in (line.values, line.low, line.high)]
    every = np.concatenate(ends + ([np.zeros(1)] if difference else []))
    finite = every[np.isfinite(every)]
    bounds = nice_range(finite.min(), finite.max(), 0.1) if len(finite) else (0.0, 1.0)
    if difference:
        form = difference_form(key)
        shares = form(0.1) != change(0.1)
        return Axis(*bounds, (lambda value: change(100 * value, 0)) if shares else change, form)
    exact = value_form(key)
    shares = exact is percent
    return Axis(*bounds, (lambda value: percent(value, 0)) if shares else exact, exact)


def _told(lines: Sequence[Series], axis: Axis) -> str:
    """The ends of the lines, for those who do not see them."""
    return " ".join(
        _(
            "%(name)s: %(first)s at the input, %(last)s at the output.",
            name=line.name,
            first=axis.exact(line.values[0]),
            last=axis.exact(line.values[-1]),
        )
        for line in lines
    )
