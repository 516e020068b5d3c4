"""Evaluation: from a model, and what it is to be tried on, to numbers with their errors."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from paramscope.domains.readers import explicit
from paramscope.engine.estimate import memory_free
from paramscope.errors import UsageError
from paramscope.evaluation.harness import Progress
from paramscope.evaluation.inputs import read_inputs
from paramscope.evaluation.kept import Kept, kept_beside
from paramscope.evaluation.stages import Stages, Timings
from paramscope.models.open import LocatedModel, OpenModel, adopt, choose_device, load, locate, sketch
from paramscope.models.quantised import quantised
from paramscope.recording import now
from paramscope.result.evaluation import EvaluatedModel, Evaluation
from paramscope.result.profile import Profile
from paramscope.result.store import write_atomically
from paramscope.settings import DTYPE_NAMES, RESIDENCY_NAMES

_SPARE = 1.25
"""Memory for a model over its weights, for the choice where they are kept."""


def evaluate(
    model: str | os.PathLike[str] | nn.Module,
    *,
    perplexity: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    tasks: str | Sequence[str] = (),
    run: Profile | str | os.PathLike[str] | None = None,
    harness: str | Sequence[str] = (),
    harness_path: str | os.PathLike[str] | None = None,
    context: int | None = None,
    shots: int | None = None,
    limit: int | None = None,
    tokenizer: Any = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    weights: str = "auto",
    seed: int = 0,
    output: str | os.PathLike[str] | None = None,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Measure what a model can do.

    Args:
        model: a folder, ``.gguf`` file or hub id, or a loaded model, which is given back unchanged.
        perplexity: SOURCEs whose perplexity is measured, see ``evaluation.perplexity``.
        tasks: ``NAME`` or ``NAME@PATH``, see ``evaluation.tasks``.
        run: a profile, or the folder of a run, on whose held-out samples the loss is measured. The model may be another
            than the run's, such as a pruned one, but must read the same tokens.
        harness: tasks of lm-evaluation-harness.
        harness_path: a folder with task files of one's own for it.
        context: tokens of a block of the perplexity; None takes 2048, or what the model takes at most.
        shots: examples before each question of MMLU and of the harness's tasks; None takes 5, and what these say.
        limit: blocks, questions, held-out samples of a domain and documents that are taken at most.
        tokenizer: for a loaded model; not needed for ``run`` alone.
        revision: on the hub.
        dtype: see ``Settings``.
        device: see ``Settings``.
        weights: see ``Settings``; ``streamed`` reads them from the disk once a batch, so it is slow.
        seed: of all draws.
        output: file that the document is written to. Until then what is finished is kept beside it, in
            ``output.unfinished``, and taken from there when the same is asked again.
        progress: told how far it is.

    Returns:
        The numbers.

    Raises:
        UsageError: nothing is to be evaluated, or something that was named cannot be used.
        RunError: lm-evaluation-harness fails on a task.
    """
    paths = [perplexity] if isinstance(perplexity, str | os.PathLike) else list(perplexity)
    sources = [one if isinstance(one, str) else explicit(Path(one)) for one in paths]
    tasks = [tasks] if isinstance(tasks, str) else list(tasks)
    harness = [harness] if isinstance(harness, str) else list(harness)
    arguments = {
        "perplexity": sources,
        "tasks": tasks,
        "run": None if run is None or isinstance(run, Profile) else os.fspath(run),
        "harness": harness,
        "harness_path": None if harness_path is None else os.fspath(harness_path),
        "context": context,
        "shots": shots,
        "limit": limit,
        "revision": revision,
        "dtype": dtype,
        "device": device,
        "weights": weights,
        "seed": seed,
    }
    _check_arguments(arguments, run)
    started, timings = now(), Timings()
    with timings.of("reading"):
        located = _located(model, arguments, tokenizer)
        config = located.config if located else getattr(model, "config", None)
        reader = located.tokenizer if located else tokenizer
        wanted = read_inputs(arguments, run, config, reader)
    with timings.of("opening"):
        opened = _open(model, located, dtype=dtype, device=device, weights=weights, harness=bool(harness))
    kept = _kept(None if output is None else Path(output), opened)
    work = Stages(
        opened, reader, wanted, limit=limit, shots=shots, seed=seed, progress=progress, timings=timings, kept=kept
    )
    measured: dict[str, Any] = {
        "perplexity": work.perplexities(),
        "held_out": work.held_out(),
        "choices": work.choices(),
        "harness": work.harness(),
    }
    found = Evaluation(
        paramscope=version("paramscope"),
        started=started,
        finished=now(),
        arguments=arguments,
        model=EvaluatedModel(
            name=opened.name,
            place=opened.place,
            revision=opened.revision,
            architecture=type(opened.model).__name__,
            files=opened.files,
            dtype=str(opened.dtype).removeprefix("torch."),
            device=str(opened.device),
            weights="streamed" if opened.weights else "resident",
        ),
        run=wanted.run,
        **measured,
        timings=timings.seconds,
        versions=_versions(harness=bool(harness)),
        warnings=[*opened.warnings, *work.warnings],
    )
    if output is not None:
        try:
            write_atomically(Path(output), found.model_dump_json(indent=1) + "\n")
        except OSError as error:
            raise UsageError(f"output {output} cannot be written ({error.strerror}); give another with -o") from error
        kept.finish()
    return found


