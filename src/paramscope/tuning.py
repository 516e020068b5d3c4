"""Partial fine-tuning: from a run and a domain to a plan, its exports, and a pilot that tries it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from paramscope.actions.adapters import AdapterPlan, Modules, find_modules, plan_adapters, read_trainable
from paramscope.actions.exports import check_folder, write_exports
from paramscope.actions.layers import (
    DEFAULT_RULE,
    MEASURED_RULES,
    Choice,
    check_domain,
    choose_layers,
    given_layers,
    usual_count,
)
from paramscope.actions.lora import require_peft
from paramscope.causal.opening import open_profiled
from paramscope.errors import UsageError
from paramscope.models.fingerprint import hash_file
from paramscope.models.open import locate, sketch
from paramscope.recording import now
from paramscope.result.place import check_same
from paramscope.result.profile import Profile
from paramscope.result.tuned import (
    DOCUMENT,
    PilotRecord,
    SizesRecord,
    TextsRecord,
    TunedDomain,
    keep_tuned,
    read_tuning,
)
from paramscope.result.verification import load_checks, plain, run_digest
from paramscope.settings import is_positive

if TYPE_CHECKING:
    from paramscope.actions.material import Pool
    from paramscope.actions.pilot import Progress
    from paramscope.actions.sizes import Sizes
    from paramscope.actions.trials import Trials

DEFAULT_TRAINABLE = "1%"
"""Of the layers' parameters."""

DEFAULT_BUDGET = 900.0
"""Seconds that a pilot takes, about."""

_POOL = 2048
"""Texts that are drawn for training at most."""

_SCORED = 8
"""Training texts that controls are measured on, and their tokens."""
_SCORED_TOKENS = 128


@dataclass(frozen=True)
class _Asked:
    """What a call asks for, as it was given."""

    rule: str
    layers: int | list[int] | None
    trainable: str
    rank: int | None
    pilot: bool
    full: bool
    train: Any
    seeds: int
    steps: int | None
    budget: float | None
    seed: int

    def __post_init__(self) -> None:
        for name, value, least in (("seeds", self.seeds, 1), ("seed", self.seed, 0)):
            _check_whole(name, value, least)
        for name, optional in (("steps", self.steps), ("rank", self.rank)):
            if optional is not None:
                _check_whole(name, optional, 1)
        if self.budget is not None and not is_positive(self.budget):
            raise UsageError(f"--budget {self.budget!r} is no time; give one such as 90s, 15m or 1h")
        if self.rank is not None and self.trainable != DEFAULT_TRAINABLE:
            raise UsageError("--rank and --trainable both say how much is trained; give one of them")
        if self.steps is not None and self.budget is not None:
            raise UsageError("--steps and --budget both say how long the pilot takes; give one of them")
        for name, given in (("full", self.full), ("train", self.train), ("steps", self.steps), ("budget", self.budget)):
            if given and not self.pilot:
                raise UsageError(f"--{name} is of the pilot; give --pilot too, or leave it out")

    def plan_arguments(self) -> dict[str, Any]:
        """All that a plan depends on."""
        return {
            "rule": self.rule if not isinstance(self.layers, list) else "given",
            "layers": self.layers,
            "trainable": self.trainable if self.rank is None else None,
            "rank": self.rank,
            "seed": self.seed,
        }

    def pilot_arguments(self) -> dict[str, Any]:
        """All that a pilot depends on besides."""
        train = self.train
        if train is not None and not isinstance(train, str):
            train = f"given in Python: {hashlib.sha256(repr(train).encode()).hexdigest()}"
        return {
            "full": self.full,
            "train": train,
            "seeds": self.seeds,
            "steps": self.steps,
            "budget": self.budget or (None if self.full or self.steps else DEFAULT_BUDGET),
        }


