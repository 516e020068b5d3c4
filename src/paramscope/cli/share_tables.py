"""The tables of ``paramscope share``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from paramscope.cli.common import inert, number, told_change

# All tables go to one console; it has no public name, since only commands print.
from paramscope.cli.common import stdout_console as stdout
from paramscope.wording import told_bytes, told_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from paramscope.result.share_pilot import Outcome
    from paramscope.result.shared import BreakEvenRecord, Figure, OptionRecord, PointRecord, Shared
    from paramscope.result.verification import IntervalRecord

Item = TypeVar("Item")

_WIDE = 100
"""Columns from which a terminal has room for what one can do without."""

_GLUE = "\N{NO-BREAK SPACE}"
"""Keeps an interval on one line."""


def print_shared(shared: Shared) -> None:
    """Print what the domains of a run can share on stdout.

    Args:
        shared: the document.
    """
    out = stdout()
    _print_curve(out, shared)
    _print_groups(out, shared)
    _print_options(out, shared)
    if shared.pilot:
        _print_pilot(out, shared, shared.pilot)
    _print_break_even(out, shared)
    out.print()
    out.print("What this does not show")
    for limit in shared.limits:
        out.print(f"- {inert(limit)}")


def _print_curve(out: Console, shared: Shared) -> None:
    """A row a layer, those that differ most first: with each, one layer more is the domains' own."""
    from rich.table import Table

    domains = len(shared.domains)
    one, size = shared.curve[0], float(shared.prices["bytes_per_parameter"])
    out.print(
        f"One model: {told_bytes(round(one.layer_bytes))}, {size:.3g} bytes a parameter.\n"
        f"From one model for all {domains} domains to a model each: the layers that differ most become their own "
        "first.\nOwn share: part of the domains' mean activation that they do not have in common, 1 - LLMDcos across / "
        "within; * surely more than the mean layer (95 % intervals)"
    )
    zeroed = any(record.damage is not None for record in shared.layers)
    wide = out.width >= _WIDE
    table = Table()
    for heading, shown in (
        ("own\nlayers", True),
        ("layer", True),
        ("own share, %", True),
        ("by\noutput, %", wide),
        ("zeroed,\nnats", zeroed),
        ("own\nweights, %", wide),
        (f"{domains}\ncopies", True),
        (f"{domains}\nadapters", True),
        ("copies by\ngroup", wide and bool(shared.groups)),
        ("adapters\nby group", wide and bool(shared.groups)),
    ):
        if shown:
            table.add_column(heading, justify="right")
    before: set[int] = set()
    for point in shared.curve:
        new = set(point.layers) - before
        before = set(point.layers)
        cells = _layer_cells(shared, new.pop() if new else None, wide=wide, zeroed=zeroed)
        if point.own_layers is None:
            cells[0] = "rest"
        table.add_row(
            "all" if point.own_layers is None else str(point.own_layers), *cells, *_bytes(point, shared, wide)
        )
    out.print(table)
    if wide:
        out.print("by output: the same of the sums over each output's weights (total variation); it leans up")
    if zeroed:
        out.print("zeroed: mean damage of the layer's removal over held-out texts, nats per token (paramscope verify)")
    for finding in shared.findings:
        out.print(f"Causal checks, {finding.status}: {inert(finding.text)}")
    if shared.removal:
        found = shared.removal
        value, low, high = (number(_or_nan(end)) for end in (found.value, found.low, found.high))
        status = "confirm" if found.low is not None and found.low > 0 else "do not confirm"
        out.print(
            f"Removed layers {status} the order: rank correlation of own share with how differently removal hurts the "
            f"domains {value} ({low} to {high}), {found.layers} layers"
        )


def _layer_cells(shared: Shared, layer: int | None, *, wide: bool, zeroed: bool) -> list[str]:
    if layer is None:
        return ["-"] * (2 + wide + zeroed)
    record = shared.layers[layer]
    share = _GLUE.join(_percents(record.own_share).split(" ")) + ("*" if record.stands_out else " ")
    cells = [str(layer), share]
    if wide:
        cells.append(number(100 * _or_nan(record.output_share), 1))
    if zeroed:
        cells.append(number(_or_nan(record.damage)))
    return cells


