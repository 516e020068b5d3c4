"""The pass that prunes, against the naive one; and the folder that it leaves."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

import paramscope
from paramscope.actions.pruning.prune import even_batches
from paramscope.domains import Sample, Text
from paramscope.models.blocks import find_structure
from paramscope.result.pruned import STATEMENT, Pruned, read_pruned
from tests.actions.naive import input_squares, naive_wanda
from tests.engine.architectures import ARCHITECTURES, random_ids, tiny_model
from tests.engine.test_streaming import saved

TEXTS = random_ids([9, 5, 9, 12, 5, 9])
DOMAIN = {"texts": TEXTS}
NAIVE = ["llama", "gpt2", "opt", "mixtral", "qwen3-moe", "mamba"]


def pruned(model: nn.Module, **settings: Any) -> tuple[nn.Module, Pruned]:
    """A pruned copy."""
    copied = copy.deepcopy(model)
    options = {"domain": DOMAIN} | settings
    return copied, paramscope.prune(copied, in_place=True, **options)


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def linear_weights(model: nn.Module) -> list[dict[str, torch.Tensor]]:
    return [{w.name: w.matrices.clone() for w in block.weights} for block in find_structure(model).blocks]


@pytest.mark.parametrize("name", NAIVE)
def test_wanda_prunes_what_the_naive_one_does(name: str) -> None:
    model = tiny_model(name)
    expected = naive_wanda(model, TEXTS, 0.5)
    found, result = pruned(model, sparsity=0.5)
    assert_same(weights_of(found), weights_of(expected))
    assert all(module.zeros == module.weights / 2 for module in result.modules)
    changed = {name for name, tensor in weights_of(model).items() if not torch.equal(tensor, weights_of(found)[name])}
    layers = {f"{block.name}." for block in find_structure(model).blocks}
    assert changed
    assert all(any(name.startswith(layer) for layer in layers) for name in changed)


def test_the_naive_one_sees_what_pruned_blocks_give() -> None:
    """Else the test above could not fail where a block is scored on the dense model's inputs."""
    model = tiny_model("llama")
    expected = naive_wanda(model, TEXTS, 0.5)
    whole = copy.deepcopy(model)
    norms_of_dense = naive_wanda(whole, TEXTS, 0.0)
    assert_same(weights_of(norms_of_dense), weights_of(model))
    again = naive_wanda(expected, TEXTS, 0.5)
    assert_same(weights_of(again), weights_of(expected))
    blocks = find_structure(model).blocks
    dense = input_squares(model, blocks[1].module, TEXTS)
    sparse = input_squares(expected, find_structure(expected).blocks[1].module, TEXTS)
    assert not torch.allclose(dense["mlp.up_proj.weight"], sparse["mlp.up_proj.weight"], rtol=1e-2)


@pytest.mark.parametrize("score", ["wanda", "magnitude", "activation"])
@pytest.mark.parametrize("pattern", ["2:4", "4:8"])
def test_patterns_are_exact_in_every_group(score: str, pattern: str) -> None:
    domain = None if score == "magnitude" else DOMAIN
    found, result = pruned(tiny_model("llama"), pattern=pattern, score=score, domain=domain)
    kept, groups = (int(part) for part in pattern.split(":"))
    for layer in linear_weights(found):
        for matrices in layer.values():
            assert ((matrices != 0).reshape(-1, groups).sum(1) == kept).all()
    assert (result.sparsity, result.compared) == (0.5, "pattern")


def test_patterns_go_along_the_inputs_of_stacks_and_transposed_weights() -> None:
    for name in ("mixtral", "gpt2", "gpt-oss"):
        found, _ = pruned(tiny_model(name), pattern="2:4")
        for layer in linear_weights(found):
            for matrices in layer.values():
                assert ((matrices != 0).reshape(-1, 4).sum(1) == 2).all()


