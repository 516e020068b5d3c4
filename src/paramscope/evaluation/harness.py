"""Any task of lm-evaluation-harness, run by that library itself on a model that is already open."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from paramscope.errors import RunError, UsageError
from paramscope.models.running import evaluation_mode
from paramscope.wording import did_you_mean, one_line, quoted

Progress = Callable[[str, int, int], object]
"""Told of a stage, steps more that are done in it, and steps that it has."""

_BATCH_ROWS = 8
"""Rows that the library runs together."""


@dataclass(frozen=True)
class HarnessMetric:
    """One number of a task.

    Attributes:
        task: its name; a group's mean has the group's.
        metric: such as ``acc`` or ``exact_match``.
        filter: what was made of the answers before they were counted; ``none`` as they are.
        value: of the metric.
        standard_error: as the library tells it; None where it tells none.
        higher_is_better: None where the task does not say.
        items: documents that were evaluated; None where the library does not tell, as of some groups.
        shots: examples before each.
        version: of the task.
    """

    task: str
    metric: str
    filter: str
    value: float
    standard_error: float | None
    higher_is_better: bool | None
    items: int | None
    shots: int | None
    version: str


class Harness:
    """Tasks that were found and whose data were read; ``run`` gives them to a model."""

    def __init__(self, names: Sequence[str], path: str | os.PathLike[str] | None = None) -> None:
        """Find the tasks.

        Args:
            names: of tasks, groups or tags.
            path: a folder with task files of one's own. Python that they name (``!function``) is run.

        Raises:
            UsageError: the library is missing, a name is unknown, a task's data cannot be read, or it would run
                code that the model writes.
        """
        if path is not None and not os.path.isdir(path):
            raise UsageError(f"--harness-path {path} is no folder; give the one that holds the tasks' .yaml files")
        try:
            from lm_eval.tasks import TaskManager
        except ImportError as error:
            raise UsageError(
                f"--harness {names[0]} needs lm-evaluation-harness ({one_line(error)}); pip install 'paramscope[eval]'"
            ) from error
        # The library has thousands of task files; where all that is asked for is in the folder, they are not read.
        manager = TaskManager(include_path=path and str(path), include_defaults=path is None)
        if path is not None and not set(names) <= set(manager.all_subtasks):
            manager = TaskManager(include_path=str(path))
        for name in names:
            if name not in manager.task_index:
                near = did_you_mean(name, manager.all_tasks)
                repair = "" if path is not None else "; one of your own needs --harness-path FOLDER"
                raise UsageError(
                    f"--harness {quoted(name)}: lm-evaluation-harness has no task of that name{near}{repair}"
                )
        self._manager = manager
        self._tasks: list[Any] = []
        for name in names:
            try:
                with _same_randomness():
                    loaded = manager.load([name])
            # A task is a configuration, data and code of others: whatever fails there is the task's.
            except Exception as error:
                raise UsageError(
                    f"--harness {quoted(name)}: the task cannot be loaded ({type(error).__name__}: {one_line(error)}); "
                    "check its data (offline, they must be in the local cache), or leave it out"
                ) from error
            unsafe = [task for task, one in loaded["tasks"].items() if getattr(one, "UNSAFE_CODE", False)]
            if unsafe:
                raise UsageError(
                    f"--harness {quoted(name)}: {unsafe[0]} runs code that the model writes, and paramscope "
                    "does not; leave it out"
                )
            group = loaded.get("groups", {}).get(name)
            self._tasks += [group] if group is not None else list(loaded["tasks"].values())

    def run(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        limit: int | None = None,
        shots: int | None = None,
        seed: int = 0,
        progress: Progress = lambda *_: None,
    ) -> tuple[list[HarnessMetric], dict[str, list[dict[str, Any]]]]:
        """Evaluate a model.

        Args:
            model: of transformers; it is given back unchanged.
            tokenizer: of the model.
            limit: documents of each task, the first ones, as that library counts; None takes all.
            shots: examples before each document; None leaves that to the task.
            seed: of all draws.
            progress: told a stage, how many more of its requests are answered, and how many it has.

        Returns:
            The numbers, and what the library tells of each document, by task.

        Raises:
            UsageError: the model is none of transformers.
            RunError: the library fails on a task.
        """
        from lm_eval import simple_evaluate
        from transformers import PreTrainedModel

        if not isinstance(model, PreTrainedModel):
            raise UsageError(f"--harness takes models of transformers, this is a {type(model).__name__}; leave it out")
        # The library gives the tokenizer a token to pad with, and seeds every generator.
        with evaluation_mode(model), _same_randomness():
            try:
                results = simple_evaluate(
                    model=_wrapped(model, copy.deepcopy(tokenizer), progress),
                    tasks=self._tasks,
                    task_manager=self._manager,
                    num_fewshot=shots,
                    limit=limit,
                    random_seed=seed,
                    numpy_random_seed=seed,
                    torch_random_seed=seed,
                    fewshot_random_seed=seed,
                )
            except Exception as error:
                raise RunError(
                    f"lm-evaluation-harness could not finish ({type(error).__name__}: {one_line(error)})"
                ) from error
        return _metrics(results), results["samples"]


def _wrapped(model: nn.Module, tokenizer: Any, progress: Progress) -> Any:
    """The library's own wrapper around an open model, which tells us how far it is in place of its bars."""
    from lm_eval.models.huggingface import HFLM

    class Wrapped(HFLM):
        def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
            self.set_cache_hook(_Counter(progress, "harness", len(requests)))
            return super().loglikelihood(requests, disable_tqdm=True)

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
            self.set_cache_hook(_Counter(progress, "harness, rolling", len(requests)))
            return super().loglikelihood_rolling(requests, disable_tqdm=True)

        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
            self.set_cache_hook(_Counter(progress, "harness, writing", len(requests)))
            return super().generate_until(requests, disable_tqdm=True)

        def _loglikelihood_tokens(self, requests: Any, disable_tqdm: bool = True, **options: Any) -> Any:
            return super()._loglikelihood_tokens(requests, disable_tqdm=True, **options)

    return Wrapped(pretrained=model, tokenizer=tokenizer, batch_size=_BATCH_ROWS)


class _Counter:
    """Stands where the library's cache would be told of every answer."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress, self._stage, self._total = progress, stage, total
        progress(stage, 0, total)

    def add_partial(self, *_: Any) -> None:
        """An answer is there."""
        self._progress(self._stage, 1, self._total)


def _metrics(results: Any) -> list[HarnessMetric]:
    """The library's results, one row a number."""
    found: list[HarnessMetric] = []
    for task, values in results["results"].items():
        for key, value in values.items():
            metric, comma, kind = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            error = values.get(f"{metric}_stderr,{kind}")
            found.append(
                HarnessMetric(
                    task=task,
                    metric=metric,
                    filter=kind,
                    value=float(value),
                    standard_error=float(error) if isinstance(error, int | float) else None,
                    higher_is_better=results["higher_is_better"].get(task, {}).get(metric),
                    items=results["n-samples"].get(task, {}).get("effective"),
                    shots=results["n-shot"].get(task),
                    version=str(results["versions"].get(task, "")),
                )
            )
    return found


@contextmanager
def _same_randomness() -> Iterator[None]:
    """Afterwards every global generator is where it was."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
