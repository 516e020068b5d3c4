"""The sharing pilot from end to end: texts, ways, sizes, trials, verdicts."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from paramscope.actions.pilots.material import (
    Pool,
    cut_pool,
    draw_pool,
    held_out_texts,
    texts_record,
    training_spec,
)
from paramscope.actions.pilots.sizes import BATCH, Sizes, fitting_sizes, fixed_sizes, read_sizes
from paramscope.actions.pilots.speed import measure_speed
from paramscope.actions.pilots.training import check_first_gpu
from paramscope.actions.pilots.trials import Progress, Trials
from paramscope.actions.sharing.pilot import SharingPilot, judge
from paramscope.actions.sharing.request import PilotRequest
from paramscope.actions.sharing.ways import make_ways
from paramscope.actions.tuning.adapters import Modules, find_modules
from paramscope.errors import UsageError
from paramscope.recording import now
from paramscope.result.profile import Profile
from paramscope.result.share_pilot import UNFINISHED, SharePilot, write_share_pilot
from paramscope.result.tuned import SizesRecord
from paramscope.result.verification import plain, run_digest

_POOL = 1024
"""Texts of a domain that are drawn for training at most."""

_TIMED_TOKENS = 64


def run_share_pilot(
    profile: Profile,
    folder: Path | None,
    model: nn.Module,
    tokenizer: Any,
    own: Sequence[int],
    request: PilotRequest,
    *,
    resume: bool,
    overwrite: bool,
    progress: Progress,
) -> SharePilot:
    """Try a plan of sharing against its controls, and keep what that showed.

    Args:
        profile: of the run.
        folder: of the run; None keeps nothing.
        model: with its weights; it comes back unchanged.
        tokenizer: of the model.
        own: layers that are the domains' own.
        request: what is asked for.
        resume: go on with trials that are there.
        overwrite: begin anew whatever is there.
        progress: told of every step.

    Returns:
        The result; where there is a run's folder, it is kept there.

    Raises:
        UsageError: texts cannot be read or are too few, the rank does not fit, or the model is on another GPU than the
            first.
    """
    started = time.perf_counter()
    check_first_gpu(next(model.parameters()).device)
    modules = find_modules(profile, model)
    _check_rank(modules, request.rank)
    pools = {name: draw_pool(profile, training_spec(profile, name), tokenizer, _POOL) for name in profile.domains}
    identity = {
        "run_sha256": run_digest(folder) if folder else "",
        "own_layers": list(own),
        "texts_sha256": {name: pool.sha256 for name, pool in pools.items()},
        **request.arguments,
    }
    trials = Trials(folder / UNFINISHED if folder else None, identity, resume=resume, overwrite=overwrite)
    with contextlib.closing(trials):
        tests = held_out_texts(profile)
        ways = make_ways(own, profile.layers, seeds=request.seeds, seed=request.seed)
        if trials.sizes is None:
            ranks = {module.name: request.rank for module in modules.able}
            sizes = _sizes(profile, model, ranks, pools, tests, request, len(ways), started)
            trials.keep_sizes(dataclasses.asdict(sizes))
        sizes = read_sizes(trials.sizes)
        materials = {
            name: cut_pool(profile, pool, tokens=sizes.tokens, training=sizes.training, validation=sizes.validation)
            for name, pool in pools.items()
        }
        pilot = SharingPilot(
            model=model,
            modules=modules,
            rank=request.rank,
            ways=ways,
            materials=list(materials.values()),
            tests={name: [ids[: sizes.tokens] for ids in tests[name][: sizes.test]] for name in pools},
            sizes=sizes,
            seed=request.seed,
            trials=trials,
            progress=progress,
        )
        before = pilot.losses()
        outcome = judge(pilot, before, pilot.run())
        document = SharePilot(
            run_sha256=identity["run_sha256"],
            paramscope=version("paramscope"),
            arguments=request.arguments,
            domains=profile.domains,
            rank=request.rank,
            own_layers=list(own),
            left_out=list(modules.left_out),
            sizes=SizesRecord(**dataclasses.asdict(sizes)),
            texts={name: texts_record(pools[name], material) for name, material in materials.items()},
            before={name: plain(values.tolist()) for name, values in before.items()},
            trials=trials.all,
            outcome=outcome,
            seconds=time.perf_counter() - started,
            finished=now(),
        )
        if folder is not None:
            write_share_pilot(folder, document)
        trials.finish()
    return document


def _check_rank(modules: Modules, rank: int) -> None:
    """Refuse a rank that a module has no room for.

    Raises:
        UsageError: the rank is above the smaller side of a module, or no module takes an adapter.
    """
    if not modules.able:
        raise UsageError("no linear module of the model's layers takes a LoRA adapter; sharing cannot be tried on it")
    narrow = min(modules.able, key=lambda module: min(module.inputs, module.outputs))
    most = min(narrow.inputs, narrow.outputs)
    if rank > most:
        raise UsageError(f"--rank {rank} is above {most}, the smaller side of {narrow.name}; give at most that")


def _sizes(
    profile: Profile,
    model: nn.Module,
    ranks: dict[str, int],
    pools: dict[str, Pool],
    tests: dict[str, list[tuple[int, ...]]],
    request: PilotRequest,
    ways: int,
    started: float,
) -> Sizes:
    """How much is trained: given, or what fits into the budget."""
    trained = [len(sample.token_ids) for pool in pools.values() for sample in pool.samples]
    tested = [[len(ids) for ids in texts] for texts in tests.values()]
    if request.seconds is None:
        longest = max(*trained, *(length for lengths in tested for length in lengths))
        return fixed_sizes(longest=longest, seeds=request.seeds, steps=request.steps)
    timed = [
        text
        for pool in pools.values()
        for text in cut_pool(profile, pool, tokens=_TIMED_TOKENS, training=BATCH, validation=BATCH).training
    ]
    return fitting_sizes(
        measure_speed(model, ranks, timed),
        budget=max(request.seconds - (time.perf_counter() - started), request.seconds / 4),
        plans=ways,
        training=trained,
        held_out=tested,
        seeds=request.seeds,
        domains=len(pools),
    )