def _bytes(point: PointRecord, shared: Shared, wide: bool) -> list[str]:
    sizes = [point.layer_bytes, point.adapter_bytes]
    cells = [f"{100 * point.own_share:.1f}"] if wide else []
    if wide and shared.groups:
        sizes += [point.group_layer_bytes, point.group_adapter_bytes]
    return cells + ["-" if size is None else told_bytes(round(size)) for size in sizes]


def _print_groups(out: Console, shared: Shared) -> None:
    """The nodes of the tree over all layers, and their support in each band."""
    from rich.table import Table

    if not shared.trees or len(shared.trees[0].domains) < 3:
        out.print("Groups of domains: there are too few domains for groups.")
        return
    whole = shared.trees[0]
    out.print()
    out.print(
        "Groups of domains by centred LLMDcos of those that come together last (0: no more in common than all texts "
        "have), and their support by layers: share of bootstrap draws, in %, in whose tree they are a group (- where "
        "they are none)"
    )
    table = Table()
    table.add_column("domains", overflow="fold")
    table.add_column("LLMDcos", justify="right")
    for tree in shared.trees:
        table.add_column("all\nlayers" if tree is whole else tree.band, justify="right")
    for node in whole.nodes:
        if node.support is not None:
            found = [
                next((other.support for other in tree.nodes if set(other.domains) == set(node.domains)), None)
                for tree in shared.trees
            ]
            supports = [number(100 * _or_nan(support), 0) for support in found]
            table.add_row(inert(", ".join(node.domains)), _cosines(node.alike), *supports)
    out.print(table)
    groups = "; ".join(", ".join(group) for group in shared.groups)
    out.print(
        f"Alike, and supported by 95 % of the draws over all layers: {inert(groups)}"
        if groups
        else "No group is both alike and supported by 95 % of the draws over all layers."
    )


def _print_options(out: Console, shared: Shared) -> None:
    """A column an option, a row a figure; then the formulas."""
    from rich.table import Table

    out.print()
    out.print("Options and what they take")
    for option in shared.options:
        out.print(f"- {option.name}: {inert(option.text)}")
    for options in _side_by_side(out, shared.options):
        table = Table()
        table.add_column("")
        for option in options:
            table.add_column(option.name, justify="right")
        for place, figure in enumerate(options[0].figures):
            named = figure.unit in ("bytes", "s") or figure.unit in figure.name
            unit = "" if named else f", {figure.unit}"
            table.add_row(figure.name + unit, *(_told(option.figures[place]) for option in options))
        out.print(table)
    out.print("Formulas (the inputs are in share.json)")
    for line in _formulas(shared.options):
        out.print(f"- {line}")


def _side_by_side(out: Console, options: Sequence[Item]) -> list[Sequence[Item]]:
    """As many of them as fit beside each other."""
    if out.width >= _WIDE:
        return [options]
    half = (len(options) + 1) // 2
    return [options[:half], options[half:]]


def _formulas(options: Sequence[OptionRecord]) -> Iterable[str]:
    """Every formula once, with the options that it is of where they differ."""
    for place, figure in enumerate(options[0].figures):
        formulas: dict[str, list[str]] = {}
        for option in options:
            formulas.setdefault(option.figures[place].formula, []).append(option.name)
        for formula, names in formulas.items():
            of = f" ({', '.join(names)})" if len(formulas) > 1 else ""
            yield f"{figure.name}{of} = {formula}"


