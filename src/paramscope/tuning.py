"""Partial fine-tuning: from a run and a domain to a plan, its exports, and a pilot that tries it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from paramscope.actions.pilots.lora import require_peft
from paramscope.actions.tuning.exports import check_folder, write_exports
from paramscope.actions.tuning.layers import DEFAULT_RULE, check_domain
from paramscope.actions.tuning.planner import Planner
from paramscope.actions.tuning.request import DEFAULT_TRAINABLE, Request
from paramscope.errors import UsageError
from paramscope.result.place import check_same
from paramscope.result.profile import Profile
from paramscope.result.tuned import DOCUMENT, UNFINISHED, TunedDomain, keep_tuned, read_tuning

if TYPE_CHECKING:
    from paramscope.actions.pilots.trials import Progress


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
        rule: that chooses the layers, see ``actions.tuning.layers``.
        layers: how many the rule chooses, or which; a fifth when None. ``uniform`` takes all.
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
        resume: go on with a pilot that was interrupted; it replaces a result that is there.
        overwrite: replace a pilot and exports that are there. A plan that is not tried replaces no pilot.
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
    train = os.fspath(train) if isinstance(train, os.PathLike) else train
    request = Request(rule, chosen, str(trainable), rank, pilot, full, train, seeds, steps, budget, seed)
    folder = None if isinstance(run, Profile) else Path(run)
    profile = run if isinstance(run, Profile) else Profile.load(os.fspath(run))
    check_domain(profile, domain)
    if export is not None:
        check_folder(Path(export), overwrite=overwrite)
    tried = None if folder is None else _tried(folder, domain)
    kept = None
    if folder is not None and tried is not None:
        new = overwrite or (resume and _begun(folder, profile, domain))
        kept = _answer(folder, tried, request, new=new)
    if kept is not None and export is None:
        return kept
    training = pilot and kept is None
    planner = Planner.begin(profile, folder, model, domain, request, device, tokenizer, started, weights=training)
    if kept is not None:
        found = kept
    elif pilot:
        from paramscope.actions.tuning.trying import run_pilot  # loads the trainer

        found = run_pilot(planner, resume=resume, overwrite=overwrite, progress=progress)
    else:
        found = planner.document(planner.plan({}), None)
    if export is not None:
        write_exports(planner.plan_of(found), planner.model, Path(export))
    if folder is not None and found.pilot is None and tried is None:
        keep_tuned(folder, version("paramscope"), found)
    return found


def _tried(folder: Path, domain: str) -> TunedDomain | None:
    """What a run has of a domain that was tried; a plan that was not is quickly made anew."""
    kept = read_tuning(folder)
    there = kept.of(domain) if kept else None
    return there if there and there.pilot else None


def _answer(folder: Path, tried: TunedDomain, request: Request, *, new: bool) -> TunedDomain | None:
    """What was tried, where it answers what is asked for; None where that is to be made.

    Raises:
        UsageError: a pilot is asked for, and there is one of another plan or with other arguments.
    """
    assert tried.pilot
    asked, before = request.plan_arguments(), tried.arguments
    if not request.pilot:
        return tried if asked == before else None
    if new:
        return None
    check_same(folder / DOCUMENT, before | tried.pilot.arguments, asked | request.pilot_arguments())
    return tried


def _begun(folder: Path, profile: Profile, domain: str) -> bool:
    """Whether a pilot of a domain was interrupted."""
    return (folder / UNFINISHED / str(profile.domains.index(domain)) / "trials.jsonl").is_file()
