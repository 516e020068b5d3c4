"""Opening a model: what is no causal language model, or not whole, is refused with one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from torch import nn

import paramscope
from paramscope.errors import UsageError
from paramscope.models.fingerprint import hash_file, hash_weights
from paramscope.models.open import OpenModel, adopt, choose_device, load, locate, max_positions
from tests.engine.architectures import tiny_model
from tests.engine.custom import Block, Model
from tests.models.folders import change_config, change_weights, cut, save_folder

_ENCODER = {
    "vocab_size": 61,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


def open_model(folder: Path, **options: str) -> OpenModel:
    return load(locate(str(folder)), **options)


def refused(folder: Path, message: str, **options: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        open_model(folder, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("dtype", "expected"), [("auto", torch.float32), ("float64", torch.float64), ("bfloat16", torch.bfloat16)]
)
def test_a_model_opens_in_the_type_that_is_asked_for(whole: Path, dtype: str, expected: torch.dtype) -> None:
    opened = open_model(whole, dtype=dtype)
    assert opened.dtype == expected
    assert opened.name == "model"
    assert not any(module.training for module in opened.model.modules())
    assert opened.files["model.safetensors"] == hash_file(whole / "model.safetensors")


@pytest.mark.parametrize("model", ["BertModel", "BertForMaskedLM", "BertForSequenceClassification"])
def test_an_encoder_is_refused(tmp_path: Path, model: str) -> None:
    made = getattr(transformers, model)(transformers.BertConfig(**_ENCODER))
    refused(
        save_folder(tmp_path / "bert", made), rf"\({model}\) is an encoder, a causal \(decoder-only\) model is expected"
    )


def test_an_encoder_decoder_is_refused(tmp_path: Path) -> None:
    config = transformers.T5Config(vocab_size=61, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2)
    folder = save_folder(tmp_path / "t5", transformers.T5ForConditionalGeneration(config))
    refused(
        folder, r"\(T5ForConditionalGeneration\) is an encoder-decoder, a causal \(decoder-only\) model is expected"
    )


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    config = transformers.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    folder = save_folder(tmp_path / "vit", transformers.ViTModel(config))
    refused(folder, r"\(ViTModel\) is no causal language model, one is expected")


def test_a_base_model_without_its_head_is_refused(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "base", tiny_model("llama", dtype=torch.float32).get_submodule("model"))
    refused(folder, r"\(LlamaModel\) lacks weights of a causal language model, lm_head\.weight; give a complete one")


def test_missing_weights_are_named(copy: Path) -> None:
    change_weights(copy, "model.layers.1.mlp.up_proj.weight", None)
    change_weights(copy, "model.norm.weight", None)
    refused(copy, r"lacks weights of a causal language model, model\.layers\.1\.mlp\.up_proj\.weight and 1 more; give")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(copy: Path, value: float) -> None:
    change_weights(copy, "model.layers.2.self_attn.k_proj.weight", value)
    refused(copy, r"weight model\.layers\.2\.self_attn\.k_proj\.weight has 1 values that are NaN or infinite; mend or")


def test_weights_that_do_not_fit_the_configuration_are_refused(copy: Path) -> None:
    change_config(copy, intermediate_size=40)
    refused(copy, r"its weights have other shapes than config\.json says; fetch it again")


def test_a_folder_without_tokenizer_is_refused(copy: Path) -> None:
    for path in copy.glob("tokenizer*"):
        path.unlink()
    refused(copy, r"has no tokenizer \(no tokenizer\.json in .*model\); save it into the folder")


def test_a_broken_tokenizer_is_refused(copy: Path) -> None:
    cut(copy / "tokenizer.json")
    refused(copy, r"its tokenizer cannot be opened \(.*\); save it again")


@pytest.mark.parametrize("damage", [cut, lambda path: path.write_text("{}"), lambda path: path.write_text("[]")])
def test_a_broken_configuration_is_refused(copy: Path, damage: Callable[[Path], Any]) -> None:
    damage(copy / "config.json")
    refused(copy, r"its configuration cannot be opened \(.*\); fetch it again")


def test_code_that_comes_with_a_model_is_not_run(copy: Path) -> None:
    change_config(copy, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})
    (copy / "own.py").write_text("raise SystemExit('run')")
    refused(copy, r"its configuration cannot be opened")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "gpu"])
def test_a_device_that_is_not_there_is_refused(whole: Path, device: str) -> None:
    refused(whole, rf"device {device} is not there; this machine has: cpu \(PyTorch", device=device)
    assert choose_device("auto") == torch.device("cpu")


def test_a_run_with_a_device_that_is_not_there_reads_nothing(whole: Path) -> None:
    with pytest.raises(UsageError, match=r"device cuda:9 is not there; this machine has: cpu"):
        paramscope.profile(whole, {"a": "no/such/file.jsonl"}, device="cuda:9")


def test_a_loaded_model_is_taken_as_it_is() -> None:
    model = Model([Block(), Block()])
    opened = adopt(model)
    assert opened.model is model
    assert opened.name == "Model"
    assert opened.files == {"weights in memory": hash_weights(model)}
    other = Model([Block(), Block()], seed=1)
    assert hash_weights(other) != hash_weights(model)


def test_a_loaded_model_that_looks_ahead_is_refused() -> None:
    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        return blocks[0](hidden) + hidden.mean(1, keepdim=True)

    with pytest.raises(
        UsageError, match=r"Model looks at later tokens, so it is an encoder; a causal \(decoder-only\)"
    ):
        adopt(Model([Block()], wire))


@pytest.mark.parametrize(
    "output", [SimpleNamespace(), SimpleNamespace(logits=None), SimpleNamespace(logits=torch.ones(1, 2)), 3]
)
def test_a_loaded_model_without_logits_is_refused(output: Any) -> None:
    model = Model([Block()])
    model.forward = lambda input_ids: output  # type: ignore[method-assign]
    with pytest.raises(
        UsageError, match=r"Model returns no next-token logits; a causal \(decoder-only\) language model"
    ):
        adopt(model)


def test_a_loaded_model_with_a_weight_that_is_not_finite_is_refused() -> None:
    model = Model([Block()])
    with torch.no_grad():
        model.blocks[0].up.weight[2, 3] = float("nan")
    with pytest.raises(UsageError, match=r"weight blocks\.0\.up\.weight has 1 values that are NaN or infinite"):
        adopt(model)


def test_the_longest_input_is_read_where_the_configuration_tells() -> None:
    assert max_positions(tiny_model("llama").config) == 64
    assert max_positions(tiny_model("gpt2").config) == 64
    assert max_positions(tiny_model("bloom").config) is None
    assert max_positions(None) is None
