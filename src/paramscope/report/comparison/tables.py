"""Tables of the comparison: all differences with interval and verdict, by part of the depth, and layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from paramscope.causal.verdicts.told import told_verdict
from paramscope.language import _
from paramscope.measures.ranks import Interval
from paramscope.report.comparison.align import WHOLE
from paramscope.report.comparison.differences import Differences, Measure, judge_difference
from paramscope.report.comparison.sampled import Estimates
from paramscope.report.comparison.words import band_words, depth_words, difference_form, measure_name, value_form
from paramscope.report.tables import Cell, Table
from paramscope.report.text import figure, interval, machine
from paramscope.result.verification import VerdictRecord


@dataclass(frozen=True)
class DifferenceRow:
    """One difference; the plain numbers are those that the script sorts by and copies."""

    measure: str
    domain: str
    every: bool
    band: str
    run: str
    here: tuple[str, str]
    there: tuple[str, str]
    difference: tuple[str, str]
    interval: str
    status: str


@dataclass(frozen=True)
class ClaimRow:
    """One claim that was tested by intervention, and what each run's test said; None where it has none."""

    text: str
    records: list[tuple[str, str, str] | None]


def _columns(found: Differences) -> list[tuple[int, str]]:
    """Columns of ``Estimates`` and their heads: the mean over the domains and each of them; of one domain itself."""
    names = found.runs.names
    return [(0, names[0])] if len(names) == 1 else list(enumerate([_("all domains"), *names]))


def difference_rows(found: Differences) -> list[DifferenceRow]:
    """All differences of bands that have an interval."""
    return [row for measure in found.measures.values() for row in _rows(found, measure)]


def _rows(found: Differences, measure: Measure) -> Iterator[DifferenceRow]:
    form, value = difference_form(measure.key), value_form(measure.key)
    for other, run in enumerate(found.runs.others):
        for place, band in enumerate(found.bands):
            for column, domain in _columns(found):
                moved = measure.band_differences[other].at(place, column)
                # The threshold is chosen so that half of all weights are above it: nothing is left to differ.
                settled = measure.key == "density" and band == WHOLE and column == 0
                if settled or not math.isfinite(moved.low):
                    continue
                here, there = (measure.bands[each].at(place, column).value for each in (0, other + 1))
                yield DifferenceRow(
                    measure_name(measure.key),
                    domain,
                    column == 0,
                    band_words(band),
                    run.letter,
                    (value(here), machine(here)),
                    (value(there), machine(there)),
                    (form(moved.value), machine(moved.value)),
                    interval(moved.low, moved.high, form),
                    judge_difference(moved, measure.step),
                )


def part_table(found: Differences, key: str, other: int) -> Table:
    """Differences of a measure by part of the depth and domain, with their intervals."""
    return _grid(
        found,
        key,
        found.measures[key].part_differences[other],
        [depth_words(part, found.parts) for part in range(found.parts)],
    )


def layer_domain_table(found: Differences, key: str, moved: Estimates) -> Table:
    """Differences of a measure by layer and domain, with their intervals."""
    return _grid(found, key, moved, [str(layer) for layer in range(len(moved.value))])


@dataclass(frozen=True)
class LayerCell(Cell):
    """A cell with the plain number by which the script sorts."""

    value: str = ""


def layer_table(found: Differences, moved: dict[str, Estimates]) -> Table:
    """Differences of all measures by layer, mean over the domains, with their intervals."""
    layers = found.runs.first.profile.layers
    rows: list[tuple[str, list[Cell]]] = []
    for layer in range(layers):
        each = [(_cell(key, one.at(layer, 0)), one.value[layer, 0]) for key, one in moved.items()]
        rows.append((str(layer), [LayerCell(cell.main, cell.below, machine(value)) for cell, value in each]))
    return Table([Cell(measure_name(key)) for key in moved], rows)


def concentration_table(found: Differences) -> Table:
    """How few weights carry how much in each run, by domain, over all layers."""
    keys = [key for key in ("share_90", "gini", "effective_share") if key in found.measures]
    heads = [Cell(measure_name(key), run.letter) for key in keys for run in found.runs.runs]
    place = list(found.bands).index(WHOLE)
    rows = []
    for column, name in _columns(found):
        cells = [
            _value_cell(key, found.measures[key].bands[run].at(place, column))
            for key in keys
            for run in range(len(found.runs.runs))
        ]
        rows.append((name, cells))
    return Table(heads, rows)


def claim_rows(found: Differences) -> list[ClaimRow]:
    """Claims that were tested by intervention in all runs; none where one was not verified."""
    if not all(run.checks for run in found.runs.runs):
        return []
    results = [run.checks.result for run in found.runs.runs if run.checks]
    each = [{record.claim: record for record in result.verdicts} for result in results]
    claims = {
        claim: told_verdict(record, result).text
        for records, result in reversed([*zip(each, results, strict=True)])
        for claim, record in records.items()
    }
    order = [claim for records in each for claim in records]
    return [ClaimRow(claims[claim], [_claim(records.get(claim)) for records in each]) for claim in dict.fromkeys(order)]


def _claim(record: VerdictRecord | None) -> tuple[str, str, str] | None:
    if record is None:
        return None
    low, high = (math.nan if end is None else end for end in (record.low, record.high))
    return record.status, figure(record.value), interval(low, high, figure)


def _grid(found: Differences, key: str, moved: Estimates, heads: list[str]) -> Table:
    columns = _columns(found)
    rows = [
        (head, [_cell(key, moved.at(place, column)) for column, _name in columns]) for place, head in enumerate(heads)
    ]
    return Table([Cell(name) for _column, name in columns], rows)


def _cell(key: str, moved: Interval) -> Cell:
    form = difference_form(key)
    return Cell(form(moved.value), interval(moved.low, moved.high, form) if math.isfinite(moved.low) else "")


def _value_cell(key: str, of: Interval) -> Cell:
    form = value_form(key)
    return Cell(form(of.value), interval(of.low, of.high, form) if math.isfinite(of.low) else "")
