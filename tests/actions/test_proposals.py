"""Proposals follow from what was measured: no benefit without a pilot, and a control that does as well goes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import paramscope
from paramscope.actions.proposals import first_pilot, make_proposals
from paramscope.actions.roles import Confidence, LayerRole, Role
from paramscope.errors import UsageError
from paramscope.result.planned import DOCUMENT, Planned, ProposalRecord, read_plan
from paramscope.result.profile import Profile
from paramscope.result.share_pilot import Outcome, WayComparison, WayRecord
from paramscope.result.shared import MeasuredGain, Shared
from paramscope.result.tuned import (
    ComparisonRecord,
    EffectRecord,
    IntervalRecord,
    PilotRecord,
    PlanRecord,
    SizesRecord,
    TextsRecord,
    TunedDomain,
    Tuning,
)
from paramscope.sharing import share
from tests.reference import make_profile

NAMES = ["support", "code"]


def profile() -> Profile:
    rng = np.random.default_rng(0)
    return make_profile([{"mlp.up_proj": rng.lognormal(size=(8, 4, 5))} for _ in range(4)], dict.fromkeys(NAMES, 4))


def roles(*given: Role, own: tuple[str, ...] = ()) -> list[LayerRole]:
    return [
        LayerRole(layer, role, own if role is Role.SPECIFIC else (), Confidence.ASSOCIATION, ())
        for layer, role in enumerate(given)
    ]


OPEN = roles(*[Role.OPEN] * 4)


def interval(value: float, half: float = 0.02) -> IntervalRecord:
    return IntervalRecord(value=value, low=value - half, high=value + half)


def tuned(
    domain: str, changes: dict[str, float], statuses: dict[str, str], share: float = 0.01, rule: str = "spread"
) -> TunedDomain:
    """A pilot with the change of loss by each plan, the plan's own first."""
    plan = PlanRecord(rule=rule, layers=[0, 2], scores=[None] * 4, evidence="even", parameters=10, modules=[])
    pilot = PilotRecord(
        arguments={},
        sizes=SizesRecord(
            tokens=8, batch=2, steps=4, training=8, validation=2, test=4, rates=[1e-4], seeds=2, expected_seconds=None
        ),
        texts=TextsRecord(source="x", rows=9, overlapping=0, repeated=0, training=8, validation=1, sha256="0"),
        controls={},
        same_as_plan=[],
        largest_difference=0,
        before={},
        trials=[],
        effects=[
            EffectRecord(
                plan=name, rate=1e-4, at_edge=False, domain=interval(change), others={}, seconds=1, memory_bytes=1
            )
            for name, change in changes.items()
        ],
        comparisons=[
            ComparisonRecord(
                control=name, status=status, text="", count=16, needed=None, by_seed=[], forgetting=None,
                value=-0.1, low=-0.2, high=0.0,
            )
            for name, status in statuses.items()
        ],
        sentence="So it was.",
        seconds=1,
    )  # fmt: skip
    return TunedDomain(
        domain=domain, arguments={}, budget=10, share=share, plan=plan, left_out=[], pilot=pilot, finished="now"
    )


def tuning(*domains: TunedDomain) -> Tuning:
    return Tuning(paramscope="0", run_sha256="0", domains=list(domains))


def named(found: list[ProposalRecord], name: str) -> ProposalRecord:
    return next(each for each in found if each.name == name)


def test_nothing_has_a_benefit_that_was_not_measured() -> None:
    for proposal in make_proposals(profile(), OPEN, None, None, Path("run")):
        assert proposal.benefit is None
        assert proposal.status == "not measured"


def test_a_plan_that_beat_every_control_is_proposed_with_its_benefit() -> None:
    done = tuned("code", {"spread": -0.4, "uniform": -0.3}, {"uniform": "better"})
    found = make_proposals(profile(), OPEN, tuning(done), None, Path("run"))
    code = named(found, "tune for code")
    assert code.priority == 1
    assert code.status == "measured"
    assert code.benefit
    assert [code.benefit.value, code.benefit.low, code.benefit.high] == pytest.approx([0.4, 0.38, 0.42])
    assert code.layers == [0, 2]
    assert code.cost == pytest.approx(1.0)
    rest = named(found, "tune")
    assert rest.status == "not measured"
    assert "support" in rest.text
    assert "code" not in rest.text


