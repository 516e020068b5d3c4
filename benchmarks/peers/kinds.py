"""The ways that are compared. Each one takes a case to the same densities and cosines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.func import functional_call, grad, vmap

from benchmarks.peers import libraries
from benchmarks.peers.shapes import Case
from benchmarks.peers.sums import Found, Sums
from paramscope.profiling import check_plan, run_plan
from paramscope.result.manifest import SelfCheck

Work = Callable[[Case], Found | None]

CHUNK = 8
"""Samples whose gradients of all weights are held at once, where a way holds those."""


@dataclass(frozen=True)
class Kind:
    """One way.

    Attributes:
        title: in the tables.
        prepare: makes the work ready; not timed.
        way: in a few words, of what it does for densities.
        pairs: of what it does for cosines; empty where it has none.
        package: that it needs.
    """

    title: str
    prepare: Callable[[Case], Work]
    way: str
    pairs: str = ""
    package: str | None = None


def floor(case: Case) -> None:
    """Forward and backward in paramscope's micro-batches; the weights' gradients are thrown away."""
    _train_blocks_only(case)
    for batch in case.batches():
        case.values(batch).sum().backward()
        case.model.zero_grad(set_to_none=True)


def one_at_a_time(case: Case) -> Found:
    """The paper's loop."""
    _train_blocks_only(case)
    sums = Sums(case)
    parameters = dict(case.model.named_parameters())
    for batch in case.batches(1):
        case.values(batch).sum().backward()
        for name, (_, module) in case.names.items():
            gradient, parameters[name].grad = parameters[name].grad, None
            assert gradient is not None
            sums.add(module, batch.start, gradient[None])
    return sums.result()


def _vmap(case: Case, size: int) -> Found:
    # The fused attention has no batching rule on CPUs and would go one sample at a time.
    case.model.set_attn_implementation("eager")
    case.model.requires_grad_(False)
    sums = Sums(case)
    weights = {name: case.model.get_parameter(name).detach() for name in case.names}

    def value(weights: dict[str, torch.Tensor], ids: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        given = {"input_ids": ids[None], "use_cache": False, "logits_to_keep": position}
        logits = functional_call(case.model, weights, (), given).logits
        return case.plan.objective.evaluate(logits, ())[0][0]

    gradients = vmap(grad(value), in_dims=(None, 0, 0))
    for batch in case.batches(size):
        ids = batch.model_inputs(case.plan.opened.device, takes_positions=False)["input_ids"]
        positions = torch.tensor([reading.positions for reading in batch.readings])
        found = gradients(weights, ids, positions)
        for name, (_, module) in case.names.items():
            sums.add(module, batch.start, found.pop(name))
    return sums.result()


def vmap_whole(case: Case) -> Found:
    """``torch.func``: the gradients of all samples at once."""
    return _vmap(case, len(case.plan.readings))


def vmap_chunks(case: Case) -> Found:
    """``torch.func``: the gradients of ``CHUNK`` samples at once."""
    return _vmap(case, CHUNK)


def opacus(case: Case) -> Found:
    """Opacus, ``CHUNK`` samples at a time."""
    _train_blocks_only(case)
    return libraries.opacus(case, CHUNK)


def _paramscope(case: Case) -> Work:
    check = check_plan(case.plan)
    return lambda case: _run_paramscope(case, check)


def _run_paramscope(case: Case, check: SelfCheck) -> Found:
    profile = run_plan(case.plan, check)
    cosines = [profile.sample_cosines(layer) for layer in range(profile.layers)] if case.cosines else None
    densities = profile.density(case.threshold).to_numpy()
    return Found(densities, None if cosines is None else np.stack(cosines))


def _train_blocks_only(case: Case) -> None:
    """Let autograd make the gradients of the measured weights and of nothing else."""
    case.model.eval()
    case.model.requires_grad_(False)
    for name in case.names:
        case.model.get_parameter(name).requires_grad_(True)


def _ready(work: Work) -> Callable[[Case], Work]:
    return lambda case: work


_HOLD = "holds the activations of all samples and weights"
_ONE_BATCH = "all samples in one micro-batch; holds those of one weight"
REFERENCE = "paramscope"
FLOOR = "forward+backward"
KINDS = {
    FLOOR: Kind("plain forward + backward", _ready(floor), "the same micro-batches; gradients are thrown away"),
    REFERENCE: Kind("**paramscope**", _paramscope, "resident, kept graphs", "the samples' products, tile by tile"),
    "loop": Kind("the paper's loop", _ready(one_at_a_time), "one sample at a time, autograd", _HOLD),
    "vmap": Kind("torch.func, all at once", _ready(vmap_whole), "vmap(grad), eager attention", _HOLD),
    "vmap-chunks": Kind(
        f"torch.func, {CHUNK} at once", _ready(vmap_chunks), f"vmap(grad) over {CHUNK} samples, eager attention", _HOLD
    ),
    "opacus": Kind(
        "Opacus", _ready(opacus), f"GradSampleModule, {CHUNK} samples at a time", _HOLD, package="opacus.grad_sample"
    ),
    "kronfluence": Kind(
        "kronfluence",
        _ready(libraries.kronfluence),
        "post_process_per_sample_gradient, the same micro-batches",
        _ONE_BATCH,
        package="kronfluence.analyzer",
    ),
    "bergson": Kind(
        "bergson",
        _ready(libraries.bergson),
        "HookCollectorBase, the same micro-batches",
        _ONE_BATCH,
        package="bergson.collector.collector",
    ),
}
"""By name, in the order of the tables."""