@pytest.mark.parametrize("score", ["wanda", "magnitude", "activation"])
@pytest.mark.parametrize("sparsity", [0.3, 0.777])
def test_zeros_are_exact(score: str, sparsity: float) -> None:
    domain = None if score == "magnitude" else DOMAIN
    found, result = pruned(tiny_model("qwen3-moe"), sparsity=sparsity, score=score, domain=domain)
    layers = linear_weights(found)
    total = sum(matrices.numel() for layer in layers for matrices in layer.values())
    zeros = sum(int((matrices == 0).sum()) for layer in layers for matrices in layer.values())
    assert zeros == round(sparsity * total) == sum(module.zeros for module in result.modules)
    for module in result.modules:
        assert module.zeros == int((layers[module.layer][module.module] == 0).sum())
        if score != "magnitude":
            in_rows = (layers[module.layer][module.module] == 0).sum(-1)
            assert in_rows.max() - in_rows.min() <= 1


def test_magnitude_takes_the_smallest_of_each_module() -> None:
    model = tiny_model("llama")
    found, _ = pruned(model, sparsity=0.4, score="magnitude", domain=None)
    for before, after in zip(linear_weights(model), linear_weights(found), strict=True):
        for name, matrices in before.items():
            gone = after[name] == 0
            assert matrices[gone].abs().max() <= matrices[~gone].abs().min()
            assert torch.equal(after[name][~gone], matrices[~gone])


def test_activation_takes_the_smallest_of_each_row_by_plain_autograd() -> None:
    model = tiny_model("llama")
    means: dict[str, Any] = {}
    for text in TEXTS:
        model.zero_grad()
        last = model(input_ids=torch.tensor([text])).logits[0, -1]
        last[last.argmax()].backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                means[name] = means.get(name, 0) + (parameter * parameter.grad).detach().abs() / len(TEXTS)
    found, _ = pruned(model, sparsity=0.5, score="activation")
    for block in find_structure(found).blocks:
        for weight in block.weights:
            scores = means[f"{block.name}.{weight.name}.weight"]
            for row, kept in zip(scores, weight.parameter != 0, strict=True):
                assert row[~kept].max() <= row[kept].min()


@pytest.mark.parametrize("name", ["llama", "mixtral", "gemma3n", "mamba"])
@pytest.mark.parametrize("score", ["wanda", "activation"])
def test_batch_size_changes_no_mask(name: str, score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model(name)
    together, _ = pruned(model, sparsity=0.5, score=score)
    monkeypatch.setattr("paramscope.actions.pruning.work.even_batches", lambda samples: even_batches(samples, tokens=1))
    monkeypatch.setattr("paramscope.engine.layout.TOKENS_PER_BATCH", 1)
    alone, _ = pruned(model, sparsity=0.5, score=score)
    assert_same(weights_of(alone), weights_of(together))


def test_micro_batches_hold_no_padding() -> None:
    samples = [Sample(Text(""), tuple(ids)) for ids in TEXTS]
    batches = even_batches(samples, tokens=20)
    assert [[len(r.input_ids) for r in batch.readings] for batch in batches] == [[5, 5], [9, 9], [9], [12]]
    assert [batch.start for batch in batches] == [0, 2, 4, 5]
    assert sorted(r.input_ids for batch in batches for r in batch.readings) == sorted(map(tuple, TEXTS))


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in NAIVE][::4])
def test_other_architectures_are_pruned_too(name: str) -> None:
    model = tiny_model(name)
    found, result = pruned(model, sparsity=0.5)
    assert result.sparsity == pytest.approx(0.5, abs=1e-3)
    for before, after in zip(linear_weights(model), linear_weights(found), strict=True):
        assert before.keys() == after.keys()
        for weight, matrices in after.items():
            assert bool(((matrices == 0) | (matrices == before[weight])).all())


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "mamba"])
def test_the_folder_opens_with_plain_transformers_as_dense_weights_times_masks(tmp_path: Path, name: str) -> None:
    folder = saved(tmp_path / "model", name)
    result = paramscope.prune(folder, output=tmp_path / "out", sparsity=0.5, domain=DOMAIN)
    dense = transformers.AutoModelForCausalLM.from_pretrained(folder)
    found = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    before, after = weights_of(dense), weights_of(found)
    expected, _ = pruned(dense, sparsity=0.5)
    assert_same(after, weights_of(expected))
    assert all(bool(((after[key] == 0) | (after[key] == value)).all()) for key, value in before.items())
    layers = linear_weights(found)
    for module in result.modules:
        assert module.zeros == int((layers[module.layer][module.module] == 0).sum())
    assert read_pruned(tmp_path / "out") == result
    assert result.statement == STATEMENT
    assert set(result.output_files) == {p.name for p in (tmp_path / "out").iterdir()} - {"prune.json"}
    transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


