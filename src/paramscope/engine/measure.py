"""The run: forward through all blocks, then block by block backward, each reduced at once."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save_file

from paramscope.engine.batches import MicroBatch
from paramscope.engine.forward import Pass, layer_major_pass
from paramscope.engine.objectives import Objective
from paramscope.engine.reduce import Reduction, reduce_layer
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
    """

    layers: list[LayerResult]
    values: list[float]
    tokens: list[int]
    resumed: int
    seconds: dict[str, float]


def measure(
    opened: OpenModel,
    blocks: Sequence[Block],
    batches: Sequence[MicroBatch],
    objective: Objective,
    plan: Reduction,
    *,
    checkpoint: Checkpoint | None = None,
    save_scores: bool = False,
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
        progress: told after each block.

    Returns:
        The result.
    """
    tell = progress or (lambda *_: None)
    results: dict[int, LayerResult] = {}
    seconds = dict.fromkeys(("forward", "backward", "reductions"), 0.0)
    with layer_major_pass(opened.model, blocks, batches, objective) as run:
        state = checkpoint.load_state() if checkpoint else None
        first = int(state["layer"][0]) if state else len(blocks)
        clock = _Clock(seconds)
        _give_memory_back()
        for _ in run.schedule.forward(first):
            _give_memory_back()
            tell("forward", len(batches))
        if checkpoint and state:
            results = {layer: checkpoint.load_layer(layer) for layer in range(first, len(blocks))}
            _restore(run, state)
            tell("backward", len(batches) * len(results))
        else:
            run.head()
        clock.charge("forward")
        resumed = len(results)
        for layer in range(first - 1, -1, -1):
            captured = run.backward(layer)
            clock.charge("backward")
            scores: dict[str, torch.Tensor] | None = {} if save_scores else None
            results[layer] = reduce_layer(layer, blocks[layer].weights, captured, plan, scores)
            del captured
            _give_memory_back()
            if checkpoint:
                if scores is not None:
                    _save_scores(checkpoint.folder / "scores", layer, scores)
                checkpoint.save_layer(results[layer])
                checkpoint.save_state(_state(run, layer))
            clock.charge("reductions")
            tell("backward", len(batches))
    order = np.argsort(plan.order)
    return Measured(
        layers=[results[layer] for layer in range(len(blocks))],
        values=[run.values[i] for i in order],
        tokens=[run.tokens[i] for i in order],
        resumed=resumed,
        seconds=seconds,
    )


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
