"""``prune.json`` of a finished call."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import torch

from paramscope.actions.pruning.scores import GROUPS
from paramscope.actions.pruning.work import Work
from paramscope.recording import now
from paramscope.result.pruned import AllocationRecord, CalibrationRecord, Pruned, PrunedModule, SourceModel


def describe(
    work: Work,
    allocation: AllocationRecord,
    target: float,
    zeros: Sequence[Sequence[int]],
    unreached: Sequence[Mapping[str, int]],
    resumed: int,
    started: str,
    timings: dict[str, float],
) -> Pruned:
    """The manifest of what was written, but for the files' digests.

    Args:
        work: of the call.
        allocation: of sparsity.
        target: mean sparsity over the weights.
        zeros: by layer and module, counted.
        unreached: by layer and module, experts that no calibration token reached.
        resumed: layers that a former call had finished.
        started: when.
        timings: seconds of each stage.

    Returns:
        The manifest.
    """
    opened, settings, domain = work.opened, work.settings, work.domain
    blocks = work.structure.blocks
    modules = [
        PrunedModule(
            layer=layer,
            module=weight.name,
            rows=weight.rows,
            columns=weight.columns,
            weights=weight.size,
            zeros=zeros[layer][place],
            unreached=unreached[layer].get(weight.name, 0),
        )
        for layer, block in enumerate(blocks)
        for place, weight in enumerate(block.weights)
    ]
    warnings = list(work.warnings)
    missed = sum(module.unreached for module in modules)
    if missed:
        warnings.append(
            f"no calibration token reached {missed} weights of expert stacks (see unreached); theirs were chosen by "
            "magnitude. More or other --samples reach more"
        )
    calibration = None
    if domain:
        calibration = CalibrationRecord(
            name=domain.name,
            source=domain.source,
            asked=domain.asked,
            samples=len(domain.samples),
            tokens=sum(len(sample.token_ids) for sample in domain.samples),
            sha256=[sample.sha256 for sample in domain.samples],
        )
    return Pruned(
        paramscope=version("paramscope"),
        started=started,
        finished=now(),
        arguments=work.arguments,
        model=SourceModel(
            name=opened.name,
            place=opened.place,
            revision=opened.revision,
            architecture=type(opened.model).__name__,
            blocks=blocks[0].name.rsplit(".", 1)[0],
            files=opened.files,
        ),
        target=target,
        pattern=settings.pattern,
        score=settings.score,
        compared="pattern" if settings.pattern else GROUPS[settings.score],
        allocation=allocation,
        calibration=calibration,
        modules=modules,
        dtype=_short(work.own or opened.dtype),
        computed_in=_short(opened.dtype),
        device=str(opened.device),
        weights="streamed" if opened.weights else "resident",
        layers_resumed=resumed,
        timings=timings,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("paramscope", "torch", "transformers", "numpy")},
        },
        warnings=warnings,
    )


def _short(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