@pytest.mark.parametrize("status", ["no difference shown", "equal", "undecided"])
def test_a_plan_that_did_not_beat_the_controls_gives_way_to_the_simplest(status: str) -> None:
    done = tuned("code", {"spread": -0.4, "uniform": -0.39, "last": -0.2}, {"uniform": status, "last": "better"})
    code = named(make_proposals(profile(), OPEN, tuning(done), None, Path("run")), "tune for code")
    assert code.text.startswith("Train uniform adapters")
    assert "So it was." in code.text
    assert code.layers == []
    assert code.benefit
    assert code.benefit.value == pytest.approx(0.39)


def test_a_control_that_was_better_is_proposed_in_its_place() -> None:
    done = tuned("code", {"spread": -0.1, "uniform": -0.2, "first": -0.5}, {"uniform": "worse", "first": "worse"})
    code = named(make_proposals(profile(), OPEN, tuning(done), None, Path("run")), "tune for code")
    assert code.text.startswith("Train first adapters")


@pytest.mark.parametrize("status", ["no difference shown", "equal", "better"])
def test_uniform_adapters_stay_where_no_choice_of_layers_was_better(status: str) -> None:
    changes = {"plan": -0.4, "last": -0.39, "random": -0.2}
    done = tuned("code", changes, {"last": status, "random": "better"}, rule="uniform")
    code = named(make_proposals(profile(), OPEN, tuning(done), None, Path("run")), "tune for code")
    assert "uniform" in code.text
    assert code.benefit
    assert code.benefit.value == pytest.approx(0.4)
    worse = tuned("code", {"plan": -0.4, "last": -0.5}, {"last": "worse"}, rule="uniform")
    code = named(make_proposals(profile(), OPEN, tuning(worse), None, Path("run")), "tune for code")
    assert code.text.startswith("Train last adapters")


def shared(changes: dict[str, float], statuses: dict[str, str]) -> Shared:
    """What domains can share, with a pilot of some ways."""
    made = share(profile(), rank=1)
    ways = [
        WayRecord(
            name=name, layers=[[1]], parameters=8, rate=1e-3, at_edge=False, change=interval(change), domains={},
            seconds=1, memory_bytes=1,
        )
        for name, change in changes.items()
    ]  # fmt: skip
    comparisons = [
        WayComparison(
            control=name, status=status, text="", count=16, needed=None, by_seed=[], forgetting=None, domains={},
            value=0.1, low=0.0, high=0.2,
        )
        for name, status in statuses.items()
    ]  # fmt: skip
    return made.model_copy(update={"pilot": Outcome(ways=ways, comparisons=comparisons, sentence="So it was.")})


@pytest.mark.parametrize(
    ("statuses", "benefit"),
    [
        ({"shared": "better", "all-adapters": "equal"}, 0.4),
        ({"shared": "no difference shown", "all-adapters": "equal"}, 0.3),
        ({"shared": "better", "all-adapters": "worse"}, 0.5),
    ],
)
def test_the_way_to_share_that_the_pilot_speaks_for_is_proposed(statuses: dict[str, str], benefit: float) -> None:
    tried = shared({"adapters": -0.4, "shared": -0.3, "all-adapters": -0.5}, statuses)
    proposal = named(make_proposals(profile(), OPEN, None, tried, Path("run")), "share")
    assert proposal.status == "measured"
    assert proposal.benefit
    assert proposal.benefit.value == pytest.approx(benefit)
    assert "So it was." in proposal.text
    assert proposal.cost == pytest.approx(100 * 8 / (4 * 20))
    assert proposal.evidence[0].source == "share-pilot.json"


@pytest.mark.parametrize(("value", "status"), [(1.0, "measured"), (1e-9, "not supported")])
def test_a_way_that_never_pays_back_is_not_proposed_as_measured(value: float, status: str) -> None:
    gains = [
        MeasuredGain(domain=name, option="shared", loss_before=2, loss_after=1, low=0.9, high=1.1, source="here")
        for name in NAMES
    ]
    paid = share(profile(), rank=1, value=value, gains=gains)
    proposals = make_proposals(profile(), OPEN, None, paid, Path("run"))
    proposal = named(proposals, "share")
    assert proposal.status == status
    assert (proposal.priority == 1) == (status == "measured")


