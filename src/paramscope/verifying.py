"""Causal checks: from a profile and its model to verdicts."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from paramscope.causal import verdicts
from paramscope.causal.damage import HeldOut
from paramscope.causal.design import Sizes, plan_sizes
from paramscope.causal.double import InDouble, fits_in_double, in_double
from paramscope.causal.opening import check_shapes, open_profiled
from paramscope.causal.parts import Part, check_parts, list_parts
from paramscope.causal.selection import Selection, score_layers
from paramscope.causal.sets import check_sets
from paramscope.causal.single import check_singles, noise_floor
from paramscope.causal.store import Stages, unfinished_arguments
from paramscope.causal.texts import held_out_samples, likelihood_readings, objective_of, profiled_samples
from paramscope.domains import Sample
from paramscope.engine.cost import FIRST_ORDER_FORWARDS, path_forwards
from paramscope.engine.estimate import memory_free
from paramscope.errors import UsageError
from paramscope.measures.bands import thirds
from paramscope.models.blocks import Structure, find_structure
from paramscope.models.open import OpenModel
from paramscope.models.running import evaluation_mode, output_head
from paramscope.recording import now
from paramscope.result.place import check_same
from paramscope.result.profile import Profile
from paramscope.result.verification import (
    BreakingRecord,
    Checks,
    FidelityRecord,
    MatrixRecord,
    PartCorrelationRecord,
    VerdictRecord,
    Verification,
    load_checks,
    plain,
    run_digest,
)
from paramscope.settings import Settings, is_positive

Progress = Callable[[str, int, int], object]
"""Told of a stage, steps more that are done in it, and steps that it has."""


def verify(
    profile: Profile | str | os.PathLike[str],
    model: str | os.PathLike[str] | nn.Module | None = None,
    *,
    budget: float | None = None,
    seed: int = 0,
    activation: str = "first-order",
    steps: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
) -> Checks:
    """Test by intervention what a profile claims.

    Args:
        profile: a profile, or the folder of a run; then the result is kept there, and what is finished is not done
            again.
        model: that it was made of; None opens the one that the run names.
        budget: seconds that the checks may take, about; None takes no longer than the profile itself, and takes checks
            that are there whatever their budget was.
        seed: of all draws.
        activation: ``integrated`` also tries the path-integrated activation on single weights, see ``Settings``.
        steps: of its path, see ``Settings``.
        device: for a model that is opened, see ``Settings``.
        overwrite: replace checks that are there.
        progress: told how far the checks are.

    Returns:
        The checks. The model is given back unchanged, bit for bit.

    Raises:
        UsageError: the model is not the profile's, or the run cannot be verified; says what to mend.
    """
    if budget is not None and not is_positive(budget):
        raise UsageError(f"--budget {budget!r} is no time; give one such as 90s, 5m or 1h")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"--seed {seed!r} is out of range; give a whole number of at least 0")
    run = None if isinstance(profile, Profile) else Path(profile)
    profile = profile if isinstance(profile, Profile) else Profile.load(os.fspath(profile))
    timings = profile.manifest.timings
    seconds = budget or sum(timings.get(stage, 0.0) for stage in ("measuring", "self_check", "opening"))
    path = Settings(activation=activation, steps=steps).path_steps
    arguments = {"budget": seconds, "seed": seed, "steps": path, "run_sha256": _digest(profile, run)}
    if run is not None and not overwrite:
        waiting = unfinished_arguments(run)
        if budget is None and waiting:
            arguments["budget"] = seconds = waiting["budget"]
        there = load_checks(run)
        # Checks that were begun to replace these, and were interrupted, are gone on with.
        if there and waiting != arguments:
            kept = there.result.arguments
            check_same(run, kept, arguments if budget else arguments | {"budget": kept["budget"]})
            return there
    work = _Work.begin(profile, model, device, seconds, seed, path, progress)
    stages = Stages(run, arguments, overwrite=overwrite)
    with contextlib.closing(stages):
        return _verify(work, stages, arguments)


def _digest(profile: Profile, run: Path | None) -> str:
    return run_digest(run) if run else hashlib.sha256(profile.manifest.to_json().encode()).hexdigest()


@dataclass
class _Work:
    """All that the checks need; what takes time to make is made when it is first asked for."""

    profile: Profile
    opened: OpenModel
    structure: Structure
    samples: dict[str, list[Sample]]
    kept_apart: dict[str, list[Sample]]
    sizes: Sizes
    double: bool
    seed: int
    steps: int
    progress: Progress
    seconds: float

    @classmethod
    def begin(
        cls,
        profile: Profile,
        model: str | os.PathLike[str] | nn.Module | None,
        device: str,
        budget: float,
        seed: int,
        steps: int,
        progress: Progress,
    ) -> _Work:
        """Open the model and plan the sizes."""
        started = time.perf_counter()
        samples, kept_apart = profiled_samples(profile), held_out_samples(profile)
        opened = open_profiled(profile, model, device)
        structure = find_structure(opened.model)
        check_shapes(profile, opened, structure)
        double = fits_in_double(opened)
        head, free = output_head(opened.model), memory_free(torch.device("cpu"))
        sizes = plan_sizes(
            profile,
            structure.blocks,
            budget=budget,
            held_out={name: [len(sample.token_ids) for sample in given] for name, given in kept_apart.items()},
            vocabulary_weights=sum(p.numel() for p in head.parameters()) if head else 0,
            double=double,
            steps=steps,
            memory=None if free is None else free // 2,
        )
        seconds = time.perf_counter() - started
        return cls(profile, opened, structure, samples, kept_apart, sizes, double, seed, steps, progress, seconds)

    @property
    def bands(self) -> dict[str, list[int]]:
        """Layers by band, of those whose sets are tried."""
        return {name: layers for name, layers in thirds(self.profile.layers).items() if name in self.sizes.sets.bands}

    @functools.cached_property
    def held(self) -> HeldOut:
        """The held-out texts on the model; within ``evaluation_mode``."""
        count, tokens = self.sizes.held_out, self.sizes.tokens
        cut = {
            name: [dataclasses.replace(sample, token_ids=sample.token_ids[:tokens]) for sample in given[:count]]
            for name, given in self.kept_apart.items()
        }
        return HeldOut(self.opened.model, self.structure, likelihood_readings(cut))

    @functools.cached_property
    def selection(self) -> Selection:
        """The sets of weights, chosen by the profile's own samples."""
        objective = objective_of(self.profile)
        selection = Selection(
            self.structure.blocks,
            self.bands,
            self.sizes.sets.shares,
            len(self.profile.domains),
            self.sizes.sets.criteria,
        )
        readings = [
            [objective.read(sample) for sample in given[: self.sizes.scored]] for given in self.samples.values()
        ]
        for scores in score_layers(self.opened, self.structure, objective, readings):
            selection.add(scores)
            self.progress("activations", 1, self.profile.layers)
        return selection