@pytest.mark.parametrize("name", ["llama", "mixtral", "gpt2", "gemma3n", "mamba", "deepseek-v3"])
@pytest.mark.parametrize("score", ["wanda", "activation"])
def test_weights_on_the_disk_give_the_same_bits(tmp_path: Path, name: str, score: str) -> None:
    folder = saved(tmp_path / "model", name, shard="20KB")
    settings: dict[str, Any] = {"domain": DOMAIN, "sparsity": 0.6, "score": score}
    resident = paramscope.prune(folder, output=tmp_path / "resident", weights="resident", **settings)
    streamed = paramscope.prune(folder, output=tmp_path / "streamed", weights="streamed", **settings)
    assert (resident.weights, streamed.weights) == ("resident", "streamed")
    assert streamed.modules == resident.modules
    one, two = (
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / place) for place in ("resident", "streamed")
    )
    assert one.dtype == two.dtype
    assert_same(weights_of(two), weights_of(one))


@pytest.mark.parametrize("residency", ["resident", "streamed"])
def test_weights_keep_their_own_type(tmp_path: Path, residency: str) -> None:
    folder = saved(tmp_path / "model", "llama")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).bfloat16()
    model.save_pretrained(folder)
    result = paramscope.prune(folder, output=tmp_path / "out", sparsity=0.5, domain=DOMAIN, weights=residency)
    found = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert (result.computed_in, result.dtype, found.dtype) == ("float32", "bfloat16", torch.bfloat16)
    before, after = weights_of(model), weights_of(found)
    assert all(bool(((after[key] == 0) | (after[key] == value)).all()) for key, value in before.items())


def test_a_narrower_type_is_told(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama")
    result = paramscope.prune(folder, output=tmp_path / "out", sparsity=0.5, score="magnitude", dtype="bfloat16")
    assert result.dtype == "bfloat16"
    assert any("rounded to bfloat16" in warning for warning in result.warnings)


@pytest.mark.parametrize("score", ["wanda", "magnitude", "activation"])
@pytest.mark.parametrize("residency", ["resident", "streamed"])
def test_a_resumed_call_gives_what_an_uninterrupted_one_does(tmp_path: Path, score: str, residency: str) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=4)
    settings: dict[str, Any] = {
        "domain": None if score == "magnitude" else DOMAIN,
        "sparsity": 0.45,
        "score": score,
        "weights": residency,
    }
    paramscope.prune(folder, output=tmp_path / "whole", **settings)
    left = [2]

    def interrupt(stage: str, steps: int, total: int) -> None:
        left[0] -= stage == "pruning"
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.prune(folder, output=tmp_path / "out", progress=interrupt, **settings)
    assert not (tmp_path / "out").exists()
    with pytest.raises(paramscope.UsageError, match="holds an unfinished run; resume finishes it"):
        paramscope.prune(folder, output=tmp_path / "out", **settings)
    with pytest.raises(paramscope.UsageError, match=r"other arguments \(sparsity: 0\.45 there, 0\.5 now\)"):
        paramscope.prune(folder, output=tmp_path / "out", resume=True, **(settings | {"sparsity": 0.5}))
    told: list[str] = []
    resumed = paramscope.prune(
        folder, output=tmp_path / "out", resume=True, progress=lambda stage, *_: told.append(stage), **settings
    )
    assert (resumed.layers_resumed, told) == (2, ["pruning"] * 4)
    one, two = (transformers.AutoModelForCausalLM.from_pretrained(tmp_path / place) for place in ("whole", "out"))
    assert_same(weights_of(two), weights_of(one))
    # A finished one is read, whatever is asked for again, and nothing else is mixed with it.
    assert paramscope.prune(folder, output=tmp_path / "out", resume=True, **settings) == resumed
    with pytest.raises(paramscope.UsageError, match="other arguments"):
        paramscope.prune(folder, output=tmp_path / "out", resume=True, **(settings | {"sparsity": 0.5}))


