"""The whole of the checks: what they depend on, how a run keeps them, and what they refuse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import paramscope
from paramscope import UsageError
from paramscope.measures.bands import thirds
from paramscope.result.profile import Profile
from paramscope.result.verification import Verification, read_verification
from tests.causal.conftest import Resize
from tests.conftest import made_texts, save_tiny_model
from tests.engine.architectures import random_ids
from tests.engine.architectures import tiny_model as made_model

pytestmark = pytest.mark.usefixtures("small")

TEXTS = {"a": made_texts(8), "b": made_texts(8, start=40)}
TABLES = ("weights", "sets", "parts")


@pytest.fixture(scope="module")
def profiled(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run without checks. No test may change it."""
    run = tmp_path_factory.mktemp("profiled") / "run"
    paramscope.profile(tiny_model, TEXTS, output=run, samples=4, held_out=4)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    yield run
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.fixture
def run(profiled: Path, tmp_path: Path) -> Path:
    """A run of one's own."""
    return shutil.copytree(profiled, tmp_path / "run")


def assert_same(one: Any, other: Any) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True, obj=name)
    left, right = (
        each.result.model_dump(exclude={"started", "finished", "timings", "arguments"}) for each in (one, other)
    )
    assert left == right


def without_model(*_: object, **__: object) -> None:
    pytest.fail("the model was opened")


def test_same_seed_same_result_and_another_seed_another_one(profiled: Path, tiny_model: Path) -> None:
    profile = Profile.load(str(profiled))
    first = paramscope.verify(profile)
    assert_same(first, paramscope.verify(profile))
    other = paramscope.verify(profile, seed=1)
    assert not other.weights.equals(first.weights)
    random = first.sets["criterion"] == "random"
    assert not other.sets[random].equals(first.sets[random])
    assert other.sets[~random].equals(first.sets[~random])


def test_checks_of_a_run_are_those_of_its_profile_and_are_kept(
    run: Path, profiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = paramscope.verify(run)
    assert_same(checks, paramscope.verify(Profile.load(str(profiled))))
    assert not (run / "verify.unfinished").exists()
    assert read_verification(run) == checks.result
    assert Verification.model_validate_json((run / "verify.json").read_text()) == checks.result
    json.loads((run / "verify.json").read_text(), parse_constant=pytest.fail)
    monkeypatch.setattr("paramscope.causal.opening.load", without_model)
    again = paramscope.verify(run)
    assert again.result == checks.result
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(checks, name), check_exact=True)


def test_integrated_estimates_stand_beside_first_order(run: Path) -> None:
    checks = paramscope.verify(run, activation="integrated", steps=3)
    assert checks.weights["integrated"].notna().all()
    assert checks.result.fidelity_integrated
    assert checks.result.fidelity_integrated.count == checks.result.fidelity[0].count
    layers = checks.weights["layer"].max() + 1  # all alike: each is followed by itself and those behind it
    assert checks.result.integrated_cost == pytest.approx((1 + 7 * (layers + 1) / 2) / 3)
    assert paramscope.verify(run, activation="integrated", steps=3).result == checks.result


def test_tables_say_what_was_tried(run: Path) -> None:
    checks = paramscope.verify(run)
    sizes = checks.result.sizes
    assert len(checks.weights) == sizes["texts"] * sizes["cells"]
    assert set(checks.weights["domain"]) == {"a", "b"}
    keys = ["band", "share", "criterion", "chosen_for", "draw"]
    assert (checks.sets.groupby(keys).size() == 2 * sizes["held_out"]).all()
    # Per band: magnitude and random, and activation and ratio for each of two domains.
    assert len(checks.sets.groupby(keys)) == 3 * (2 + 2 * 2)
    assert np.isfinite(checks.sets["damage"]).all()
    kinds = checks.parts.drop_duplicates(["kind", "layer", "name"])["kind"].value_counts().to_dict()
    assert kinds == sizes["parts"]
    profile, layers = Profile.load(str(run)), sorted(checks.weights["layer"].unique())
    bands = [band for band, members in thirds(profile.layers).items() if set(members) & set(layers)]
    assert [each.where for each in checks.result.fidelity] == [None, *bands, *layers]
    assert {each.criterion for each in checks.result.matrices} == {"activation", "ratio", "random", "magnitude"}
    for matrix in checks.result.matrices:
        if matrix.criterion not in ("magnitude", "random"):
            rows = checks.sets.query(f"band == '{matrix.band}' and criterion == '{matrix.criterion}'")
            means = rows.groupby(["chosen_for", "domain"])["damage"].mean().unstack()
            np.testing.assert_allclose(np.array(matrix.damage, dtype=float), means)


