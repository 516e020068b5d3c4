"""``share.json`` beside a run: what its domains can share, what that costs, when it pays back; read without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from paramscope.result.documents import RunDocument, read_document, write_document
from paramscope.result.manifest import Record
from paramscope.result.share_pilot import Outcome
from paramscope.result.verification import IntervalRecord

SCHEMA = 1
DOCUMENT = "share.json"


class Figure(Record):
    """A number that was calculated, with all that it takes to calculate it again.

    Attributes:
        name: of the figure.
        value: of the formula.
        unit: of the value.
        formula: arithmetic in Python's notation.
        inputs: the value of every name in the formula.
        prices: by input, the name of the price that it is; null in documents of before.
        figures: by input, the name of the figure that it is; likewise.
    """

    name: str
    value: float
    unit: str
    formula: str
    inputs: dict[str, float]
    prices: dict[str, str] | None = None
    figures: dict[str, str] | None = None


class MeasuredGain(Record):
    """What a pilot measured on held-out texts of a domain.

    Loss may be any measure of error that is better the lower it is and zero at best, the same before and after.

    Attributes:
        domain: name of the domain in the run.
        option: what was tried, one of the options' names.
        loss_before: of the model as it is.
        loss_after: of the option.
        low: lower end of the 95 % interval of ``loss_before - loss_after``.
        high: its upper end.
        source: where the number is from.
    """

    domain: str
    option: str
    loss_before: float = Field(gt=0, allow_inf_nan=False)
    loss_after: float = Field(ge=0, allow_inf_nan=False)
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    source: str


class LayerRecord(Record):
    """How much of a layer is the domains' own; null where there is no number.

    Attributes:
        layer: number.
        parameters: its linear weights.
        adapter_parameters: of a LoRA adapter on all of them.
        own_share: see ``actions.sharing.curve``.
        excess: ``own_share`` less its mean over all layers.
        stands_out: whether the whole interval of ``excess`` is above 0.
        within: mean LLMDcos inside a domain.
        across: mean LLMDcos of different domains.
        centred_gap: within less across, of centred cosines.
        output_share: share of activation that falls on other outputs (rows of the weights) than the other domains';
            it has no interval and leans up, the more so the fewer the samples.
        damage: mean over domains, nats per token, when the layer is zeroed (from ``paramscope verify``).
        breaks: domains that then lose 1 nat per token or more.
    """

    layer: int
    parameters: int
    adapter_parameters: int
    own_share: IntervalRecord
    excess: IntervalRecord
    stands_out: bool
    within: IntervalRecord
    across: IntervalRecord
    centred_gap: IntervalRecord
    output_share: float | None
    damage: float | None = None
    breaks: int | None = None


class PointRecord(Record):
    """A point of the curve from all shared to nothing shared.

    Attributes:
        own_layers: how many layers every domain has of its own; null at the last point, K whole models.
        layers: which, those that differ most.
        own_parameters: weights in them.
        own_share: of the model's parameters.
        adapter_parameters: of one domain's adapters on them; null where there are none.
        layer_bytes: of one base with K copies of those layers.
        adapter_bytes: of one base with K adapters.
        group_layer_bytes: as ``layer_bytes`` with one copy a group; null where no groups are supported.
        group_adapter_bytes: likewise.
    """

    own_layers: int | None
    layers: list[int]
    own_parameters: int
    own_share: float
    adapter_parameters: int | None
    layer_bytes: float
    adapter_bytes: float | None
    group_layer_bytes: float | None
    group_adapter_bytes: float | None


class NodeRecord(Record):
    """Domains that a tree brings together.

    Attributes:
        domains: their names.
        children: two places: of a domain in the tree's ``domains``, or, counted on from there, of an earlier node.
        alike: mean centred LLMDcos between the domains of the two children; 1 less it is the distance in the tree.
        support: share of bootstrap draws in which the same domains are a node; null for all domains together.
    """

    domains: list[str]
    children: list[int]
    alike: IntervalRecord
    support: float | None


class TreeRecord(Record):
    """A hierarchical clustering of the domains over some layers; nodes in the order in which they come together."""

    band: str
    layers: list[int]
    domains: list[str]
    nodes: list[NodeRecord]


class FindingRecord(Record):
    """A verdict of the causal checks that bears on sharing."""

    claim: str
    text: str
    status: str


class RemovalRecord(IntervalRecord):
    """Rank correlation of own share with how differently the layer's removal hurts the domains, over some layers."""

    layers: int


class OptionRecord(Record):
    """A way to serve the domains.

    Attributes:
        name: short, as in ``MeasuredGain``.
        text: in words.
        layers: that are the domains' own.
        figures: what it takes.
    """

    name: str
    text: str
    layers: list[int]
    figures: list[Figure]

    def figure(self, name: str) -> Figure:
        """One of the figures."""
        return next(figure for figure in self.figures if figure.name == name)


class BreakEvenRecord(Record):
    """When an option pays back, against the model as it is.

    Attributes:
        option: its name.
        once: extra cost once.
        month: extra cost per month.
        per_request: what the option must be worth per request to pay back within the horizon.
        needed: percent of errors fewer that would do; null without a value.
        gain: percent of errors fewer that were measured, mean over the measured domains; null where nothing was.
        measured: names of those domains.
        benefit: money per month, measured domains only; null without a value or a measurement.
        months: until it pays back, at the given requests; null where there is no benefit to reckon with, an end that is
            null is never.
        requests: per month at which it pays back within the horizon; likewise.
        told: in words.
    """

    option: str
    once: Figure
    month: Figure
    per_request: Figure
    needed: Figure | None
    gain: IntervalRecord | None
    measured: list[str]
    benefit: IntervalRecord | None
    months: IntervalRecord | None
    requests: IntervalRecord | None
    told: str


_NEEDED = ("currency", "horizon_months", "adapter_bytes_per_parameter", "requests_per_month")
"""Prices that readers of the document reckon with."""


class Shared(RunDocument):
    """The content of ``share.json``."""

    schema_version: int = SCHEMA
    paramscope: str
    model: str
    model_files: dict[str, str]
    domains: list[str]
    arguments: dict[str, Any]
    prices: dict[str, float | str]
    layers: list[LayerRecord]
    curve: list[PointRecord]
    trees: list[TreeRecord]
    groups: list[list[str]]
    findings: list[FindingRecord]
    removal: RemovalRecord | None
    options: list[OptionRecord] = Field(min_length=2)
    break_even: list[BreakEvenRecord]
    pilot: Outcome | None = None
    limits: list[str]

    @field_validator("prices")
    @classmethod
    def _whole(cls, prices: dict[str, float | str]) -> dict[str, float | str]:
        """Refuse a document whose prices are not all there.

        Raises:
            ValueError: one is missing; pydantic makes its own error of it.
        """
        missing = [name for name in _NEEDED if name not in prices]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        return prices


def write_shared(run: Path, shared: Shared) -> None:
    """Write ``share.json``, in place of one that is there."""
    write_document(run, DOCUMENT, shared)


def read_shared(run: Path) -> Shared | None:
    """Read what the domains of a run can share.

    Args:
        run: its folder.

    Returns:
        The document; None where there is none.

    Raises:
        UsageError: the file is damaged, of another paramscope, or of another run.
    """
    return read_document(run, DOCUMENT, Shared, "'paramscope share' makes it again")
