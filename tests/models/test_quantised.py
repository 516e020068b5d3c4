"""A folder of quantised weights is measured as the plain weights that they stand for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import paramscope
from paramscope.errors import UsageError
from tests.conftest import made_texts

SIZE = 16
"""Of the blocks that share a scale."""

LARGEST = torch.finfo(torch.float8_e4m3fn).max


def in_blocks(weight: torch.Tensor) -> torch.Tensor:
    """``[rows, columns]`` as ``[rows / SIZE, columns / SIZE, SIZE, SIZE]``, a view."""
    rows, columns = weight.shape
    return weight.view(rows // SIZE, SIZE, columns // SIZE, SIZE).transpose(1, 2)


def quantise(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """8-bit floats, and what each block of them is multiplied by."""
    scales = in_blocks(weight).abs().amax((2, 3)) / LARGEST
    spread = scales.repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)
    return (weight / spread).to(torch.float8_e4m3fn), scales


@pytest.fixture(scope="module")
def folders(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model with 8-bit weights, and the same one with the plain weights that those stand for."""
    place = tmp_path_factory.mktemp("quantised")
    packed, plain = (Path(shutil.copytree(tiny_model, place / name)) for name in ("packed", "plain"))
    small, whole = {}, {}
    for name, weight in load_file(tiny_model / "model.safetensors").items():
        small[name] = whole[name] = weight
        if ".layers." in name and weight.dim() == 2:
            small[name], scales = quantise(weight)
            small[f"{name}_scale_inv"] = scales
            spread = scales.repeat_interleave(SIZE, 0).repeat_interleave(SIZE, 1)
            whole[name] = small[name].float() * spread
    save_file(small, packed / "model.safetensors", metadata={"format": "pt"})
    save_file(whole, plain / "model.safetensors", metadata={"format": "pt"})
    change_method(packed, "fp8")
    return packed, plain


def change_method(folder: Path, method: str) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {
        "quant_method": method,
        "weight_block_size": [SIZE, SIZE],
        "activation_scheme": "dynamic",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_quantised_weights_are_measured_as_what_they_stand_for(folders: tuple[Path, Path]) -> None:
    packed, plain = (paramscope.profile(folder, {"a": made_texts(4)}, max_tokens=8) for folder in folders)
    assert packed.manifest.engine.dtype == "float32"
    assert packed.manifest.engine.weights == "resident"
    np.testing.assert_array_equal(packed.tables.gram, plain.tables.gram)


def test_quantised_weights_are_not_streamed(folders: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="those quantised by fp8 are kept in memory"):
        paramscope.profile(folders[0], {"a": made_texts(4)}, weights="streamed")


def test_a_method_that_cannot_be_undone_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[0], tmp_path / "model"))
    change_method(folder, "gptq")
    with pytest.raises(UsageError, match=r"quantised by gptq, .* give the model before it was quantised"):
        paramscope.profile(folder, {"a": made_texts(4)})