@pytest.mark.parametrize(
    ("stage", "finished"),
    [("single weights", []), ("sets", ["weights"]), ("parts", ["sets-deep", "sets-middle", "sets-shallow", "weights"])],
)
def test_interrupted_checks_go_on_to_the_result_of_uninterrupted_ones(
    run: Path, profiled: Path, monkeypatch: pytest.MonkeyPatch, stage: str, finished: list[str]
) -> None:
    def stop(at: str, steps: int, total: int) -> None:
        if at == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.verify(run, progress=stop)
    unfinished = run / "verify.unfinished"
    assert sorted(path.stem for path in unfinished.glob("*.parquet")) == finished
    assert unfinished.exists() == bool(finished)
    assert not (run / "verify.json").exists()
    if finished:
        with pytest.raises(UsageError, match="seed: 0 there, 1 now"):
            paramscope.verify(run, seed=1)
    again: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        if "weights" in finished:
            patch.setattr("paramscope.verifying.check_singles", without_model)
        checks = paramscope.verify(run, progress=lambda at, *_: again.add(at))
    assert ("single weights" in again) == ("weights" not in finished)
    assert ("sets" in again) == ("sets-deep" not in finished)
    assert_same(checks, paramscope.verify(Profile.load(str(profiled))))
    assert not unfinished.exists()


def test_other_arguments_are_refused_and_named_unless_the_checks_are_to_be_replaced(run: Path) -> None:
    first = paramscope.verify(run, budget=10.0)
    with pytest.raises(UsageError, match=r"seed: 0 there, 1 now.*--overwrite"):
        paramscope.verify(run, budget=10.0, seed=1)
    with pytest.raises(UsageError, match=r"budget: 10\.0 there, 20\.0 now"):
        paramscope.verify(run, budget=20.0)
    assert read_verification(run) == first.result
    second = paramscope.verify(run, budget=10.0, seed=1, overwrite=True)
    assert second.result.arguments["seed"] == 1
    assert read_verification(run) == second.result
    assert paramscope.verify(run, budget=10.0, seed=1).result == second.result


def test_an_interrupted_overwrite_keeps_the_checks_that_are_there(run: Path) -> None:
    first = paramscope.verify(run)

    def stop(at: str, *_: int) -> None:
        if at == "parts":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.verify(run, seed=1, overwrite=True, progress=stop)
    assert read_verification(run) == first.result
    assert paramscope.verify(run).result == first.result
    # The same arguments again, without the flag, go on with what was interrupted.
    assert paramscope.verify(run, seed=1).result.arguments["seed"] == 1
    assert not (run / "verify.unfinished").exists()


def test_a_verified_run_can_be_profiled_anew(run: Path, tiny_model: Path) -> None:
    def stop(at: str, *_: int) -> None:
        if at == "parts":
            raise KeyboardInterrupt

    paramscope.verify(run)
    with pytest.raises(KeyboardInterrupt):
        paramscope.verify(run, seed=1, overwrite=True, progress=stop)
    assert (run / "verify.unfinished").exists()
    paramscope.profile(tiny_model, TEXTS, output=run, samples=3, held_out=4, overwrite=True)
    assert not list(run.glob("verify*"))
    assert paramscope.verify(run).result.verdicts


def test_checks_of_another_profile_are_not_taken_for_this_ones(run: Path, tiny_model: Path, tmp_path: Path) -> None:
    paramscope.verify(run)
    paramscope.profile(tiny_model, TEXTS, output=tmp_path / "other", samples=3, held_out=4)
    for path in run.glob("verify*"):
        shutil.copy(path, tmp_path / "other")
    with pytest.raises(UsageError, match="made of another run"):
        paramscope.verify(tmp_path / "other")


def test_another_process_on_the_same_run_is_named(run: Path) -> None:
    from paramscope.causal.store import Stages

    stages = Stages(run, {}, overwrite=False)
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="another paramscope verifies"):
            paramscope.verify(run, overwrite=overwrite)
    stages.close()
    assert not (run / "verify.unfinished").exists()
    paramscope.verify(run)


@pytest.mark.parametrize("content", ["{", '{"schema_version": 99}'])
def test_damaged_result_is_refused_and_can_be_replaced(run: Path, content: str) -> None:
    paramscope.verify(run)
    (run / "verify.json").write_text(content)
    with pytest.raises(UsageError, match=r"verify\.json is damaged or of another paramscope"):
        paramscope.verify(run)
    assert paramscope.verify(run, overwrite=True).result.verdicts


def test_damaged_stage_is_refused_and_can_be_replaced(run: Path) -> None:
    def stop(at: str, *_: int) -> None:
        if at == "parts":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.verify(run, progress=stop)
    (run / "verify.unfinished" / "weights.parquet").write_text("x")
    with pytest.raises(UsageError, match=r"weights\.parquet is damaged.*--overwrite"):
        paramscope.verify(run)
    (run / "verify.unfinished" / "identity.json").write_text("{")
    with pytest.raises(UsageError, match=r"identity\.json is damaged.*--overwrite"):
        paramscope.verify(run)
    assert paramscope.verify(run, overwrite=True).result.verdicts


