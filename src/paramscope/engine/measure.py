"""The run: forward through all blocks, then block by block backward, each reduced at once."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import save_file

from paramscope.engine.batches import MicroBatch
from paramscope.engine.distributed import Team, out_of_memory
from paramscope.engine.estimate import memory_in_use
from paramscope.engine.forward import Pass, layer_major_pass
from paramscope.engine.integrated import IntegratedPass, completeness, integrated_pass
from paramscope.engine.objectives import Objective
from paramscope.engine.reduce import reduce_layer
from paramscope.engine.reduction import Reduction
from paramscope.models.blocks import Block
from paramscope.models.open import OpenModel
from paramscope.result.layer import LayerResult
from paramscope.result.store import Checkpoint

_GROWN = 128 << 20
"""Bytes that a process may grow by before it hands back what it has freed."""


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
        processes: that measured together.
        wire_bytes: that they have received from each other.
    """

    layers: list[LayerResult]
    values: list[float]
    tokens: list[int]
    resumed: int
    seconds: dict[str, float]
    batches: Sequence[MicroBatch]
    notes: Sequence[str]
    processes: int = 1
    wire_bytes: int = 0


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
    steps: int = 0,
    progress: Progress | None = None,
    team: Team | None = None,
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
        steps: of the path that the activation is integrated along; 0 for first order.
        progress: told after each block.
        team: the processes that measure together; all of them call this with the same plan, the first one with the
            checkpoint.

    Returns:
        The result; of several processes, the layers on the first one only.

    Raises:
        Exception: what the model raised; of memory only where there is not enough for one sample at a time.
    """
    tell = progress or (lambda *_: None)
    work = _Work(opened, blocks, list(batches), objective, plan, checkpoint, save_scores, keep, steps, team or Team())
    while True:
        try:
            _measure(work, tell)
            break
        except Exception as error:
            if not out_of_memory(error) or work.smallest:
                raise
            work.shrink()
    order = np.argsort(plan.order)
    return Measured(
        layers=[work.results[layer] for layer in sorted(work.results)],
        values=[work.values[i] for i in order],
        tokens=[work.tokens[i] for i in order],
        resumed=work.resumed,
        seconds=work.seconds,
        batches=work.batches,
        notes=work.notes,
        processes=work.team.size,
        wire_bytes=work.team.wire_bytes,
    )


@dataclass
class _Work:
    """What is to be done by all processes, and how much of it is; the results are the first one's."""

    opened: OpenModel
    blocks: Sequence[Block]
    batches: list[MicroBatch]
    objective: Objective
    plan: Reduction
    checkpoint: Checkpoint | None
    save_scores: bool
    keep: int
    steps: int
    team: Team
    values: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
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


def _measure(work: _Work, tell: Callable[[str, int], object]) -> None:
    """Measure the layers that are not yet measured; may be called again after it ran out of memory."""
    blocks, batches, team = work.blocks, work.batches, work.team
    clock, memory = _Clock(work.seconds), _Memory()
    mine = team.share([len(batch.readings) * batch.length for batch in batches])
    with _pass(work, mine) as run:
        state: dict[str, torch.Tensor] = {}
        done, same, saving = team.exchange(team.attempt(lambda: _begin(work, state)))[0]
        memory.give_back()
        stop = len(blocks) - done if same else len(blocks)
        passing = run.forward(stop)
        for _ in range(stop):
            team.attempt(lambda: next(passing))
            if not work.keep:  # kept graphs grow on purpose
                memory.give_back()
            tell("forward", len(batches))
        if same:
            _restore(work, run, team.from_first(state), mine.start)
            tell("backward", len(batches) * done)
        else:
            team.attempt(run.head)
            told = team.exchange((run.values, run.tokens))
            work.values = [value for values, _ in told for value in values]
            work.tokens = [token for _, tokens in told for token in tokens]
        clock.charge("forward")
        for layer in range(stop - 1, -1, -1):
            captured = team.attempt(functools.partial(run.backward, layer))
            clock.charge("backward")
            if layer < len(blocks) - done:
                scores: dict[str, torch.Tensor] | None = {} if work.save_scores else None
                result = reduce_layer(layer, blocks[layer].weights, captured, work.plan, scores, team)
                if isinstance(run, IntegratedPass):
                    gaps = np.sum(team.exchange(run.gaps[layer]), axis=0)
                    result = dataclasses.replace(result, completeness=completeness(*gaps.tolist()))
                waiting = team.to_first(_gradients(run, mine.start)) if saving else {}
                team.attempt(functools.partial(_keep_result, work, result, scores, waiting))
            del captured
            if not work.keep:  # kept graphs leave room as they go
                memory.give_back()
            clock.charge("reductions")
            tell("backward", len(batches))