def tune(
    model: str | os.PathLike[str] | nn.Module,
    run: Profile | str | os.PathLike[str],
    domain: str,
    *,
    rule: str = DEFAULT_RULE,
    layers: int | Sequence[int] | None = None,
    trainable: str | int = DEFAULT_TRAINABLE,
    rank: int | None = None,
    export: str | os.PathLike[str] | None = None,
    pilot: bool = False,
    full: bool = False,
    train: Any = None,
    tokenizer: Any = None,
    seeds: int = 2,
    steps: int | None = None,
    budget: float | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
) -> TunedDomain:
    """Plan which layers to train for a domain with LoRA, and try the plan against controls.

    Args:
        model: that was profiled.
        run: its profile, or the folder of a run; then the result is kept there.
        domain: of the run.
        rule: that chooses the layers, see ``actions.layers``.
        layers: how many, or which; a fifth when None.
        trainable: parameters of all adapters together: a share of the layers' (``1%``) or a number.
        rank: of every adapter, in place of ``trainable``.
        export: a folder for the plan in the form of PEFT and axolotl, and as a list.
        pilot: train the plan and its controls, and measure what that does to held-out texts.
        full: with all controls.
        train: texts to train on: a SOURCE, texts, or a ``DomainSpec``; None takes the domain's own source, without
            what the run has of it.
        tokenizer: for a loaded model, unless all texts are token ids.
        seeds: trainings of each plan.
        steps: of each training; None takes as many as fit into the budget.
        budget: seconds that the pilot may take, about; 15 minutes when None, any with ``full``.
        seed: the first one, of all draws.
        device: for a model that is opened, see ``Settings``.
        resume: go on with a pilot that was interrupted.
        overwrite: replace a result and exports that are there.
        progress: told how far the pilot is.

    Returns:
        The plan, and what the pilot showed. The model is given back unchanged, bit for bit.

    Raises:
        UsageError: wrong use or input; says what to mend.
    """
    started = time.perf_counter()
    require_peft()
    if resume and overwrite:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    chosen = layers if layers is None or isinstance(layers, int) else list(layers)
    asked = _Asked(rule, chosen, str(trainable), rank, pilot, full, train, seeds, steps, budget, seed)
    folder = None if isinstance(run, Profile) else Path(run)
    profile = run if isinstance(run, Profile) else Profile.load(os.fspath(run))
    check_domain(profile, domain)
    if export is not None:
        check_folder(Path(export), overwrite=overwrite)
    kept = None if folder is None else _result(folder, domain, asked, overwrite=overwrite)
    if kept is not None and export is None:
        return kept
    new = kept is None
    work = _Work.begin(profile, folder, model, domain, asked, device, tokenizer, started, weights=new and pilot)
    if kept is not None:
        found = kept
    elif pilot:
        found = _tried(work, resume=resume, overwrite=overwrite, progress=progress)
    else:
        found = work.document(work.plan({}), None)
    if export is not None:
        write_exports(work.plan_of(found), work.model, Path(export))
    if folder is not None and new and not pilot:
        keep_tuned(folder, version("paramscope"), found)
    return found


def _result(folder: Path, domain: str, asked: _Asked, *, overwrite: bool) -> TunedDomain | None:
    """What a run has already of a domain that answers what is asked.

    Raises:
        UsageError: there is a pilot of another plan, or with other arguments.
    """
    kept = read_tuning(folder)
    there = kept.of(domain) if kept else None
    if there is None or there.pilot is None:  # a plan alone is quickly made anew
        return None
    now_asked, before = asked.plan_arguments(), there.arguments
    if now_asked == before and not asked.pilot:
        return there  # a plan that was tried is not replaced by the same one, untried
    if overwrite:
        return None
    if asked.pilot:
        now_asked, before = now_asked | asked.pilot_arguments(), before | there.pilot.arguments
    check_same(folder / DOCUMENT, before, now_asked)
    return there


