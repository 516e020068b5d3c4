"""The sharing pilot: trained as a plain loop would, resumable, repeatable, and able to see what was planted."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

import paramscope
from paramscope import UsageError
from paramscope.actions.pilots.lora import SCALE, lora_layers
from paramscope.actions.pilots.material import Material
from paramscope.actions.pilots.sizes import Sizes, Speed, fitting_sizes
from paramscope.actions.pilots.training import train
from paramscope.actions.pilots.trials import Trials
from paramscope.actions.sharing.breakeven import pilot_gains
from paramscope.actions.sharing.outcome import RANDOM, sentence
from paramscope.actions.sharing.pilot import SharingPilot, judge, make_turns
from paramscope.actions.sharing.ways import make_ways, partly_shared
from paramscope.actions.tuning.adapters import LinearModule, Modules
from paramscope.models.blocks import find_blocks
from paramscope.result.profile import Profile
from paramscope.result.share_pilot import SharePilot, read_share_pilot
from tests.actions.tuned_runs import interrupted, lean, make_run
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.test_model_unchanged import unchanged

TEXTS = random_ids([9, 5, 12, 7, 3, 8, 11, 6])
TURNS = [1, 0, 0, 1]
"""The domain of each step of two texts."""

SHARED = {"model.layers.0.self_attn.q_proj": 2, "model.layers.2.mlp.up_proj": 2}
OWN = {"model.layers.1.mlp.down_proj": 2, "model.layers.1.self_attn.o_proj": 2}

QUICK: dict[str, Any] = {"steps": 3, "rank": 2, "own_layers": 2}

_lean = pytest.fixture(autouse=True, scope="module")(lean)


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run without a pilot. No test may change it."""
    run = make_run(tiny_model, tmp_path_factory.mktemp("made"))
    yield run
    assert not list(run.glob("share*"))


@pytest.fixture(scope="module")
def tried(made: Path) -> SharePilot:
    """A pilot on the profile alone, which keeps nothing."""
    return paramscope.try_sharing(Profile.load(made), **QUICK)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run of one's own."""
    return shutil.copytree(made, tmp_path / "run")


def without_clock(pilot: SharePilot) -> dict[str, Any]:
    """All that does not depend on time, memory and the run's folder."""
    document = pilot.model_dump(exclude={"finished", "seconds", "run_sha256"})
    for each in (*document["trials"], *document["outcome"]["ways"]):
        del each["seconds"], each["memory_bytes"]
    return document


def adapters(model: Any) -> dict[str, torch.Tensor]:
    """All adapters' matrices, by module, kind and name of the adapter."""
    return {
        f"{module}/{kind}/{name}": adapter.weight.detach().clone()
        for module, layer in lora_layers(model).items()
        for kind, members in (("A", layer.lora_A), ("B", layer.lora_B))
        for name, adapter in members.items()
    }


def reference_training(model: Any, first: dict[str, torch.Tensor], rate: float) -> dict[str, torch.Tensor]:
    """AdamW over low-rank changes of the weights themselves, in float64, without PEFT and without the trainer."""
    wide = copy.deepcopy(model).double()
    weights = {name: parameter.detach() for name, parameter in wide.named_parameters()}
    found = {name: value.double().requires_grad_(True) for name, value in first.items()}
    optimizer = torch.optim.AdamW(found.values(), lr=rate, weight_decay=0.0)
    steps = len(TURNS)
    for step, domain in enumerate(TURNS):
        for group in optimizer.param_groups:
            group["lr"] = rate * (steps - step) / steps
        changed = dict(weights)
        for module in (*SHARED, *OWN):
            name = "shared" if module in SHARED else f"domain{domain}"
            a, b = found[f"{module}/A/{name}"], found[f"{module}/B/{name}"]
            changed[f"{module}.weight"] = weights[f"{module}.weight"] + SCALE * b @ a
        total: Any = 0.0
        count = 0
        for ids in TEXTS[2 * step : 2 * step + 2]:
            logits = functional_call(wide, changed, (), {"input_ids": torch.tensor([ids])}).logits[0, :-1]
            total = total + functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum")
            count += len(ids) - 1
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(list(found.values()), 1.0)
        optimizer.step()
    return {name: value.detach() for name, value in found.items()}


