"""A hub id is taken from the local cache where the hub cannot be reached, at the revision that is asked for."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

import paramscope
from paramscope.errors import UsageError
from paramscope.models.open import load, locate
from tests.engine.architectures import tiny_model
from tests.models.folders import hub_cache, save_folder

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An offline cache with two revisions of one model."""
    place = tmp_path / "hub"
    for name, seed, commit in (("v1", 1, OLD), ("main", 2, NEW)):
        model = tiny_model("llama", dtype=torch.float32, seed=seed)
        hub_cache(place, save_folder(tmp_path / name, model), "owner/tiny", {name: commit})
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(place))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return place


def test_a_hub_id_opens_from_the_cache_at_its_revision(cache: Path) -> None:
    newest, old = load(locate("owner/tiny")), load(locate("owner/tiny", "v1"))
    assert (newest.name, newest.revision, old.revision) == ("owner/tiny", None, "v1")
    assert newest.files["model.safetensors"] != old.files["model.safetensors"]
    assert newest.files["tokenizer.json"] == old.files["tokenizer.json"]
    assert load(locate("owner/tiny", OLD)).files == old.files
    weight = "model.layers.0.mlp.up_proj.weight"
    expected = tiny_model("llama", dtype=torch.float32, seed=2).state_dict()[weight]
    assert torch.equal(newest.model.state_dict()[weight], expected)


def test_a_run_of_a_hub_model_notes_id_and_revision(cache: Path) -> None:
    profile = paramscope.profile("owner/tiny", {"a": ["w5 w6 w7", "w8 w9"]}, revision="v1")
    assert profile.manifest.model.name == "owner/tiny"
    assert profile.manifest.model.revision == "v1"


@pytest.mark.parametrize(
    ("model", "revision", "where"),
    [
        ("owner/other", None, "model owner/other"),
        ("owner/tiny", "v2", "model owner/tiny at revision v2"),
        ("tiny", None, "model tiny"),
    ],
)
def test_what_is_not_in_the_cache_is_refused_offline(cache: Path, model: str, revision: str | None, where: str) -> None:
    expected = (
        rf"{where}: no such file or folder, and the hub cannot be reached and it is not in the local cache; check the "
        r"name, or give a folder or a \.gguf file"
    )
    with pytest.raises(UsageError, match=expected) as raised:
        locate(model, revision)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "model", ["owner/na..me", "-owner/name", "owner/name/more", "own er/name", "owner/name-", "a" * 300]
)
def test_what_cannot_be_a_hub_id_is_refused(cache: Path, model: str) -> None:
    with pytest.raises(UsageError, match=r"model .*; (give a folder, a \.gguf file or a hub id|check the name)"):
        locate(model)
