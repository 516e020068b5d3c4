"""The runs side by side: what was measured in each, and what else differs between them than the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from paramscope.language import _, plural
from paramscope.report.comparison.runs import Run, Runs, measured_quantity
from paramscope.report.environment import told_date
from paramscope.report.text import clean, compact, scientific, shorten
from paramscope.report.words import objective_words

_MOST = 12
"""Names in a list."""


@dataclass(frozen=True)
class Fact:
    """One row: a fact of every run.

    Attributes:
        head: what it is.
        values: one a run.
        differs: whether it is a setting that is not the same in all runs.
    """

    head: str
    values: list[str]
    differs: bool = False


@dataclass(frozen=True)
class Texts:
    """One domain: how many texts each run read, and whether they are the same."""

    name: str
    counts: list[int]
    same: list[str]


@dataclass(frozen=True)
class Caution:
    """What a reader must know before the numbers; ``grave`` where they can mislead without it."""

    text: str
    grave: bool = False


def facts(runs: Runs) -> list[Fact]:
    """The table of the runs, in the language that is spoken."""
    return [
        Fact(_("Model"), [run.name for run in runs.runs]),
        Fact(_("Beside run A"), [_relation(runs, place) for place in range(len(runs.runs))]),
        Fact(_("Architecture"), [clean(run.profile.manifest.model.architecture) for run in runs.runs]),
        Fact(_("Layers"), [f"{run.profile.layers:,}" for run in runs.runs]),
        Fact(_("Parameters in the layers"), [compact(float(run.profile.parameters.sum())) for run in runs.runs]),
        Fact(_("Domains measured"), [f"{len(run.profile.domains):,}" for run in runs.runs]),
        Fact(_("Texts of the compared domains"), [f"{len(run.shared.samples):,}" for run in runs.runs]),
        Fact(_("Tokens of the compared domains"), [f"{_tokens(run):,}" for run in runs.runs]),
        Fact(_("Threshold of the comparison"), [scientific(run.shared.threshold) for run in runs.runs]),
        Fact(_("Threshold of the run’s own page"), [scientific(run.profile.threshold) for run in runs.runs]),
        *_settings(runs),
        Fact(
            _("Self-check, largest relative error"),
            [scientific(run.profile.manifest.self_check.largest_relative_error) for run in runs.runs],
        ),
        Fact(_("Measured on"), [told_date(run.profile.manifest.finished) for run in runs.runs]),
    ]


def _settings(runs: Runs) -> Iterator[Fact]:
    """What a run was asked that its numbers depend on."""
    manifests = [run.profile.manifest for run in runs.runs]

    def setting(head: str, values: list[str]) -> Fact:
        return Fact(head, values, differs=len(set(values)) > 1)

    yield setting(_("Objective"), [objective_words(manifest.objective) for manifest in manifests])
    yield setting(_("Estimate"), [_estimate(run) for run in runs.runs])
    for head, key in ((_("Tokens of a text at most"), "max_tokens"), (_("Texts asked for, by domain"), "samples")):
        yield setting(head, [shorten(clean(str(manifest.arguments.get(key, "–"))), 40) for manifest in manifests])
    yield setting(_("Number type"), [clean(manifest.engine.dtype) for manifest in manifests])
    yield setting(_("Seed"), [str(manifest.seed) for manifest in manifests])


def _estimate(run: Run) -> str:
    known = {"first-order": _("first order"), "integrated": _("integrated along a path")}
    estimate = measured_quantity(run.profile)[1]
    return known.get(estimate, clean(estimate))


def _tokens(run: Run) -> int:
    return sum(record.tokens for record in run.shared.manifest.domains)


def _relation(runs: Runs, place: int) -> str:
    if place == 0:
        return _("what the others are held against")
    if runs.same_model(place - 1):
        return _("the same model files")
    if runs.same_shape(place - 1):
        return _("the same shape, other weights")
    return _("another model")


def texts(runs: Runs) -> list[Texts]:
    """How the texts of each common domain compare with the first run's."""
    made = []
    for place, name in enumerate(runs.names):
        counts = [run.shared.manifest.domains[place].samples for run in runs.runs]
        same = []
        for other in range(len(runs.others)):
            if runs.same_texts[other][place]:
                same.append(_("the same texts: paired"))
            else:
                common = runs.texts_in_common(other, place)
                same.append(
                    plural(
                        "%(n)s text in common: taken as independent",
                        "%(n)s texts in common: taken as independent",
                        common,
                    )
                )
        made.append(Texts(name, counts, same))
    return made


def pairing(runs: Runs) -> str:
    """In a sentence, on which texts the differences rest."""
    every = [same for each in runs.same_texts for same in each]
    if all(every):
        return _("All runs drew the same texts, so every difference is taken text by text (paired): what a text does "
                 "to all of them cancels out, as far as they read as much of it.")  # fmt: skip
    if any(every):
        return _(
            "Comparisons of a domain: %(all)s, of which %(paired)s of the same texts and taken text by text (paired); "
            "the others are of different texts, and their intervals are wider for it.",
            paired=sum(every),
            all=len(every),
        )
    return _("The runs read different texts, so differences are those of independent samples: part of what differs is "
             "the choice of texts, and the intervals hold that.")  # fmt: skip


def cautions(runs: Runs) -> list[Caution]:
    """What to know before the numbers, the gravest first."""
    found = []
    unlike = [run.letter for other, run in enumerate(runs.others) if not runs.same_measure(other)]
    if unlike:
        found.append(
            Caution(
                _(
                    "Not the same quantity: run %(letters)s measured another objective, or estimated it otherwise, "
                    "than run A. Differences mix that with the model. Densities at one threshold are left out, since "
                    "their activations have no common scale.",
                    letters=_(", ").join(unlike),
                ),
                grave=True,
            )
        )
    heads = [fact.head for fact in _settings(runs) if fact.differs]
    if heads:
        found.append(
            Caution(_("Settings differ between the runs: %(settings)s. They are part of every difference below.",
                      settings=_(", ").join(heads)))
        )  # fmt: skip
    alike = [run.letter for other, run in enumerate(runs.others) if runs.same_model(other)]
    if alike:
        found.append(
            Caution(_("Of the very model files of run A: %(letters)s. There, differences come from settings, texts and "
                      "rounding, not from the model.", letters=_(", ").join(alike)))
        )  # fmt: skip
    for run in runs.runs:
        left = [shorten(clean(name), 60) for name in run.profile.domains if name not in runs.domains]
        if left:
            told = _(", ").join([*left[:_MOST], *(["…"] if len(left) > _MOST else [])])
            found.append(
                Caution(_("Left out, because not all runs have them: of run %(letter)s %(domains)s.",
                          letter=run.letter, domains=told))
            )  # fmt: skip
    return found