def test_partly_shared_training_equals_a_plain_loop() -> None:
    model = tiny_model("llama")
    with unchanged(model), partly_shared(model, SHARED, OWN, 2, seed=5) as activate:
        first = adapters(model)
        assert len(first) == 2 * (len(SHARED) + 2 * len(OWN))
        train(model, TEXTS, batch=2, rate=1e-2, seed=5, before_step=lambda step: activate(TURNS[step]))
        found = adapters(model)
    expected = reference_training(model, first, 1e-2)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert not torch.equal(value, first[name]), name
        np.testing.assert_allclose(value, expected[name], atol=2e-4, err_msg=name)


def test_a_batch_trains_the_adapters_of_its_domain_alone() -> None:
    model = tiny_model("llama")
    with partly_shared(model, SHARED, OWN, 2, seed=0) as activate:
        first = adapters(model)
        train(model, TEXTS, batch=2, rate=1e-2, seed=0, before_step=lambda _: activate(1))
        moved = {name for name, value in adapters(model).items() if not torch.equal(value, first[name])}
    assert moved == {name for name in first if not name.endswith("domain0")}


def test_every_domain_has_all_steps_and_every_way_the_same_texts() -> None:
    materials = [
        Material(tuple((domain, place) for place in range(count)), (), 0, 0, "") for domain, count in ((0, 8), (1, 3))
    ]
    sizes = Sizes(2, 2, 4, 8, 4, 4, (1e-3,), 1, None)
    turns = make_turns(materials, sizes, seed=3)
    assert turns == make_turns(materials, sizes, seed=3)
    assert turns != make_turns(materials, sizes, seed=4)
    assert all(sorted(turns.domains[start : start + 2]) == [0, 1] for start in range(0, 8, 2))
    for step, domain in enumerate(turns.domains):
        assert {text[0] for text in turns.texts[2 * step : 2 * step + 2]} == {domain}
    assert sorted(text[1] for text in turns.texts if text[0] == 0) == list(range(8))


def test_random_layers_are_as_many_as_the_plans() -> None:
    ways = {way.name: way.draws for way in make_ways([4, 1], 6, seeds=3, seed=0)}
    assert list(ways) == ["adapters", "shared", "all-adapters", RANDOM]
    assert ways["adapters"] == ((1, 4),)
    assert ways["shared"] == ((),)
    assert ways["all-adapters"] == (tuple(range(6)),)
    assert [len(set(draw)) for draw in ways[RANDOM]] == [2, 2, 2]
    assert len(set(ways[RANDOM])) > 1
    assert [way.name for way in make_ways(range(6), 6, seeds=3, seed=0)] == ["adapters", "shared"]


def test_own_adapters_win_where_domains_contradict_each_other() -> None:
    """The same first token means another next one in each domain, which one adapter for all cannot know."""
    model = tiny_model("llama")
    modules = Modules(
        tuple(
            LinearModule(f"{block.name}.{weight.name}", layer, weight.columns, weight.rows)
            for layer, block in enumerate(find_blocks(model))
            for weight in block.weights
        ),
        (),
    )
    last = max(module.layer for module in modules.able)
    rows = [tuple((first, 40 + domain) for first in range(1, 17)) for domain in (0, 1)]
    sizes = Sizes(2, 4, 30, 120, 4, 8, (3e-2,), 1, None)
    pilot = SharingPilot(
        model=model,
        modules=modules,
        rank=4,
        ways=make_ways([last], last + 1, seeds=1, seed=0),
        materials=[Material(texts, texts[:4], 0, 0, "") for texts in rows],
        tests={"a": rows[0][8:], "b": rows[1][8:]},
        sizes=sizes,
        seed=0,
        trials=Trials(None, {}, resume=False, overwrite=False),
        progress=lambda *_: None,
    )
    before = pilot.losses()
    outcome = judge(pilot, before, pilot.run())
    loss = {
        way.name: float(np.mean([before["a"].mean(), before["b"].mean()])) + (way.change.value or 0.0)
        for way in outcome.ways
    }
    for name in ("adapters", "all-adapters"):
        assert loss["shared"] - loss[name] > 0.5, name  # a coin's entropy is 0.69, less what the frozen head leaves
    assert {each.control: each.status for each in outcome.comparisons}["shared"] == "better"
    assert outcome.ways[0].parameters == pilot.parameters([last])
    assert pilot.parameters([last]) - pilot.parameters([]) == 4 * sum(m.cost for m in modules.of([last]))


