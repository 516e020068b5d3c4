"""Pilots: what was trained, what that changed, and how the plan did against its controls."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.actions.pilots.judging import retold
from paramscope.actions.sharing.outcome import retold_outcome
from paramscope.actions.tuning.layers import told_layers
from paramscope.language import _, plural
from paramscope.report.material import Material
from paramscope.report.sections.ways import way_heading
from paramscope.report.tables import Cell, interval_of
from paramscope.report.text import MISSING, change
from paramscope.result.share_pilot import Outcome, WayRecord
from paramscope.result.shared import Shared
from paramscope.result.tuned import EffectRecord, PilotRecord, TunedDomain
from paramscope.result.verification import IntervalRecord

MOST_LOST = 0.05
"""Nats per token that another domain may lose, see ``actions.proposals.first_pilot``."""


@dataclass(frozen=True)
class TrialRow:
    """What was trained, what that changed, and how the plan did against it.

    Attributes:
        name: in words.
        what: which layers, and at which learning rate.
        kept: how much of it has to be kept.
        change: of the held-out loss.
        others: of other domains, or of each domain.
        against: the plan's loss less this one's.
        status: verdict on the plan; empty in the plan's own row.
    """

    name: str
    what: str
    kept: str
    change: Cell
    others: list[tuple[str, str]]
    against: Cell
    status: str


@dataclass(frozen=True)
class PilotTable:
    """A pilot: the plan first, then what it was held against.

    Attributes:
        title: what was tried.
        sentence: what it showed.
        told: how much was trained and tested.
        kept: heading of the column of what is kept.
        others: heading of the column of other domains.
        rows: of the table.
    """

    title: str
    sentence: str
    told: str
    kept: str
    others: str
    rows: list[TrialRow]


def pilot_tables(material: Material) -> list[PilotTable]:
    """Of every pilot that was made, those of single domains first."""
    shared = material.shared
    tables = [_tuned(tuned, pilot) for tuned, pilot in material.piloted]
    if shared and shared.pilot:
        tables.append(_sharing(shared, shared.pilot))
    return tables


def verdict_of(change: IntervalRecord) -> str:
    """Whether a loss fell: supported, not supported or undecided."""
    if change.low is None or change.high is None:
        return "undecided"
    return "supported" if change.high < 0 else "not supported" if change.low > 0 else "undecided"


def harm(pilot: PilotRecord) -> tuple[str, float] | None:
    """The domain that loses most by the plan, and how much; None where that is no more than may be."""
    others = pilot.effects[0].others if pilot.effects else {}
    lost = {name: found.value for name, found in others.items() if found.value is not None}
    worst = max(lost, key=lambda name: lost[name], default=None)
    return (worst, lost[worst]) if worst is not None and lost[worst] > MOST_LOST else None


def control_heading(name: str) -> str:
    """A plan or control of a tuning pilot in a few words; as it stands where it is none that is known."""
    known = {
        "uniform": _("All layers alike"),
        "spread": _("Layers spread evenly"),
        "first": _("The first layers"),
        "middle": _("The middle layers"),
        "last": _("The last layers"),
        "random": _("Layers drawn at random"),
        "specific": _("The most specific layers"),
        "density": _("The densest layers"),
        "damage": _("The layers whose removal hurts most"),
        "gradient": _("The layers with the largest gradients"),
        "signal-to-noise": _("The layers with the steadiest gradients"),
        "explained-variance": _("The layers whose inputs vary in few directions"),
        "given": _("The layers that were named"),
    }
    return known.get(name, name)


def changed(found: IntervalRecord) -> Cell:
    """A difference of losses with its interval."""
    value = float("nan") if found.value is None else found.value
    return Cell(_change(value), interval_of(found.low, found.high, _change))


def _change(value: float) -> str:
    return change(value, 3)


def _tuned(tuned: TunedDomain, pilot: PilotRecord) -> PilotTable:
    sizes = pilot.sizes
    against = {each.control: each for each in pilot.comparisons}
    rule = control_heading(tuned.plan.rule)
    rows = []
    for effect in pilot.effects:
        plans = pilot.controls.get(effect.plan)
        # Of several draws there is no one set of layers to name.
        where = tuned.plan if plans is None else plans[0] if len(plans) == 1 else None
        comparison = against.get(effect.plan)
        layers = (
            _("layers %(layers)s", layers=told_layers(where.layers))
            if where
            else plural("%(n)s draw", "%(n)s draws", len(plans or []))
        )
        rows.append(
            TrialRow(
                name=control_heading(effect.plan) if plans else _("The plan: %(layers)s", layers=rule),
                what=_rated(layers, effect),
                kept=f"{(where or (plans or [tuned.plan])[0]).parameters:,}",
                change=changed(effect.domain),
                others=_mean(effect),
                against=changed(comparison) if comparison else Cell(MISSING),
                status=comparison.status if comparison else "",
            )
        )
    told = _(
        "LoRA adapters of equal size, %(steps)s steps of %(batch)s texts of at most %(tokens)s tokens, %(seeds)s "
        "trainings of each; tested on at most %(test)s texts of the domain that nothing was chosen by.",
        steps=f"{sizes.steps:,}",
        batch=sizes.batch,
        tokens=f"{sizes.tokens:,}",
        seeds=sizes.seeds,
        test=f"{sizes.test:,}",
    )
    return PilotTable(
        title=_("Tuning for %(domain)s", domain=tuned.domain),
        sentence=retold(tuned),
        told=told,
        kept=_("Trained parameters"),
        others=_("Other domains, mean"),
        rows=rows,
    )


def _mean(effect: EffectRecord) -> list[tuple[str, str]]:
    values = [each.value for each in effect.others.values() if each.value is not None]
    return [("", _change(sum(values) / len(values)))] if values else []


def _sharing(shared: Shared, pilot: Outcome) -> PilotTable:
    against = {each.control: each for each in pilot.comparisons}
    rows = []
    for way in pilot.ways:
        comparison = against.get(way.name)
        if len(way.layers) > 1:
            own = plural("%(n)s draw", "%(n)s draws", len(way.layers))
        elif way.layers[0]:
            own = _("own layers %(layers)s", layers=told_layers(way.layers[0]))
        else:
            own = _("no own layers")
        rows.append(
            TrialRow(
                name=way_heading(way.name),
                what=_rated(own, way),
                kept=f"{way.parameters:,}",
                change=changed(way.change),
                others=[(name, changed(found).main) for name, found in way.domains.items()],
                against=changed(comparison) if comparison else Cell(MISSING),
                status=comparison.status if comparison else "",
            )
        )
    return PilotTable(
        title=_("Ways to share"),
        sentence=retold_outcome(pilot),
        told=_(
            "Adapters trained on the texts of all domains, the same texts and steps for every way; the loss is that on "
            "held-out texts of all domains."
        ),
        kept=_("Trained parameters"),
        others=_("By domain"),
        rows=rows,
    )


def _rated(what: str, tried: EffectRecord | WayRecord) -> str:
    places = {"what": what, "rate": f"{tried.rate:g}"}
    if tried.at_edge:
        return _("%(what)s; learning rate %(rate)s, at the edge of those tried", **places)
    return _("%(what)s; learning rate %(rate)s", **places)
