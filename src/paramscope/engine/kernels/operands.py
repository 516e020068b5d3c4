"""What the kernels read: the samples' positions one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from paramscope.engine.capture import Pair


@dataclass(frozen=True)
class Positions:
    """Inputs and output gradients of all samples for one weight, without padding.

    Attributes:
        inputs: ``[P, in]``, contiguous; sample after sample.
        gradients: ``[P, out]``, contiguous, of the same type.
        offsets: ``[N + 1]``, int64: sample n has the positions from ``offsets[n]`` to ``offsets[n + 1]``, maybe none.
    """

    inputs: torch.Tensor
    gradients: torch.Tensor
    offsets: torch.Tensor

    @property
    def samples(self) -> int:
        """N."""
        return len(self.offsets) - 1

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Positions:
        """Lay captures out one after the other.

        A position without any gradient adds exactly nothing to ``d^T a`` and is left out. Such are the padding, the
        tokens that an expert is not given, and in the last block all tokens that the objective does not read.

        Args:
            pairs: per micro-batch the input ``[B, T, in]`` and output gradient ``[B, T, out]``, on one device.

        Returns:
            The positions of the samples in the order of the pairs.
        """
        dtype = torch.promote_types(pairs[0][0].dtype, pairs[0][1].dtype)
        inputs, gradients, counts = [], [], []
        for given, gradient in pairs:
            used = (gradient != 0).any(-1)  # True for NaN, which must not be lost
            inputs.append(given[used].to(dtype))
            gradients.append(gradient[used].to(dtype))
            counts.append(used.sum(1))
        ends = torch.cat(counts).cumsum(0)
        offsets = torch.cat([ends.new_zeros(1), ends])
        return cls(torch.cat(inputs), torch.cat(gradients), offsets)

    def take(self, samples: torch.Tensor) -> Positions:
        """The positions of some samples, ``[n]``, in their order."""
        spans = [slice(int(self.offsets[i]), int(self.offsets[i + 1])) for i in samples.tolist()]
        ends = self.offsets.diff()[samples].cumsum(0)
        return Positions(
            torch.cat([self.inputs[span] for span in spans]),
            torch.cat([self.gradients[span] for span in spans]),
            torch.cat([ends.new_zeros(1), ends]),
        )
