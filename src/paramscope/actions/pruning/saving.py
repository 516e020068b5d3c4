"""The pruned model as a Hugging Face folder."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from paramscope.actions.pruning.store import Masks, MaskStore, apply_masks
from paramscope.errors import RunError, UsageError
from paramscope.models.blocks import Block
from paramscope.models.fingerprint import hash_file
from paramscope.models.open import LocatedModel, OpenModel
from paramscope.result.pruned import DOCUMENT, Pruned
from paramscope.result.store import make_readable, write_atomically
from paramscope.wording import one_line

_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""As safetensors calls them."""

_INDEX = "model.safetensors.index.json"


def own_type(located: LocatedModel) -> torch.dtype | None:
    """The type that most of a model's tensors have in its files.

    Args:
        located: the model on disk.

    Returns:
        The type; None for a ``.gguf`` file, whose weights are quantised.
    """
    if located.files.gguf:
        return None
    kinds: Counter[str] = Counter()
    for path in located.files.weights:
        with safe_open(path, framework="numpy") as file:
            kinds.update(file.get_slice(name).get_dtype() for name in file.keys())  # noqa: SIM118 - no mapping
    return next((_TYPES[kind] for kind, _ in kinds.most_common() if kind in _TYPES), None)


def narrowed(tensor: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """A tensor in another type, where that loses nothing; else as it is (a router that a model keeps in float32)."""
    if not tensor.is_floating_point() or tensor.dtype == kind:
        return tensor
    changed = tensor.to(kind)
    return changed if torch.equal(changed.to(tensor.dtype), tensor) else tensor


def check_savable(opened: OpenModel, blocks: Sequence[Block]) -> None:
    """Refuse a model that could not be written as plain transformers reads it.

    Args:
        opened: the model.
        blocks: its blocks.

    Raises:
        UsageError: says why.
    """
    model = opened.model
    if not hasattr(model, "save_pretrained"):
        raise UsageError(
            f"{type(model).__name__} is no model of transformers and cannot be saved as one; give in_place=True and no "
            "output, and save it yourself"
        )
    if getattr(model, "hf_quantizer", None) is not None:
        raise UsageError(
            f"{type(model).__name__} was opened as quantised, and transformers cannot save the plain one that "
            "it has become; give its file, or in_place=True and no output"
        )
    if not opened.weights:
        return
    whole = {name: torch.empty_like(tensor, device="meta") for name, tensor in model.state_dict().items()}
    expected = _file_names(model, whole).keys()
    inside = {name: torch.empty_like(tensor, device="meta") for name, tensor in _around(model, blocks).items()}
    found = set(_file_names(model, inside))
    for block in blocks:
        state = {
            f"{block.name}.{name}": torch.empty_like(t, device="meta") for name, t in block.module.state_dict().items()
        }
        found |= _file_names(model, state).keys()
    if found != expected:
        raise UsageError(
            f"{opened.name}: this architecture's files cannot be written block by block (such as "
            f"{sorted(found ^ expected)[0]}); give --weights resident"
        )


def write_model(
    folder: Path,
    opened: OpenModel,
    blocks: Sequence[Block],
    store: MaskStore,
    own: torch.dtype | None,
    tokenizer: Any,
) -> list[list[int]]:
    """Write a pruned model so that ``transformers.AutoModelForCausalLM.from_pretrained`` reads it.

    Args:
        folder: an existing one.
        opened: the model; its weights in memory are pruned, those on the disk are not.
        blocks: its blocks.
        store: the masks of all blocks, for weights on the disk.
        own: type to save in where that loses nothing; None leaves every weight's.
        tokenizer: saved beside it, where there is one.

    Returns:
        By layer and module, the zeros that were written.

    Raises:
        RunError: transformers cannot write it.
    """
    model: Any = opened.model
    if own is not None:
        for parameter in model.parameters():
            if not opened.weights or parameter.untyped_storage().nbytes() >= parameter.nbytes:
                parameter.data = narrowed(parameter.data, own)
    try:
        zeros = _write_blocks(folder, opened, blocks, store, own) if opened.weights else zeros_in(blocks)
        if not opened.weights:
            model.save_pretrained(folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise RunError(f"transformers cannot save {type(model).__name__} ({one_line(error)})") from error
    return zeros


def zeros_in(blocks: Sequence[Block]) -> list[list[int]]:
    """By block and module, the weights in memory that are zero."""
    return [[w.size - int(w.parameter.count_nonzero()) for w in block.weights] for block in blocks]


def _masks_of(store: MaskStore, number: int, block: Block) -> Masks:
    found = store.load(number, block.weights)
    assert found
    return found[0]


def _around(model: Any, blocks: Sequence[Block]) -> dict[str, torch.Tensor]:
    """The state outside the blocks."""
    prefixes = tuple(f"{block.name}." for block in blocks)
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(prefixes)}


def _file_names(model: Any, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state as transformers writes it: without tied weights, with the files' names and one tensor an expert."""
    from transformers.core_model_loading import revert_weight_conversion
    from transformers.modeling_utils import remove_tied_weights_from_state_dict

    ignored = getattr(model, "_keys_to_ignore_on_save", None) or ()
    kept = {name: tensor for name, tensor in state.items() if name not in ignored}
    converted: dict[str, torch.Tensor] = revert_weight_conversion(
        model, remove_tied_weights_from_state_dict(kept, model)
    )
    return converted


def _write_blocks(
    folder: Path,
    opened: OpenModel,
    blocks: Sequence[Block],
    store: MaskStore,
    own: torch.dtype | None,
) -> list[list[int]]:
    """Write weights that stay on the disk, a file a block and one for the rest, with their index."""
    model: Any = opened.model
    assert opened.weights
    parts = len(blocks) + 1
    places: dict[str, str] = {}
    size = 0

    def write(number: int, state: dict[str, torch.Tensor]) -> None:
        nonlocal size
        name = f"model-{number + 1:05d}-of-{parts:05d}.safetensors"
        tensors = {key: value.contiguous() for key, value in _file_names(model, state).items()}
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places.update(dict.fromkeys(tensors, name))
        size += sum(tensor.nbytes for tensor in tensors.values())

    found: list[list[int]] = []
    for number, block in enumerate(blocks):
        opened.weights.hold(number, number + 1)
        apply_masks(block.weights, _masks_of(store, number, block))
        if own is not None:
            for parameter in block.module.parameters():
                parameter.data = narrowed(parameter.data, own)
        found += zeros_in([block])
        write(number, {f"{block.name}.{name}": tensor for name, tensor in block.module.state_dict().items()})
    write(len(blocks), _around(model, blocks))
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    write_atomically(folder / _INDEX, json.dumps(index, indent=2) + "\n")
    config = model.config
    config.dtype = str(next(p.dtype for p in model.parameters() if p.is_floating_point())).removeprefix("torch.")
    config.architectures = [type(model).__name__]
    config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    return found


def finish(
    store: MaskStore, write: Callable[[Path], list[list[int]]], describe: Callable[[list[list[int]]], Pruned]
) -> Pruned:
    """Write model and manifest, the manifest last, and move them into place.

    Args:
        store: of the run.
        write: the model into a folder, see ``write_model``.
        describe: the manifest of what was written, but for the files' digests.

    Returns:
        The manifest.
    """
    complete = store.folder / "complete"
    shutil.rmtree(complete, ignore_errors=True)
    complete.mkdir()
    result = describe(write(complete))
    result = result.model_copy(
        update={"output_files": {path.name: hash_file(path) for path in sorted(complete.iterdir())}}
    )
    write_atomically(complete / DOCUMENT, result.to_json())
    make_readable(complete, DOCUMENT)
    store.move(complete)
    return result
