"""Layer-major order: every micro-batch passes block k before any passes block k + 1.

The model's own forward runs once per micro-batch, each in a coroutine (greenlet). The blocks' forward methods are
replaced by a switch to the scheduler, which runs the block for all micro-batches. Masks, rotary tables and per-layer
arguments are therefore the model's own, and no architecture needs code of its own.

What the model computes between two blocks runs with gradients and its (small) graph is kept, the blocks themselves run
without. Backward, each block is run again with gradients, and the gradients at its inputs go back through that graph to
the outputs of whichever earlier blocks they came from. The last blocks may keep the graph of their first run instead.
"""

from __future__ import annotations

import functools
import mmap
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import greenlet
import torch
from torch import nn

from paramscope.errors import CheckError
from paramscope.models.running import replaced_forwards


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """The tensors of nested tuples, lists and dictionaries, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, MutableMapping) else tree if isinstance(tree, tuple | list) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def map_tensors(tree: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same nesting with every tensor changed; anything else is passed on as it is."""
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if isinstance(tree, MutableMapping):
        made: Any = type(tree)
        return made({key: map_tensors(value, change) for key, value in tree.items()})
    if isinstance(tree, tuple | list):
        parts = [map_tensors(part, change) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


def mappings_in(tree: Any) -> list[Any]:
    """The mutable mappings in nested arguments, in order."""
    inside = tree.values() if isinstance(tree, MutableMapping) else tree if isinstance(tree, tuple | list) else ()
    here = [tree] if isinstance(tree, MutableMapping) else []
    return here + [mapping for part in inside for mapping in mappings_in(part)]


def run_block(block: Callable[..., Any], arguments: Any) -> tuple[Any, list[dict[Any, Any]]]:
    """Run a block; what it wrote into mappings among its arguments (Gemma 3n's shared keys) is output too."""
    args, kwargs = arguments
    mappings = mappings_in([list(args), *kwargs.values()])
    before = [dict(mapping) for mapping in mappings]
    outputs = block(*args, **kwargs)
    written = [
        {key: value for key, value in mapping.items() if former.get(key) is not value}
        for mapping, former in zip(mappings, before, strict=True)
    ]
    return outputs, written


def _as_leaf(tensor: torch.Tensor) -> torch.Tensor:
    return _kept(tensor.detach()).requires_grad_() if tensor.is_floating_point() else tensor


def _kept(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor that lives through the whole pass, moved out of the allocator's heap.

    Left there, it would lie between the short-lived tensors of its block, and the C library could not give their memory
    back: on the embedded model that costs as much again as the kept tensors themselves.
    """
    if tensor.device.type != "cpu" or tensor.numel() == 0:
        return tensor
    place = torch.frombuffer(mmap.mmap(-1, tensor.nbytes), dtype=tensor.dtype).view(tensor.shape)
    return place.copy_(tensor)


def _as_input(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


@dataclass(frozen=True)
class _Graph:
    """A block's run with gradients: the tensors that went in, as leaves, and what came out of them."""

    inputs: list[torch.Tensor]
    outputs: Any


@dataclass
class _Visit:
    """One micro-batch at one block: what went in (with the graph that made it) and what came out (as leaves).

    Outputs are what the block returned, and what it wrote into each mapping among its arguments.
    """

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    outputs: Any
    graph: _Graph | None = None


class LayerMajor:
    """One forward and one backward pass of several micro-batches, block by block.

    Use it as a context manager: on leaving, the model's blocks are as they were.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        calls: Sequence[Callable[[], torch.Tensor]],
        watch: Callable[[int, int], AbstractContextManager[object]],
        *,
        keep: int = 0,
        hold: Callable[[int, int], object] = lambda *_: None,
    ) -> None:
        """Prepare the pass.

        Args:
            blocks: in the order in which the model runs them.
            calls: one per micro-batch: runs the model's forward and returns the objective of each sample, ``[B]``,
                with its graph.
            watch: entered, with the numbers of block and micro-batch, around the one run whose graph goes backward.
            keep: how many of the last blocks keep the graph of their first run and need no second one.
            hold: called with the block that comes next, and the one after it, before any micro-batch passes it.
        """
        self._blocks = blocks
        self._calls = calls
        self._watch = watch
        self._keep_from = len(blocks) - keep
        self._hold = hold
        self._visits: list[list[_Visit]] = [[] for _ in calls]

    def __enter__(self) -> LayerMajor:
        self._original = [block.forward for block in self._blocks]
        self._scheduler = greenlet.getcurrent()
        self._replaced = replaced_forwards(self._blocks, lambda number, _: self._switch(number))
        self._replaced.__enter__()
        self._coroutines = [greenlet.greenlet(call) for call in self._calls]
        return self

    def __exit__(self, *_: object) -> None:
        for coroutine in self._coroutines:
            if coroutine:
                coroutine.throw()
        self._replaced.__exit__(None, None, None)
        self._visits.clear()

    def _switch(self, number: int) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._scheduler.switch((number, args, kwargs))

        return forward

    def forward(self, stop: int) -> Iterator[int]:
        """Run the blocks up to, not including, ``stop`` for all micro-batches; yields the number of each when done.

        Args:
            stop: number of blocks to run.

        Yields:
            Numbers of finished blocks.
        """
        with torch.enable_grad():
            waiting = [coroutine.switch() for coroutine in self._coroutines]
        for number in range(stop):
            self._hold(number, number + 1)
            for place, coroutine in enumerate(self._coroutines):
                args, kwargs = self._expect(waiting[place], number)
                # A copy of the containers: the model's own may change later.
                arguments = map_tensors((args, kwargs), lambda tensor: tensor)
                graph = self._run_with_graph(number, place, arguments) if number >= self._keep_from else None
                with torch.no_grad():
                    given = map_tensors(arguments, torch.Tensor.detach)
                    outputs = map_tensors(
                        graph.outputs if graph else run_block(self._original[number], given), _as_leaf
                    )
                self._visits[place].append(_Visit(arguments, outputs, graph))
                for mapping, written in zip(mappings_in([list(args), *kwargs.values()]), outputs[1], strict=True):
                    mapping.update(written)
                if number + 1 < len(self._blocks):
                    with torch.enable_grad():
                        waiting[place] = coroutine.switch(outputs[0])
            yield number

    def walk(self, visit: Callable[[int, Sequence[Callable[[], object]]], object]) -> None:
        """Run all blocks without gradients, keeping nothing of those that are passed; what follows them is not run.

        Args:
            visit: called with a block's number when all micro-batches wait at it, and with functions that run it on
                what waits, one a micro-batch, and change nothing. It may change the block's weights: what follows sees
                what the changed block gives.
        """
        with torch.no_grad():
            waiting = [coroutine.switch() for coroutine in self._coroutines]
            for number in range(len(self._blocks)):
                self._hold(number, number + 1)
                arguments = [self._expect(message, number) for message in waiting]
                visit(number, [functools.partial(self._try, number, given) for given in arguments])
                if number + 1 == len(self._blocks):
                    return
                for place, coroutine in enumerate(self._coroutines):
                    args, kwargs = arguments[place]
                    waiting[place] = coroutine.switch(self._original[number](*args, **kwargs))
                    arguments[place] = ((), {})  # what was passed is not needed again

    def _try(self, number: int, arguments: Any) -> None:
        # A block may write into what it is given.
        args, kwargs = map_tensors(arguments, torch.clone)
        self._original[number](*args, **kwargs)

    def _run_with_graph(self, number: int, place: int, arguments: Any) -> _Graph:
        with torch.enable_grad(), self._watch(number, place):
            inputs = map_tensors(arguments, _as_input)
            given = tensors_in(inputs)  # before the block writes into its mappings
            return _Graph(given, run_block(self._original[number], inputs))

    def _expect(self, message: Any, number: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not isinstance(message, tuple) or message[0] != number:
            came = f"block {message[0]}" if isinstance(message, tuple) else "its end"
            raise CheckError(
                f"the model does not run its blocks one after the other (at block {number} it came to {came}), "
                "so it cannot be measured layer by layer"
            )
        return message[1], message[2]

    def head(self, place: int) -> torch.Tensor:
        """Run what follows the last block, and its backward, for one micro-batch.

        Args:
            place: number of the micro-batch.

        Returns:
            The objective of its samples, ``[B]``, without graph.
        """
        with torch.enable_grad():
            value = self._coroutines[place].switch(self._visits[place][-1].outputs[0])
            if not isinstance(value, torch.Tensor):
                self._expect(value, len(self._blocks))
            torch.autograd.backward(value.sum(), retain_graph=True)
        return value.detach()

    def backward(self, number: int, place: int) -> None:
        """Run the backward of one block of one micro-batch, after a second run where the first kept no graph.

        The gradients arrive at the outputs of earlier blocks. Blocks must be taken from the last to the first. Hooks
        that others have set on the block's modules run.

        Args:
            number: of the block.
            place: of the micro-batch.
        """
        visit = self._visits[place].pop()
        with torch.enable_grad():
            graph = visit.graph or self._run_with_graph(number, place, visit.arguments)
            reached = [
                (output, leaf.grad)
                for output, leaf in zip(tensors_in(graph.outputs), tensors_in(visit.outputs), strict=True)
                if leaf.grad is not None and output.requires_grad
            ]
            torch.autograd.backward([output for output, _ in reached], [gradient for _, gradient in reached])
            sources = [
                (source, used.grad)
                for source, used in zip(tensors_in(visit.arguments), graph.inputs, strict=True)
                if source.requires_grad and used.grad is not None
            ]
            if sources:
                torch.autograd.backward(
                    [source for source, _ in sources], [gradient for _, gradient in sources], retain_graph=True
                )

    def gradients(self) -> dict[str, torch.Tensor]:
        """The gradients that the blocks not yet run backward wait with, named for ``restore_gradients``."""
        return {
            f"{place}.{number}.{position}": leaf.grad
            for place, visits in enumerate(self._visits)
            for number, visit in enumerate(visits)
            for position, leaf in enumerate(tensors_in(visit.outputs))
            if leaf.grad is not None
        }

    def restore_gradients(self, gradients: dict[str, torch.Tensor]) -> None:
        """Put back what ``gradients`` gave, after a forward that stopped where its backward had come to."""
        for name, gradient in gradients.items():
            place, number, position = (int(part) for part in name.split("."))
            leaf = tensors_in(self._visits[place][number].outputs)[position]
            leaf.grad = gradient.to(leaf)


@contextmanager
def head_at(head: nn.Module | None, positions: Callable[[], torch.Tensor]) -> Iterator[None]:
    """Let the model's head see the positions that the objective reads and no others.

    With a vocabulary of 262 thousand, logits for every position cost more than the rest of the model.

    Args:
        head: the output embedding, or None when the model has none: then all positions are computed.
        positions: of the micro-batch at hand, ``[B, K]``.

    Yields:
        Nothing.
    """
    if head is None:
        yield
        return

    def select(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *rest = args
        index = positions()[..., None].expand(-1, -1, hidden.shape[-1])
        return (hidden.gather(1, index), *rest)

    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()
