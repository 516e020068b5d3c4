"""Runs that pilots are tried on: a tiny model, two domains of made-up texts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import paramscope
from paramscope.actions.pilots.trials import Trials
from paramscope.result.tuned import TrialRecord, TunedDomain
from tests.conftest import made_texts

SAMPLES, HELD_OUT, ROWS = 4, 8, 40
TRAINABLE = 6144
"""Three ranks in every module of the tiny model, or twelve in those of a layer."""

QUICK: dict[str, Any] = {"pilot": True, "steps": 4, "trainable": TRAINABLE, "rule": "spread"}


def write_texts(path: Path, texts: list[str]) -> str:
    """Texts as a source of a line each."""
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return str(path)


def make_run(model: Any, folder: Path, **settings: Any) -> Path:
    """A run of two domains whose sources have more texts than it took."""
    domains = {
        name: paramscope.DomainSpec(
            name, write_texts(folder / f"{name}.txt", made_texts(ROWS, start=start)), lines=True
        )
        for name, start in (("a", 0), ("b", 40))
    }
    settings = {"samples": SAMPLES, "held_out": HELD_OUT} | settings
    paramscope.profile(model, domains, output=folder / "run", **settings)
    return folder / "run"


@contextmanager
def interrupted(after: int = 1) -> Iterator[None]:
    """Within it a pilot is interrupted once it has so many trials, and has to be."""
    add = Trials.add

    def interrupt(self: Trials, trial: TrialRecord) -> None:
        add(self, trial)
        if len(self.all) == after:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trials, "add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            yield


def without_clock(tuned: TunedDomain) -> dict[str, Any]:
    """All of a result that does not depend on time and memory."""
    document = tuned.model_dump(exclude={"finished"})
    if document["pilot"]:
        document["pilot"].pop("seconds")
        for each in (*document["pilot"]["trials"], *document["pilot"]["effects"]):
            del each["seconds"], each["memory_bytes"]
    return document


def lean() -> Iterator[None]:
    """One thread, and nothing of what is imported by now to be gone through when the trainer collects garbage."""
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
