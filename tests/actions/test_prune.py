"""The pass that prunes, against the naive one; and the folder that it leaves."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import paramscope
from paramscope.actions.pruning.prune import even_batches
from paramscope.domains import Sample, Text
from paramscope.models.blocks import find_structure
from paramscope.result.pruned import STATEMENT, read_pruned
from tests.actions.naive import input_squares, naive_wanda
from tests.actions.pruned import DOMAIN, NAIVE, TEXTS, assert_same, linear_weights, pruned, weights_of
from tests.engine.architectures import ARCHITECTURES, tiny_model
from tests.engine.test_streaming import saved


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
