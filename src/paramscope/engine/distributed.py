"""Several processes that measure one model together, started by torchrun; one process is the simplest case of it.

Each has its own copy of the model. Samples are spread over them forward and backward, the rows of each weight in the
reductions. They go through the same steps in the same order. A step that can fail runs in ``Team.attempt``: all hear
how it went, so that an error of one ends the step for all, and none waits for one that has left.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist

from paramscope.engine.packing import packed, packed_size, specs_of, unpacked
from paramscope.errors import ParamscopeError, PeerError, RunError
from paramscope.wording import one_line

T = TypeVar("T")


def out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory; PyTorch has no class of its own for that on CPUs."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


class _Failure(NamedTuple):
    """An error of one process as the others hear of it; of memory, all of them try again with less."""

    kind: type[ParamscopeError]
    text: str
    memory: bool


class Team:
    """The processes of a run, seen from one of them.

    Attributes:
        rank: number of this process.
        size: how many there are.
        device: of the tensors that are exchanged.
        wire_bytes: received by all processes together so far; whole on the first one.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        """Without arguments, a process by itself."""
        self.rank, self.size = rank, size
        self.device = device or torch.device("cpu")
        self.wire_bytes = 0
        self._left = False

    @property
    def first(self) -> bool:
        """Whether this is the process that talks, writes, and gets the results."""
        return self.rank == 0

    def attempt(self, work: Callable[[], T]) -> T:
        """Do something that may fail here.

        Args:
            work: no part of it may exchange anything with the other processes.

        Returns:
            What it returned here, once it has succeeded everywhere.

        Raises:
            Exception: it failed here, or another process failed (an error of the same kind that names it, a
                ``MemoryError`` where its memory ran out).
        """
        if self.size == 1:
            return work()
        made: list[T] = []
        failure: Exception | None = None
        try:
            made.append(work())
        except Exception as error:
            failure = error
        self._hear(None, failure)
        return made[0]

    def exchange(self, value: T) -> list[T]:
        """Every process's value, in their order.

        Args:
            value: small; it is pickled.

        Returns:
            The values.

        Raises:
            Exception: as ``attempt``.
        """
        return [value] if self.size == 1 else self._hear(value, None)

    def _hear(self, value: T, error: Exception | None, *, leaving: bool = False) -> list[T]:
        failure = None
        if error is not None:
            kind = type(error) if isinstance(error, ParamscopeError) else RunError
            text = str(error) if isinstance(error, ParamscopeError) else f"{type(error).__name__}: {one_line(error)}"
            failure = _Failure(kind, text, out_of_memory(error) and not leaving)
        told: list[tuple[T, _Failure | None]] = [(value, failure)] * self.size
        with self.wire():
            dist.all_gather_object(told, (value, failure))
        self.wire_bytes += (self.size - 1) * sum(len(pickle.dumps(each)) for each in told)
        failures = {rank: each for rank, (_, each) in enumerate(told) if each}
        if not failures:
            return [each for each, _ in told]
        # An error that ends the run goes before one after which it would be tried again.
        rank, worst = min(failures.items(), key=lambda item: item[1].memory)
        if not worst.memory:
            self._leave()
        if error is not None and failure is not None and failure.memory == worst.memory:
            raise error
        text = f"process {rank} of {self.size}: {worst.text}"
        raise MemoryError(text) if worst.memory else worst.kind(text)

    def swap(self, parts: Sequence[Sequence[torch.Tensor]]) -> list[list[torch.Tensor]]:
        """Give each process some tensors and get those that it has for this one; numbers, shapes and types may differ.

        Args:
            parts: by process, on ``device``.

        Returns:
            By process; what this one has for itself as it is.

        Raises:
            Exception: as ``attempt``.
        """
        if self.size == 1:
            return [list(parts[0])]
        told = self.exchange([specs_of(part) if rank != self.rank else [] for rank, part in enumerate(parts)])
        coming = [specs[self.rank] for specs in told]
        given, taken = self.attempt(
            lambda: (
                packed([*itertools.chain(*parts[: self.rank], *parts[self.rank + 1 :])], self.device),
                torch.empty(sum(map(packed_size, coming)), dtype=torch.uint8, device=self.device),
            )
        )
        with self.wire():
            dist.all_to_all_single(taken, given, [*map(packed_size, coming)], [*map(packed_size, told[self.rank])])
        self.wire_bytes += sum(packed_size(specs) for each in told for specs in each)
        pieces = taken.split([*map(packed_size, coming)])
        return [
            list(parts[rank]) if rank == self.rank else unpacked(piece, specs)
            for rank, (piece, specs) in enumerate(zip(pieces, coming, strict=True))
        ]

    def from_first(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The first process's tensors by name, for everybody; those of the others are not looked at.

        Raises:
            Exception: as ``attempt``.
        """
        if self.size == 1:
            return dict(tensors)
        names, specs = self.exchange((list(tensors), specs_of([*tensors.values()])))[0]
        buffer = self.attempt(
            lambda: (
                packed([*tensors.values()], self.device)
                if self.first
                else torch.empty(packed_size(specs), dtype=torch.uint8, device=self.device)
            )
        )
        with self.wire():
            dist.broadcast(buffer, 0)
        self.wire_bytes += (self.size - 1) * buffer.numel()
        return dict(zip(names, unpacked(buffer, specs), strict=True))

    def to_first(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Everybody's tensors by name, for the first process; the others get nothing.

        Raises:
            Exception: as ``attempt``.
        """
        names = self.exchange(list(tensors))
        got = self.swap([[*tensors.values()], *[[] for _ in range(1, self.size)]])
        if not self.first:
            return {}
        return {name: tensor for each in zip(names, got, strict=True) for name, tensor in zip(*each, strict=True)}

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Add up everybody's tensors in place on the first process; counts are exact up to 2^53.

        Args:
            tensors: of the same shapes everywhere. Those of the other processes stay as they are.

        Raises:
            Exception: as ``attempt``.
        """
        if self.size == 1:
            return
        flat = self.attempt(lambda: torch.cat([tensor.reshape(-1).double() for tensor in tensors]))
        self._reduce(flat, dist.ReduceOp.SUM)
        if self.first:
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def largest(self, tensor: torch.Tensor) -> None:
        """Take the largest of everybody's numbers, in place on the first process."""
        if self.size > 1:
            self._reduce(tensor, dist.ReduceOp.MAX)

    def _reduce(self, tensor: torch.Tensor, operation: dist.ReduceOp.RedOpType) -> None:
        with self.wire():
            dist.reduce(tensor, 0, operation)
        self.wire_bytes += (self.size - 1) * tensor.nbytes

    def share(self, costs: Sequence[int]) -> slice:
        """Neighbours among some pieces of work, for this process; maybe none."""
        if self.size == 1:
            return slice(0, len(costs))
        ends = itertools.accumulate(costs)
        # Each piece goes to the process in whose part of the whole its middle lies.
        owners = [int((end - cost / 2) / sum(costs) * self.size) for cost, end in zip(costs, ends, strict=True)]
        return slice(sum(owner < self.rank for owner in owners), sum(owner <= self.rank for owner in owners))

    def rows(self, total: int) -> list[slice]:
        """Rows of a weight for each process, of ``total``; maybe none."""
        return [slice(rank * total // self.size, (rank + 1) * total // self.size) for rank in range(self.size)]

    @contextlib.contextmanager
    def wire(self) -> Iterator[None]:
        """Around every exchange.

        Raises:
            PeerError: another process has gone.
        """
        try:
            yield
        except RuntimeError as error:
            self._leave()
            raise PeerError(f"another process of the run ended, so this one of {self.size} did too") from error

    def _leave(self) -> None:
        """From here on there is nobody to tell, and the way out must not be cut short by the launcher's signals."""
        self._left = True
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def part(self, error: BaseException) -> None:
        """Tell the others why this process leaves, unless they know."""
        if isinstance(error, Exception) and not self._left:
            with contextlib.suppress(Exception):
                self._hear(None, error, leaving=True)
        self._leave()
