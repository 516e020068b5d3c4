"""The prices behind the costs, as fields that can be edited, and what takes them back to the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from paramscope.actions.sharing.prices import VALUE_BOUNDS
from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.formulas import bounds, can_be_edited, editable, numbers, own_prices
from paramscope.report.text import clean
from paramscope.result.shared import Shared

FILE = "prices.yaml"
"""Name of the file in the command; the reader saves it where they like."""


@dataclass(frozen=True)
class Field:
    """A price.

    Attributes:
        name: as in ``share.json``.
        label: in words.
        unit: of the number.
        value: as a field takes it.
        least: smallest value that the field takes.
        most: largest.
    """

    name: str
    label: str
    unit: str
    value: str
    least: str
    most: str


@dataclass(frozen=True)
class Group:
    """Prices of one kind."""

    heading: str
    fields: list[Field]


@dataclass(frozen=True)
class PriceForm:
    """The prices, and the command that reckons with them.

    Attributes:
        groups: fields.
        can_be_edited: whether results can follow.
        currency: of all money.
        file: the prices that differ from the package's own, as YAML.
        command: that takes them; the value of a request is put behind it.
        value: of a request, as the command takes it; empty for none.
    """

    groups: list[Group]
    can_be_edited: bool
    currency: str
    file: str
    command: str
    value: str


VALUE = "value"
"""Name of the field that is no price: what a request is worth more for each percent of errors fewer."""


def price_form(material: Material, shared: Shared) -> PriceForm:
    """The form of a document's prices.

    Args:
        material: of the page.
        shared: the document.

    Returns:
        The form, in the language that is spoken.
    """
    currency = clean(str(shared.prices["currency"]))
    labels = _labels(currency)
    there, kept = numbers(shared), editable(shared) if can_be_edited(shared) else set(shared.prices)
    groups = []
    for heading, names in _groups():
        fields = [_field(name, labels[name], there[name]) for name in names if name in kept]
        if names[0] == _WORK[0]:
            value = shared.arguments.get(VALUE)
            least, most = VALUE_BOUNDS
            shown = "" if value is None else as_typed(float(value))
            fields.append(Field(VALUE, *labels[VALUE], shown, as_typed(least), as_typed(most)))
        groups.append(Group(heading, fields))
    value = shared.arguments.get(VALUE)
    return PriceForm(
        groups=[group for group in groups if group.fields],
        can_be_edited=can_be_edited(shared),
        currency=currency,
        file=as_yaml(shared),
        command=command(material, shared),
        value="" if value is None else as_typed(float(value)),
    )


def command(material: Material, shared: Shared) -> str:
    """What reckons again, without the value of a request.

    Args:
        material: of the page.
        shared: the document.

    Returns:
        A line for a shell.
    """
    run = shlex.quote(material.place)
    parts = [f"paramscope share {run} --prices {FILE} --rank {shared.arguments.get('rank')}"]
    if shared.arguments.get("own_layers") is not None:
        parts.append(f"--own-layers {shared.arguments['own_layers']}")
    if shared.arguments.get("gains") and shared.pilot is None:
        parts.append("--gains GAINS.json")  # that it was given from elsewhere is not kept
    return " ".join(parts)


def as_yaml(shared: Shared) -> str:
    """The prices of a document that differ from the package's own, for ``--prices``."""
    there: Mapping[str, float | str] = shared.prices
    changed = [name for name, own in own_prices(shared).items() if there[name] != own]
    return "\n".join(f"{name}: {_scalar(there[name])}" for name in changed)


def as_typed(value: float) -> str:
    """A number as a field takes it, and as YAML reads it as a number."""
    shown = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return shown if "e" not in shown or "." in shown else shown.replace("e", ".0e")


def _scalar(value: float | str) -> str:
    return json.dumps(value) if isinstance(value, str) else as_typed(float(value))


def _field(name: str, label: tuple[str, str], value: float) -> Field:
    least, most = bounds(name)
    return Field(name, *label, as_typed(value), as_typed(least), as_typed(most))


_WORK = (
    "requests_per_month",
    "tokens_per_request",
    "concurrent_requests",
    "peak_factor",
    "training_tokens_per_domain",
    "horizon_months",
)


def _groups() -> list[tuple[str, tuple[str, ...]]]:
    return [
        (_("The work"), _WORK),
        (
            _("The people"),
            (
                "engineer_day",
                "setup_days_shared",
                "setup_days_adapters",
                "setup_days_layers",
                "setup_days_copies",
                "upkeep_days_per_part_month",
            ),
        ),
        (
            _("The machine"),
            (
                "gpu_hour",
                "gpu_memory_gb",
                "gpu_memory_usable",
                "gpu_tflops",
                "training_utilisation",
                "serving_utilisation",
                "storage_gb_month",
            ),
        ),
        (_("The formats"), ("bytes_per_parameter", "adapter_bytes_per_parameter", "activation_bytes")),
    ]


def _labels(currency: str) -> dict[str, tuple[str, str]]:
    """Of every price what it is, and its unit."""
    return {
        "requests_per_month": (_("Requests, all domains together"), _("per month")),
        "tokens_per_request": (_("Length of a request and its answer"), _("tokens")),
        "concurrent_requests": (_("Requests served at once"), _("requests")),
        "peak_factor": (_("Busiest hour over the mean hour"), _("times")),
        "training_tokens_per_domain": (_("Training texts of a domain, all passes"), _("tokens")),
        "horizon_months": (_("It has to pay back within"), _("months")),
        VALUE: (
            _("What a request is worth more for each percent of errors fewer"),
            _("%(currency)s a request; may stay empty", currency=currency),
        ),
        "engineer_day": (_("An engineer, all in"), _("%(currency)s a day", currency=currency)),
        "setup_days_shared": (_("Setting up one tuned model"), _("days")),
        "setup_days_adapters": (_("Setting up adapters for each domain"), _("days")),
        "setup_days_layers": (_("Setting up copies of layers"), _("days")),
        "setup_days_copies": (_("Setting up whole models"), _("days")),
        "upkeep_days_per_part_month": (_("Upkeep of each tuned part"), _("days a month")),
        "gpu_hour": (_("A GPU"), _("%(currency)s an hour", currency=currency)),
        "gpu_memory_gb": (_("Its memory"), _("GB")),
        "gpu_memory_usable": (_("Share of it that can be filled"), _("0 to 1")),
        "gpu_tflops": (_("Its peak speed, 16 bits"), _("TFLOPS")),
        "training_utilisation": (_("Share of the peak in training"), _("0 to 1")),
        "serving_utilisation": (_("Share of the peak in serving"), _("0 to 1")),
        "storage_gb_month": (_("Storage"), _("%(currency)s per GB and month", currency=currency)),
        "bytes_per_parameter": (_("A parameter of the model"), _("bytes")),
        "adapter_bytes_per_parameter": (_("A parameter of an adapter"), _("bytes")),
        "activation_bytes": (_("A number in the cache"), _("bytes")),
    }
