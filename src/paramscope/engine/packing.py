"""Tensors of any shapes and types as one buffer of bytes, so that they cross the wire together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch

_ALIGNMENT = 64
"""Each tensor begins at a multiple of so many bytes."""

Spec = tuple[tuple[int, ...], torch.dtype]
"""Shape and type of a tensor."""


def specs_of(tensors: Sequence[torch.Tensor]) -> list[Spec]:
    """What has to be known of tensors to take them out of a buffer."""
    return [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]


def _padded(spec: Spec) -> int:
    """Bytes of a tensor in a buffer."""
    return math.ceil(math.prod(spec[0]) * spec[1].itemsize / _ALIGNMENT) * _ALIGNMENT


def packed_size(specs: Sequence[Spec]) -> int:
    """Bytes of a buffer."""
    return sum(map(_padded, specs))


def packed(tensors: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    """Tensors as bytes, one after the other."""
    specs = specs_of(tensors)
    buffer = torch.empty(packed_size(specs), dtype=torch.uint8, device=device)
    for place, tensor in zip(unpacked(buffer, specs), tensors, strict=True):
        place.copy_(tensor)
    return buffer


def unpacked(buffer: torch.Tensor, specs: Sequence[Spec]) -> list[torch.Tensor]:
    """Views of a buffer that ``packed`` has made."""
    starts = itertools.accumulate(map(_padded, specs), initial=0)
    return [
        buffer[start : start + math.prod(shape) * dtype.itemsize].view(dtype).view(shape)
        for start, (shape, dtype) in zip(starts, specs, strict=False)
    ]
