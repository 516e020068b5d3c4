"""Words that stand for a verdict, a role or a status, in the language that is spoken."""

from __future__ import annotations

from paramscope.language import _, mark
from paramscope.report.text import layer_range

_CHIPS = {
    mark("supported"): "yes",
    mark("not supported"): "no",
    mark("undecided"): "open",
    mark("measured"): "yes",
    mark("given"): "open",
    mark("not measured"): "open",
    mark("does not pay in time"): "no",
    mark("not tested"): "open",
    mark("better"): "yes",
    mark("worse"): "no",
    mark("equal"): "open",
    mark("no difference shown"): "open",
    mark("difference shown"): "yes",
    mark("no difference"): "open",
}
"""Class of the chip of each status; ``open`` for all others."""

_OTHERS = (
    mark("shared"),
    mark("specific"),
    mark("candidate for pruning"),
    mark("do not touch"),
    mark("tested by intervention"),
    mark("association only"),
    mark("not decided by the data"),
    mark("first"),
    mark("shallow"),
    mark("middle"),
    mark("deep"),
    mark("last"),
)


def chip_of(status: str) -> str:
    """Class of the chip of a status."""
    return _CHIPS.get(status, "open")


def difference_word(verdict: str) -> str:
    """The status of a difference whose claim is that there is one."""
    return {"supported": "difference shown", "not supported": "no difference"}.get(verdict, verdict)


def word(known: str) -> str:
    """A status, a role, a confidence or a band in words; as it stands where it is none of those."""
    return _(known) if known in _CHIPS or known in _OTHERS else known


def band_name(band: str, layers: list[int]) -> str:
    """``Shallow layers (1–9)``."""
    where = layer_range(layers)
    told = {
        "first": _("First layer (%(where)s)", where=where),
        "shallow": _("Shallow layers (%(where)s)", where=where),
        "middle": _("Middle layers (%(where)s)", where=where),
        "deep": _("Deep layers (%(where)s)", where=where),
        "last": _("Last layer (%(where)s)", where=where),
    }
    return told.get(band, f"{band} ({where})")


def objective_words(objective: str) -> str:
    """What is measured, as the object of a sentence."""
    told = {
        "max-logit": _("the score of the most likely next token"),
        "target-logprob": _("the log-probability of the right answer"),
        "mean-logprob": _("the mean log-likelihood of the text"),
        "logit-difference": _("the difference of the scores of two answers"),
    }
    return told.get(objective, objective)
