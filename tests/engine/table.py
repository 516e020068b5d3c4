"""The table of architectures: ``python -m tests.engine.table > docs/architectures.md``.

Each is a tiny random model, measured in float32 and compared, weight by weight, with the float64 reference.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

import paramscope
from paramscope.errors import CheckError
from paramscope.models.blocks import find_structure, unmeasured_weights
from tests.engine.architectures import ARCHITECTURES, REFUSED, random_ids, tiny_model
from tests.engine.autograd import drawn, reference

GIVEN = {"a": random_ids([9, 6, 12, 6]), "b": random_ids([7, 11, 10], seed=1)}

WHY = {
    "convolution": "short convolutions along the text: they multiply no vector of features",
    "A_log": "decay of the state: multiplied element by element",
    "time_mix_key": "mixes a token with the one before, element by element",
    "time_mix_receptance": "as above",
    "time_mix_value": "as above",
    "input_gate_bias": "biases of the gates, kept as a matrix",
    "recurrent_gate_bias": "as above",
    "gate_up_proj_bias": "biases of the experts",
    "down_proj_bias": "as above",
    "e_score_correction_bias": "bias of the router",
}


@dataclass(frozen=True)
class Line:
    """One architecture's figures.

    Attributes:
        covered: share of the blocks' parameters that are measured.
        error: largest over layers and domains of |mean activations - reference| / |reference|.
        left_out: last names of the weights that are not measured.
        bare: linear weights that no linear module holds.
    """

    covered: float
    error: float
    left_out: list[str]
    bare: list[str]


def examine(name: str) -> Line:
    """Measure one architecture in float32, and compare."""
    architecture = ARCHITECTURES[name]
    model = tiny_model(name, dtype=torch.float32)
    blocks = find_structure(model).blocks
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        profile = paramscope.profile(model, GIVEN, samples=4, output=run, save_scores=True)
        scores = [load_file(run / "scores" / f"layer-{layer:04d}.safetensors") for layer in range(profile.layers)]
    found = reference(model, architecture.blocks, drawn(profile, GIVEN), bare=architecture.bare)
    error = 0.0
    for place, samples in enumerate((slice(0, 4), slice(4, 7))):
        for layer, expected in enumerate(found.layers):
            means = {weight: values[samples].mean(0) for weight, values in expected.items()}
            difference = np.sqrt(sum(((scores[layer][w][place] - mean) ** 2).sum() for w, mean in means.items()))
            error = max(error, float(difference / np.sqrt(sum((mean**2).sum() for mean in means.values()))))
    parameters = sum(p.numel() for block in blocks for p in block.module.parameters())
    return Line(
        covered=sum(block.parameters for block in blocks) / parameters,
        error=error,
        left_out=sorted(
            {"convolution" if "conv" in w else w.rsplit(".", 1)[-1] for w in unmeasured_weights(blocks)},
        ),
        bare=list(
            dict.fromkeys(
                weight.name
                for block in blocks
                for weight in block.weights
                if not isinstance(weight.owner, torch.nn.Linear) and weight.kind != "Conv1D"
            )
        ),
    )


def main() -> None:
    """Print the page."""
    print("# Architectures\n")
    print(
        f"Made by `python -m tests.engine.table`: tiny random models of transformers {transformers.__version__}, in "
        f"float32 (PyTorch {torch.__version__.split('+')[0]}),\nseven texts of 6 to 12 tokens, `max-logit`, compared "
        "with float64 autograd, one text at a time. Error: the largest, over layers and domains, of\n|mean activations "
        "- reference| / |reference|. Covered: the linear weights' share of all parameters of the blocks; norms and "
        "biases are the rest\nwhere nothing is left out (tiny models have many of them). The tests hold every line to "
        "1e-9 in float64 (1e-7 where the model itself\ncomputes its router in float32).\n"
    )
    print(
        "| architecture | covered | error | linear weights outside linear modules | left out |\n|---|---|---|---|---|"
    )
    seen: set[str] = set()
    for name in ARCHITECTURES:
        line = examine(name)
        seen |= set(line.left_out)
        bare = ", ".join(f"`{each}`" for each in line.bare)
        print(f"| {name} | {100 * line.covered:.0f} % | {line.error:.0e} | {bare} | {', '.join(line.left_out)} |")
    print("\nLeft out, named in a warning of every run, and why:\n")
    for name in WHY:
        if name in seen:
            print(f"- {name}: {WHY[name]}")
    print("\nNot exact, and refused by the self-check before a run starts:\n")
    for name in REFUSED:
        try:
            paramscope.profile(tiny_model(name, dtype=torch.float32), GIVEN, samples=4)
        except CheckError as error:
            print(f"- {name}: {error}")


if __name__ == "__main__":
    main()
