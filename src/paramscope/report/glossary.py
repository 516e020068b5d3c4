"""Terms of the page in plain words."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.language import _, language, mark

_TERMS: dict[str, tuple[str, str]] = {
    "activation": (
        mark("parameter activation"),
        mark(
            "How much the model's answer to one text would change, estimated, if one parameter were set to zero: "
            "|w · dD/dw|, the parameter times the slope of the answer's score. One number for each parameter and text."
        ),
    ),
    "density": (
        mark("density"),
        mark(
            "The share of a layer's parameters whose activation, averaged over a domain's texts, is above the "
            "threshold. Dense: much of the layer is used; sparse: little of it."
        ),
    ),
    "threshold": (
        mark("threshold"),
        mark(
            "The activation (γ) from which a parameter counts as used. By default half of all parameters of the run "
            "are above it; the paper behind the method uses 2e-5."
        ),
    ),
    "llmdcos": (
        mark("LLMDcos"),
        mark(
            "How alike two texts use a layer: the cosine of their activations over all parameters of the layer. 1 is "
            "the same pattern, 0 nothing in common."
        ),
    ),
    "centred": (
        mark("centred LLMDcos"),
        mark(
            "LLMDcos after what all texts of the run have in common is taken off. It tells domains apart better; 0 "
            "means no more alike than any two texts."
        ),
    ),
    "within": (
        mark("within and across"),
        mark("Within: pairs of texts of one domain. Across: pairs with one text of each of two domains."),
    ),
    "own-share": (
        mark("own share"),
        mark(
            "The part of a layer's activation that the domains do not have in common: 0 where they use it in the same "
            "way, 1 where they use different parameters."
        ),
    ),
    "domain": (
        mark("domain"),
        mark("One kind of work whose texts the model is used for, such as customer support or contracts."),
    ),
    "shared-base": (
        mark("common base"),
        mark(
            "What all domains use alike and can therefore share: one copy serves them all. Its counterpart is what is "
            "specific to a domain."
        ),
    ),
    "layer": (
        mark("layer"),
        mark(
            "One of the blocks that a text passes one after the other, with its attention and its feed-forward part "
            "(MLP). Shallow layers are near the input, deep layers near the output."
        ),
    ),
    "module": (mark("module"), mark("One weight matrix of a layer, such as the query projection of its attention.")),
    "damage": (
        mark("damage, nats per token"),
        mark(
            "How much worse the model predicts texts once something was set to zero. 1 nat per token makes the right "
            "next token 2.7 times less likely, 0.05 makes it 5 %% less likely."
        ),
    ),
    "intervention": (
        mark("intervention"),
        mark(
            "Setting parameters to zero and measuring what the model then loses. What was tested so is known better "
            "than an association, which only says that two things go together."
        ),
    ),
    "rank-correlation": (
        mark("rank correlation"),
        mark("How well two lists agree in their order: 1 the same order, 0 none, −1 the reverse."),
    ),
    "interval": (
        mark("95%% interval"),
        mark(
            "The range in which the number would lie in 95 of 100 runs with other texts from the same sources. It says "
            "nothing about texts of another kind."
        ),
    ),
    "verdict": (
        mark("verdict"),
        mark(
            "Supported: the whole interval reaches what was set before as needed. Not supported: the whole interval "
            "falls short. Undecided: anything else; more texts may decide it."
        ),
    ),
    "held-out": (
        mark("held-out texts"),
        mark("Texts of a domain that were kept apart: nothing was chosen or trained by them, so they test a claim."),
    ),
    "control": (
        mark("control"),
        mark("What a plan is held against: as many parameters, chosen without its evidence, for example at random."),
    ),
    "pilot": (mark("pilot"), mark("A short training on few texts that shows whether something is worth doing.")),
    "adapter": (
        mark("adapter (LoRA)"),
        mark("A small set of additional parameters that is trained instead of the model itself and stored beside it."),
    ),
    "tuning": (mark("tuning"), mark("Training a finished model further, on texts of one or more domains.")),
    "pruning": (
        mark("pruning"),
        mark(
            "Setting parameters to zero for good. By itself it makes nothing faster or smaller on common serving "
            "stacks."
        ),
    ),
    "quantisation": (
        mark("quantisation"),
        mark("Storing parameters with fewer digits, which makes a model smaller and its answers a little different."),
    ),
    "single-point": (
        mark("single point of failure"),
        mark("One part that breaks the model for some domain when it alone is taken away."),
    ),
    "fail-safe": (
        mark("fail-safe risk"),
        mark(
            "Whether taking away one part alone breaks the model: some domain then loses 1 nat per token or more. Such "
            "parts need a fallback, and care when the model is pruned, quantised or tuned."
        ),
    ),
    "role": (
        mark("role"),
        mark(
            "What a layer is to the domains: shared by all, specific to some, a candidate for pruning (no domain loses "
            "much without it), not to be touched (without a part of it some domain breaks), or undecided."
        ),
    ),
    "self-check": (
        mark("self-check"),
        mark("Before the run, one text is measured a second time by a slow and simple way; both must agree."),
    ),
    "first-order": (
        mark("first order"),
        mark("An estimate from the slope at the present value. It is exact for tiny changes and can miss large ones."),
    ),
    "concentration": (
        mark("concentration"),
        mark(
            "How few parameters carry how much of the activation: the smallest share that carries 90 %%, the Gini "
            "coefficient (0 all equal, 1 one carries all), and the effective number of parameters."
        ),
    ),
    "break-even": (
        mark("break-even"),
        mark("When what an option saves or earns has paid for what it costs more than the model as it is."),
    ),
}


_EVERYDAY = ("damage", "interval", "verdict", "role", "layer", "held-out", "break-even")
"""Terms whose English tells a reader of another language nothing more."""


@dataclass(frozen=True)
class Entry:
    """A term and what it means, in the language that is spoken.

    Attributes:
        key: of the term.
        term: the term.
        english: its English, in another language; "" where that tells nothing more.
        meaning: in plain words.
    """

    key: str
    term: str
    english: str
    meaning: str


def glossary_entry(key: str) -> Entry:
    """One entry."""
    term, meaning = _TERMS[key]
    told = _(term)
    english = "" if language() == "en" or key in _EVERYDAY or told == term else term
    return Entry(key, told, english, _(meaning))


def glossary() -> list[Entry]:
    """All entries, in the order in which the page needs them."""
    return [glossary_entry(key) for key in _TERMS]
