"""A pilot's finished trials on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from paramscope.actions.pilots.sizes import Sizes, read_sizes
from paramscope.errors import UsageError
from paramscope.result.manifest import first_fault
from paramscope.result.place import check_same, resolved
from paramscope.result.store import append_line, write_atomically
from paramscope.result.tuned import TrialRecord
from paramscope.result.verification import plain
from paramscope.wording import one_line

Progress = Callable[[str, int, int], object]
"""Told of a stage, steps more that are done in it, and steps that it has."""

Key = tuple[str, int, float]
"""Plan, seed and learning rate of a trial."""


@dataclass(frozen=True)
class Measured:
    """What one training showed, see ``TrialRecord``; ``losses`` are ``[texts]`` by domain."""

    training_loss: float
    seconds: float
    memory_bytes: int
    validation: float
    losses: Mapping[str, NDArray[np.float64]]


class Trials:
    """The trials of one pilot: a JSON line each, in a folder of its own until the pilot's result is written."""

    def __init__(self, folder: Path | None, identity: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Open the folder.

        Args:
            folder: of this pilot alone, within the run's; None keeps nothing.
            identity: all that the trials depend on; must be JSON.
            resume: go on with trials that are there.
            overwrite: begin anew whatever is there.

        Raises:
            UsageError: there are trials and neither is asked for, they were made with other arguments, or another
                process is at them.
        """
        self._done: dict[Key, TrialRecord] = {}
        self._sizes: dict[str, Any] | None = None
        self._folder: Path | None = None
        self._lock: IO[str] | None = None
        if folder is None:
            return
        self._folder = resolved(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin(self._folder, identity, resume=resume, overwrite=overwrite)
        except BlockingIOError as error:
            self._lock.close()
            raise UsageError(f"another paramscope is at {folder} at the moment; wait for it") from error
        except BaseException:
            self._lock.close()
            raise

    def _begin(self, folder: Path, identity: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        record, lines, sizes = folder / "identity.json", folder / "trials.jsonl", folder / "sizes.json"
        if record.is_file() and not overwrite:
            if lines.is_file() and not resume:
                raise UsageError(
                    f"{folder} holds an unfinished pilot; --resume finishes it, --overwrite begins it anew"
                )
            try:
                before = json.loads(record.read_text(encoding="utf-8"))
                kept = json.loads(sizes.read_text(encoding="utf-8")) if sizes.is_file() else None
                if kept is not None:
                    read_sizes(kept)
                text = lines.read_text(encoding="utf-8") if lines.is_file() else ""
                # What a crash left half written has no end of line.
                whole = [TrialRecord.model_validate_json(line) for line in text.split("\n")[:-1]]
            except (ValueError, TypeError, KeyError) as error:
                fault = first_fault(error) if isinstance(error, ValidationError) else one_line(error)
                raise UsageError(f"{folder} is damaged ({fault}); --overwrite begins the pilot anew") from error
            check_same(folder, before, identity)
            self._sizes = kept
            self._done = {(trial.plan, trial.seed, trial.rate): trial for trial in whole}
            write_atomically(lines, "".join(trial.model_dump_json() + "\n" for trial in whole))
            return
        for left in folder.iterdir():
            if left.name != "lock":
                left.unlink()
        write_atomically(record, json.dumps(identity, ensure_ascii=False, indent=1))

    @property
    def sizes(self) -> dict[str, Any] | None:
        """The sizes that the trials were begun with; None for new ones."""
        return self._sizes

    def keep_sizes(self, sizes: dict[str, Any]) -> None:
        """Remember the sizes: they come of a clock, and may not change on the way."""
        self._sizes = sizes
        if self._folder is not None:
            write_atomically(self._folder / "sizes.json", json.dumps(sizes))

    def tried(
        self, key: Key, draw: int, measure: Callable[[], Measured], *, there: Callable[[], object]
    ) -> TrialRecord:
        """A trial, made if it is not there.

        Args:
            key: of the trial.
            draw: which of the plan's draws is trained.
            measure: trains and tests.
            there: told when nothing is to be done.

        Returns:
            The trial.
        """
        if key in self._done:
            there()
            return self._done[key]
        plan, seed, rate = key
        found = measure()
        trial = TrialRecord(
            plan=plan,
            draw=draw,
            seed=seed,
            rate=rate,
            training_loss=plain(found.training_loss),
            validation=plain(found.validation),
            losses={name: plain(values.tolist()) for name, values in found.losses.items()},
            seconds=found.seconds,
            memory_bytes=found.memory_bytes,
        )
        self.add(trial)
        return trial

    @property
    def all(self) -> list[TrialRecord]:
        """All finished trials, in the order in which they were made."""
        return list(self._done.values())

    def add(self, trial: TrialRecord) -> None:
        """Keep a finished trial."""
        self._done[trial.plan, trial.seed, trial.rate] = trial
        if self._folder is not None:
            append_line(self._folder / "trials.jsonl", trial.model_dump_json())

    def finish(self) -> None:
        """Let the trials go, once the result is written."""
        if self._folder is not None and self._lock is not None:
            self._lock.close()
            shutil.rmtree(self._folder)
            self._remove_empty_parent(self._folder)

    def close(self) -> None:
        """Let go of the folder; finished trials stay."""
        if self._folder is None or self._lock is None or self._lock.closed:
            return
        if not self._done:
            shutil.rmtree(self._folder)
            self._remove_empty_parent(self._folder)
        self._lock.close()

    @staticmethod
    def _remove_empty_parent(folder: Path) -> None:
        with contextlib.suppress(OSError):  # the run, or other pilots' trials, are there
            folder.parent.rmdir()


def search_rate(sizes: Sizes, trial: Callable[[int, float], TrialRecord]) -> list[TrialRecord]:
    """Train with every rate and the first seed, then with the other seeds at the rate that did best.

    What did best is told by the validation texts, never by a test.

    Args:
        sizes: that tell the rates and the number of seeds.
        trial: makes the trial of a seed's number and a rate.

    Returns:
        The trials at the rate that did best, one a seed.
    """
    tried = [trial(0, rate) for rate in sizes.rates]
    best = min(tried, key=lambda each: math.inf if each.validation is None else each.validation)
    return [best, *(trial(turn, best.rate) for turn in range(1, sizes.seeds))]