@dataclass
class _Work:
    """What planning needs."""

    profile: Profile
    folder: Path | None
    model: nn.Module
    modules: Modules
    domain: str
    asked: _Asked
    tokenizer: Any
    started: float

    @classmethod
    def begin(
        cls,
        profile: Profile,
        folder: Path | None,
        model: str | os.PathLike[str] | nn.Module,
        domain: str,
        asked: _Asked,
        device: str,
        tokenizer: Any,
        started: float,
        *,
        weights: bool,
    ) -> _Work:
        """Open the model; its weights where they are wanted."""
        if isinstance(model, nn.Module):
            opened = open_profiled(profile, model, device).model
        else:
            place = os.fspath(model)
            located = locate(place, None if os.path.exists(place) else profile.manifest.model.revision)
            tokenizer = tokenizer or located.tokenizer
            if weights:
                opened = open_profiled(profile, place, device).model
            else:
                _check_files(profile, place, {path.name: hash_file(path) for path in located.files.all})
                opened = sketch(located, device="cpu").model
        return cls(profile, folder, opened, find_modules(profile, opened), domain, asked, tokenizer, started)

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return int(self.profile.parameters.sum())

    @property
    def count(self) -> int:
        """Layers that are chosen."""
        given = self.asked.layers
        return given if isinstance(given, int) else len(given) if given else usual_count(self.profile.layers)

    def choice(self, measured: dict[str, Any]) -> Choice:
        """The layers of the plan."""
        asked = self.asked
        if isinstance(asked.layers, list):
            return given_layers(asked.layers, self.profile.layers)
        damages = None
        if asked.rule == "damage" and self.folder is not None:
            checks = load_checks(self.folder)
            damages = checks.parts if checks else None
        return choose_layers(
            asked.rule,
            self.count,
            self.profile,
            self.domain,
            damages=damages,
            measured=measured.get(asked.rule),
            seed=asked.seed,
        )

    def plan(self, measured: dict[str, Any]) -> AdapterPlan:
        """The plan."""
        choice = self.choice(measured)
        if self.asked.rank is None:
            budget = read_trainable(self.asked.trainable, self.parameters)
        else:
            budget = self.asked.rank * sum(module.cost for module in self.modules.of(choice.layers))
        return plan_adapters(choice, self.modules, budget)

    def plan_of(self, there: TunedDomain) -> AdapterPlan:
        """The plan that a document tells of."""
        record = there.plan
        choice = Choice(record.rule, tuple(record.layers), (), record.evidence)
        return plan_adapters(choice, self.modules, there.budget)

    def document(self, plan: AdapterPlan, pilot: PilotRecord | None) -> TunedDomain:
        """The result."""
        from paramscope.actions.pilot import plan_record

        return TunedDomain(
            domain=self.domain,
            arguments=self.asked.plan_arguments(),
            budget=plan.budget,
            share=plan.parameters / self.parameters,
            plan=plan_record(plan),
            left_out=list(self.modules.left_out),
            pilot=pilot,
            finished=now(),
        )


def _check_files(profile: Profile, place: str, digests: dict[str, str]) -> None:
    """Refuse another model than the run's, where both have files of the same names.

    Raises:
        UsageError: a file differs.
    """
    files = profile.manifest.model.files
    changed = [name for name in files if set(files) == set(digests) and files[name] != digests[name]]
    if changed:
        raise UsageError(f"{place} is not the model of the run ({changed[0]} differs); give the one that was profiled")


def _tried(work: _Work, *, resume: bool, overwrite: bool, progress: Progress) -> TunedDomain:
    """Run the pilot."""
    from paramscope.actions.material import draw_pool, training_spec
    from paramscope.actions.trials import Trials

    profile, asked, folder = work.profile, work.asked, work.folder
    identity = {
        "run_sha256": run_digest(folder) if folder else "",
        "domain": work.domain,
        **asked.plan_arguments(),
        **asked.pilot_arguments(),
    }
    pool = draw_pool(profile, training_spec(profile, work.domain, asked.train), work.tokenizer, _POOL)
    number = profile.domains.index(work.domain)
    trials = Trials(folder, number, identity, resume=resume, overwrite=overwrite)
    with contextlib.closing(trials):
        document = _pilot(work, pool, trials, progress)
        if folder is not None:
            keep_tuned(folder, version("paramscope"), document)
        trials.finish()
    return document


