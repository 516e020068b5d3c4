"""The whole pilot: equal for all plans, resumable, repeatable, and able to see what was planted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from transformers import AutoModelForCausalLM

import paramscope
from paramscope import UsageError
from paramscope.actions.pilots.material import held_out_texts
from paramscope.actions.pilots.training import text_losses
from paramscope.causal.texts import held_out_samples, profiled_samples
from paramscope.result.profile import Profile
from paramscope.result.tuned import TunedDomain, read_tuning
from tests.actions.tuned_runs import QUICK, TRAINABLE, interrupted, lean, make_run, without_clock
from tests.conftest import made_texts
from tests.engine.test_model_unchanged import unchanged

_lean = pytest.fixture(autouse=True, scope="module")(lean)


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run without a plan. No test may change it."""
    run = make_run(tiny_model, tmp_path_factory.mktemp("made"))
    yield run
    assert not list(run.glob("tune*"))


@pytest.fixture(scope="module")
def tried(made: Path, tiny_model: Path) -> TunedDomain:
    """A pilot on the profile alone, which keeps nothing."""
    return paramscope.tune(tiny_model, Profile.load(made), "a", **QUICK)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run of one's own."""
    return shutil.copytree(made, tmp_path / "run")


def test_a_pilot_tries_the_plan_and_its_controls_alike(tried: TunedDomain, made: Path, tiny_model: Path) -> None:
    pilot = tried.pilot
    assert pilot
    assert (tried.plan.rule, tried.plan.layers) == ("spread", [2])
    assert list(pilot.controls) == ["uniform", "last", "random"]
    assert [len(plans) for plans in pilot.controls.values()] == [1, 1, 2]
    everything = [tried.plan, *(plan for plans in pilot.controls.values() for plan in plans)]
    assert {plan.parameters for plan in everything} == {TRAINABLE}
    assert pilot.largest_difference == 0
    assert tried.share == pytest.approx(TRAINABLE / (4 * 9216))
    names = ["plan", *pilot.controls]
    for name in names:
        trials = [trial for trial in pilot.trials if trial.plan == name]
        assert [trial.seed for trial in trials] == [0, 0, 0, 1]
        assert [trial.rate for trial in trials[:3]] == pilot.sizes.rates
        best = min(trials[:3], key=lambda trial: trial.validation or 0)
        assert trials[3].rate == best.rate
        (effect,) = [effect for effect in pilot.effects if effect.plan == name]
        assert effect.rate == best.rate
        after = np.mean([trial.losses["a"] for trial in (best, trials[3])])
        assert effect.domain.value == pytest.approx(after - np.mean(pilot.before["a"]))
        assert list(effect.others) == ["b"]
    profile = Profile.load(made)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    for name, texts in held_out_texts(profile).items():
        assert len(texts) == 8
        np.testing.assert_allclose(pilot.before[name], text_losses(model, texts, batch=1), rtol=1e-5)
    assert [each.control for each in pilot.comparisons] == names[1:]
    for each in pilot.comparisons:
        chosen = {e.plan: e for e in pilot.effects}
        difference = chosen["plan"].domain.value - chosen[each.control].domain.value
        assert each.value == pytest.approx(difference, abs=1e-9)
        assert each.count == 8
        assert len(each.by_seed) == 2
    assert "changes a's held-out loss by" in pilot.sentence
    json.loads(tried.model_dump_json(), parse_constant=pytest.fail)


def test_same_seed_same_result_and_another_seed_another_one(tried: TunedDomain, made: Path, tiny_model: Path) -> None:
    profile = Profile.load(made)
    assert without_clock(paramscope.tune(tiny_model, profile, "a", **QUICK)) == without_clock(tried)
    other = paramscope.tune(tiny_model, profile, "a", **QUICK, seed=1)
    assert other.pilot
    assert tried.pilot
    assert other.pilot.trials[0].losses != tried.pilot.trials[0].losses


