"""The model that is to be pruned: in memory or on the disk, and no other than its profile's."""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
from typing import Any

import torch
from torch import nn

from paramscope.actions.pruning.request import PruneSettings
from paramscope.causal.opening import check_shapes
from paramscope.engine.batches import MicroBatch
from paramscope.engine.estimate import LIBRARIES, estimate_memory, memory_free, weight_bytes
from paramscope.engine.layout import TOKENS_PER_BATCH
from paramscope.engine.reduction import Reduction
from paramscope.errors import UsageError
from paramscope.models.blocks import Block, Structure, find_structure, guess_structure
from paramscope.models.open import LocatedModel, OpenModel, adopt, choose_device, load, sketch
from paramscope.result.profile import Profile
from paramscope.wording import told_bytes


def open_for_pruning(
    model: str | os.PathLike[str] | nn.Module,
    located: LocatedModel | None,
    settings: PruneSettings,
    batches: list[MicroBatch],
    in_use: int,
    *,
    copied: bool,
) -> tuple[OpenModel, Structure]:
    """Open the model where it fits, in memory or on the disk; a loaded one is copied unless it is to be pruned itself.

    Raises:
        UsageError: it cannot be opened, or fits nowhere.
    """
    opening = settings.opening
    if located is None:
        assert isinstance(model, nn.Module)
        opened = adopt(model)
        if copied:
            opened = dataclasses.replace(opened, model=copy.deepcopy(model))
        return opened, find_structure(opened.model)
    drawn = sketch(located, dtype=opening.dtype, device=opening.device)
    needed = functools.partial(_memory, drawn, guess_structure(drawn.model).blocks, batches, settings.score, in_use)
    streamed = opening.weights == "streamed"
    if located.files.gguf and streamed:
        raise UsageError("--weights streamed is for safetensors; weights of a .gguf file are kept in memory")
    if opening.weights == "auto" and not located.files.gguf:
        free = memory_free(choose_device(opening.device))
        room = opening.max_memory if opening.max_memory is not None else None if free is None else free + in_use
        streamed = room is not None and needed(streamed=False) > room
    least = needed(streamed=streamed)
    if opening.max_memory is not None and least > opening.max_memory:
        raise UsageError(
            f"--max-memory {told_bytes(opening.max_memory)} is too little: about {told_bytes(least)} "
            "are needed; fewer --samples or --max-tokens need less"
        )
    opened = load(located, dtype=opening.dtype, device=opening.device, streamed=drawn if streamed else None)
    if located.files.gguf:
        _forget_gguf(opened.model)
    with opened.running():
        return opened, find_structure(opened.model)


def _forget_gguf(model: Any) -> None:
    """Let transformers save a model whose weights it has made plain: not as quantised, and not by the file's names."""
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None:
        quantizer.remove_quantization_config(model)
    vars(model).pop("_weight_conversions", None)


def _memory(
    drawn: OpenModel, blocks: list[Block], batches: list[MicroBatch], score: str, in_use: int, *, streamed: bool
) -> int:
    """Bytes that pruning needs at its peak, about."""
    element = drawn.dtype.itemsize
    largest = max(block.parameters for block in blocks)
    # A block's scores in float32, its masks, and a copy of its largest module.
    scored = largest * (4 + 1 + element)
    if score == "activation":
        plan = Reduction(
            order=(),
            sizes=[sum(len(batch.readings) for batch in batches)],
            thresholds=(),
            dtype=torch.promote_types(drawn.dtype, torch.float32),
            device=drawn.device,
            paired=[],
        )
        # Both means and scores of a layer.
        return (
            estimate_memory(drawn.model, blocks, batches, plan, in_use, streamed=streamed).total + scored + 4 * largest
        )
    tokens = sum(len(batch.readings) * batch.length for batch in batches)
    widths = max(sum(weight.rows + weight.columns for weight in block.weights) for block in blocks)
    hidden = blocks[0].weights[0].columns
    between = 2 * tokens * hidden * element + min(tokens, TOKENS_PER_BATCH) * widths * element
    return in_use + LIBRARIES + weight_bytes(drawn.model, blocks, streamed=streamed) + between + scored


def check_run(profile: Profile, opened: OpenModel, structure: Structure) -> None:
    """Refuse a profile of another model.

    Raises:
        UsageError: it is one.
    """
    files = profile.manifest.model.files
    changed = [name for name in files if opened.files.get(name, files[name]) != files[name]]
    if set(files) == set(opened.files) and changed:
        raise UsageError(f"--run is of another model than {opened.name} ({changed[0]} differs); give a run of this one")
    try:
        check_shapes(profile, opened, structure)
    except UsageError as error:
        raise UsageError(
            f"--run is of another model than {opened.name} (its layers have other weights); give a run of this one"
        ) from error
