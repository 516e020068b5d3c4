"""Model files: what is missing, cut or no model is refused with one sentence before anything is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from paramscope.errors import UsageError
from paramscope.models.files import locate_model
from tests.models.folders import cut, save_folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("whole") / "model")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_folder(tmp_path_factory.mktemp("sharded") / "model", max_shard_size="10KB")


def refused(model: Path | str, message: str, revision: str | None = None) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        locate_model(str(model), revision)
    assert "\n" not in str(raised.value)


def test_a_whole_folder_has_its_files(whole: Path, sharded: Path) -> None:
    found = locate_model(str(whole))
    assert found.folder == whole
    assert [path.name for path in found.weights] == ["model.safetensors"]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in found.all}
    parts = locate_model(str(sharded))
    assert len(parts.weights) > 2
    assert set(parts.weights) < set(parts.all)


def test_a_path_in_the_home_folder_is_found(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(whole.parent))
    assert locate_model("~/model").folder == whole


@pytest.mark.parametrize("model", ["no/such/place", "./nothing", "model.gguf", "~nobody/model", "a b", "/x" * 3000])
def test_what_is_nowhere_and_no_hub_id_is_refused(model: str) -> None:
    refused(model, r"no such file or folder; (give a folder, a \.gguf file or a hub id|and the hub)")


def test_a_revision_of_a_local_path_is_refused(whole: Path) -> None:
    refused(whole, r"--revision v1 is for models of the hub, .*model is on this disk; leave it out", "v1")


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, r"has no config\.json; give a folder in Hugging Face format")


@pytest.mark.parametrize("share", [0.5, 0.001, 0.0])
def test_cut_safetensors_are_refused(whole: Path, tmp_path: Path, share: float) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    cut(folder / "model.safetensors", share)
    refused(folder, r"model\.safetensors is unreadable or truncated \(.*\); fetch it again")


def test_pickled_weights_alone_are_refused(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "m")
    (folder / "model.safetensors").unlink()
    refused(folder, r"model\.safetensors is missing; fetch it again")
    torch.save({}, folder / "pytorch_model.bin")
    refused(folder, r"model\.safetensors is missing; pickled weights are not opened, save the model with safetensors")


def test_a_missing_or_cut_shard_is_named(sharded: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sharded, tmp_path / "m")
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    cut(shard)
    refused(folder, rf"{shard.name} is unreadable or truncated")
    shard.unlink()
    refused(folder, rf"{shard.name} is missing; fetch it again")


@pytest.mark.parametrize(
    "content",
    ['{"weight_map": ', "[1]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 3}}', "\udcff"],
)
def test_a_broken_index_of_weights_is_refused(sharded: Path, tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(sharded, tmp_path / "m")
    (folder / "model.safetensors.index.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    refused(folder, r"model\.safetensors\.index\.json is no readable index of weights \(.*\); fetch it again")


def write_gguf(path: Path) -> Path:
    """A GGUF file with one weight."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("token_embd.weight", np.ones((64, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_its_own_folder_of_files(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    found = locate_model(str(path))
    assert found.gguf == "model.gguf"
    assert found.all == [path]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: cut(path, 0.7), r"model\.gguf is (truncated|no readable GGUF file) .*; fetch it again"),
        (lambda path: cut(path, 0.002), r"model\.gguf is no readable GGUF file \(.*\); fetch it again"),
        (lambda path: cut(path, 0), r"model\.gguf is no readable GGUF file \(.*\); fetch it again"),
        (lambda path: path.write_bytes(b"hello" * 99), r"model\.gguf is no readable GGUF file \(GGUF magic invalid\)"),
    ],
)
def test_a_damaged_gguf_file_is_refused(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    damage(path)
    refused(path, message)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    refused(tmp_path / "model.bin", r"is a file but no \.gguf; give a folder in Hugging Face format or a \.gguf file")
