"""The draw: which texts of a source become samples.

The order follows from the seed and from each text's own content, so it depends neither on the order of rows nor on
other domains, and a larger draw begins with a smaller one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from paramscope.domains.sample import Domain, Sample, Text
from paramscope.domains.spec import DomainSpec
from paramscope.domains.texts import read_texts
from paramscope.domains.tokenise import tokenise
from paramscope.errors import UnfitError, UsageError
from paramscope.wording import quoted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_Row = TypeVar("_Row")

_LEAST_TO_DIVIDE = 10
"""Texts of a domain of which some are kept apart although there are not enough."""


def order_by_draw(texts: Iterable[Text], seed: int) -> list[Text]:
    """Put texts into the order in which they are drawn.

    Args:
        texts: the texts.
        seed: another seed gives another order.

    Returns:
        The texts, sorted by the SHA-256 of seed, text, target and foil.
    """
    return sorted(texts, key=lambda text: _digest([seed, text.text, text.target, text.foil]))


def draw_domain(
    spec: DomainSpec,
    tokenizer: PreTrainedTokenizerBase | None,
    *,
    samples: int,
    max_tokens: int,
    seed: int,
    held_out: int = 0,
    uses_target: bool = False,
    uses_foil: bool = False,
    check: Callable[[Sample], object] = lambda _: None,
) -> Domain:
    """Read a domain and draw its samples.

    Args:
        spec: the domain.
        tokenizer: a tokenizer of the library ``transformers``; not needed for samples given as token ids, which are
            taken as they are.
        samples: how many samples are wanted.
        max_tokens: the most tokens of an input.
        seed: the seed of the draw.
        held_out: how many more are wanted, to be kept apart. Where there are fewer texts than ``samples``, a fifth of
            ten or more is.
        uses_target: whether the objective reads a target.
        uses_foil: whether the objective reads a foil.
        check: raises ``UnfitError`` for a sample that the objective cannot read; such rows are left out and counted.

    Returns:
        The samples, all with different tokens, in the order of the draw; fewer than ``samples`` with a warning.

    Raises:
        UsageError: when the source cannot be read, has no usable text, or lacks what the objective reads.
    """
    for name, number in (("samples", samples), ("max-tokens", max_tokens)):
        if number < 1:
            raise UsageError(f"{name} is {number}; expected 1 or more")
    counts = _Counts()
    if _gives_token_ids(spec):
        given = _given_samples(spec, uses_target, uses_foil)
        given.sort(key=lambda sample: _digest([seed, sample.token_ids]))
        counts.rows = len(given)
        return _take(
            spec,
            f"{len(given)} samples given as token ids",
            given,
            lambda sample: sample,
            check,
            samples,
            held_out,
            counts,
        )
    if tokenizer is None:
        raise UsageError(f"domain {spec.name!r}: texts need a tokenizer; give one, or samples as token ids")
    if spec.chat and not tokenizer.chat_template:
        raise UsageError(f"domain {spec.name!r}: chat is given, but the tokenizer has no chat template; leave out chat")
    texts = read_texts(spec)
    for used, name in ((uses_target, "target"), (uses_foil, "foil")):
        if used and all(getattr(text, name) is None for text in texts.texts) and texts.texts:
            raise UsageError(
                f"domain {spec.name!r}: the objective reads a {name}, but there is none in {texts.source}; "
                f"give --{name}"
            )
    make = functools.partial(
        tokenise,
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        keep=texts.keep,
        chat=spec.chat,
        uses_target=uses_target,
        uses_foil=uses_foil,
    )
    counts = _Counts(texts.rows, texts.empty, texts.duplicates)
    return _take(spec, texts.source, order_by_draw(texts.texts, seed), make, check, samples, held_out, counts)


@dataclass
class _Counts:
    """Rows read and left out, as in ``Domain``; ``reason`` is why the first unfit one is."""

    rows: int = 0
    empty: int = 0
    duplicates: int = 0
    unfit: int = 0
    reason: str = ""

    def __str__(self) -> str:
        why = f", {self.unfit} unfit for the objective, the first: {self.reason}" if self.unfit else ""
        return f"{self.rows} rows, {self.empty} empty, {self.duplicates} repeated{why}"


def _take(
    spec: DomainSpec,
    source: str,
    rows: Iterable[_Row],
    make: Callable[[_Row], Sample | None],
    check: Callable[[Sample], object],
    asked: int,
    apart: int,
    counts: _Counts,
) -> Domain:
    """Make samples of rows, in their order, until there are enough.

    Raises:
        UsageError: there is not one.
    """
    drawn: dict[str, Sample] = {}
    for row in rows:
        try:
            sample = make(row)
            if sample:
                check(sample)
        except UnfitError as reason:
            counts.unfit += 1
            counts.reason = counts.reason or str(reason)
            continue
        if sample is None:
            counts.empty += 1
        elif sample.sha256 in drawn:
            counts.duplicates += 1
        else:
            drawn[sample.sha256] = sample
        if len(drawn) == asked + apart:
            break
    if not drawn:
        repair = (
            "raise --max-tokens, or give shorter or other texts and answers" if counts.unfit else "give rows with text"
        )
        raise UsageError(f"domain {spec.name!r}: no usable text in {source} ({counts}); {repair}")
    spare = len(drawn) - asked if len(drawn) >= asked else len(drawn) // 5 if len(drawn) >= _LEAST_TO_DIVIDE else 0
    kept = len(drawn) - min(apart, spare)
    told = (
        f", and {len(drawn) - kept} are kept apart for checks (--held-out 0 takes them too)"
        if kept < len(drawn)
        else ""
    )
    warnings: tuple[str, ...] = ()
    if kept < asked:
        warnings = (
            f"domain {spec.name!r}: {kept} of the {asked} samples that were asked for; there are no "
            f"more different texts in {source} ({counts}){told}",
        )
    elif counts.unfit:
        warnings = (f"domain {spec.name!r}: rows left out that the objective cannot read ({counts})",)
    return Domain(
        spec.name,
        source,
        tuple(drawn.values())[:kept],
        tuple(drawn.values())[kept:],
        counts.rows,
        counts.empty,
        counts.duplicates,
        counts.unfit,
        asked,
        warnings,
    )


def _digest(content: list[Any]) -> bytes:
    return hashlib.sha256(json.dumps(content).encode("ascii")).digest()


def _gives_token_ids(spec: DomainSpec) -> bool:
    return bool(spec.given) and not isinstance(spec.given[0], str | Text)


def _given_samples(spec: DomainSpec, uses_target: bool, uses_foil: bool) -> list[Sample]:
    for setting in ("field", "template", "lines", "chat", "target", "foil", "keep"):
        if getattr(spec, setting):
            raise UsageError(
                f"domain {spec.name!r}: {setting} is given, but samples given as token ids are taken as they are; "
                "leave it out"
            )
    if uses_target or uses_foil:
        raise UsageError(
            f"domain {spec.name!r}: the objective reads a target, which samples given as token ids do not have; "
            "give texts and --target"
        )
    samples = []
    for number, given in enumerate(spec.given, start=1):
        ids = _checked_ids(given, f"domain {spec.name!r}, sample {number}")
        samples.append(Sample(Text("", origin=f"sample {number}"), ids, full_tokens=len(ids)))
    return samples


def _checked_ids(given: object, where: str) -> tuple[int, ...]:
    # Arrays and tensors of any library have tolist, which also brings a tensor back from its device.
    values = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(values, str | bytes | dict) or not isinstance(values, Iterable):
        raise UsageError(f"{where}: of type {type(given).__name__}; expected a list of token ids such as [1, 15, 7]")
    ids = []
    for value in values:
        try:
            token = -1 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            token = -1
        if not 0 <= token < 2**31:
            raise UsageError(f"{where}: {quoted(value)} is no token id; expected integers of 0 or more")
        ids.append(token)
    if not ids:
        raise UsageError(f"{where}: no token ids; expected one or more")
    return tuple(ids)