def test_the_same_seed_gives_the_same_result_and_another_one_other_texts(tmp_path: Path) -> None:
    model = tiny_model("llama")
    one, first = pruned(model, sparsity=0.5, samples=3, seed=1)
    two, second = pruned(model, sparsity=0.5, samples=3, seed=1)
    _, third = pruned(model, sparsity=0.5, samples=3, seed=2)
    assert_same(weights_of(one), weights_of(two))
    assert first.calibration
    assert first.calibration == second.calibration != third.calibration
    assert (first.calibration.samples, len(set(first.calibration.sha256))) == (3, 3)


def test_a_loaded_model_is_left_alone_unless_that_is_asked_for(tmp_path: Path) -> None:
    model = tiny_model("llama", dtype=torch.float32)
    before = weights_of(model)
    with pytest.raises(
        paramscope.UsageError, match="no folder for the pruned model is given; give output, or in_place"
    ):
        paramscope.prune(model, sparsity=0.5, domain=DOMAIN)
    result = paramscope.prune(model, output=tmp_path / "out", sparsity=0.5, domain=DOMAIN)
    assert_same(weights_of(model), before)
    found = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    inside, same = pruned(model, sparsity=0.5)
    assert_same(weights_of(found), weights_of(inside))
    assert result.modules == same.modules
    assert inside.training == model.training
    assert {name: p.requires_grad for name, p in inside.named_parameters()} == {
        name: p.requires_grad for name, p in model.named_parameters()
    }


def test_experts_that_no_token_reached_are_told() -> None:
    model = tiny_model("mixtral")
    _, result = pruned(model, sparsity=0.5, domain={"texts": [[5]]})
    missed = [module.unreached for module in result.modules if "experts" in module.module]
    assert missed == [2] * 4  # of four experts, the token goes to two
    assert any("no calibration token reached 8 weights of expert stacks" in warning for warning in result.warnings)
    assert all(module.zeros == module.weights / 2 for module in result.modules)


def profiled(folder: Path, model: Path) -> Path:
    paramscope.profile(model, {"a": TEXTS[:3], "b": TEXTS[3:]}, output=folder, held_out=0)
    return folder


@pytest.mark.parametrize("allocation", ["paper", "owl", "histogram"])
def test_allocations_differ_by_layer_and_have_the_exact_mean(tmp_path: Path, allocation: str) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=5)
    run = profiled(tmp_path / "run", folder) if allocation != "owl" else None
    result = paramscope.prune(
        folder, output=tmp_path / "out", sparsity=0.5, domain=DOMAIN, allocation=allocation, run=run
    )
    weights = sum(module.weights for module in result.modules)
    assert sum(module.zeros for module in result.modules) == round(0.5 * weights)
    assert np.ptp(result.allocation.wanted) > 0.01
    for layer, wanted in enumerate(result.allocation.wanted):
        size = sum(module.weights for module in result.modules if module.layer == layer)
        assert abs(result.layer_sparsity(layer) - wanted) <= 1 / size
    if allocation == "owl":
        assert len(result.allocation.basis or []) == 5
    else:
        assert result.allocation.run_sha256


def test_the_papers_densities_are_the_runs(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=3)
    run = profiled(tmp_path / "run", folder)
    profile = paramscope.Profile.load(run)
    result = paramscope.prune(
        folder, output=tmp_path / "out", sparsity=0.5, score="magnitude", allocation="paper", run=run
    )
    assert result.allocation.basis
    np.testing.assert_allclose(result.allocation.basis, profile.density().mean(axis=1))
    assert result.allocation.constants["threshold"] == profile.threshold


