"""The pilot from end to end: texts, plan and controls, sizes, trials, verdicts."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from paramscope.actions.pilots.material import Pool, cut_pool, draw_pool, held_out_texts, texts_record, training_spec
from paramscope.actions.pilots.sizes import BATCH, Sizes, fitting_sizes, fixed_sizes, read_sizes
from paramscope.actions.pilots.speed import measure_speed
from paramscope.actions.pilots.training import Tokens, check_first_gpu
from paramscope.actions.pilots.trials import Progress, Trials
from paramscope.actions.tuning.adapters import AdapterPlan
from paramscope.actions.tuning.layers import MEASURED_RULES, usual_count
from paramscope.actions.tuning.pilot import (
    CONTROLS,
    FULL_CONTROLS,
    Pilot,
    judge_pilot,
    make_contenders,
)
from paramscope.actions.tuning.planner import Planner, plan_record
from paramscope.actions.tuning.signals import layer_scores
from paramscope.result.tuned import UNFINISHED, PilotRecord, SizesRecord, TunedDomain, keep_tuned
from paramscope.result.verification import plain, run_digest

_POOL = 2048
"""Texts that are drawn for training at most."""

_SCORED = 8
"""Training texts that controls are measured on, and their tokens."""
_SCORED_TOKENS = 128
_APART = 16
"""Texts before them in the draw, which may come to be those that the learning rate is chosen by."""


def run_pilot(planner: Planner, *, resume: bool, overwrite: bool, progress: Progress) -> TunedDomain:
    """Try a plan against its controls, and keep what that showed.

    Args:
        planner: of the plan; its model has its weights.
        resume: go on with trials that are there.
        overwrite: begin anew whatever is there.
        progress: told of every step.

    Returns:
        The result; where there is a run's folder, it is kept there.

    Raises:
        UsageError: the texts cannot be read or are too few, or the model is on another GPU than the first.
    """
    profile, request, folder = planner.profile, planner.request, planner.folder
    check_first_gpu(next(planner.model.parameters()).device)
    pool = draw_pool(profile, training_spec(profile, planner.domain, request.train), planner.tokenizer, _POOL)
    identity = {
        "run_sha256": run_digest(folder) if folder else "",
        "domain": planner.domain,
        "texts_sha256": pool.sha256,
        **request.plan_arguments(),
        **request.pilot_arguments(),
    }
    number = profile.domains.index(planner.domain)
    place = folder / UNFINISHED / str(number) if folder else None
    trials = Trials(place, identity, resume=resume, overwrite=overwrite)
    with contextlib.closing(trials):
        document = _pilot(planner, pool, trials, progress)
        if folder is not None:
            keep_tuned(folder, version("paramscope"), document)
        trials.finish()
    return document


def _pilot(planner: Planner, pool: Pool, trials: Trials, progress: Progress) -> TunedDomain:
    """Choose, size, train and judge."""
    profile, request, model = planner.profile, planner.request, planner.model
    held_out = held_out_texts(profile, skip=planner.seen)
    names = FULL_CONTROLS if request.full else CONTROLS
    first = cut_pool(profile, pool, tokens=_SCORED_TOKENS, training=_SCORED, validation=_APART)
    measured = {}
    wanted = [rule for rule in MEASURED_RULES if rule in names or rule == request.rule]
    for rule in wanted:
        measured[rule] = layer_scores(rule, model, first.training)
        progress("scoring layers", 1, len(wanted))
    plan = planner.plan(measured)
    count = usual_count(profile.layers) if plan.choice.rule == "uniform" else len(plan.choice.layers)
    contenders, same = make_contenders(
        plan,
        [name for name in names if name != plan.choice.rule],
        count,
        profile=profile,
        domain=planner.domain,
        modules=planner.modules,
        measured=measured,
        seeds=request.seeds,
        seed=request.seed,
    )
    widest = max((each for one in contenders for each in one.plans), key=lambda each: len(each.choice.layers))
    if trials.sizes is None:
        trials.keep_sizes(dataclasses.asdict(_sizes(planner, pool, held_out, widest, len(contenders))))
    sizes = read_sizes(trials.sizes)
    material = cut_pool(profile, pool, tokens=sizes.tokens, training=sizes.training, validation=sizes.validation)
    tests = {name: [ids[: sizes.tokens] for ids in texts[: sizes.test]] for name, texts in held_out.items()}
    pilot = Pilot(model, planner.domain, contenders, material, tests, sizes, request.seed, trials, progress)
    before = pilot.losses()
    chosen = pilot.run()
    effects, comparisons, sentence = judge_pilot(pilot, before, chosen)
    totals = [each.parameters for one in contenders for each in one.plans]
    record = PilotRecord(
        arguments=request.pilot_arguments(),
        sizes=SizesRecord(**dataclasses.asdict(sizes)),
        texts=texts_record(pool, material),
        controls={one.name: [plan_record(each) for each in one.plans] for one in contenders[1:]},
        same_as_plan=same,
        largest_difference=max(totals) - min(totals),
        before={name: plain(values.tolist()) for name, values in before.items()},
        trials=trials.all,
        effects=effects,
        comparisons=comparisons,
        sentence=sentence,
        seconds=time.perf_counter() - planner.started,
    )
    return planner.document(plan, record)


def _sizes(
    planner: Planner, pool: Pool, held_out: Mapping[str, Sequence[Tokens]], widest: AdapterPlan, plans: int
) -> Sizes:
    """How much is trained: given, or what fits into the budget."""
    request = planner.request
    budget = request.pilot_arguments()["budget"]
    trained = [len(sample.token_ids) for sample in pool.samples]
    tested = [[len(ids) for ids in texts] for texts in held_out.values()]
    if budget is None:
        longest = max(*trained, *(length for lengths in tested for length in lengths))
        return fixed_sizes(longest=longest, seeds=request.seeds, steps=request.steps, full=request.full)
    timed = cut_pool(planner.profile, pool, tokens=_SCORED_TOKENS // 2, training=3 * BATCH, validation=BATCH)
    speed = measure_speed(planner.model, widest.ranks, timed.training)
    return fitting_sizes(
        speed,
        budget=max(budget - (time.perf_counter() - planner.started), budget / 4),
        plans=plans,
        training=trained,
        held_out=tested,
        seeds=request.seeds,
        full=request.full,
    )
