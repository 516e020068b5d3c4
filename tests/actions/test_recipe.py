"""An allocation as llm-compressor reads it: loaded there and applied."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import paramscope
from tests.engine.architectures import random_ids, tiny_model

TEXTS = random_ids([8] * 6)
WANTED = [0.25, 0.5, 0.75]


def written(tmp_path: Path, model: Any, **settings: Any) -> tuple[Path, paramscope.pruning.Pruned]:
    path = tmp_path / "recipe.yaml"
    options = {"allocation": WANTED} | settings
    result = paramscope.prune(copy.deepcopy(model), in_place=True, domain={"texts": TEXTS}, recipe=path, **options)
    return path, result


def test_the_recipe_lists_every_layer_and_says_what_sparsity_is_not(tmp_path: Path) -> None:
    path, result = written(tmp_path, tiny_model("llama"))
    (stage,) = yaml.safe_load(path.read_text()).values()
    assert stage["pruning_modifiers"]["WandaPruningModifier"] == {
        "sparsity": WANTED,
        "mask_structure": "0:0",
        "targets": ["model.layers.0", "model.layers.1", "model.layers.2"],
    }
    assert f"# {result.statement}" in path.read_text()


def test_a_pattern_is_named(tmp_path: Path) -> None:
    path, _ = written(tmp_path, tiny_model("llama"), pattern="2:4", allocation="uniform")
    (stage,) = yaml.safe_load(path.read_text()).values()
    modifier = stage["pruning_modifiers"]["WandaPruningModifier"]
    assert (modifier["mask_structure"], modifier["sparsity"]) == ("2:4", [0.5] * 3)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("llama", {"score": "activation"}, "recipe is for score wanda"),
        (
            "gpt2",
            {},
            r"transformer\.h\.0\.attn\.c_attn is held by Conv1D, and llm-compressor prunes linear modules only",
        ),
        ("mixtral", {"allocation": [0.5, 0.5]}, r"mlp\.gate is held by MixtralTopKRouter"),
    ],
)
def test_what_llm_compressor_would_do_otherwise_is_refused(
    tmp_path: Path, name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(paramscope.UsageError, match=message):
        written(tmp_path, tiny_model(name), **settings)
    assert not (tmp_path / "recipe.yaml").exists()


@pytest.mark.filterwarnings("ignore")  # llm-compressor's own
def test_llm_compressor_applies_it_layer_by_layer(tmp_path: Path) -> None:
    try:
        from llmcompressor.core import State
        from llmcompressor.recipe import Recipe
    except ImportError as error:
        pytest.skip(f"llm-compressor cannot be imported here ({error})")
    model = tiny_model("llama", dtype=torch.float32)
    path, result = written(tmp_path, model)
    (modifier,) = Recipe.create_instance(str(path)).modifiers
    state = State(model=model)
    modifier.on_initialize(state)
    modifier.on_calibration_start(state, None)
    with torch.no_grad():
        for layer in range(len(WANTED)):  # block by block: what was pruned is run again for the next
            for module in list(modifier._num_samples):
                if f".layers.{layer}." not in f".{modifier._module_names[module]}":
                    del modifier._num_samples[module], modifier._row_scalars[module]
            for text in TEXTS:
                model(input_ids=torch.tensor([text]))
            for module in list(modifier._num_samples):
                if f".layers.{layer}." not in f".{modifier._module_names[module]}":
                    del modifier._num_samples[module], modifier._row_scalars[module]
            modifier.compress_modules()
    modifier.on_calibration_end(state, None)
    for layer, (block, wanted) in enumerate(zip(model.model.layers, WANTED, strict=True)):
        weights = [p for p in block.parameters() if p.dim() == 2]
        found = sum(int((p == 0).sum()) for p in weights) / sum(p.numel() for p in weights)
        assert found == wanted == result.layer_sparsity(layer)
    # And the same weights are gone: both are Wanda.
    ours = copy.deepcopy(tiny_model("llama", dtype=torch.float32))
    paramscope.prune(ours, in_place=True, domain={"texts": TEXTS}, allocation=WANTED)
    for name, parameter in ours.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter), name
