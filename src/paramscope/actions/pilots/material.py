"""The texts of a pilot: trained on, chosen by and tested on, never the same one twice."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from paramscope.causal.texts import held_out_samples, objective_of, profiled_samples
from paramscope.domains import BUILT_INS, DomainSpec, Sample, draw_domain
from paramscope.domains.source import parse_source
from paramscope.errors import RunError, UsageError
from paramscope.result.profile import Profile
from paramscope.result.tuned import TextsRecord

LEAST_TRAINING, LEAST_VALIDATION, LEAST_TESTED = 8, 4, 2
"""Texts without which there is no pilot."""


@dataclass(frozen=True)
class Pool:
    """Texts of a domain that may be trained on, before they are cut.

    Attributes:
        samples: in the order of the draw.
        source: where they come from.
        rows: that the source has.
    """

    samples: tuple[Sample, ...]
    source: str
    rows: int

    @property
    def sha256(self) -> str:
        """Of the hashes of all samples, in their order."""
        return _digest(self.samples)


@dataclass(frozen=True)
class Material:
    """What is trained on and what the learning rate is chosen by, as token ids, cut.

    Attributes:
        training: texts.
        validation: texts.
        overlapping: texts of the pool that were left out because the profile or a test has them.
        repeated: texts of the pool that, once cut, an earlier one equals.
        sha256: of all hashes of both, in their order.
    """

    training: tuple[tuple[int, ...], ...]
    validation: tuple[tuple[int, ...], ...]
    overlapping: int
    repeated: int
    sha256: str


def training_spec(profile: Profile, domain: str, train: Any = None) -> DomainSpec:
    """Where training texts come from.

    Args:
        profile: of a run.
        domain: name.
        train: a SOURCE, texts or samples as token ids, or a ``DomainSpec``; None for the domain's own source. A SOURCE
            of the user's own files is read with the settings that the run read the domain with.

    Returns:
        The source.

    Raises:
        UsageError: the domain's texts were given in Python, or a source does not exist.
    """
    if isinstance(train, DomainSpec):
        return train
    said: dict[str, Any] = profile.manifest.arguments["domains"][domain]
    settings = {f.name: said[f.name] for f in dataclasses.fields(DomainSpec) if f.name in said and f.name != "source"}
    both = {name: value for name, value in settings.items() if name in ("chat", "keep")}
    if train is None:
        source = str(said["source"])
        if re.fullmatch(r"\d+ (texts given in Python|samples given as token ids)", source):
            raise UsageError(
                f"domain {domain!r}: its {source} are not kept as a source; give texts to train on with --train"
            )
        known = source.partition(": ")[0]
        return DomainSpec(domain, known if known in BUILT_INS else source, **settings)
    if not isinstance(train, str):
        given = list(train)
        return DomainSpec(domain, given, **(both if given and isinstance(given[0], str) else {}))
    parsed = parse_source(train)
    if not parsed.own:
        return DomainSpec(domain, train, **both)
    if parsed.path is None or parsed.path.suffix.lower() != ".txt":
        settings.pop("lines", None)
    return DomainSpec(domain, train, **settings)


def draw_pool(profile: Profile, spec: DomainSpec, tokenizer: Any, count: int) -> Pool:
    """Draw texts for training, in the order of the run's own draw.

    A larger draw begins with a smaller one, so of the domain's own source the first texts are the run's samples; they
    are left out when the pool is cut, as is every other text that the run has.

    Args:
        profile: of a run.
        spec: where from.
        tokenizer: of the model; not needed for token ids.
        count: texts wanted beyond those of the run.

    Returns:
        The texts.

    Raises:
        UsageError: the source cannot be read.
    """
    objective = objective_of(profile)
    had = len(profile.samples) + len(profile.tables.held_out)
    drawn = draw_domain(
        spec,
        tokenizer,
        samples=count + had,
        max_tokens=int(profile.manifest.arguments["max_tokens"]),
        seed=profile.manifest.seed,
        uses_target=objective.uses_target,
        uses_foil=objective.uses_foil,
        check=objective.read,
    )
    return Pool(drawn.samples, drawn.source, drawn.rows)


def cut_pool(profile: Profile, pool: Pool, *, tokens: int, training: int, validation: int) -> Material:
    """Choose and cut what is trained on.

    Args:
        profile: of a run; neither its samples nor those it kept apart, of any domain, are taken.
        pool: texts.
        tokens: that texts are cut to.
        training: most texts for training.
        validation: texts to choose the learning rate by; where there are few, at most a quarter of all.

    Returns:
        The material.

    Raises:
        UsageError: there are too few texts.
        RunError: a text would be trained on and chosen by.
    """
    protected = prints_of((s for given in _all_samples(profile) for s in given), tokens)
    kept: list[Sample] = []
    seen: set[str] = set()
    overlapping = repeated = 0
    for sample in pool.samples:
        mine = prints_of([sample], tokens)
        if mine & protected:
            overlapping += 1
        elif mine & seen:
            repeated += 1
        elif len(sample.token_ids) > 1 and tokens > 1:
            seen |= mine
            kept.append(sample)
    apart = min(validation, len(kept) // 4)
    if apart < LEAST_VALIDATION or len(kept) - apart < LEAST_TRAINING:
        least = max(LEAST_TRAINING + LEAST_VALIDATION, 4 * LEAST_VALIDATION)
        raise UsageError(
            f"{pool.source} has {len(kept)} texts to train on ({pool.rows} rows, {overlapping} of them the run's own, "
            f"{repeated} repeated), and {least} are needed; give others with --train, or profile with fewer --samples"
        )
    used = kept[: training + apart]
    validated, trained = used[:apart], used[apart:]
    check_apart(profile, [*trained, *validated], tokens)
    if prints_of(trained, tokens) & prints_of(validated, tokens):
        raise RunError(f"a text of {pool.source} would be trained on and chosen by")
    return Material(
        tuple(sample.token_ids[:tokens] for sample in trained),
        tuple(sample.token_ids[:tokens] for sample in validated),
        overlapping,
        repeated,
        _digest([*trained, *validated]),
    )


def texts_record(pool: Pool, material: Material) -> TextsRecord:
    """Where training texts came from, as it is written."""
    return TextsRecord(
        source=pool.source,
        rows=pool.rows,
        overlapping=material.overlapping,
        repeated=material.repeated,
        training=len(material.training),
        validation=len(material.validation),
        sha256=material.sha256,
    )


def ordered(texts: Sequence[tuple[int, ...]], count: int, seed: int) -> list[tuple[int, ...]]:
    """Texts in the order of training: gone over again and again, each time in an order of its own.

    Args:
        texts: to train on.
        count: how many are wanted.
        seed: of the orders; the same for every plan.

    Returns:
        ``count`` texts.
    """
    rng = np.random.default_rng(seed)
    places: list[int] = []
    while len(places) < count:
        places += rng.permutation(len(texts)).tolist()
    return [texts[place] for place in places[:count]]


def check_apart(profile: Profile, samples: Sequence[Sample], tokens: int) -> None:
    """Make sure that nothing is trained on that is tested.

    Args:
        profile: of a run.
        samples: to be trained on.
        tokens: that all are cut to.

    Raises:
        RunError: a text or its tokens are the run's.
    """
    protected = prints_of((s for given in _all_samples(profile) for s in given), tokens)
    for sample in samples:
        if prints_of([sample], tokens) & protected:
            raise RunError(f"{sample.text.origin} would be trained on and is a text of the run; nothing was trained")


def held_out_texts(profile: Profile, *, skip: int = 0) -> dict[str, list[tuple[int, ...]]]:
    """The held-out texts of all domains.

    Args:
        profile: of a run.
        skip: texts of each domain that something was chosen by.

    Returns:
        Token ids by domain.

    Raises:
        UsageError: a domain has fewer than two.
    """
    found = {name: [s.token_ids for s in given[skip:]] for name, given in held_out_samples(profile).items()}
    for name, texts in found.items():
        if len(texts) < LEAST_TESTED:
            raise UsageError(
                f"domain {name!r} has {len(texts)} held-out texts that the causal checks, by which the layers are "
                f"chosen, have not seen, and at least {LEAST_TESTED} are needed; profile again with a larger "
                "--held-out, or give another --rule"
            )
    return found


def prints_of(samples: Iterable[Sample], tokens: int) -> set[str]:
    """Hashes that tell texts apart: of the text with its blanks made one, and of its tokens once cut."""
    found = set()
    for sample in samples:
        text = " ".join(sample.text.text.split())
        if text:
            found.add("text " + hashlib.sha256(text.encode("utf-8")).hexdigest())
        ids = np.asarray(sample.token_ids[:tokens], dtype="<i8").tobytes()
        found.add("tokens " + hashlib.sha256(ids).hexdigest())
    return found


def _digest(samples: Iterable[Sample]) -> str:
    return hashlib.sha256("".join(sample.sha256 for sample in samples).encode("ascii")).hexdigest()


def _all_samples(profile: Profile) -> list[list[Sample]]:
    kept_apart: Mapping[str, list[Sample]] = held_out_samples(profile)
    return [*profiled_samples(profile).values(), *kept_apart.values()]
