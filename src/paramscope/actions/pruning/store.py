"""The masks of finished blocks on the way to a pruned model, and where that may be written.

A mask takes a bit a weight, so a finished block is kept as its masks: a resumed run sets the same weights to zero and
goes on, and a model whose weights stay on the disk is written block by block at the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from paramscope.errors import UsageError
from paramscope.models.weights import LinearWeight
from paramscope.result.place import making, unfinished_folder
from paramscope.result.pruned import DOCUMENT, read_pruned
from paramscope.result.store import Unfinished
from paramscope.wording import one_line

Masks = dict[str, torch.Tensor]
"""By weight name ``[E, out, in]``: True where a weight is zero."""


def check_output(output: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse an output path before any work is done.

    Args:
        output: the folder to make.
        overwrite: a pruned model there, or an unfinished one, may be replaced.
        resume: an unfinished one there is to be gone on with.

    Raises:
        UsageError: the path is taken by something else, or neither flag covers it.
    """
    if overwrite and resume:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    with making(output):
        _check_place(output, overwrite=overwrite, resume=resume)


def _check_place(output: Path, *, overwrite: bool, resume: bool) -> None:
    """See ``check_output``.

    Raises:
        UsageError: the path is taken.
    """
    for part in output.absolute().parents:
        if part.exists() and not part.is_dir():
            raise UsageError(f"output {output} cannot be made: {part} is a file; give another path with -o")
    if output.exists() and not output.is_dir():
        raise UsageError(f"output {output} is a file, a folder is expected; give another path with -o")
    finished = (output / DOCUMENT).is_file()
    if output.is_dir() and not finished and any(output.iterdir()):
        raise UsageError(
            f"output {output} holds files but no pruned model, so it is left alone; give a new or empty folder with -o"
        )
    if finished and not overwrite and not resume:
        raise UsageError(f"{output} holds a pruned model; --overwrite replaces it, -o OTHER keeps both")
    if finished and overwrite:
        strange = sorted({path.name for path in output.iterdir()} - {DOCUMENT, *read_pruned(output).output_files})
        if strange:
            raise UsageError(
                f"{output} holds {strange[0]}, which was not written with the pruned model, so it is not replaced; "
                "move that, or give another -o"
            )
    unfinished = unfinished_folder(output)
    foreign = unfinished.exists() and {path.name for path in unfinished.iterdir()} - {"lock", "identity.json.part"}
    if foreign and not (unfinished / "identity.json").is_file():
        raise UsageError(f"{unfinished} is in the way and is no unfinished run; move it or give another path with -o")
    if (unfinished / "identity.json").is_file() and not overwrite and not resume:
        raise UsageError(f"{unfinished} holds an unfinished run; --resume finishes it, --overwrite replaces it")


class MaskStore(Unfinished):
    """The masks of finished blocks, in ``OUT.unfinished``."""

    def save(self, layer: int, masks: Masks, unreached: Mapping[str, int]) -> None:
        """Keep a block's masks.

        Args:
            layer: its number.
            masks: of its weights.
            unreached: maps of a stack that no token reached, by weight name.
        """
        packed = {name: np.packbits(mask.flatten().cpu().numpy()) for name, mask in masks.items()}
        part = self.layer_path(layer).with_suffix(".part")
        save_file(packed, part, metadata={"unreached": json.dumps(dict(unreached))})
        part.replace(self.layer_path(layer))

    def load(self, layer: int, weights: Sequence[LinearWeight]) -> tuple[Masks, dict[str, int]] | None:
        """Read a block's masks back.

        Args:
            layer: its number.
            weights: of the block.

        Returns:
            What ``save`` was given; None where the block is not finished.

        Raises:
            UsageError: the file is damaged.
        """
        path = self.layer_path(layer)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                unreached = json.loads(file.metadata()["unreached"])
            packed = load_file(path)
            masks = {}
            for weight in weights:
                bits = np.unpackbits(packed[weight.name], count=weight.size).view(np.bool_)
                masks[weight.name] = torch.from_numpy(bits).view(weight.matrices.shape)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UsageError(f"{path} is damaged ({one_line(error)}); --overwrite begins the run anew") from error
        return masks, unreached


def apply_masks(weights: Sequence[LinearWeight], masks: Masks) -> None:
    """Set weights of a block that is in memory to zero."""
    for weight in weights:
        # Not in place: weights that are read from the disk may lie in memory that must not be written to.
        changed = weight.parameter.data.clone()
        weight.as_matrices(changed).masked_fill_(masks[weight.name].to(changed.device), 0)
        weight.parameter.data = changed