def test_owl_resumes_with_what_it_found_of_the_dense_model(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama", num_hidden_layers=4)
    settings: dict[str, Any] = {"domain": DOMAIN, "sparsity": 0.5, "allocation": "owl", "output": tmp_path / "out"}
    seen: list[str] = []

    def interrupt(stage: str, steps: int, total: int) -> None:
        seen.append(stage)
        if seen.count("pruning") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.prune(folder, progress=interrupt, **settings)
    again: list[str] = []
    result = paramscope.prune(folder, resume=True, progress=lambda stage, *_: again.append(stage), **settings)
    assert (seen.count("outliers"), again.count("outliers"), again.count("pruning")) == (4, 0, 4)
    whole = paramscope.prune(folder, **(settings | {"output": tmp_path / "whole"}))
    assert result.allocation == whole.allocation
    assert result.modules == whole.modules


def test_a_list_is_followed(tmp_path: Path) -> None:
    model = tiny_model("llama", num_hidden_layers=2)
    _, result = pruned(model, allocation=[0.25, 0.75])
    assert [result.layer_sparsity(layer) for layer in (0, 1)] == [0.25, 0.75]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"0": 0.25, "1": 0.75}))
    _, same = pruned(model, allocation=path, sparsity=0.5)
    assert same.modules == result.modules
    _, single = pruned(model, allocation=(0.5, 0.5))
    assert single.sparsity == 0.5


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sparsity": 0}, "sparsity 0 is out of range"),
    ({"sparsity": 1}, "sparsity 1 is out of range"),
    ({"sparsity": 1.2}, r"sparsity 1\.2 is out of range"),
    ({"sparsity": float("nan")}, "sparsity nan is out of range"),
    ({"sparsity": True}, "sparsity True is out of range"),
    ({}, r"no sparsity is given; give sparsity such as 0\.5, or pattern 2:4"),
    ({"sparsity": 0.5, "pattern": "2:4"}, "sparsity and pattern are both given"),
    ({"pattern": "1:3"}, "pattern '1:3' is unknown; give 2:4 or 4:8"),
    ({"pattern": "2:4", "allocation": "owl"}, "makes every layer equally sparse"),
    ({"pattern": "2:4", "allocation": [0.5, 0.5]}, "makes every layer equally sparse"),
    ({"sparsity": 0.5, "score": "wonda"}, "score 'wonda' is unknown; give one of wanda"),
    ({"sparsity": 0.5, "allocation": "paper"}, "reads a profile of this model and none is given; give run"),
    ({"sparsity": 0.5, "allocation": "papier"}, r"is no rule and no file \(did you mean 'paper'\?\)"),
    ({"sparsity": 0.5, "run": "somewhere"}, "run is for allocation paper or histogram"),
    (
        {"sparsity": 0.5, "domain": None},
        "score wanda reads calibration texts and none are given; give domain NAME=SOURCE",
    ),
    ({"sparsity": 0.5, "score": "magnitude"}, "magnitude reads no calibration texts"),
    (
        {"sparsity": 0.5, "score": "magnitude", "allocation": "owl", "domain": None},
        "allocation owl reads calibration texts",
    ),
    ({"allocation": {"0": 0.5, "9": 0.5}}, "layer '9' is unknown; the model's 2 layers are 0 to 1"),
    ({"allocation": [0.5]}, "has 1 sparsities, the model 2 layers"),
    ({"allocation": [0.4, 0.4], "sparsity": 0.5}, r"the mean over the weights is 0\.4, sparsity says 0\.5"),
    ({"sparsity": 0.5, "sample": 3}, r"sample is no setting of prune \(did you mean 'samples'\?\)"),
    ({"sparsity": 0.5, "samples": 0}, "samples 0 is out of range"),
    ({"sparsity": 0.5, "dtype": "float32"}, "a loaded model is taken as it is"),
    ({"sparsity": 0.5, "domain": {"a": TEXTS, "b": TEXTS}}, "no mapping with one entry"),
    ({"sparsity": 0.5, "domain": {"a": [[5, 4000]]}}, "beyond the model's vocabulary"),
    ({"sparsity": 0.5, "recipe": "no/such/folder/r.yaml"}, "cannot be written"),
    ({"sparsity": 0.5, "resume": True}, "resume and overwrite are for an output"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_before_the_model_is_touched(given: dict[str, Any], message: str) -> None:
    model = tiny_model("llama", num_hidden_layers=2)
    before = weights_of(model)
    options = {"domain": DOMAIN} | given
    with pytest.raises(paramscope.UsageError, match=message):
        paramscope.prune(model, in_place=True, **options)
    assert_same(weights_of(model), before)


def test_inputs_that_the_pattern_does_not_fit_are_refused_by_name() -> None:
    model = tiny_model("llama", intermediate_size=22)
    with pytest.raises(
        paramscope.UsageError, match=r"model\.layers\.0\.mlp\.down_proj has 22 inputs, which is no multi"
    ):
        paramscope.prune(model, in_place=True, pattern="2:4", domain=DOMAIN)


def test_blocks_that_share_weights_are_refused() -> None:
    model = tiny_model("llama", num_hidden_layers=2)
    model.model.layers[1].mlp.up_proj.weight = model.model.layers[0].mlp.up_proj.weight
    with pytest.raises(paramscope.UsageError, match=r"layers\.1\.mlp\.up_proj is the same weight as model\.layers\.0"):
        paramscope.prune(model, in_place=True, sparsity=0.5, domain=DOMAIN)


def test_a_model_that_divides_its_own_weights_is_refused() -> None:
    assert pruned(tiny_model("rwkv"), sparsity=0.5)[1].sparsity == pytest.approx(0.5, abs=1e-3)
    deep = tiny_model("rwkv", rescale_every=1)
    with pytest.raises(paramscope.UsageError, match=r"rescales its own weights as it runs \(rescale_every 1\)"):
        paramscope.prune(deep, in_place=True, sparsity=0.5, domain=DOMAIN)


def test_a_run_of_another_model_is_refused(tmp_path: Path) -> None:
    folder, other = saved(tmp_path / "model", "llama"), saved(tmp_path / "other", "llama", num_hidden_layers=2)
    run = profiled(tmp_path / "run", other)
    with pytest.raises(paramscope.UsageError, match="run is of another model"):
        paramscope.prune(folder, output=tmp_path / "out", sparsity=0.5, score="magnitude", allocation="paper", run=run)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama")
    settings: dict[str, Any] = {"sparsity": 0.5, "score": "magnitude"}
    with pytest.raises(paramscope.UsageError, match="holds files but no pruned model"):
        paramscope.prune(folder, output=folder, overwrite=True, **settings)
    out = tmp_path / "out"
    paramscope.prune(folder, output=out, **settings)
    with pytest.raises(paramscope.UsageError, match="holds a pruned model; overwrite replaces it"):
        paramscope.prune(folder, output=out, **settings)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(paramscope.UsageError, match=r"holds notes\.txt, which was not written with the pruned model"):
        paramscope.prune(folder, output=out, overwrite=True, **settings)
    (out / "notes.txt").unlink()
    again = paramscope.prune(folder, output=out, overwrite=True, **(settings | {"sparsity": 0.25}))
    assert again.sparsity == pytest.approx(0.25, abs=1e-3)


def test_too_little_memory_is_told_before_the_weights_are_read(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama")
    with pytest.raises(paramscope.UsageError, match="max_memory 1 MiB is too little: about"):
        paramscope.prune(folder, output=tmp_path / "out", sparsity=0.5, score="magnitude", max_memory=1 << 20)


def test_damaged_masks_and_manifests_are_told(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", "llama")
    settings: dict[str, Any] = {"sparsity": 0.5, "score": "magnitude", "output": tmp_path / "out"}
    left = [2]

    def interrupt(*_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.prune(folder, progress=interrupt, **settings)
    (tmp_path / "out.unfinished" / "layer-0000.safetensors").write_bytes(b"no masks")
    with pytest.raises(paramscope.UsageError, match=r"layer-0000\.safetensors is damaged"):
        paramscope.prune(folder, resume=True, **settings)
    paramscope.prune(folder, overwrite=True, **settings)
    (tmp_path / "out" / "prune.json").write_text("{}")
    with pytest.raises(paramscope.UsageError, match=r"prune\.json is damaged or of another paramscope"):
        paramscope.prune(folder, resume=True, **settings)
