"""The GPU kernels against the plain path and a float64 reference, in Triton's interpreter and on a GPU where one is."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from paramscope.engine.kernels import PlainTiles, usable
from paramscope.engine.kernels.operands import Positions
from paramscope.engine.kernels.plain import gradient_tile
from paramscope.engine.reduction import SampleMeans
from tests.engine.kernel_cases import SAMPLED, Case, cases, half_of, through_tiles

Results = dict[str, dict[str, torch.Tensor]]

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
"""On "cpu" the kernels are interpreted."""


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in the project's folder, with these environment variables."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _python(*arguments: str, **variables: str) -> str:
    """Output of a run that must succeed."""
    done = _run(*arguments, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Of every case on a device."""
    device = request.param
    out = str(tmp_path_factory.mktemp("kernels") / "results.pt")
    interpret = {"TRITON_INTERPRET": "1"} if device == "cpu" else {}
    _python("-m", "tests.engine.kernel_cases", "run", out, device, **interpret)
    return torch.load(out)


def _reference(case: Case) -> np.ndarray:
    """Activations ``[N, out, in]`` in float64."""
    made = [
        np.einsum("bto,bti->boi", gradients.double().numpy(), inputs.double().numpy())
        for inputs, gradients in case.pairs
    ]
    return np.abs(np.concatenate(made) * case.weight.double().numpy())


def _plain(case: Case) -> torch.Tensor:
    """Activations ``[N, out, in]`` as the engine makes them on a CPU."""
    tile = torch.empty(sum(case.sizes), *case.weight.shape)
    gradient_tile(case.pairs, slice(None), tile)
    return tile.mul_(case.weight).abs_()


def _close(found: torch.Tensor, wanted: torch.Tensor | np.ndarray) -> None:
    """Equal within float32's rounding of sums of a few dozen terms of the largest value's size.

    A GPU's tensor cores cut off where other units round.
    """
    wanted = torch.as_tensor(wanted).double()
    scale = wanted.max().item() if wanted.numel() else 0.0
    limit = 1e-5 if torch.cuda.is_available() else 1e-6
    torch.testing.assert_close(found.double(), wanted, rtol=limit, atol=limit * scale)


@needs_triton
@pytest.mark.parametrize("results", DEVICES, indirect=True)
@pytest.mark.parametrize("name", cases())
def test_kernels_equal_the_plain_path_and_the_reference(name: str, results: Results) -> None:
    case, found = cases()[name], results[name]
    plan, exact, plain = case.plan(), _reference(case), _plain(case)

    mean_rows = plan.mean_rows
    _close(found["mean"], np.einsum("mn,noi->moi", mean_rows.double().numpy(), exact))
    mean = (mean_rows @ plain.flatten(1)).view_as(found["mean"])
    _close(found["mean"], mean)
    assert torch.equal(found["mean"] == 0, mean == 0)

    deleted_rows = plan.deleted_rows
    _close(found["deleted"], np.einsum("mn,noi->moi", deleted_rows.double().numpy(), exact[:, SAMPLED]))
    _close(found["deleted"], (deleted_rows @ plain[:, SAMPLED].flatten(1)).view_as(found["deleted"]))

    if "tiles mean" in found:
        halved = dataclasses.replace(plan, paired=half_of(plan))
        expected = through_tiles(case, halved, PlainTiles(halved, *case.weight.shape))
        for part, wanted in expected.items():
            _close(found[part], wanted)

    flat = exact.reshape(len(exact), -1)
    _close(found["gram"], np.tril(flat @ flat.T))
    _close(found["gram"], torch.tril(plain.flatten(1) @ plain.flatten(1).T))


@needs_triton
def test_kernels_compile_without_a_gpu(tmp_path: Path) -> None:
    output = _python("-m", "tests.engine.kernel_cases", "compile", TRITON_CACHE_DIR=str(tmp_path))
    assert len(output.splitlines()) == 4


def test_the_package_is_imported_without_triton() -> None:
    program = "import sys; sys.modules['triton'] = None; import paramscope.engine.kernels"
    _python("-c", program)


def test_the_benchmark_says_that_it_needs_a_gpu() -> None:
    done = _run("-m", "benchmarks.kernels", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["The kernels run on CUDA only, and torch finds no CUDA GPU on this machine."]


def test_positions_without_gradient_are_left_out() -> None:
    inputs = torch.arange(12.0).view(2, 3, 2)
    gradients = torch.tensor([[[0.0], [1.0], [0.0]], [[2.0], [0.0], [torch.nan]]])
    positions = Positions.of([(inputs, gradients), (inputs[:1, :0], gradients[:1, :0])])
    assert positions.samples == 3
    assert positions.offsets.tolist() == [0, 1, 3, 3]
    assert positions.inputs.tolist() == [[2, 3], [6, 7], [10, 11]]
    assert positions.gradients[:2].tolist() == [[1], [2]]
    assert positions.gradients[2].isnan()


@pytest.mark.parametrize("name", ["ragged", "several strips", "one sample", "transposed"])
def test_classes_of_samples_give_the_means(name: str) -> None:
    plan = cases()[name].plan()
    values = torch.rand(plan.samples, 5, dtype=torch.float64)
    for matrix in (plan.mean_rows, plan.deleted_rows):
        means = SampleMeans.of(matrix)
        assert sorted(means.members.tolist()) == list(range(plan.samples))  # each sample's activation is made once
        weighted = values[means.members.long()] * means.shares[:, None]
        sums = torch.stack([part.sum(0) for part in weighted.split(means.bounds.diff().tolist())])
        found = sums if means.mix is None else means.mix.double() @ sums
        torch.testing.assert_close(found, matrix.double() @ values)
    assert SampleMeans.of(plan.mean_rows).classes == len(plan.sizes)


def test_kernels_are_for_float32_and_less_on_a_gpu() -> None:
    found = importlib.util.find_spec("triton") is not None
    assert usable(torch.device("cuda"), [torch.bfloat16, torch.float32]) == found
    assert not usable(torch.device("cuda"), [torch.float32, torch.float64])
    assert not usable(torch.device("cpu"), [torch.float32])