def test_of_the_ways_that_pay_the_one_that_leaves_most_money_is_proposed() -> None:
    """Own adapters gain a little more than one for all, and cost far more."""
    gains = [
        MeasuredGain(domain=name, option=option, loss_before=2, loss_after=after, low=low, high=high, source="here")
        for name in NAMES
        for option, after, low, high in (("shared", 1.5, 0.4, 0.6), ("adapters", 1.49, 0.41, 0.61))
    ]
    paid = share(profile(), rank=1, value=0.001, gains=gains)
    proposal = named(make_proposals(profile(), OPEN, None, paid, Path("run")), "share")
    assert proposal.text.startswith("One model for all")
    assert "it leaves the most money in the time to pay back" in proposal.text


def test_sharing_that_did_not_surely_help_is_advised_against() -> None:
    tried = shared({"adapters": 0.01, "shared": 0.0}, {"shared": "equal"})
    proposal = named(make_proposals(profile(), OPEN, None, tried, Path("run")), "share")
    assert proposal.status == "not supported"
    assert proposal.text.startswith("Leave the model as it is for all")


def test_training_that_did_not_surely_help_is_advised_against_and_comes_last() -> None:
    done = tuned("code", {"spread": 0.01, "uniform": 0.0}, {"uniform": "equal"})
    found = make_proposals(profile(), OPEN, tuning(done), None, Path("run"))
    assert found[-1].name == "tune for code"
    assert found[-1].status == "not supported"
    assert found[-1].text.startswith("Do not tune for code")


def test_benefit_per_cost_orders_what_was_measured() -> None:
    dear = tuned("code", {"spread": -0.4}, {}, share=0.1)
    cheap = tuned("support", {"spread": -0.2}, {}, share=0.01)
    found = make_proposals(profile(), OPEN, tuning(dear, cheap), None, Path("run"))
    assert [each.name for each in found[:2]] == ["tune for support", "tune for code"]
    assert [each.priority for each in found] == list(range(1, len(found) + 1))


def test_spare_layers_are_named_for_pruning_and_never_fragile_ones() -> None:
    found = make_proposals(profile(), roles(Role.FRAGILE, Role.SPARE, Role.SPARE, Role.SHARED), None, None, Path("run"))
    prune = named(found, "prune")
    assert prune.layers == [1, 2]
    assert "50 % of the weights" in prune.text
    assert "nothing faster or smaller" in prune.text
    assert "No layer was shown to be spare" in named(make_proposals(profile(), OPEN, None, None, None), "prune").text


def test_the_first_pilot_is_for_the_domain_with_most_layers_of_its_own_that_has_none() -> None:
    given = roles(Role.SPECIFIC, Role.OPEN, Role.SPECIFIC, Role.OPEN, own=("code",))
    first = first_pilot(profile(), given, None, Path("my run"))
    assert first
    assert first.domain == "code"
    assert "--run 'my run' --domain code --pilot" in first.command
    done = tuned("code", {"spread": -0.4}, {})
    second = first_pilot(profile(), given, tuning(done), None)
    assert second
    assert second.domain == "support"
    both = tuning(done, tuned("support", {"spread": -0.4}, {}))
    assert first_pilot(profile(), given, both, None) is None


def test_a_plan_is_kept_in_the_run_and_read_back(tmp_path: Path) -> None:
    profile().save(tmp_path / "run")
    made = paramscope.plan(tmp_path / "run")
    assert read_plan(tmp_path / "run") == made
    assert Planned.model_validate_json((tmp_path / "run" / DOCUMENT).read_text()) == made
    assert made.made_from == ["run.json"]
    assert "paramscope verify" in made.limits[-1]
    assert [layer.layer for layer in made.layers] == [0, 1, 2, 3]
    for layer in made.layers:
        assert layer.proposals == [each.priority for each in made.proposals if layer.layer in each.layers]
    (tmp_path / "run" / DOCUMENT).write_text("{}")
    with pytest.raises(UsageError, match=r"plan\.json is damaged"):
        read_plan(tmp_path / "run")
    paramscope.plan(tmp_path / "run")
    profile().save(tmp_path / "other")
    text = (tmp_path / "run" / DOCUMENT).read_text().replace(made.run_sha256, "f" * 64)
    (tmp_path / "other" / DOCUMENT).write_text(text)
    with pytest.raises(UsageError, match="made of another run"):
        read_plan(tmp_path / "other")