@pytest.mark.parametrize("after", [1, 6, 15])
def test_an_interrupted_pilot_goes_on_where_it_was(tried: TunedDomain, run: Path, tiny_model: Path, after: int) -> None:
    with interrupted(after):
        paramscope.tune(tiny_model, run, "a", **QUICK)
    lines = run / "tune.unfinished" / "0" / "trials.jsonl"
    assert len(lines.read_text().splitlines()) == after
    assert not (run / "tune.json").exists()
    with lines.open("a") as file:
        file.write('{"plan": "half wri')
    with pytest.raises(UsageError, match="holds an unfinished pilot; --resume finishes it, --overwrite begins it anew"):
        paramscope.tune(tiny_model, run, "a", **QUICK)
    with pytest.raises(UsageError, match="seeds: 2 there, 3 now"):
        paramscope.tune(tiny_model, run, "a", **QUICK, seeds=3, resume=True)
    steps = []
    found = paramscope.tune(
        tiny_model, run, "a", **QUICK, resume=True, progress=lambda stage, done, total: steps.append((done, total))
    )
    assert without_clock(found) == without_clock(tried)
    assert sum(done for done, _ in steps) == steps[-1][1] == 4 * 4 * 4
    assert not (run / "tune.unfinished").exists()


def test_a_result_is_kept_and_read_again(run: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = paramscope.tune(tiny_model, run, "a", **QUICK)
    kept = read_tuning(run)
    assert kept
    assert kept.domains == [found]
    planned = paramscope.tune(tiny_model, run, "b", trainable=TRAINABLE, layers=[0, 3])
    assert planned.pilot is None
    assert planned.plan.rule == "given"
    kept = read_tuning(run)
    assert kept
    assert [each.domain for each in kept.domains] == ["a", "b"]
    monkeypatch.setattr("paramscope.actions.tuning.planner.locate", lambda *_: pytest.fail("the model was opened"))
    alone: dict[str, Any] = {"trainable": TRAINABLE, "rule": "spread"}
    for options in (QUICK, alone):
        assert paramscope.tune(tiny_model, run, "a", **options) == found
    for options, message in (
        (QUICK | {"steps": 5}, "steps: 4 there, 5 now"),
        (QUICK | {"train": ["w1 w2"]}, "train: null there, "),
    ):
        with pytest.raises(UsageError, match=message):
            paramscope.tune(tiny_model, run, "a", **options)


def test_a_plan_that_is_not_tried_replaces_no_pilot(run: Path, tiny_model: Path, tmp_path: Path) -> None:
    found = paramscope.tune(tiny_model, run, "a", **QUICK)
    for options in (
        {},
        {"overwrite": True},
        {"export": tmp_path / "plan"},
        {"export": tmp_path / "plan", "overwrite": True},
    ):
        other = paramscope.tune(tiny_model, run, "a", rule="first", trainable=TRAINABLE, **options)
        assert (other.plan.rule, other.pilot) == ("first", None)
        kept = read_tuning(run)
        assert kept
        assert kept.domains == [found]


@pytest.mark.parametrize("changed", [{}, {"steps": 5}])
def test_an_interrupted_pilot_that_replaces_another_goes_on(
    run: Path, tiny_model: Path, changed: dict[str, Any]
) -> None:
    paramscope.tune(tiny_model, run, "a", **QUICK)
    options = QUICK | changed
    expected = paramscope.tune(tiny_model, Profile.load(run), "a", **options)
    with interrupted():
        paramscope.tune(tiny_model, run, "a", **options, overwrite=True)
    assert without_clock(paramscope.tune(tiny_model, run, "a", **options, resume=True)) == without_clock(expected)
    assert not (run / "tune.unfinished").exists()


def test_a_run_with_a_plan_can_be_replaced(run: Path, tiny_model: Path) -> None:
    paramscope.tune(tiny_model, run, "a", trainable=TRAINABLE)
    paramscope.profile(tiny_model, {"c": made_texts(4)}, output=run, overwrite=True)
    assert read_tuning(run) is None


def test_a_plan_of_another_run_is_refused(run: Path, tiny_model: Path, made: Path) -> None:
    paramscope.tune(tiny_model, run, "a", trainable=TRAINABLE)
    (run / "run.json").write_text((run / "run.json").read_text() + "\n")
    with pytest.raises(UsageError, match=r"tune\.json was made of another run; move it away"):
        read_tuning(run)
    (run / "tune.json").write_text("{}")
    with pytest.raises(UsageError, match="is damaged or of another paramscope"):
        read_tuning(run)


def test_training_on_a_text_over_and_over_is_seen_on_the_held_out_ones(tiny_model: Path, tmp_path: Path) -> None:
    # Every text of a is the same phrase with another last word; those of b have nothing of it.
    phrase = "w3 w1 w4 w1 w5 w9 w2 w6"
    (tmp_path / "a.txt").write_text("\n".join(f"{phrase} w{i}" for i in range(60)))
    (tmp_path / "b.txt").write_text("\n".join(made_texts(20, start=40)))
    sources = {name: paramscope.DomainSpec(name, tmp_path / f"{name}.txt", lines=True) for name in ("a", "b")}
    profile = paramscope.profile(tiny_model, sources, samples=4, held_out=8)
    found = paramscope.tune(tiny_model, profile, "a", pilot=True, steps=24, trainable=TRAINABLE, layers=[1, 2]).pilot
    assert found
    (plan,) = [effect for effect in found.effects if effect.plan == "plan"]
    assert plan.domain.high is not None
    assert plan.domain.high < -1
    assert plan.others["b"].value is not None
    assert plan.others["b"].value > plan.domain.high


def test_the_users_model_comes_back_as_it_was(made: Path, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    profile = Profile.load(made)
    left = [9]

    def progress(stage: str, steps: int, total: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with unchanged(model), pytest.raises(KeyboardInterrupt):
        paramscope.tune(model, profile, "a", **QUICK, tokenizer=tokenizer, progress=progress)
    with unchanged(model):
        paramscope.tune(model, profile, "a", **QUICK | {"steps": 1}, tokenizer=tokenizer)


def test_the_full_set_holds_all_controls_against_the_plan(made: Path, tiny_model: Path) -> None:
    found = paramscope.tune(tiny_model, Profile.load(made), "a", **QUICK | {"steps": 1}, full=True, seeds=1).pilot
    assert found
    names = {"uniform", "first", "middle", "last", "random", "gradient", "signal-to-noise", "explained-variance"}
    assert set(found.controls) | set(found.same_as_plan) == names
    for name in found.same_as_plan:
        assert name not in found.controls
    assert len(found.sizes.rates) == 4
    for name in ("gradient", "signal-to-noise", "explained-variance"):
        for plan in found.controls.get(name, []):
            scores = np.array(plan.scores, dtype=float)
            assert plan.layers == [int(scores.argmax())]


def test_the_default_trains_all_layers_and_is_held_against_choices_of_fewer(made: Path, tiny_model: Path) -> None:
    options = {name: value for name, value in QUICK.items() if name != "rule"}
    found = paramscope.tune(tiny_model, Profile.load(made), "a", **options, seeds=1)
    assert found.pilot
    assert (found.plan.rule, found.plan.layers) == ("uniform", [0, 1, 2, 3])
    assert {name: [plan.layers for plan in plans] for name, plans in found.pilot.controls.items()}["last"] == [[3]]
    assert list(found.pilot.controls) == ["last", "random"]
    assert "Training layers 0-3 (uniform)" in found.pilot.sentence


def test_a_rule_that_is_measured_can_be_the_plan(made: Path, tiny_model: Path) -> None:
    found = paramscope.tune(tiny_model, Profile.load(made), "a", **QUICK | {"steps": 1, "rule": "gradient"}, seeds=1)
    assert found.plan.rule == "gradient"
    assert all(score is not None for score in found.plan.scores)


def test_a_budget_of_time_decides_the_steps_once_and_for_all(
    run: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    options: dict[str, Any] = {"pilot": True, "trainable": TRAINABLE, "budget": 0.5}
    with monkeypatch.context() as patch:
        patch.setattr("paramscope.actions.tuning.pilot.Pilot.losses", interrupt)
        with pytest.raises(KeyboardInterrupt):
            paramscope.tune(tiny_model, run, "a", **options)
    assert not (run / "tune.unfinished").exists()
    found = paramscope.tune(tiny_model, run, "a", **options).pilot
    assert found
    assert found.sizes.steps == 8
    assert found.sizes.expected_seconds is not None


def test_texts_given_in_python_are_trained_on(made: Path, tiny_model: Path) -> None:
    profile = Profile.load(made)
    mine = [s.text.text for table in (profiled_samples(profile), held_out_samples(profile)) for s in table["a"]]
    given = [*mine, *(" ".join(f"w{(7 * i + j * j + 11) % 80}" for j in range(10)) for i in range(30))]
    found = paramscope.tune(tiny_model, profile, "a", **QUICK | {"steps": 1}, train=given, seeds=1).pilot
    assert found
    assert found.texts.overlapping == len(mine)
    assert found.texts.source == f"{len(given)} texts given in Python"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "--seeds 0 is out of range; give a whole number of at least 1"),
        ({"rank": 0}, "--rank 0 is out of range; give a whole number of at least 1"),
        ({"steps": 0, "pilot": True}, "--steps 0 is out of range"),
        ({"seed": -1}, "--seed -1 is out of range; give a whole number of at least 0"),
        ({"budget": -1.0, "pilot": True}, "--budget -1.0 is no time"),
        ({"rank": 2, "trainable": "2%"}, "--rank and --trainable both say how much is trained"),
        ({"steps": 2, "budget": 9.0, "pilot": True}, "--steps and --budget both say how long"),
        ({"full": True}, "--full is of the pilot; give --pilot too"),
        ({"train": "x"}, "--train is of the pilot"),
        ({"resume": True, "overwrite": True}, "--resume and --overwrite contradict each other"),
        ({"trainable": "0%"}, "--trainable '0%' is out of range"),
        (
            {"trainable": "1%", "rule": "spread"},
            "368 trainable parameters are too few: a rank of 1 in the 7 modules of layers 2 takes 512",
        ),
        ({"rank": 17}, "would get a rank of 17, and its weight has 16"),
        ({"layers": 9, "rule": "spread"}, "--layers 9 is out of range; the model has 4 layers"),
        ({"layers": 2}, "--layers 2: the rule uniform trains all layers; give another --rule"),
        ({"layers": [9]}, "layer 9 is unknown; the model has 4 layers, 0 to 3"),
        ({"rule": "deep"}, "--rule 'deep' is unknown"),
        ({"rule": "damage"}, "goes by the causal checks, and the run has none"),
        ({"rule": "gradient"}, "is measured on the model and training texts; give --pilot too"),
        (
            {"trainable": 1000, "pilot": True, "steps": 1},
            "1,000 trainable parameters are too few: .* of layers 0-3 takes",
        ),
    ],
)
def test_what_cannot_be_is_refused(made: Path, tiny_model: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        paramscope.tune(tiny_model, made, "a", **options)


def test_a_rank_gives_every_module_that_rank(made: Path, tiny_model: Path) -> None:
    found = paramscope.tune(tiny_model, Profile.load(made), "a", rank=3, layers=2, rule="spread")
    assert {module.rank for module in found.plan.modules} == {3}
    assert found.plan.layers == [1, 3]


def test_without_peft_the_extra_is_named(made: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramscope.actions.pilots.lora.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"tuning needs the package peft; pip install 'paramscope\[tune\]'"):
        paramscope.tune(tiny_model, made, "a")


@pytest.mark.parametrize("seen", [5, 7])
def test_texts_that_layers_are_chosen_by_are_not_tested_on(
    made: Path, tiny_model: Path, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    damages = [{"kind": "layer", "layer": layer, "domain": "a", "damage": float(layer == 1)} for layer in range(4)]
    checks = SimpleNamespace(parts=pd.DataFrame(damages), result=SimpleNamespace(sizes={"held_out": seen}))
    monkeypatch.setattr("paramscope.actions.tuning.planner.load_checks", lambda _: checks)
    options = QUICK | {"steps": 1, "rule": "damage", "seeds": 1}
    if seen == 7:
        with pytest.raises(UsageError, match="has 1 held-out texts that the causal checks, by which the layers are"):
            paramscope.tune(tiny_model, made, "a", **options)
        return
    monkeypatch.setattr("paramscope.actions.tuning.trying.keep_tuned", lambda *_: None)
    found = paramscope.tune(tiny_model, made, "a", **options)
    assert found.plan.layers == [1]
    assert found.pilot
    expected = text_losses(
        AutoModelForCausalLM.from_pretrained(tiny_model), held_out_texts(Profile.load(made))["a"][seen:], batch=1
    )
    np.testing.assert_allclose(found.pilot.before["a"], expected, rtol=1e-5)
    assert {each.status for each in found.pilot.comparisons} == {"undecided"}