def test_a_run_through_a_link_is_verified_where_it_lies(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    paramscope.verify(tmp_path / "link")
    assert (run / "verify.json").is_file()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0.0}, r"--budget 0\.0 is no time"),
        ({"budget": -1.0}, r"--budget -1\.0 is no time"),
        ({"budget": float("nan")}, "--budget nan is no time"),
        ({"seed": -1}, r"--seed -1 is out of range; give a whole number of at least 0"),
    ],
)
def test_arguments_out_of_range(profiled: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        paramscope.verify(profiled, **arguments)


def test_a_model_of_another_shape_is_refused(profiled: Path, tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    profile = Profile.load(str(profiled))
    for options in ({"layers": 3}, {"hidden": 16}):
        other = AutoModelForCausalLM.from_pretrained(save_tiny_model(tmp_path / str(options), **options))
        with pytest.raises(UsageError, match="is not the model of the run"):
            paramscope.verify(profile, other)
    own = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert_same(paramscope.verify(profile, own), paramscope.verify(profile))


def test_a_model_in_memory_must_be_given_and_be_the_same() -> None:
    model = made_model("llama")
    profile = paramscope.profile(model, {"a": random_ids([5, 6, 7, 8])}, samples=2, held_out=2)
    with pytest.raises(UsageError, match=r"made of a model in memory; give it"):
        paramscope.verify(profile)
    with pytest.raises(UsageError, match=r"is not the model of the run \(weights in memory differs\)"):
        paramscope.verify(profile, made_model("llama", seed=1))
    assert paramscope.verify(profile, model).result.verdicts


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("domains", [1, 2])
def test_one_domain_and_one_or_two_layers_are_enough(layers: int, domains: int) -> None:
    model = made_model("llama", num_hidden_layers=layers)
    given = {f"d{i}": random_ids([5, 9, 7, 8, 6, 4], seed=i) for i in range(domains)}
    profile = paramscope.profile(model, given, samples=3, held_out=3)
    checks = paramscope.verify(profile, model)
    claims = {verdict.claim for verdict in checks.result.verdicts}
    assert {"first-order-order", "first-order-size", "activation-beats-random"} <= claims
    assert any(claim.startswith("specific") for claim in claims) == (domains > 1)
    assert set(checks.sets["band"]) <= {"shallow", "middle", "deep"}
    assert set(checks.parts["layer"]) == set(range(layers))


@pytest.mark.parametrize("name", ["gpt2", "mixtral"])
def test_bfloat16_is_checked_in_float64_where_there_is_room(name: str) -> None:
    model = made_model(name, dtype=torch.bfloat16)
    given = {"a": random_ids([5, 9, 7, 8, 6, 4]), "b": random_ids([5, 9, 7, 8, 6, 4], seed=1)}
    profile = paramscope.profile(model, given, samples=3, held_out=3)
    checks = paramscope.verify(profile, model)
    assert checks.result.singles_dtype == "float64"
    assert np.isfinite(checks.sets["damage"]).all()
    assert checks.result.verdicts


@pytest.mark.parametrize("objective", ["target-logprob", "mean-logprob", "logit-difference"])
def test_other_objectives(tiny_model: Path, objective: str) -> None:
    from paramscope import DomainSpec

    more: dict[str, dict[str, Any]] = {
        "target-logprob": {"target": "w1 w2"},
        "logit-difference": {"target": "w1", "foil": "w2"},
    }
    specs = {name: DomainSpec(name, texts, **more.get(objective, {})) for name, texts in TEXTS.items()}
    profile = paramscope.profile(tiny_model, specs, samples=3, held_out=3, objective=objective)
    checks = paramscope.verify(profile)
    assert checks.result.fidelity_free is None
    assert checks.weights["change"].equals(checks.weights["change_free"])
    assert checks.result.fidelity[0].count > 0


def test_very_few_held_out_texts_are_enough_or_named(resize: Resize, tiny_model: Path) -> None:
    profile = paramscope.profile(tiny_model, TEXTS, samples=6, held_out=2)
    checks = paramscope.verify(profile)
    assert checks.result.sizes["held_out"] == 2
    for held_out in (0, 1):
        profile = paramscope.profile(tiny_model, TEXTS, samples=6, held_out=held_out)
        with pytest.raises(UsageError, match=f"domain 'a' has {held_out} held-out samples.*at least 2 are needed"):
            paramscope.verify(profile)


def test_texts_of_one_token_tell_no_likelihood(tiny_model: Path) -> None:
    from paramscope.causal.texts import held_out_samples

    given = {"a": [[5], [6], [7, 8], [9, 10, 11], [12], [13, 14]]}
    profile = paramscope.profile(tiny_model, given, samples=1, held_out=5)
    kept = held_out_samples(profile)["a"]
    assert all(len(sample.token_ids) > 1 for sample in kept)
    assert len(kept) == sum(len(ids) > 1 for ids in profile.tables.held_out["token_ids"])
    assert paramscope.verify(profile).result.verdicts
