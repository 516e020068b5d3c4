"""Exports say exactly what the plan says: read again, and wrong ones are caught."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import paramscope
from paramscope import RunError, UsageError
from paramscope.actions.tuning.adapters import AdapterPlan, find_modules, plan_adapters
from paramscope.actions.tuning.exports import (
    AXOLOTL_FILE,
    FILES,
    LIST_FILE,
    PEFT_FILE,
    check_axolotl,
    check_folder,
    check_list,
    check_peft,
    write_exports,
)
from paramscope.actions.tuning.layers import Choice
from tests.engine.architectures import random_ids, tiny_model

LAYERS = 13


def planned(name: str = "llama", layers: tuple[int, ...] = (1, 12), **options: Any) -> tuple[AdapterPlan, Any]:
    """A plan of unequal ranks in a model with two digits of layers."""
    deep = options or {"gpt2": {"n_layer": LAYERS}}.get(name, {"num_hidden_layers": LAYERS})
    model = tiny_model(name, **deep)
    profile = paramscope.profile(model, {"a": random_ids([6])})
    modules = find_modules(profile, model)
    least = sum(module.cost for module in modules.of(layers))
    choice = Choice("given", layers, (), "")
    return plan_adapters(choice, modules, 2 * least + min(m.cost for m in modules.able)), model


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "gemma2"])
def test_exports_loaded_again_match_the_plan(name: str, tmp_path: Path) -> None:
    layers = (0, 1) if name in ("mixtral", "gemma2") else (1, 12)
    plan, model = planned(name, layers, **({"num_hidden_layers": 2} if name in ("mixtral", "gemma2") else {}))
    assert len(set(plan.ranks.values())) == 2
    assert [path.name for path in write_exports(plan, model, tmp_path / "new" / "plan")] == list(FILES)
    again = (tmp_path / "new" / "plan" / PEFT_FILE).read_bytes()
    write_exports(plan, model, tmp_path / "new" / "plan")
    assert (tmp_path / "new" / "plan" / PEFT_FILE).read_bytes() == again


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers for it
def test_peft_itself_trains_what_the_plan_says(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    plan, model = planned()
    write_exports(plan, model, tmp_path)
    config = LoraConfig.from_pretrained(str(tmp_path))
    tuned = get_peft_model(model, config)
    assert tuned.get_nb_trainable_parameters()[0] == plan.parameters
    trained = {
        n.partition(".lora_")[0].removeprefix("base_model.model.")
        for n, p in tuned.named_parameters()
        if p.requires_grad
    }
    assert trained == set(plan.ranks)


@pytest.fixture
def exported(tmp_path: Path) -> tuple[AdapterPlan, Any, Path]:
    plan, model = planned()
    write_exports(plan, model, tmp_path)
    return plan, model, tmp_path


def changed(folder: Path, **values: Any) -> None:
    document = json.loads((folder / PEFT_FILE).read_text())
    (folder / PEFT_FILE).write_text(json.dumps(document | values))


def test_a_module_that_peft_would_drop_silently_is_caught(exported: tuple[AdapterPlan, Any, Path]) -> None:
    plan, model, folder = exported
    targets = list(plan.ranks)
    changed(folder, target_modules=[targets[0].replace("q_proj", "query"), *targets[1:]])
    with pytest.raises(RunError, match=rf"PEFT adapts {re.escape(targets[0])} as nothing, the plan has \("):
        check_peft(plan, model, folder)


def test_a_pattern_of_layer_1_that_layer_11_matches_too_is_caught(exported: tuple[AdapterPlan, Any, Path]) -> None:
    _, model, folder = exported
    plan, _ = planned(layers=(1, 11))
    (name,) = [name for name, rank in plan.ranks.items() if rank == 3]
    assert ".1." in name or ".11." in name
    write_exports(plan, model, folder)
    end = name.rpartition("1.")[2]
    changed(folder, rank_pattern={rf".*1\.{re.escape(end)}": 3})
    with pytest.raises(RunError, match="does not say what the plan says"):
        check_peft(plan, model, folder)


def test_a_short_name_that_all_layers_match_is_caught(exported: tuple[AdapterPlan, Any, Path]) -> None:
    plan, model, folder = exported
    changed(folder, target_modules=["q_proj"])
    with pytest.raises(RunError, match=r"and [0-9]+ names more"):
        check_peft(plan, model, folder)


def test_another_alpha_is_caught(exported: tuple[AdapterPlan, Any, Path]) -> None:
    plan, model, folder = exported
    changed(folder, lora_alpha=1)
    with pytest.raises(RunError, match="does not say what the plan says"):
        check_peft(plan, model, folder)


def test_a_configuration_that_peft_does_not_take_is_caught(exported: tuple[AdapterPlan, Any, Path]) -> None:
    plan, model, folder = exported
    changed(folder, target_modules=["nothing"])
    with pytest.raises(RunError, match="PEFT does not take it"):
        check_peft(plan, model, folder)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (
            ["^model.layers.1"],
            "axolotl unfreezes model.layers.1.input_layernorm.weight as 1, the plan has nothing|more",
        ),
        ([r"^model\.layers\.1\.self_attn\.q_proj\.weight$"], "match no parameter of the model"),
        (["^model.layers.1.self_attn.q_proj.weight$"], "as nothing, the plan has 1, and [0-9]+ names more"),
    ],
)
def test_patterns_that_axolotl_would_read_otherwise_are_caught(
    exported: tuple[AdapterPlan, Any, Path], patterns: list[str], message: str
) -> None:
    plan, model, folder = exported
    (folder / AXOLOTL_FILE).write_text(yaml.safe_dump({"unfrozen_parameters": patterns}))
    with pytest.raises(RunError, match=message):
        check_axolotl(plan, model, folder / AXOLOTL_FILE)


def test_axolotl_is_told_how_much_is_trained(exported: tuple[AdapterPlan, Any, Path]) -> None:
    plan, model, folder = exported
    text = (folder / AXOLOTL_FILE).read_text()
    whole = sum(model.get_submodule(name).weight.numel() for name in plan.ranks)
    assert f"{whole:,} trainable parameters" in text
    assert len(yaml.safe_load(text)["unfrozen_parameters"]) == len(plan.ranks)


def test_a_list_that_was_changed_is_caught(exported: tuple[AdapterPlan, Any, Path]) -> None:
    plan, _, folder = exported
    lines = (folder / LIST_FILE).read_text().splitlines()
    assert len(lines) == 1 + len(plan.ranks)
    (folder / LIST_FILE).write_text("\n".join(lines[:-1]))
    with pytest.raises(RunError, match="as nothing, the plan has"):
        check_list(plan, folder / LIST_FILE)


def test_exports_that_are_there_stay(exported: tuple[AdapterPlan, Any, Path]) -> None:
    folder = exported[2]
    with pytest.raises(
        UsageError, match=r"holds adapter_config\.json, axolotl\.yaml, modules\.txt; --overwrite replaces"
    ):
        check_folder(folder, overwrite=False)
    check_folder(folder, overwrite=True)
    with pytest.raises(UsageError, match="is a file, a folder is expected"):
        check_folder(folder / LIST_FILE, overwrite=True)
