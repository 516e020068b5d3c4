"""The types that pass from the texts of a domain to the engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Keep = Literal["start", "end"]
"""Which end of a text that is longer than ``max_tokens`` stays: the end for questions, the start for running text."""


@dataclass(frozen=True)
class Text:
    """One row of a source, rendered to the text that the model will read.

    Attributes:
        text: what the model reads.
        target: the answer whose log-probability or logit an objective may read.
        foil: the other answer of the objective ``logit-difference``.
        origin: where the row came from, such as ``boolq.jsonl:17``.
    """

    text: str
    target: str | None = None
    foil: str | None = None
    origin: str = ""


@dataclass(frozen=True)
class TextSet:
    """All usable texts of one source, in the order of the source.

    Attributes:
        texts: different, non-empty texts.
        keep: which end of a long text stays.
        source: what the user named, for the manifest.
        rows: rows read, the ones left out included.
        empty: rows left out because their text is empty or blank.
        duplicates: rows left out because an earlier row gave the same text, target and foil.
    """

    texts: tuple[Text, ...]
    keep: Keep
    source: str
    rows: int
    empty: int = 0
    duplicates: int = 0


@dataclass(frozen=True)
class Sample:
    """One tokenised text.

    Attributes:
        text: where the tokens came from (its ``text`` is empty for samples given as token ids).
        token_ids: the model's input, at most ``max_tokens``, together with a target that the objective reads whole.
        target_ids: tokens of the target without special tokens, empty when there is none.
        foil_ids: the same for the foil.
        full_tokens: number of tokens of the text before it was cut.
    """

    text: Text
    token_ids: tuple[int, ...]
    target_ids: tuple[int, ...] = ()
    foil_ids: tuple[int, ...] = ()
    full_tokens: int = 0

    @property
    def truncated(self) -> bool:
        """Whether tokens of the text were cut off."""
        return self.full_tokens > len(self.token_ids)

    @property
    def sha256(self) -> str:
        """SHA-256 of the token ids (text, target and foil, each ended by -1) as little-endian 64-bit integers."""
        ids = [*self.token_ids, -1, *self.target_ids, -1, *self.foil_ids, -1]
        return hashlib.sha256(np.asarray(ids, dtype="<i8").tobytes()).hexdigest()


@dataclass(frozen=True)
class Domain:
    """The samples of one kind of input, and what was left out on the way to them.

    Attributes:
        name: the user's name for it.
        source: what the user named as source, for the manifest.
        samples: the drawn samples, in the order of the draw.
        held_out: those drawn after them, which the profile does not see.
        rows: rows read from the source.
        empty: rows left out as empty.
        duplicates: rows left out because an earlier one had the same text or, once cut, the same tokens.
        unfit: rows left out because the objective cannot read them.
        asked: how many samples were asked for.
        warnings: one sentence each.
    """

    name: str
    source: str
    samples: tuple[Sample, ...]
    held_out: tuple[Sample, ...]
    rows: int
    empty: int
    duplicates: int
    unfit: int
    asked: int
    warnings: tuple[str, ...] = field(default=())

    @property
    def truncated(self) -> int:
        """How many of the samples were cut."""
        return sum(sample.truncated for sample in self.samples)