def _pilot(work: _Work, pool: Pool, trials: Trials, progress: Progress) -> TunedDomain:
    """Choose, size, train and judge."""
    from paramscope.actions.material import cut_pool, held_out_texts
    from paramscope.actions.pilot import CONTROLS, FULL_CONTROLS, Pilot, judge_pilot, make_contenders, plan_record
    from paramscope.actions.signals import layer_scores

    profile, asked, model = work.profile, work.asked, work.model
    names = FULL_CONTROLS if asked.full else CONTROLS
    first = cut_pool(profile, pool, tokens=_SCORED_TOKENS, training=_SCORED, validation=_SCORED)
    measured = {}
    wanted = [rule for rule in MEASURED_RULES if rule in names or rule == asked.rule]
    for rule in wanted:
        measured[rule] = layer_scores(rule, model, first.training)
        progress("scoring layers", 1, len(wanted))
    plan = work.plan(measured)
    count = usual_count(profile.layers) if plan.choice.rule == "uniform" else len(plan.choice.layers)
    contenders, same = make_contenders(
        plan,
        [name for name in names if name != plan.choice.rule],
        count,
        profile=profile,
        domain=work.domain,
        modules=work.modules,
        measured=measured,
        seeds=asked.seeds,
        seed=asked.seed,
    )
    widest = max((each for one in contenders for each in one.plans), key=lambda each: len(each.choice.layers))
    if trials.sizes is None:
        trials.keep_sizes(dataclasses.asdict(_sizes(work, pool, widest, len(contenders))))
    sizes = _read_sizes(trials.sizes)
    material = cut_pool(profile, pool, tokens=sizes.tokens, training=sizes.training, validation=sizes.validation)
    tests = held_out_texts(profile, tokens=sizes.tokens, most=sizes.test)
    pilot = Pilot(model, work.domain, contenders, material, tests, sizes, asked.seed, trials, progress)
    before = pilot.losses()
    chosen = pilot.run()
    effects, comparisons, sentence = judge_pilot(pilot, before, chosen)
    totals = [each.parameters for one in contenders for each in one.plans]
    record = PilotRecord(
        arguments=asked.pilot_arguments(),
        sizes=SizesRecord(**dataclasses.asdict(sizes)),
        texts=TextsRecord(
            source=pool.source,
            rows=pool.rows,
            overlapping=material.overlapping,
            repeated=material.repeated,
            training=len(material.training),
            validation=len(material.validation),
            sha256=material.sha256,
        ),
        controls={one.name: [plan_record(each) for each in one.plans] for one in contenders[1:]},
        same_as_plan=same,
        largest_difference=max(totals) - min(totals),
        before={name: plain(values.tolist()) for name, values in before.items()},
        trials=trials.all,
        effects=effects,
        comparisons=comparisons,
        sentence=sentence,
        seconds=time.perf_counter() - work.started,
    )
    return work.document(plan, record)


def _sizes(work: _Work, pool: Pool, widest: AdapterPlan, plans: int) -> Sizes:
    """How much is trained: given, or what fits into the budget."""
    from paramscope.actions.material import cut_pool
    from paramscope.actions.pilot import measure_speed
    from paramscope.actions.sizes import BATCH, fitting_sizes, fixed_sizes
    from paramscope.causal.texts import held_out_samples

    asked = work.asked
    budget = asked.pilot_arguments()["budget"]
    trained = [len(sample.token_ids) for sample in pool.samples]
    held_out = [[len(sample.token_ids) for sample in given] for given in held_out_samples(work.profile).values()]
    if budget is None:
        longest = max(*trained, *(length for lengths in held_out for length in lengths))
        return fixed_sizes(longest=longest, seeds=asked.seeds, steps=asked.steps, full=asked.full)
    timed = cut_pool(work.profile, pool, tokens=_SCORED_TOKENS // 2, training=3 * BATCH, validation=BATCH)
    speed = measure_speed(work.model, widest, timed.training)
    return fitting_sizes(
        speed,
        budget=max(budget - (time.perf_counter() - work.started), budget / 4),
        plans=plans,
        training=trained,
        held_out=held_out,
        seeds=asked.seeds,
        full=asked.full,
    )


def _read_sizes(kept: dict[str, Any] | None) -> Sizes:
    from paramscope.actions.sizes import Sizes

    assert kept is not None
    return Sizes(**kept | {"rates": tuple(kept["rates"])})


def _check_whole(name: str, value: object, least: int) -> None:
    """Refuse what is no whole number, or too small.

    Raises:
        UsageError: it is.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"--{name} {value!r} is out of range; give a whole number of at least {least}")
