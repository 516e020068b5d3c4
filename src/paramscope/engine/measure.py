"""The run: forward through all blocks, then block by block backward, each reduced at once."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save_file

from paramscope.engine.batches import MicroBatch
from paramscope.engine.forward import Pass, layer_major_pass
from paramscope.engine.objectives import Objective
from paramscope.engine.reduce import reduce_layer
from paramscope.engine.reduction import Reduction
from paramscope.models.blocks import Block
from paramscope.models.open import OpenModel
from paramscope.result.layer import LayerResult
from paramscope.result.store import Checkpoint


class Progress(Protocol):
    """Told how far a run is."""

    def __call__(self, stage: str, steps: int) -> None:
        """``steps`` more micro-batches have passed a block in ``stage`` (``forward`` or ``backward``)."""


@dataclass(frozen=True)
class Measured:
    """What a run measured.

    Attributes:
        layers: from the input to the output.
        values: the objective of each sample, in the samples' order.
        tokens: the token that the objective looks at, likewise.
        resumed: layers that a former, interrupted call had finished.
        seconds: spent in each stage.
        batches: the micro-batches that it was done with at last.
        notes: what had to be made smaller on the way, one sentence each.
    """

    layers: list[LayerResult]
    values: list[float]
    tokens: list[int]
    resumed: int
    seconds: dict[str, float]
    batches: Sequence[MicroBatch]
    notes: Sequence[str]


def measure(
    opened: OpenModel,
    blocks: Sequence[Block],
    batches: Sequence[MicroBatch],
    objective: Objective,
    plan: Reduction,
    *,
    checkpoint: Checkpoint | None = None,
    save_scores: bool = False,
    keep: int = 0,
    progress: Progress | None = None,
) -> Measured:
    """Measure all samples at all layers.

    Args:
        opened: the model.
        blocks: its blocks.
        batches: all samples, in the engine's order.
        objective: D.
        plan: how samples are put together.
        checkpoint: keeps each finished layer, so that an interrupted run can go on; None keeps nothing on disk.
        save_scores: also write every layer's mean activations (needs a checkpoint).
        keep: how many of the last blocks keep the graph of their first run.
        progress: told after each block.

    Returns:
        The result.

    Raises:
        Exception: what the model raised; of memory only where there is not enough for one sample at a time.
    """
    tell = progress or (lambda *_: None)
    work = _Work(opened, blocks, list(batches), objective, plan, checkpoint, save_scores, keep)
    while True:
        try:
            run = _measure(work, tell)
            break
        except Exception as error:
            if not out_of_memory(error) or work.smallest:
                raise
            work.shrink()
    order = np.argsort(plan.order)
    return Measured(
        layers=[work.results[layer] for layer in range(len(blocks))],
        values=[run.values[i] for i in order],
        tokens=[run.tokens[i] for i in order],
        resumed=work.resumed,
        seconds=work.seconds,
        batches=work.batches,
        notes=work.notes,
    )


@dataclass
class _Work:
    """What is to be done, and how much of it is."""

    opened: OpenModel
    blocks: Sequence[Block]
    batches: list[MicroBatch]
    objective: Objective
    plan: Reduction
    checkpoint: Checkpoint | None
    save_scores: bool
    keep: int
    results: dict[int, LayerResult] = field(default_factory=dict)
    resumed: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("forward", "backward", "reductions"), 0.0))

    @property
    def smallest(self) -> bool:
        """Whether nothing can be made smaller."""
        return not self.keep and all(len(batch.readings) == 1 for batch in self.batches)

    def shrink(self) -> None:
        """Let go of the kept graphs, or halve the micro-batches."""
        if self.keep:
            self.keep = 0
            self.notes.append("memory ran out; went on without kept graphs")
        else:
            self.batches = [half for batch in self.batches for half in batch.halves()]
            largest = max(len(batch.readings) for batch in self.batches)
            self.notes.append(f"memory ran out; went on with micro-batches of at most {largest} samples")


def _measure(work: _Work, tell: Callable[[str, int], object]) -> Pass:
    """Measure the layers that are not yet measured; may be called again after it ran out of memory."""
    blocks, batches, checkpoint = work.blocks, work.batches, work.checkpoint
    clock = _Clock(work.seconds)
    with layer_major_pass(
        work.opened.model, blocks, batches, work.objective, keep=work.keep, weights=work.opened.weights
    ) as run:
        state = checkpoint.load_state() if checkpoint else {}
        if checkpoint and state and not work.results:
            first = int(state["layer"][0])
            work.results |= {layer: checkpoint.load_layer(layer) for layer in range(first, len(blocks))}
            work.resumed = len(work.results)
        done = len(work.results)
        # The gradients that wait are those of other micro-batches where these were cut otherwise.
        same = bool(state) and state["batches"].tolist() == [len(batch.readings) for batch in batches]
        _give_memory_back()
        for _ in run.schedule.forward(len(blocks) - done if same else len(blocks)):
            _give_memory_back()
            tell("forward", len(batches))
        if same:
            _restore(run, state)
            tell("backward", len(batches) * done)
        else:
            run.head()
        clock.charge("forward")
        for layer in range(len(blocks) - (done if same else 0) - 1, -1, -1):
            captured = run.backward(layer)
            clock.charge("backward")
            if layer not in work.results:
                scores: dict[str, torch.Tensor] | None = {} if work.save_scores else None
                result = reduce_layer(layer, blocks[layer].weights, captured, work.plan, scores)
                if checkpoint:
                    if scores is not None:
                        _save_scores(checkpoint.folder / "scores", layer, scores)
                    checkpoint.save_layer(result)
                    checkpoint.save_state(_state(run, layer))
                work.results[layer] = result
            del captured
            _give_memory_back()
            clock.charge("reductions")
            tell("backward", len(batches))
    return run


def out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory; PyTorch has no class of its own for that on CPUs."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _give_memory_back() -> None:
    """Hand what a block has freed back to the system.

    glibc keeps freed memory that lies between living tensors, and puts the next block's beside it rather than into it:
    on the embedded model the process would grow by up to a half over the run.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class _Clock:
    """Charges the time since the last call to a stage."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.perf_counter()

    def charge(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[stage] += now - self._last
        self._last = now


def _state(run: Pass, layer: int) -> dict[str, np.ndarray]:
    """What the layers before ``layer`` still need, for a checkpoint."""
    state = {
        "layer": np.array([layer]),
        "batches": np.array([len(batch.readings) for batch in run.batches]),
        "values": np.array(run.values),
        "tokens": np.array(run.tokens),
    }
    for name, gradient in run.schedule.gradients().items():
        # float32 holds every half-precision number exactly, and numpy has no bfloat16.
        kind = torch.promote_types(gradient.dtype, torch.float32)
        state[f"gradient.{name}"] = gradient.to("cpu", kind).numpy()
    return state


def _restore(run: Pass, state: dict[str, np.ndarray]) -> None:
    run.values[:] = state["values"].tolist()
    run.tokens[:] = state["tokens"].tolist()
    run.schedule.restore_gradients(
        {
            name.removeprefix("gradient."): torch.from_numpy(array)
            for name, array in state.items()
            if name.startswith("gradient.")
        }
    )


def _save_scores(folder: Path, layer: int, scores: dict[str, torch.Tensor]) -> None:
    folder.mkdir(exist_ok=True)
    part = folder / f"layer-{layer:04d}.part"
    save_file(scores, part)
    part.replace(part.with_suffix(".safetensors"))
