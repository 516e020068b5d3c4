"""What verdicts say, in the language that is spoken: their claims, measures and units, and what breaks a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paramscope.language import _, again, mark, term
from paramscope.result.verification import VerdictRecord, Verification
from paramscope.wording import told_share

HELD_OUT = mark("held-out texts")
WEIGHTS = mark("weights")
PART_KINDS: Mapping[str, str] = {
    "layer": mark("layers"),
    "head": mark("attention heads"),
    "neurons": mark("groups of neurons"),
}
"""Units of the verdicts; of parts by kind."""

CRITERIA = (
    mark("activation"),
    mark("input-norm"),
    mark("difference"),
    mark("ratio"),
    mark("lowest"),
    mark("magnitude"),
    mark("random"),
)
"""By which sets of weights are chosen, see ``causal.selection``."""

KINDS = (mark("layer"), mark("head"), mark("neurons"), mark("random neurons"), mark("weight"))
"""Of parts, see ``causal.parts``."""

BANDS = (mark("shallow"), mark("middle"), mark("deep"))
"""Of layers, whose sets of weights are tried."""

_CLAIMS: Mapping[str, str] = {
    "first-order-order": mark(
        "The activation puts single weights into the order of what zeroing each of them really changes."
    ),
    "first-order-size": mark(
        "For nine in ten weights the true change is within a factor of %(factor)s of the activation."
    ),
    "activation-beats-random": mark(
        "Zeroing the %(share)s of a domain's largest activations costs it more than zeroing as many random weights, "
        "spread over the modules as such sets are."
    ),
    "activation-beats-magnitude": mark(
        "Zeroing the %(share)s of a domain's largest activations costs it more than zeroing as many of the largest "
        "weights."
    ),
    "activation-beats-input-norm": mark(
        "Zeroing the %(share)s of a domain's largest activations costs it more than zeroing as many of the weights "
        "that are largest times the norm of their input."
    ),
    "specific-activation": mark(
        "The %(share)s of the weights chosen for a domain by their activation are its own: without them it loses more "
        "than the others do."
    ),
    "specific-ratio": mark(
        "The %(share)s of the weights chosen for a domain by the ratio of their activation to the other domains' are "
        "its own: without them it loses more than the others do."
    ),
    "specific-difference": mark(
        "The %(share)s of the weights chosen for a domain by their activation less the other domains' are its own: "
        "without them it loses more than the others do."
    ),
    "shallow-shared-deep-specific": mark(
        "What is taken from one domain (the %(share)s of its largest activations) hurts the others less, beside "
        "itself, in deep layers than in shallow ones."
    ),
    "parts-layer": mark("The sum of activations in layers tells which of them the model needs most."),
    "parts-head": mark("The sum of activations in attention heads tells which of them the model needs most."),
    "parts-neurons": mark("The sum of activations in groups of neurons tells which of them the model needs most."),
}
"""By short name of the claim."""


@dataclass(frozen=True)
class Told:
    """A verdict's claim in a sentence, what was measured, and what the observations are."""

    text: str
    measure: str
    unit: str


def claim_text(claim: str, *, share: float | None = None, factor: float | None = None) -> str:
    """A claim in a sentence.

    Args:
        claim: its short name.
        share: of the weights, where the claim is about sets of them.
        factor: that a claim about sizes allows.

    Returns:
        The sentence.
    """
    return _(
        _CLAIMS[claim],
        share="" if share is None else told_share(share),
        factor="" if factor is None else f"{factor:g}",
    )


def told_verdict(record: VerdictRecord, result: Verification) -> Told:
    """A verdict of a document in the language that is spoken.

    Args:
        record: the verdict.
        result: the document.

    Returns:
        Its words; those of the document where this version does not know them.
    """
    factor = 1 / record.threshold if record.threshold else None
    return Told(
        told_claim(record.claim, record.text, result, factor=factor),
        term(record.measure),
        term(record.unit),
    )


def told_claim(claim: str, text: str, result: Verification | None, *, factor: float | None = None) -> str:
    """A claim of a document in the language that is spoken.

    Args:
        claim: its short name.
        text: the sentence in the document.
        result: of the checks whose claim it is, which knows the shares of weights that were tried.
        factor: that a claim about sizes allows.

    Returns:
        The sentence; that of the document where this version does not know it.
    """
    shares = dict.fromkeys(matrix.share for matrix in result.matrices) if result else {}

    def make() -> list[str]:
        return [claim_text(claim, share=share, factor=factor) for share in (None, *shares)] if claim in _CLAIMS else []

    return again(text, make)


def told_part(kind: str, name: str) -> str:
    """The name of a part in its layer, such as ``head 3`` or ``12 neurons``.

    Args:
        kind: of part.
        name: as the checks' table has it.

    Returns:
        The name; as it stands where it is that of a weight.
    """
    number = next((word for word in name.split() if word.isdecimal()), None)

    def make() -> Sequence[str]:
        if kind == "head":
            return [_("head %(number)s", number=number)]
        return [_("%(count)s neurons", count=number)] if kind.endswith("neurons") else []

    return again(name, make)


def told_place(kind: str, layer: int, name: str) -> str:
    """Where a part is: ``layer 3``, ``layer 3, head 2``, or ``layer 3, 12 neurons (random neurons)``."""
    if kind == "layer":
        return _("layer %(layer)s", layer=layer)
    part = told_part(kind, name)
    if kind.endswith("neurons"):
        return _("layer %(layer)s, %(part)s (%(kind)s)", layer=layer, part=part, kind=term(kind))
    return _("layer %(layer)s, %(part)s", layer=layer, part=part)


def told_set(share: float, band: str, criterion: str, chosen_for: str) -> str:
    """A set of weights: ``1 % of the deep layers' weights by ratio, chosen for code``."""
    values = {"share": told_share(share), "band": term(band), "criterion": term(criterion)}
    if chosen_for:
        return _(
            "%(share)s of the %(band)s layers' weights by %(criterion)s, chosen for %(domain)s",
            **values,
            domain=chosen_for,
        )
    return _("%(share)s of the %(band)s layers' weights by %(criterion)s", **values)
