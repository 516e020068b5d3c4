"""Weights of the blocks from the disk, one block at a time, the next one read while one computes.

transformers lays the model out as it does for its own offloading: parameters of the blocks stay in the safetensors
files (those of models whose experts are stored one by one are written anew, stacked, into a temporary folder). What
reads them is accelerate's loader; when they are read is decided here and not module by module, so that a pass over all
samples reads each weight once.
"""

from __future__ import annotations

import math
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from paramscope.errors import UsageError
from paramscope.models.blocks import find_blocks
from paramscope.models.running import Forward, replaced_forwards
from paramscope.models.weights import refuse_not_finite


class StreamedWeights:
    """The weights of a model's blocks, of which one block's are in memory.

    A parameter keeps its identity all the time; what changes is the memory behind it.

    Attributes:
        bytes_read: from the disk so far.
    """

    def __init__(
        self, blocks: Sequence[tuple[str, nn.Module]], stored: Mapping[str, torch.Tensor], device: torch.device
    ):
        """Take the blocks over; their parameters must be on the device ``meta``.

        Args:
            blocks: name and module, in the order in which the model runs them.
            stored: the weights by name; reading one reads it from the disk.
            device: where they are computed with.
        """
        self.bytes_read = 0
        self._stored = stored
        self._device = device
        self._blocks = [block for _, block in blocks]
        self._parameters: list[dict[str, nn.Parameter]] = []
        self._checked: set[int] = set()
        self._held: int | None = None
        self._next: tuple[int, Future[dict[str, torch.Tensor]]] | None = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="weights")
        for prefix, block in blocks:
            own: dict[str, nn.Parameter] = {}
            for path, module in block.named_modules():
                for name, parameter in list(module.named_parameters(recurse=False)):
                    full = ".".join(part for part in (prefix, path, name) if part)
                    made = nn.Parameter(_without_memory(parameter, device), requires_grad=False)
                    module._parameters[name] = own[full] = made
            self._parameters.append(own)

    def hold(self, number: int, then: int | None = None) -> None:
        """Have one block's weights in memory, and no other's.

        Args:
            number: of the block.
            then: the block that will be wanted next; it is read in the background.

        Raises:
            UsageError: a weight is NaN or infinite.
        """
        if number != self._held:
            if self._held is not None:
                for parameter in self._parameters[self._held].values():
                    parameter.data = _without_memory(parameter, self._device)
                self._held = None
            expected, self._next = self._next, None
            read = expected[1].result() if expected and expected[0] == number else self._read(number)
            if number not in self._checked:
                refuse_not_finite(read.items())
                self._checked.add(number)
            for name, parameter in self._parameters[number].items():
                parameter.data = read[name].to(self._device)
            self.bytes_read += sum(tensor.nbytes for tensor in read.values())
            self._held = number
        if then is not None and 0 <= then < len(self._parameters) and self._next is None:
            self._next = (then, self._reader.submit(self._read, then))

    def _read(self, number: int) -> dict[str, torch.Tensor]:
        return {name: self._stored[name] for name in self._parameters[number]}

    @property
    def names(self) -> frozenset[str]:
        """All weights that it holds in turn."""
        return frozenset(name for own in self._parameters for name in own)

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Within it the model can be called as if all weights were there; each block is read when its turn comes."""
        handles = [
            block.register_forward_pre_hook(lambda *_, number=number: self.hold(number, number + 1))
            for number, block in enumerate(self._blocks)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def again_backward(self) -> Iterator[None]:
        """Within it plain autograd through the whole model works: each block is read and run again in its backward."""

        def checkpointed(number: int, original: Forward) -> Forward:
            def run(*args: Any, **kwargs: Any) -> Any:
                self.hold(number)
                return original(*args, **kwargs)

            return lambda *args, **kwargs: checkpoint(run, *args, use_reentrant=False, **kwargs)

        with replaced_forwards(self._blocks, checkpointed):
            yield


def _without_memory(like: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of this shape and type with one number behind it: who looks at it sees NaN, and no harm is done."""
    value = math.nan if like.is_floating_point() else 0
    return torch.full((), value, dtype=like.dtype, device=device).expand(like.shape)


def offloading(model: nn.Module, device: torch.device, folder: str) -> dict[str, Any]:
    """How transformers is told to leave the blocks on the disk.

    Args:
        model: the same model on the device ``meta``.
        device: of all that is not in the blocks.
        folder: where weights go that must be written anew.

    Returns:
        Arguments of ``from_pretrained``.
    """
    blocks = {block.name: "disk" for block in find_blocks(model)}
    places: dict[str, str] = {}

    def place(prefix: str, module: nn.Module) -> None:
        for name, child in module.named_children():
            path = f"{prefix}{name}"
            if any(block.startswith(path + ".") for block in blocks):
                place(path + ".", child)
            else:
                places[path] = blocks.get(path, str(device))

    place("", model)
    return {"device_map": places, "offload_folder": folder}


def take_over(model: nn.Module, device: torch.device, folder: str) -> StreamedWeights:
    """Take the blocks of a model that transformers left on the disk.

    Args:
        model: opened with ``offloading``.
        device: where it is computed.
        folder: deleted when the weights are no longer needed.

    Returns:
        Its weights; the hooks that would read them module by module are gone.

    Raises:
        UsageError: transformers left nothing there.
    """
    from accelerate.hooks import remove_hook_from_module

    blocks = [(block.name, block.module) for block in find_blocks(model)]
    stored: Mapping[str, torch.Tensor] | None = None
    for module in model.modules():
        for hook in _hooks(module):
            found = getattr(hook, "weights_map", None)
            stored = stored or getattr(found, "dataset", found)
    if stored is None:
        raise UsageError("this model's weights cannot stay on the disk; leave out --weights")
    remove_hook_from_module(model, recurse=True)
    weights = StreamedWeights(blocks, stored, device)
    weakref.finalize(weights, shutil.rmtree, folder, ignore_errors=True)
    return weights


def _hooks(module: nn.Module) -> list[Any]:
    hook = getattr(module, "_hf_hook", None)
    return list(getattr(hook, "hooks", [hook])) if hook is not None else []
