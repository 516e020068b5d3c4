"""What a model is evaluated on: texts, questions, a run's held-out samples, tasks of the harness."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paramscope.causal.texts import held_out_samples
from paramscope.domains.tokenise import token_ids
from paramscope.errors import UsageError
from paramscope.evaluation.harness import Harness
from paramscope.evaluation.perplexity import CONTEXT, joined_text
from paramscope.evaluation.tasks import ChoiceTask, read_task
from paramscope.models.open import max_positions
from paramscope.result.evaluation import EvaluatedRun
from paramscope.result.profile import Profile
from paramscope.result.verification import run_digest


@dataclass(frozen=True)
class LongText:
    """A text that perplexity is measured on.

    Attributes:
        source: as it was read.
        token_ids: of the whole text.
        context: tokens of a block.
    """

    source: str
    token_ids: list[int]
    context: int


@dataclass(frozen=True)
class Inputs:
    """All that a model is to be tried on, read before the model is opened.

    Attributes:
        texts: whose perplexity is measured.
        tasks: multiple choice.
        profile: whose held-out samples are read.
        run: which that is.
        harness: tasks of lm-evaluation-harness.
    """

    texts: list[LongText]
    tasks: list[ChoiceTask]
    profile: Profile | None
    run: EvaluatedRun | None
    harness: Harness | None


def read_inputs(
    arguments: Mapping[str, Any], run: Profile | str | os.PathLike[str] | None, config: Any, reader: Any
) -> Inputs:
    """Read all texts, so that what is wrong with one is told before the weights are read.

    Args:
        arguments: of ``evaluating.evaluate``, by name.
        run: a profile or the folder of one.
        config: of the model.
        reader: its tokenizer.

    Returns:
        The inputs.

    Raises:
        UsageError: something that was named cannot be used.
    """
    harness = Harness(arguments["harness"], arguments["harness_path"]) if arguments["harness"] else None
    profile = record = None
    if isinstance(run, Profile):
        profile, digest = run, hashlib.sha256(run.manifest.to_json().encode()).hexdigest()
        record = EvaluatedRun(place=None, manifest_sha256=digest)
    elif run is not None:
        profile = Profile.load(os.fspath(run))
        record = EvaluatedRun(place=os.fspath(run), manifest_sha256=run_digest(Path(run)))
    if profile and reader is not None:
        _check_tokenizer(profile, reader)
    context = _context(arguments["context"], config)
    texts = []
    for source in arguments["perplexity"]:
        text, label = joined_text(source)
        ids = token_ids(reader, text, special=True)
        if len(ids) < 2:
            raise UsageError(f"--perplexity {source}: {len(ids)} tokens, and perplexity needs two; give a longer text")
        texts.append(LongText(label, ids, context))
    settings = {name: arguments[name] for name in ("shots", "limit", "seed")}
    return Inputs(
        texts=texts,
        tasks=[read_task(task, reader, **settings) for task in arguments["tasks"]],
        profile=profile,
        run=record,
        harness=harness,
    )


def _context(given: int | None, config: Any) -> int:
    """Tokens of a block.

    Raises:
        UsageError: the model does not take so many.
    """
    most = max_positions(config)
    if given is not None and most is not None and given > most:
        raise UsageError(f"--context {given} is more than the {most} tokens that the model takes; give {most} or less")
    return given or min(CONTEXT, most or CONTEXT)


def _check_tokenizer(profile: Profile, tokenizer: Any) -> None:
    """Refuse a model that reads other tokens than the run's.

    Raises:
        UsageError: a held-out text of the run has another number of tokens now.
    """
    described = profile.manifest.arguments.get("domains", {})
    for domain, samples in held_out_samples(profile).items():
        if described.get(domain, {}).get("chat"):
            continue
        for sample in samples:
            if not sample.text.text:  # it was given as token ids
                continue
            count = len(token_ids(tokenizer, sample.text.text, special=True))
            if count != sample.full_tokens:
                raise UsageError(
                    f"the run's text {sample.text.origin or repr(sample.text.text[:40])} of domain {domain!r} has "
                    f"{sample.full_tokens} tokens in the run and {count} now; give a model with the run's own tokenizer"
                )