def _print_pilot(out: Console, shared: Shared, pilot: Outcome) -> None:
    """A row a way, with the bytes that it keeps; then the plan against each other way."""
    from rich.table import Table

    base, size = shared.curve[0].layer_bytes, float(shared.prices["adapter_bytes_per_parameter"])
    out.print()
    out.print(
        "Pilot: what each way changes in held-out loss, nats per token (95 % intervals over texts; negative is better)"
    )
    table = Table(show_lines=True)
    for heading in ("trained", "kept", "all domains", "each domain", "rate", "seconds"):
        table.add_column(heading, justify="left" if heading == "trained" else "right", overflow="fold")
    for way in pilot.ways:
        each = "\n".join(f"{inert(name)} {told_change(change, short=True)}" for name, change in way.domains.items())
        rate = f"{way.rate:g}" + (" (edge)" if way.at_edge else "")
        kept = told_bytes(round(base + size * way.parameters))
        table.add_row(way.name, kept, told_change(way.change), each, rate, f"{way.seconds:.0f}")
    out.print(table)
    out.print(f"The loss of {pilot.ways[0].name} less that of each other way, on the same texts:")
    table = Table(show_lines=True)
    for heading in ("other way", "verdict", "all domains", "each domain"):
        table.add_column(heading, justify="left" if heading in ("other way", "verdict") else "right", overflow="fold")
    for comparison in pilot.comparisons:
        needed = f" (about {comparison.needed:,} texts would do)" if comparison.needed else ""
        each = "\n".join(f"{inert(name)} {told_change(one, short=True)}" for name, one in comparison.domains.items())
        table.add_row(comparison.control, comparison.status + needed, told_change(comparison), each)
    out.print(table)
    out.print(inert(pilot.sentence))


def _print_break_even(out: Console, shared: Shared) -> None:
    """A column an option, against the model as it is."""
    from rich.table import Table

    money = shared.prices["currency"]
    horizon = shared.prices["horizon_months"]
    out.print()
    out.print(f"Against the model as it is, at {_amount(float(shared.prices['requests_per_month']))} requests a month")
    records = shared.break_even
    rows: list[tuple[str, list[str]]] = [
        (f"extra cost once, {money}", [_amount(record.once.value) for record in records]),
        (f"extra cost a month, {money}", [_amount(record.month.value) for record in records]),
        (f"must be worth, {money} a request", [_amount(record.per_request.value) for record in records]),
    ]
    if any(record.needed for record in records):
        needed = [f"{_amount(record.needed.value)} %" if record.needed else "-" for record in records]
        rows.append(("gain needed, errors fewer", needed))
    if any(record.gain for record in records):
        rows += [
            ("gain measured, % (95 %)", [_span(record.gain, "-") for record in records]),
            ("measured on domains", [f"{len(record.measured)} of {len(shared.domains)}" for record in records]),
            (f"benefit a month, {money}", [_span(record.benefit, "-") for record in records]),
            ("months to pay back", [_span(record.months, "never") for record in records]),
            (f"requests a month that pay back in {horizon:g} months", [_span(r.requests, "never") for r in records]),
        ]
    for places in _side_by_side(out, range(len(records))):
        table = Table()
        table.add_column("")
        for place in places:
            table.add_column(records[place].option, justify="right")
        for heading, cells in rows:
            table.add_row(heading, *(cells[place] for place in places))
        out.print(table)
    for line in _verdicts(records):
        out.print(f"- {line}")


def _verdicts(records: Sequence[BreakEvenRecord]) -> Iterable[str]:
    """Options of one verdict together."""
    told: dict[str, list[str]] = {}
    for record in records:
        told.setdefault(record.told, []).append(record.option)
    for words, names in told.items():
        yield f"{', '.join(names)}: {words}"


def _told(figure: Figure) -> str:
    if figure.unit == "bytes":
        return told_bytes(round(figure.value))
    if figure.unit == "s":
        return f"{figure.value:.2g} s" if figure.value < 10 else told_time(figure.value)
    return _amount(figure.value)


def _amount(value: float) -> str:
    """Three digits, thousands apart."""
    if abs(value) >= 1e9:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _span(found: IntervalRecord | None, missing: str) -> str:
    """A number above its interval; ``missing`` for an end that there is not."""
    if found is None:
        return "-"
    value, low, high = (missing if end is None else _amount(end) for end in (found.value, found.low, found.high))
    return f"{value}\n{low} to {high}"


def _percents(found: IntervalRecord) -> str:
    value, low, high = (number(100 * _or_nan(end), 1) for end in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def _cosines(found: IntervalRecord) -> str:
    value, low, high = (number(_or_nan(end)) for end in (found.value, found.low, found.high))
    return f"{value}\n" + _GLUE.join((low, "to", high))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
