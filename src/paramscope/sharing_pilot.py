"""The thread of the sharing pilot: from a run and its model to what each way to share brings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import nn

from paramscope.actions.pilots.lora import require_peft
from paramscope.actions.pilots.trials import Progress
from paramscope.actions.sharing.curve import compare_layers
from paramscope.actions.sharing.request import PilotRequest
from paramscope.causal.opening import open_profiled
from paramscope.errors import UsageError
from paramscope.models.open import locate
from paramscope.result.place import check_same
from paramscope.result.profile import Profile
from paramscope.result.share_pilot import DOCUMENT, UNFINISHED, SharePilot, read_share_pilot
from paramscope.sharing import RANK, choose_own_layers


def try_sharing(
    profile: Profile | str | os.PathLike[str],
    model: str | os.PathLike[str] | nn.Module | None = None,
    *,
    rank: int = RANK,
    own_layers: int | None = None,
    tokenizer: Any = None,
    seeds: int = 2,
    steps: int | None = None,
    budget: float | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda *_: None,
) -> SharePilot:
    """Train adapters that are shared to different degrees, and measure what each way brings on held-out texts.

    The plan (each domain's own adapters on some layers, one of all on the rest) is held against one adapter for all,
    own adapters everywhere, and as many own layers drawn at random: the same texts, steps and rates to choose from.

    Args:
        profile: a profile, or the folder of a run; then the result is kept there as ``share-pilot.json``.
        model: that was profiled; None opens the one that the run names.
        rank: of all adapters.
        own_layers: see ``share``.
        tokenizer: for a loaded model, unless all texts are token ids.
        seeds: trainings of each way.
        steps: of each domain in a training; None takes as many as fit into the budget.
        budget: seconds that the pilot may take, about; 15 minutes when None.
        seed: the first one, of all draws.
        device: for a model that is opened, see ``Settings``.
        resume: go on with a pilot that was interrupted; it replaces a result that is there.
        overwrite: replace a result that is there.
        progress: told how far the pilot is.

    Returns:
        The document. The model is given back unchanged, bit for bit.

    Raises:
        UsageError: wrong use or input; says what to mend.
    """
    require_peft()
    if resume and overwrite:
        raise UsageError("--resume and --overwrite contradict each other; give one of them")
    request = PilotRequest(rank, seeds, steps, budget, seed)
    run = None if isinstance(profile, Profile) else Path(profile)
    profile = profile if isinstance(profile, Profile) else Profile.load(os.fspath(profile))
    own = choose_own_layers(compare_layers(profile, profile.resampler, None, rank=rank), own_layers)
    begun = run is not None and (run / UNFINISHED / "trials.jsonl").is_file()
    there = None if run is None or overwrite or (begun and resume) else read_share_pilot(run)
    if run is not None and there is not None:
        check_same(
            run / DOCUMENT, there.arguments | {"own_layers": there.own_layers}, request.arguments | {"own_layers": own}
        )
        return there
    opened = open_profiled(profile, model, device)
    if tokenizer is None and opened.place is not None:
        tokenizer = locate(opened.place, profile.manifest.model.revision).tokenizer
    from paramscope.actions.sharing.trying import run_share_pilot  # loads the trainer

    return run_share_pilot(
        profile, run, opened.model, tokenizer, own, request, resume=resume, overwrite=overwrite, progress=progress
    )