def test_a_pilot_tries_every_way_alike(tried: SharePilot) -> None:
    names = ["adapters", "shared", "all-adapters", RANDOM]
    assert [way.name for way in tried.outcome.ways] == names
    assert [each.control for each in tried.outcome.comparisons] == names[1:]
    assert tried.outcome.ways[0].layers == [tried.own_layers]
    assert len(tried.own_layers) == 2
    for way in tried.outcome.ways:
        trials = [trial for trial in tried.trials if trial.plan == way.name]
        assert [trial.rate for trial in trials[:3]] == tried.sizes.rates
        best = min(trials[:3], key=lambda trial: trial.validation or 0)
        assert (trials[3].rate, trials[3].seed) == (best.rate, 1)
        for name, change in way.domains.items():
            after = np.mean([trial.losses[name] for trial in (best, trials[3])])
            assert change.value == pytest.approx(after - np.mean(tried.before[name]))
        assert way.change.value == pytest.approx(np.mean([change.value for change in way.domains.values()]))
    changes = {way.name: way.change.value or 0.0 for way in tried.outcome.ways}
    for each in tried.outcome.comparisons:
        assert each.value == pytest.approx(changes["adapters"] - changes[each.control], abs=1e-9)
        assert list(each.domains) == ["a", "b"]
    sizes = {way.name: way.parameters for way in tried.outcome.ways}
    assert sizes["shared"] < sizes["adapters"] == sizes[RANDOM] < sizes["all-adapters"] == 2 * sizes["shared"]
    assert all(text.overlapping >= 12 for text in tried.texts.values())


def test_same_seed_same_result(tried: SharePilot, made: Path) -> None:
    assert without_clock(paramscope.try_sharing(Profile.load(made), **QUICK)) == without_clock(tried)
    other = paramscope.try_sharing(Profile.load(made), **QUICK, seed=1)
    assert other.trials[0].losses != tried.trials[0].losses


@pytest.mark.parametrize("after", [1, 9])
def test_an_interrupted_pilot_goes_on_where_it_was(tried: SharePilot, run: Path, after: int) -> None:
    with interrupted(after):
        paramscope.try_sharing(run, **QUICK)
    assert len((run / "share-pilot.unfinished" / "trials.jsonl").read_text().splitlines()) == after
    with pytest.raises(UsageError, match="--resume finishes it"):
        paramscope.try_sharing(run, **QUICK)
    with pytest.raises(UsageError, match="made with other arguments"):
        paramscope.try_sharing(run, **QUICK, seeds=3, resume=True)
    assert without_clock(paramscope.try_sharing(run, **QUICK, resume=True)) == without_clock(tried)
    assert not (run / "share-pilot.unfinished").exists()


def test_a_finished_pilot_is_not_made_again(run: Path) -> None:
    once = paramscope.try_sharing(run, **QUICK)
    assert paramscope.try_sharing(run, **QUICK) == once == read_share_pilot(run)
    with pytest.raises(UsageError, match=r"share-pilot\.json"):
        paramscope.try_sharing(run, **QUICK | {"own_layers": 1})
    assert paramscope.try_sharing(run, **QUICK | {"own_layers": 1}, overwrite=True).own_layers != once.own_layers


def test_an_interrupted_pilot_that_replaces_another_goes_on(run: Path) -> None:
    paramscope.try_sharing(run, **QUICK)
    other = QUICK | {"own_layers": 1}
    expected = paramscope.try_sharing(Profile.load(run), **other)
    with interrupted():
        paramscope.try_sharing(run, **other, overwrite=True)
    assert without_clock(paramscope.try_sharing(run, **other, resume=True)) == without_clock(expected)
    assert not (run / "share-pilot.unfinished").exists()