def _kept(output: Path | None, opened: OpenModel) -> Kept:
    """Where finished stages are kept until the document is written."""
    common = {
        "paramscope": version("paramscope"),
        "files": opened.files,
        "dtype": str(opened.dtype),
        "device": opened.device.type,
    }
    return Kept(kept_beside(output) if output else None, common)


def _check_arguments(arguments: dict[str, Any], run: object) -> None:
    """Refuse what cannot be meant.

    Raises:
        UsageError: it is given, or nothing to evaluate is.
    """
    for name, least in (("context", 2), ("shots", 0), ("limit", 1), ("seed", 0)):
        value = arguments[name]
        if value is None and name != "seed":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UsageError(f"--{name} {value!r} is out of range; give a whole number of at least {least}")
    for name, known in (("dtype", DTYPE_NAMES), ("weights", RESIDENCY_NAMES)):
        if arguments[name] not in known:
            raise UsageError(f"--{name} {arguments[name]!r} is unknown; give one of {', '.join(known)}")
    if not arguments["perplexity"] and not arguments["tasks"] and not arguments["harness"] and run is None:
        raise UsageError(
            "nothing to evaluate is given; give --perplexity SOURCE, --task NAME[@PATH], --run RUN or --harness TASK"
        )
    for name, option in (("perplexity", "perplexity"), ("tasks", "task"), ("harness", "harness")):
        twice = [one for place, one in enumerate(arguments[name]) if one in arguments[name][:place]]
        if twice:
            raise UsageError(f"--{option} {twice[0]} is given twice; give it once")
    if arguments["context"] is not None and not arguments["perplexity"]:
        raise UsageError(f"--context {arguments['context']} is of --perplexity; give both or neither")
    if arguments["harness_path"] is not None and not arguments["harness"]:
        raise UsageError(f"--harness-path {arguments['harness_path']} is of --harness TASK; give both or neither")
    asks_mmlu = any(task.partition("@")[0] == "mmlu" for task in arguments["tasks"])
    if arguments["shots"] is not None and not asks_mmlu and not arguments["harness"]:
        raise UsageError(
            f"--shots {arguments['shots']} is of --task mmlu and --harness; leave it out (the other tasks have none)"
        )


def _located(
    model: str | os.PathLike[str] | nn.Module, arguments: dict[str, Any], tokenizer: Any
) -> LocatedModel | None:
    """The model on disk; None for a loaded one.

    Raises:
        UsageError: it is not there, or a setting does not go with it.
    """
    if not isinstance(model, nn.Module):
        if tokenizer is not None:
            raise UsageError(
                "tokenizer is for a loaded model; one that is opened from disk brings its own, leave it out"
            )
        return locate(os.fspath(model), arguments["revision"])
    for name, usual in (("dtype", "auto"), ("device", "auto"), ("weights", "auto"), ("revision", None)):
        if arguments[name] != usual:
            raise UsageError(
                f"{name} {arguments[name]!r} is given, but a loaded model is taken as it is; leave {name} out"
            )
    if tokenizer is None and (arguments["perplexity"] or arguments["tasks"] or arguments["harness"]):
        raise UsageError("texts need a tokenizer; give the loaded model's")
    return None


def _open(
    model: str | os.PathLike[str] | nn.Module,
    located: LocatedModel | None,
    *,
    dtype: str,
    device: str,
    weights: str,
    harness: bool,
) -> OpenModel:
    """Open the model, in memory where its weights fit.

    Raises:
        UsageError: it cannot be opened, or not in the way that is asked for.
    """
    if located is None:
        assert isinstance(model, nn.Module)
        return adopt(model)
    method = "GGUF" if located.files.gguf else quantised(located.config)
    if method:
        if weights == "streamed":
            raise UsageError(f"--weights streamed is for plain safetensors; weights in {method} are kept in memory")
        return load(located, dtype=dtype, device=device)
    if harness:
        if weights == "streamed":
            raise UsageError("--harness runs models whose weights are in memory; leave out --weights streamed")
        return load(located, dtype=dtype, device=device)
    drawn = sketch(located, dtype=dtype, device=device) if weights != "resident" else None
    if drawn and weights == "auto":
        needed = sum(parameter.numel() * parameter.element_size() for parameter in drawn.model.parameters())
        free = memory_free(choose_device(device))
        if free is None or _SPARE * needed <= free:
            drawn = None
    return load(located, dtype=dtype, device=device, streamed=drawn)


def _versions(*, harness: bool) -> dict[str, str]:
    names = ["paramscope", "torch", "transformers", "numpy", *(["lm_eval"] if harness else [])]
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