def _pass(work: _Work, mine: slice) -> AbstractContextManager[Pass | IntegratedPass]:
    """The pass over this process's micro-batches."""
    model, blocks, batches = work.opened.model, work.blocks, work.batches[mine]
    if work.steps:
        return integrated_pass(model, blocks, batches, work.objective, work.steps)
    return layer_major_pass(model, blocks, batches, work.objective, keep=work.keep, weights=work.opened.weights)


def _begin(work: _Work, state: dict[str, torch.Tensor]) -> tuple[int, bool, bool]:
    """Read back what is done; only the first process has a checkpoint.

    Args:
        work: gets the finished layers.
        state: gets the gradients that wait, as ``_gradients`` gave them, and the objective of each sample.

    Returns:
        How many layers are done, whether the gradients of the state can be used, and whether results are kept.
    """
    checkpoint = work.checkpoint
    there = checkpoint.load_state() if checkpoint else {}
    if checkpoint and there and not work.results:
        first = int(there["layer"][0])
        work.results |= {layer: checkpoint.load_layer(layer) for layer in range(first, len(work.blocks))}
        work.resumed = len(work.results)
    # The gradients that wait are those of other micro-batches where these were cut otherwise.
    same = bool(there) and there["batches"].tolist() == [len(batch.readings) for batch in work.batches]
    if same:
        state |= {name: torch.from_numpy(array) for name, array in there.items()}
    return len(work.results), same, checkpoint is not None


class _Memory:
    """Hands what blocks have freed back to the system, whenever the process has grown.

    glibc keeps freed memory that lies between living tensors, and puts the next block's beside it rather than into it:
    on the embedded model the process would grow by up to a half over the run. To hand it back costs time, for it is
    taken again.
    """

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._least = memory_in_use()

    def give_back(self) -> None:
        if self._trim is not None and memory_in_use() - self._least > _GROWN:
            self._trim(0)
            self._least = memory_in_use()


class _Clock:
    """Charges the time since the last call to a stage."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._last = time.perf_counter()

    def charge(self, stage: str) -> None:
        now = time.perf_counter()
        self._seconds[stage] += now - self._last
        self._last = now


def _gradients(run: Pass | IntegratedPass, first: int) -> dict[str, torch.Tensor]:
    """What the layers not yet run backward still need, by micro-batch counted over all processes.

    Args:
        run: the pass.
        first: number of its first micro-batch.
    """
    gradients = {}
    for name, gradient in run.gradients().items():
        place, _, rest = name.partition(".")
        gradients[f"gradient.{int(place) + first}.{rest}"] = gradient
    return gradients


def _keep_result(
    work: _Work, result: LayerResult, scores: dict[str, torch.Tensor] | None, waiting: dict[str, torch.Tensor]
) -> None:
    """Keep a finished layer, on the first process; on disk too where there is a checkpoint."""
    if not work.team.first:
        return
    checkpoint = work.checkpoint
    if checkpoint:
        if scores is not None:
            _save_scores(checkpoint.folder / "scores", result.layer, scores)
        checkpoint.save_layer(result)
        state = {
            "layer": np.array([result.layer]),
            "batches": np.array([len(batch.readings) for batch in work.batches]),
            "values": np.array(work.values),
            "tokens": np.array(work.tokens),
        }
        for name, gradient in waiting.items():
            # float32 holds every half-precision number exactly, and numpy has no bfloat16.
            kind = torch.promote_types(gradient.dtype, torch.float32)
            state[name] = gradient.to("cpu", kind).numpy()
        checkpoint.save_state(state)
    work.results[result.layer] = result


def _restore(work: _Work, run: Pass | IntegratedPass, state: dict[str, torch.Tensor], first: int) -> None:
    """Put back what ``_keep_result`` kept, of the micro-batches from ``first`` on that are this process's."""
    work.values, work.tokens = state["values"].tolist(), state["tokens"].tolist()
    gradients = {}
    for name, gradient in state.items():
        kind, _, rest = name.partition(".")
        place, _, rest = rest.partition(".")
        if kind == "gradient" and first <= int(place) < first + len(run.batches):
            gradients[f"{int(place) - first}.{rest}"] = gradient
    run.restore_gradients(gradients)


def _save_scores(folder: Path, layer: int, scores: dict[str, torch.Tensor]) -> None:
    folder.mkdir(exist_ok=True)
    part = folder / f"layer-{layer:04d}.part"
    save_file(scores, part)
    part.replace(part.with_suffix(".safetensors"))