def _verify(work: _Work, stages: Stages, arguments: dict[str, Any]) -> Checks:
    started, began = now(), time.perf_counter()
    timings = {"opening": work.seconds}

    def timed(name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        since = time.perf_counter()
        table = stages.table(name, make)
        timings[name] = time.perf_counter() - since
        return table

    weights = timed("weights", lambda: _singles(work))
    with evaluation_mode(work.opened.model):
        sets = [timed(f"sets-{band}", functools.partial(_sets, work, band)) for band in work.bands]
        parts = timed("parts", lambda: _parts(work))
    every_set = pd.concat(sets, ignore_index=True)
    timings["checking"] = time.perf_counter() - began
    result = summarise(work, arguments, weights, every_set, parts, started, timings)
    stages.finish(result, {"weights": weights, "sets": every_set, "parts": parts})
    return Checks(result, weights, every_set, parts)


def _singles(work: _Work) -> pd.DataFrame:
    """Single weights, on a copy in float64 where there is room for one."""
    model, structure = work.opened.model, work.structure
    if work.double:
        model = in_double(model)
        structure = find_structure(model)
    objective = objective_of(work.profile)
    turns = [
        (name, turn, objective.read(sample))
        for turn in range(max(len(given) for given in work.samples.values()))
        for name, given in work.samples.items()
        for sample in given[turn : turn + 1]
    ]
    texts = turns[: work.sizes.texts]
    total = len(texts) * work.sizes.cells
    with InDouble() if work.double else contextlib.nullcontext():
        return check_singles(
            model,
            structure.blocks,
            objective,
            texts,
            cells=work.sizes.cells,
            steps=work.steps,
            seed=work.seed,
            progress=lambda steps: work.progress("single weights", steps, total),
        )


def _sets(work: _Work, band: str) -> pd.DataFrame:
    plan, domains = work.sizes.sets, work.profile.domains
    total = len(work.bands) * plan.trials(len(domains))
    selection = work.selection  # its own progress comes first
    return check_sets(
        work.held,
        selection,
        plan,
        domains,
        band,
        seed=work.seed,
        progress=lambda steps: work.progress("sets", steps, total),
    )


def _parts(work: _Work) -> pd.DataFrame:
    structure = work.structure
    parts = list_parts(work.profile, structure.blocks, structure.writers, most=work.sizes.parts, seed=work.seed)
    parts += [
        Part("weight", layer, name, (cut,), np.full(len(work.profile.domains), np.nan))
        for layer, name, cut in work.selection.largest(work.sizes.parts["weight"])
    ]
    return check_parts(work.held, parts, work.profile.domains, lambda steps: work.progress("parts", steps, len(parts)))


def summarise(
    work: _Work,
    arguments: dict[str, Any],
    weights: pd.DataFrame,
    sets: pd.DataFrame,
    parts: pd.DataFrame,
    started: str,
    timings: dict[str, float],
) -> Verification:
    """The verdicts, and the numbers behind them."""
    profile, seed = work.profile, work.seed
    floor = noise_floor(weights)
    whole = verdicts.fidelity(weights, floor, seed=seed)
    parts_of = {band: weights["layer"].isin(layers) for band, layers in thirds(profile.layers).items()}
    parts_of |= {layer: weights["layer"] == layer for layer in sorted(weights["layer"].unique().tolist())}
    fidelities = {
        place: verdicts.fidelity(weights[chosen], floor, seed=seed) for place, chosen in parts_of.items() if any(chosen)
    }
    free = profile.manifest.objective == "max-logit"
    damages = verdicts.SetDamages(sets, profile.domains, list(work.bands))
    found = [
        *verdicts.fidelity_verdicts(whole),
        *verdicts.set_verdicts(damages, seed=seed),
        *verdicts.part_verdicts(parts, profile.domains, seed=seed),
    ]
    kinds = [kind for kind in verdicts.PART_KINDS if (parts["kind"] == kind).any()]
    return Verification(
        paramscope=version("paramscope"),
        run_sha256=arguments["run_sha256"],
        started=started,
        finished=now(),
        arguments=arguments,
        sizes=plain(dataclasses.asdict(work.sizes)),
        singles_dtype="float64" if work.double else str(work.opened.dtype).removeprefix("torch."),
        noise_floor=plain(floor),
        fidelity=[_fidelity(whole), *(_fidelity(found, place) for place, found in fidelities.items())],
        fidelity_free=_fidelity(verdicts.fidelity(weights, floor, change="change_free", seed=seed)) if free else None,
        fidelity_integrated=_fidelity(verdicts.fidelity(weights, floor, estimate="integrated", seed=seed))
        if work.steps
        else None,
        integrated_cost=path_forwards(work.structure.blocks, work.steps) / FIRST_ORDER_FORWARDS if work.steps else None,
        matrices=[
            MatrixRecord(
                band=band,
                share=share,
                criterion=criterion,
                damage=plain(damages.by_domain(damages.matrix(band, share, criterion)).tolist()),
            )
            for band in damages.bands
            for share in damages.shares
            for criterion in sets["criterion"].unique()
        ],
        part_correlations=[
            PartCorrelationRecord(kind=kind, domain=name, **plain(dataclasses.asdict(interval)))
            for kind in kinds
            for name, interval in verdicts.part_correlations(parts, kind, profile.domains, seed=seed).items()
        ],
        breaking=[BreakingRecord(**plain(row)) for row in verdicts.breaking(sets, parts).to_dict("records")],
        verdicts=[VerdictRecord(**plain(dataclasses.asdict(verdict))) for verdict in found],
        timings=timings,
        warnings=[],
    )


def _fidelity(found: verdicts.Fidelity, place: int | str | None = None) -> FidelityRecord:
    return FidelityRecord(where=place, **plain(dataclasses.asdict(found)))
