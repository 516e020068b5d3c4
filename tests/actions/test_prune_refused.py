"""What pruning refuses, before anything is touched, and by which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import paramscope
from tests.actions.pruned import DOMAIN, TEXTS, assert_same, profiled, pruned, weights_of
from tests.engine.architectures import tiny_model
from tests.engine.test_streaming import saved

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
