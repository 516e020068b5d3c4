"""An allocation as llm-compressor reads it: loaded there and applied."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

import paramscope
from paramscope.result.pruned import Pruned
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.test_streaming import saved

TEXTS = random_ids([8] * 6)
WANTED = [0.25, 0.5, 0.75]


def written(tmp_path: Path, model: Any, **settings: Any) -> tuple[Path, Pruned]:
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
        from llmcompressor import oneshot
    except ImportError as error:
        pytest.skip(f"llm-compressor cannot be imported here ({error}); pip install 'paramscope[recipes]'")
    folder = saved(tmp_path / "model", "llama")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = "</s>"
    ours = AutoModelForCausalLM.from_pretrained(folder)
    path = tmp_path / "recipe.yaml"
    result = paramscope.prune(ours, in_place=True, domain={"texts": TEXTS}, allocation=WANTED, recipe=path)
    theirs = oneshot(
        model=str(folder),
        processor=tokenizer,
        recipe=str(path),
        dataset=Dataset.from_dict({"input_ids": TEXTS, "attention_mask": [[1] * 8] * len(TEXTS)}),
        max_seq_length=8,
        num_calibration_samples=len(TEXTS),
        pipeline="sequential",
    )
    for layer, (block, wanted) in enumerate(zip(theirs.model.layers, WANTED, strict=True)):
        weights = [p for p in block.parameters() if p.dim() == 2]
        found = sum(int((p == 0).sum()) for p in weights) / sum(p.numel() for p in weights)
        assert found == wanted == result.layer_sparsity(layer)
    # And the same weights are gone: both are Wanda.
    for name, parameter in ours.named_parameters():
        assert torch.equal(theirs.get_parameter(name), parameter), name
