"""The same job from Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import paramscope
from tests.conftest import made_texts

IDS = [[0, 5, 9, 13], [0, 7, 3], [0, 4, 4, 8, 2, 60]]


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model)


def test_texts_and_token_ids_are_taken(tiny_model: Path) -> None:
    profile = paramscope.profile(tiny_model, {"texts": made_texts(3), "ids": IDS}, samples=3)
    assert profile.domains == ["texts", "ids"]
    assert sorted(profile.samples.loc[profile.samples["domain"] == "ids", "tokens"]) == [3, 4, 6]
    assert list(profile.density(threshold=1e-3).columns) == ["texts", "ids"]
    assert profile.density(threshold=1e-3).shape == (4, 2)
    assert profile.similarity().across.value.columns.tolist() == ["texts|ids"]


def test_loaded_model_gives_the_numbers_of_its_folder(tiny_model: Path, loaded: Any) -> None:
    one = paramscope.profile(tiny_model, {"ids": IDS}, samples=3)
    other = paramscope.profile(loaded, {"ids": IDS}, samples=3)
    np.testing.assert_allclose(one.tables.gram, other.tables.gram, rtol=1e-6)
    assert list(other.manifest.model.files) == ["weights in memory"]


def test_loaded_model_is_left_as_it_was(loaded: Any) -> None:
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    loaded.train()
    paramscope.profile(loaded, {"ids": IDS}, samples=3)
    assert loaded.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in loaded.parameters())
    assert all((value == before[name]).all() for name, value in loaded.state_dict().items())
    loaded.eval()


def test_tokenizer_reads_texts_for_a_loaded_model(tiny_model: Path, loaded: Any) -> None:
    from transformers import AutoTokenizer

    texts = {"a": made_texts(3)}
    found = paramscope.profile(loaded, texts, tokenizer=AutoTokenizer.from_pretrained(tiny_model), samples=3)
    expected = paramscope.profile(tiny_model, texts, samples=3)
    pd.testing.assert_frame_equal(found.density(1e-3), expected.density(1e-3))
    with pytest.raises(paramscope.UsageError, match="texts need a tokenizer; give one, or samples as token ids"):
        paramscope.profile(loaded, texts)


def test_run_is_written_read_and_not_made_twice(
    tiny_model: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    domains = {"file": str(write_jsonl("a.jsonl", made_texts(4))), "ids": IDS}
    made = paramscope.profile(tiny_model, domains, output=tmp_path / "run", samples=3)
    read = paramscope.Profile.load(tmp_path / "run")
    pd.testing.assert_frame_equal(made.density(), read.density())
    with pytest.raises(paramscope.UsageError, match="holds a finished run"):
        paramscope.profile(tiny_model, domains, output=tmp_path / "run", samples=3)
    again = paramscope.profile(tiny_model, domains, output=tmp_path / "run", samples=3, resume=True)
    assert again.manifest == read.manifest
    with pytest.raises(paramscope.UsageError, match=r"samples: 3 there, 2 now"):
        paramscope.profile(tiny_model, domains, output=tmp_path / "run", samples=2, resume=True)


def test_progress_counts_every_micro_batch_at_every_layer_once_forward_and_once_backward(tiny_model: Path) -> None:
    told = {"forward": 0, "backward": 0}

    def tell(stage: str, steps: int) -> None:
        told[stage] += steps

    profile = paramscope.profile(tiny_model, {"ids": IDS}, samples=3, batch_size=1, progress=tell)
    assert len(profile.manifest.engine.micro_batches) == 3
    assert told == {"forward": 12, "backward": 12}


def test_settings_change_nothing_that_they_do_not_name(tiny_model: Path) -> None:
    """Batch size and further domains leave a domain's numbers alone."""
    one = paramscope.profile(tiny_model, {"a": made_texts(6)}, samples=4, dtype="float64", threshold=1e-3)
    other = paramscope.profile(
        tiny_model, {"ids": IDS, "a": made_texts(6)}, samples=4, dtype="float64", batch_size=2, threshold=1e-3
    )
    np.testing.assert_allclose(one.density(1e-3)["a"], other.density(1e-3)["a"])
    np.testing.assert_allclose(one.concentration()["total"], other.concentration()["total"].xs("a", level="domain"))
    np.testing.assert_allclose(one.similarity().within.value["a"], other.similarity().within.value["a"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"sample": 3},
            r"sample is no setting of a profile \(did you mean 'samples'\?\); there are samples, ",
        ),
        ({"samples": 0}, "^samples 0 is out of range"),
        ({"samples": True}, "^samples True is out of range"),
        ({"seed": 1.5}, "^seed 1.5 is out of range"),
        ({"threshold": "auto"}, "^threshold 'auto' is no positive number"),
        ({"threshold": True}, "^threshold True is no positive number"),
        ({"objective": "max"}, "^objective 'max' is unknown; give one of max-logit, "),
        ({"dtype": "float16"}, "^dtype 'float16' is unknown; give one of auto, "),
        ({"save_scores": True}, "save_scores is given, but no folder for the run; give output"),
        ({"overwrite": True}, "overwrite is given, but no folder for the run; give output"),
        ({"resume": True}, "resume is given, but no folder for the run; give output"),
        ({"tokenizer": object()}, "tokenizer is for a loaded model"),
        ({"domains": ["a", "b"]}, "domains is of type list; give a mapping of names to sources"),
        ({"domains": {}}, "no domain is given"),
        ({"domains": {"a": []}}, "domain 'a'"),
        (
            {"domains": {"a": paramscope.DomainSpec("b", IDS)}},
            "is a DomainSpec of the name 'b'; give both the same",
        ),
    ],
)
def test_wrong_use_is_refused(tiny_model: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(paramscope.UsageError, match=message):
        paramscope.profile(tiny_model, **({"domains": {"ids": IDS}} | arguments))


@pytest.mark.parametrize("arguments", [{"dtype": "float64"}, {"device": "cpu"}, {"revision": "main"}])
def test_settings_of_an_opened_model_are_refused_for_a_loaded_one(loaded: Any, arguments: dict[str, Any]) -> None:
    name = next(iter(arguments))
    with pytest.raises(paramscope.UsageError, match=rf"{name} .* is given, but a loaded model is taken as it is"):
        paramscope.profile(loaded, {"ids": IDS}, **arguments)


def test_names_of_the_package_are_there() -> None:
    for name in paramscope.__all__:
        assert getattr(paramscope, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Profiler'"):
        _ = paramscope.Profiler


@pytest.mark.parametrize("kind", ["linear", "sequential", "t5", "nothing"])
def test_loaded_model_that_is_no_causal_language_model_is_refused(kind: str) -> None:
    from torch import nn
    from transformers import T5Config, T5ForConditionalGeneration

    size: dict[str, Any] = {"vocab_size": 64, "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    models: dict[str, Callable[[], nn.Module]] = {
        "linear": lambda: nn.Linear(4, 4),
        "sequential": lambda: nn.Sequential(nn.Embedding(64, 4), nn.Linear(4, 64)),
        "t5": lambda: T5ForConditionalGeneration(T5Config(**size)),
        "nothing": nn.Sequential,
    }
    with pytest.raises(paramscope.UsageError, match=r"a causal \(decoder-only\) language model is expected"):
        paramscope.profile(models[kind](), {"ids": IDS})


def test_errors_name_arguments_and_not_flags(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(paramscope.UsageError, match=r"^samples 0 is out of range") as raised:
        paramscope.profile(tiny_model, {"ids": IDS}, samples=0)
    (tmp_path / "file").write_text("x")
    with pytest.raises(paramscope.UsageError, match=r"give another path with output$"):
        paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / "file")
    assert "--" not in str(raised.value)


def test_lazy_names_are_listed() -> None:
    assert set(paramscope.__all__) <= set(dir(paramscope))


def test_a_link_as_output_leads_to_its_folder(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for name in ("there", "new"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    (tmp_path / "disk" / "there").mkdir()
    for name in ("there", "new"):
        paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / name)
        paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / name, overwrite=True)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "disk" / name / "run.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "new", "there"]
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["new", "there"]
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(paramscope.UsageError, match="links lead in a circle"):
        paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / "circle")


def test_weights_that_the_config_has_no_place_for_are_told(tiny_model: Path, tmp_path: Path) -> None:
    import json
    import shutil

    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with_warning = paramscope.profile(model, {"ids": IDS})
    assert "such as model.layers.3." in with_warning.manifest.warnings[-1]
    assert "are no part of the model that config.json describes" in with_warning.manifest.warnings[-1]


def test_layers_without_any_activation_are_told(loaded: Any) -> None:
    import copy

    import torch

    model = copy.deepcopy(loaded)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    profile = paramscope.profile(model, {"ids": IDS})
    assert "all activations are zero in 4 of 4 layers, such as layer 0" in profile.manifest.warnings[-1]


def test_centred_cosines_need_two_domains(tiny_model: Path) -> None:
    one = paramscope.profile(tiny_model, {"ids": IDS})
    assert one.similarity().within.value.notna().all().all()
    assert one.similarity(centred=True).within.value.isna().all().all()


def test_unknown_grouping_is_refused(tiny_model: Path) -> None:
    profile = paramscope.profile(tiny_model, {"ids": IDS})
    assert len(profile.density(1e-3, by="module")) > profile.layers
    with pytest.raises(paramscope.UsageError, match="by 'head' is unknown; give 'layer' or 'module'"):
        profile.density(by="head")  # type: ignore[arg-type]


def test_model_of_another_type_is_refused() -> None:
    with pytest.raises(paramscope.UsageError, match="model is of type NoneType; give a path, a hub id or a loaded"):
        paramscope.profile(None, {"a": ["x"]})  # type: ignore[arg-type]


def test_an_unfinished_run_is_seen_through_a_link(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run")
    left = [2]

    def progress(stage: str, steps: int) -> None:
        left[0] -= stage == "backward"
        if not left[0]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / "link", progress=progress)
    with pytest.raises(paramscope.UsageError, match="holds an unfinished run; resume finishes it"):
        paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / "link")
    assert paramscope.profile(tiny_model, {"ids": IDS}, output=tmp_path / "link", resume=True).layers == 4