@pytest.mark.parametrize("content", ["[]", '{"tokens": 1}', "{", "7"])
def test_damaged_trials_say_how_to_begin_anew(run: Path, content: str) -> None:
    with interrupted():
        paramscope.try_sharing(run, **QUICK)
    (run / "share-pilot.unfinished" / "sizes.json").write_text(content)
    with pytest.raises(UsageError, match=r"is damaged \(.*\); --overwrite begins the pilot anew"):
        paramscope.try_sharing(run, **QUICK, resume=True)


def test_gains_of_the_pilot_are_reckoned_with(run: Path) -> None:
    assert all(record.gain is None for record in paramscope.share(run, rank=2, own_layers=2).break_even)
    pilot = paramscope.try_sharing(run, **QUICK)
    shared = paramscope.share(run, rank=2, own_layers=2, value=0.01)
    measured = {record.option: record.gain for record in shared.break_even}
    assert {name for name, gain in measured.items() if gain} == {"adapters", "shared", "all-adapters"}
    assert shared.pilot == pilot.outcome
    for way in pilot.outcome.ways:
        if way.name == RANDOM:
            continue
        percents = [
            -100 * (way.domains[name].value or 0.0) / np.mean([v for v in pilot.before[name] if v is not None])
            for name in ("a", "b")
        ]
        gain = measured[way.name]
        assert gain
        assert gain.value == pytest.approx(np.mean(percents))
    assert {gain.option for gain in pilot_gains(pilot)} == {"adapters", "shared", "all-adapters"}
    elsewhere = paramscope.share(run, rank=2, own_layers=2, gains=[])
    assert elsewhere.pilot is None
    assert all(record.gain is None for record in elsewhere.break_even)
    assert any("gains from elsewhere" in limit for limit in elsewhere.limits)
    other = paramscope.share(run, rank=2, own_layers=1)
    assert other.pilot is None
    assert all(record.gain is None for record in other.break_even)
    assert any("it is not used" in limit for limit in other.limits)


def test_a_diverged_training_gains_nothing(tried: SharePilot) -> None:
    way = tried.outcome.ways[1]
    nothing = way.change.model_copy(update={"value": None, "low": None, "high": None})
    diverged = way.model_copy(update={"domains": way.domains | {"a": nothing}})
    outcome = tried.outcome.model_copy(update={"ways": [diverged]})
    (gain,) = pilot_gains(tried.model_copy(update={"outcome": outcome}))
    assert gain.domain == "b"


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        ({"shared": "better", RANDOM: "better"}, "and so does the choice of their layers"),
        ({"shared": "better", RANDOM: "equal"}, "in which layers they lie is not shown to matter"),
        ({"shared": "no difference shown", RANDOM: "better"}, "one for all is smaller, and would do"),
        ({"shared": "worse", RANDOM: "equal"}, "Take one adapter for all rather than this plan"),
        ({"shared": "better", "all-adapters": "worse", RANDOM: "equal"}, "Take own adapters everywhere rather"),
    ],
)
def test_the_sentence_says_what_the_controls_allow(statuses: dict[str, str], end: str) -> None:
    comparisons: Any = [SimpleNamespace(control=name, status=status, value=0.1) for name, status in statuses.items()]
    assert end in sentence([1, 2], "-0.100", comparisons)


def test_more_domains_take_more_of_a_budget() -> None:
    given: dict[str, Any] = {"budget": 600.0, "plans": 4, "training": [64] * 8, "held_out": [[64] * 16], "seeds": 2}
    one, four = (fitting_sizes(Speed(1e-3, 1e-4), **given, domains=domains) for domains in (1, 4))
    assert one.steps > four.steps
    assert four.expected_seconds
    assert four.expected_seconds <= 600


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "--rank 0 is out of range"),
        ({"rank": 33}, "--rank 33 is out of range|--rank 33 is above"),
        ({"own_layers": 0}, "--own-layers 0 is out of range"),
        ({"steps": 0}, "--steps 0 is out of range"),
        ({"seeds": 0}, "--seeds 0 is out of range"),
        ({"budget": -1.0, "steps": None}, "--budget -1.0 is no time"),
        ({"budget": 60.0}, "--steps and --budget both say"),
        ({"resume": True, "overwrite": True}, "contradict each other"),
    ],
)
def test_wrong_use_says_what_to_mend(made: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        paramscope.try_sharing(made, **QUICK | settings)
