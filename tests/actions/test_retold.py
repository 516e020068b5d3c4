"""What pilots, costs and plans say, made again from documents in another language; English ones stay as they are."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paramscope.actions.pilots.judging import (
    MARGIN,
    compare,
    comparison_record,
    interval_record,
    overall,
    retold,
    told_interval,
    told_training,
)
from paramscope.actions.proposals import first_pilot, make_proposals
from paramscope.actions.roles import Role, layer_roles
from paramscope.actions.sharing.breakeven import told_break_even
from paramscope.actions.sharing.costs import told_option
from paramscope.actions.sharing.outcome import retold_outcome, sentence
from paramscope.deciding import decide
from paramscope.language import speaking, term
from paramscope.measures.ranks import Interval
from paramscope.result.share_pilot import SharePilot
from paramscope.result.shared import MeasuredGain, Shared
from paramscope.result.tuned import TunedDomain
from paramscope.result.verification import Checks
from paramscope.sharing import _told_pilot, share, told_limits
from tests.actions.planted import planted_profile
from tests.actions.test_judging import BASE, NOISE
from tests.actions.test_proposals import NAMES, OPEN, profile, roles, shared, tuned, tuning
from tests.language.spoken import CODE, letters, speak_dots

_dots = pytest.fixture(autouse=True)(speak_dots)

CONTROLS = {
    "better": BASE + 0.2,
    "worse": BASE - 0.1,
    "equal": BASE + MARGIN / 4 * NOISE,
    "no difference shown": BASE + 0.05 + 0.5 * NOISE,
    "undecided": BASE[:5],
    "diverged": np.full(len(BASE), np.inf),
}


def compared(*ways: str, rule: str = "spread") -> TunedDomain:
    """A pilot whose controls did so, with all that it says."""
    found = []
    for name, way in zip(("uniform" if rule != "uniform" else "first", "last"), ways, strict=False):
        losses = CONTROLS[way]
        found.append(compare(name, {"code": BASE[None, : len(losses)]}, {"code": losses[None]}, "code"))
    records = [comparison_record(each) for each in found]
    change = Interval(-0.5, -0.6, -0.4)
    made = tuned("code", {"plan": -0.4, **{each.control: -0.3 for each in records}}, {}, rule=rule)
    assert made.pilot
    told = overall("code", told_training(made.plan.layers, rule), change, found, chosen=rule != "uniform")
    effects = [made.pilot.effects[0].model_copy(update={"domain": interval_record(change)}), *made.pilot.effects[1:]]
    pilot = made.pilot.model_copy(update={"comparisons": records, "sentence": told, "effects": effects})
    return made.model_copy(update={"pilot": pilot})


@pytest.mark.parametrize("rule", ["spread", "uniform"])
@pytest.mark.parametrize("ways", [(), *itertools.product(CONTROLS, CONTROLS)], ids="-".join)
def test_a_pilot_is_told_again(ways: tuple[str, ...], rule: str) -> None:
    made = compared(*ways, rule=rule)
    assert made.pilot
    assert retold(made) == made.pilot.sentence
    with speaking(CODE):
        assert letters(retold(made)) == {"code"}
        assert len(retold(made)) == len(made.pilot.sentence)


def test_a_plan_that_diverged_is_told_again() -> None:
    made = compared("better")
    assert made.pilot
    told = overall("code", told_training([0, 2], "spread"), Interval(math.inf), [])
    change = interval_record(Interval(math.inf))
    effects = [made.pilot.effects[0].model_copy(update={"domain": change})]
    update = {"effects": effects, "comparisons": [], "sentence": told}
    made = made.model_copy(update={"pilot": made.pilot.model_copy(update=update)})
    with speaking(CODE):
        assert letters(retold(made)) == {"code", "inf"}


def test_a_pilot_of_another_version_keeps_its_words() -> None:
    made = tuned("code", {"spread": -0.4}, {"uniform": "new"})
    assert made.pilot
    with speaking(CODE):
        assert retold(made) == "So it was."
        assert retold(made.model_copy(update={"pilot": None})) == ""


WAYS = ["better", "worse", "equal", "no difference shown", "undecided"]


def tried(first: str, second: str) -> Shared:
    """Sharing with a pilot whose other ways did so, with what it says."""
    found = shared({"adapters": -0.4, "shared": -0.3}, {"shared": first, "random layers": second})
    assert found.pilot
    ways = found.pilot.ways
    told = sentence(ways[0].layers[0], told_interval(Interval(**ways[0].change.model_dump())), found.pilot.comparisons)
    return found.model_copy(update={"pilot": found.pilot.model_copy(update={"sentence": told})})


@pytest.mark.parametrize("first", WAYS)
@pytest.mark.parametrize("second", WAYS)
def test_a_sharing_pilot_is_told_again(first: str, second: str) -> None:
    pilot = tried(first, second).pilot
    assert pilot
    assert retold_outcome(pilot) == pilot.sentence
    with speaking(CODE):
        assert not letters(retold_outcome(pilot))
        assert len(retold_outcome(pilot)) == len(pilot.sentence)
        other = pilot.model_copy(update={"sentence": "So it was."})
        assert retold_outcome(other) == "So it was."


def gains(change: float, low: float, high: float) -> list[MeasuredGain]:
    return [
        MeasuredGain(
            domain=name, option="shared", loss_before=2, loss_after=2 - change, low=low, high=high, source="here"
        )
        for name in NAMES
    ]


VALUES = {
    "not measured": share(profile(), rank=1, value=1.0),
    "no value": share(profile(), rank=1, gains=gains(1, 0.9, 1.1)),
    "never": share(profile(), rank=1, value=1e-9, gains=gains(1, 0.9, 1.1)),
    "soon": share(profile(), rank=1, value=1.0, gains=gains(1, 0.9, 1.1)),
    "late": share(profile(), rank=1, value=7e-5, gains=gains(1, 0.9, 1.1)),
    "may never": share(profile(), rank=1, value=1.0, gains=gains(1, -0.1, 1.1)),
    "not at the gain": share(profile(), rank=1, value=1.0, gains=gains(-0.01, -0.1, 1.1)),
}


@pytest.mark.parametrize("found", VALUES.values(), ids=VALUES)
def test_costs_and_break_even_are_told_again(found: Shared) -> None:
    horizon = float(found.prices["horizon_months"])
    figures = [figure for option in found.options for figure in option.figures]
    figures += [f for one in found.break_even for f in (one.once, one.month, one.per_request, one.needed) if f]
    for option in found.options:
        assert told_option(option, found) == option.text
    for record in found.break_even:
        assert told_break_even(record, horizon) == record.told
    with speaking(CODE):
        for option in found.options:
            assert not letters(told_option(option, found))
            assert len(told_option(option, found)) == len(option.text)
            assert not letters(term(option.name))
        for record in found.break_even:
            assert not letters(told_break_even(record, horizon))
            assert len(told_break_even(record, horizon)) == len(record.told)
        for figure in figures:
            assert not letters(term(figure.name)), figure.name


def test_all_ways_to_pay_back_are_there() -> None:
    told = [next(each.told for each in found.break_even if each.option == "shared") for found in VALUES.values()]
    assert len({"".join(filter(str.isalpha, each)) for each in told}) == len(VALUES), told


def test_limits_are_told_again() -> None:
    run = planted_profile({"support": 8, "code": 2, "prose": 8}, (0.1, 0.2))
    found = share(run, rank=2)
    assert len(found.limits) > 4
    assert told_limits(found, run) == found.limits
    with speaking(CODE):
        assert set().union(*(letters(limit) for limit in told_limits(found, run))) == {"code"}
        other = found.model_copy(update={"limits": ["So it is."]})
        assert told_limits(other, run) == ["So it is."]


def trained_sharing() -> SharePilot:
    """A pilot whose rates were at the edge, as it is kept."""
    found, trained = shared({"adapters": -0.4, "shared": -0.3}, {"shared": "equal"}), tuned("code", {"a": 1}, {}).pilot
    assert found.pilot
    assert trained
    ways = [
        way.model_copy(update={"at_edge": True, "domains": dict.fromkeys(NAMES, way.change)})
        for way in found.pilot.ways
    ]
    return SharePilot(
        run_sha256="0", paramscope="0", arguments={}, domains=NAMES, rank=1, own_layers=[1, 2], left_out=[],
        sizes=trained.sizes, texts={}, before={"support": [1.0, None, 2.0], "code": [1.0, 2.0, 3.0]}, trials=[],
        outcome=found.pilot.model_copy(update={"ways": ways}), seconds=1, finished="now",
    )  # fmt: skip


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_the_limits_say_of_a_pilot_is_told_again(*, fits: bool, elsewhere: bool) -> None:
    pilot, found = trained_sharing(), share(profile(), rank=1)
    told = _told_pilot(pilot, fits=fits, elsewhere=elsewhere)
    document = found.model_copy(update={"limits": [told]})
    assert told_limits(document, profile(), pilot) == [told]
    with speaking(CODE):
        (spoken,) = told_limits(document, profile(), pilot)
        assert not letters(spoken)
        assert len(spoken) == len(told)


@pytest.mark.parametrize(
    ("done", "found"),
    [
        (None, None),
        (compared(), share(profile(), rank=1)),
        (compared("better"), share(profile(), rank=1)),
        (compared("better", "equal"), tried("better", "equal")),
        (compared("worse", "equal"), tried("worse", "equal")),
        (compared("equal", rule="uniform"), VALUES["soon"]),
        (None, VALUES["may never"]),
    ],
)
def test_a_plan_is_told_whole_in_the_language_that_is_spoken(done: TunedDomain | None, found: Shared | None) -> None:
    run, given = profile(), roles(Role.SPECIFIC, Role.SPARE, Role.SPARE, Role.OPEN, own=("support",))
    documents = tuning(done) if done else None
    for these in (given, OPEN):
        english = make_proposals(run, these, documents, found, Path("run"))
        with speaking(CODE):
            spoken = make_proposals(run, these, documents, found, Path("run"))
            first = first_pilot(run, these, documents, Path("run"))
            assert first
            for text in (first.text, first.go_on, first.stop):
                assert letters(text) <= {*NAMES}, text
            for proposal, before in zip(spoken, english, strict=True):
                for text in (proposal.text, *(each.text for each in proposal.evidence)):
                    assert letters(text) <= {*NAMES}, text
                for word in (proposal.unit, proposal.cost_unit, proposal.status):
                    assert not letters(term(word)), word
                assert len(proposal.text) == len(before.text)
                assert proposal.command == before.command
                assert proposal.name == before.name


def test_roles_and_limits_of_a_plan_are_told_in_the_language_that_is_spoken() -> None:
    run = planted_profile({"support": 8, "code": 8}, (0.1, 0.2, 0.9))
    kinds = [("layer", ""), ("head", "head 3"), ("random neurons", "12 neurons"), ("weight", "up [1, 2]")]
    rows = [
        {"kind": kind, "layer": layer, "name": name, "domain": domain, "sample": text, "damage": 3.0, "predicted": 1.0}
        for layer in range(3)
        for kind, name in kinds
        for domain in run.domains
        for text in range(8)
    ]
    checks = Checks(None, pd.DataFrame(), pd.DataFrame(), pd.DataFrame(rows))
    english = layer_roles(run, checks)
    texts = {each.text for role in english for each in role.evidence}
    assert "nats per token that support loses without its single weight up [1, 2]" in texts
    assert "nats per token that support loses without its head 3" in texts
    assert "nats per token that support loses without its 12 neurons" in texts
    with speaking(CODE):
        found = decide(run, None, checks, None, None)
        for layer, role in zip(found.layers, english, strict=True):
            assert (layer.role, layer.confidence) == (role.role, role.confidence)
            for evidence, before in zip(layer.evidence, role.evidence, strict=True):
                assert letters(evidence.text) <= {"support", "code", "up"}
                assert len(evidence.text) == len(before.text)
        assert not any(letters(limit) for limit in found.limits)
        assert not any(letters(limit) for limit in decide(run, None, None, None, None).limits)
