"""An allocation as a recipe of llm-compressor: Wanda with a sparsity for each layer.

llm-compressor takes a list of sparsities beside a list of ``targets``, in the order in which the model has them
(``WandaPruningModifier``, release 0.14). It prunes linear modules only, and rounds the zeros of a row down, so that a
layer may keep up to one weight a row more than here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from torch import nn

from paramscope.errors import UsageError
from paramscope.models.blocks import Block
from paramscope.result.pruned import STATEMENT, Pruned
from paramscope.result.store import write_atomically

_ANY_PLACE = "0:0"
"""llm-compressor's name for no pattern."""


def check_recipe(path: Path, blocks: Sequence[Block], score: str) -> None:
    """Refuse what a recipe cannot say, before any work is done.

    Args:
        path: file to write.
        blocks: of the model.
        score: that the masks are made by.

    Raises:
        UsageError: llm-compressor would prune otherwise, or the file cannot be written.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"--recipe {path} cannot be written (a folder, or in none that is there); give another file")
    if score != "wanda":
        raise UsageError(
            f"--recipe is for --score wanda, llm-compressor makes the masks by that and not by {score}; leave it out"
        )
    for block in blocks:
        for weight in block.weights:
            if not isinstance(weight.owner, nn.Linear):
                raise UsageError(
                    f"--recipe: {block.name}.{weight.name} is held by {weight.kind}, and llm-compressor prunes linear "
                    "modules only; leave out --recipe"
                )


def write_recipe(path: Path, blocks: Sequence[Block], result: Pruned) -> None:
    """Write the recipe.

    Args:
        path: file to write.
        blocks: of the model.
        result: what was pruned.
    """
    modifier = {
        "sparsity": [float(value) for value in result.allocation.wanted],
        "mask_structure": result.pattern or _ANY_PLACE,
        "targets": [block.name for block in blocks],
    }
    recipe = {"pruning_stage": {"pruning_modifiers": {"WandaPruningModifier": modifier}}}
    said = (
        f"# Allocation {result.allocation.rule} for {result.model.architecture}, from paramscope {result.paramscope}.\n"
    )
    write_atomically(path, f"{said}# {STATEMENT}\n{yaml.safe_dump(recipe, sort_keys=False)}")
