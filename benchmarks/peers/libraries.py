"""Other libraries' per-sample gradients. Each is imported when it is run, and asked by its own way in."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import nn

from benchmarks.peers.shapes import Case
from benchmarks.peers.sums import Found, Sums


def why_missing(package: str | None) -> str | None:
    """Why a package cannot be used here; None when it can."""
    try:
        importlib.import_module(package or "torch")
    except Exception as error:  # whatever its import stumbles over
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def opacus(case: Case, size: int) -> Found:
    """Opacus: hooks leave each parameter's per-sample gradients in ``grad_sample``, all layers' together.

    Args:
        case: with gradients for the blocks' weights alone.
        size: samples at a time.

    Returns:
        The result.
    """
    from opacus.grad_sample import GradSampleModule

    sums = Sums(case)
    case.model.train()  # its hooks do nothing otherwise; these models have no dropout
    hooked = GradSampleModule(case.model, loss_reduction="sum", strict=False)
    parameters = dict(case.model.named_parameters())
    for batch in case.batches(size):
        case.values(batch).sum().backward()
        for name, (_, module) in case.names.items():
            parameter: Any = parameters[name]
            gradients, parameter.grad_sample, parameter.grad = parameter.grad_sample, None, None
            sums.add(module, batch.start, gradients)
    hooked.remove_hooks()
    return sums.result()


def kronfluence(case: Case) -> Found:
    """kronfluence: a tracked module hands its per-sample gradients to the task, then sums what that returns."""
    from kronfluence.analyzer import prepare_model
    from kronfluence.module.tracked_module import ModuleMode
    from kronfluence.module.utils import set_mode
    from kronfluence.task import Task

    sums, names = Sums(case), [module for _, module in case.names.values()]
    start = 0

    class Activations(Task):
        enable_post_process_per_sample_gradient = True

        def compute_train_loss(self, batch: Any, model: nn.Module, sample: bool = False) -> torch.Tensor:
            return case.values(batch).sum()

        def compute_measurement(self, batch: Any, model: nn.Module) -> torch.Tensor:
            return case.values(batch).sum()

        def get_influence_tracked_modules(self) -> list[str]:
            return names

        def post_process_per_sample_gradient(self, module_name: str, gradient: torch.Tensor) -> torch.Tensor:
            sums.add(module_name, start, gradient)
            return gradient[:, :1, :1]  # so that there is next to nothing left to sum

    task = Activations()
    prepared = prepare_model(case.model, task)
    set_mode(prepared, ModuleMode.GRADIENT_AGGREGATION, release_memory=True)
    for batch in case.batches(len(case.plan.readings) if case.cosines else None):
        start = batch.start
        task.compute_train_loss(batch, prepared).backward()
    set_mode(prepared, ModuleMode.DEFAULT, release_memory=True)
    return sums.result()


def bergson(case: Case) -> Found:
    """bergson: a collector's ``backward_hook`` makes each module's gradients, here without its random projection."""
    from bergson.collector.collector import HookCollectorBase

    sums, names = Sums(case), {module for _, module in case.names.values()}
    start = 0

    class Activations(HookCollectorBase):
        def setup(self) -> None:
            pass

        def teardown(self) -> None:
            pass

        def process_batch(self, indices: list[int], **kwargs: Any) -> None:
            pass

        def backward_hook(self, module: Any, g: torch.Tensor) -> None:
            gradients: Any = self._module_gradient(module, g)
            sums.add(module._name, start, gradients.materialize())

    # As bergson sets its models up: no weight's own gradient, the embedding's so that there is a graph.
    case.model.eval()
    case.model.requires_grad_(False)
    case.model.get_input_embeddings().requires_grad_(True)
    with Activations(model=case.model, target_modules=names):
        for batch in case.batches(len(case.plan.readings) if case.cosines else None):
            start = batch.start
            case.values(batch).sum().backward()
            case.model.zero_grad(set_to_none=True)
    return sums.result()
