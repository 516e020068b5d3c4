"""The section "Limits and cautions": what the numbers cannot show, what to watch, and whose the data are."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.language import _, plural
from paramscope.report.material import Material
from paramscope.report.text import compact, scientific
from paramscope.report.words import objective_words

Point = tuple[str, str]
"""A short heading, and what it means."""


@dataclass(frozen=True)
class LimitsSection:
    """All that the section shows.

    Attributes:
        method: what the method and this run cannot show.
        monitor: what to watch once a decision is made.
        rights: licence and privacy of model and data.
    """

    method: list[Point]
    monitor: list[Point]
    rights: list[Point]


def section(material: Material) -> LimitsSection:
    """Make the section, in the language that is spoken."""
    return LimitsSection(_method(material), _monitor(material), _rights(material))


def _method(material: Material) -> list[Point]:
    manifest = material.profile.manifest
    lengths = sorted(domain.tokens / max(domain.samples, 1) for domain in manifest.domains)
    if material.checks:
        tested = _("How right it is was tested for some parameters only, on this model; see “Is it true?”.")
    else:
        tested = _("Nothing was set to zero in this run, so nothing here is tested.")
    points = [
        (
            _("It is a first-order estimate."),
            _("It tells from a slope what removing one parameter would do, and can miss what large ones do.")
            + " "
            + tested,
        ),
        (
            _("It is about single parameters, not about sets."),
            _("Removing many at once is not the sum of removing each: parts stand in for each other and depend on "
              "each other."),
        ),
        (
            _("It is about the model’s own answer, not about quality."),
            _("A parameter can move %(objective)s without mattering for how well a task is done, and the other way "
              "round.", objective=objective_words(manifest.objective)),
        ),
        (
            _("It depends on the model, the texts and the threshold."),
            _("Another model, other texts of the same domain or another threshold than %(threshold)s give another "
              "picture. Densities compare only at one threshold, and say little across models.",
              threshold=scientific(material.profile.threshold)),
        ),
        (
            _("Intervals cover the choice of texts only."),
            _("They say how far numbers scatter with other texts from the same source, not whether that source stands "
              "for the work."),
        ),
        (
            _("Length is part of a text."),
            _("Texts have %(least)s to %(most)s tokens on average, by domain. Domains of different lengths can differ "
              "for that reason alone.", least=f"{lengths[0]:.0f}", most=f"{lengths[-1]:.0f}"),
        ),
        (
            _("Used alike is not the same as interchangeable."),
            _("A high LLMDcos says that two texts lean on the same parameters to the same degree. Whether a domain "
              "gains from parts of its own is for a pilot to tell."),
        ),
        (
            _("A sparse layer is not a faster one."),
            _("Zeros among the weights make nothing faster or smaller on common serving stacks."),
        ),
    ]  # fmt: skip
    return [*points, *few_texts(min(domain.samples for domain in manifest.domains))]


_FEW = 8


def few_texts(smallest: int) -> list[Point]:
    """What few texts do to intervals; nothing where the smallest domain has enough."""
    if smallest >= _FEW:
        return []
    told = plural(
        "The smallest domain has %(n)s text; below about 8, intervals tend to be too narrow.",
        "The smallest domain has %(n)s texts; below about 8, intervals tend to be too narrow.",
        smallest,
    )
    return [(_("There are few texts."), told)]


def _monitor(material: Material) -> list[Point]:
    return [
        (
            _("Over-reliance on parts."),
            _("Often a handful of parameters carry much whatever the text (see fail-safe risk in the diagnosis "
              "table). Test a fallback before anything that touches them is rolled out: pruning, quantisation, "
              "merging, tuning."),
        ),
        (
            _("Loss of each domain on held-out texts."),
            _("Measure it before a change, after it and every month, for each domain by itself. An average hides the "
              "domain that loses."),
        ),
        (
            _("Domains that nobody tuned for."),
            _("What is gained for one domain may be lost by another. Keep some general text in the evaluation."),
        ),
        (
            _("Drift of the texts."),
            _("When a department’s texts change in kind or length, measure again: this picture is of the texts of this "
              "run."),
        ),
        (
            _("A new version of the model."),
            _("Roles of layers do not carry over to another model or to another version; compare two runs with "
              "“paramscope report RUN1 RUN2”."),
        ),
    ]  # fmt: skip


def _rights(material: Material) -> list[Point]:
    manifest = material.profile.manifest
    total = compact(sum(domain.tokens for domain in manifest.domains))
    if material.with_text:
        texts = _("This page shows some of the samples’ texts. Make it with --no-text before it goes to people who may "
                  "not read them.")  # fmt: skip
    else:
        texts = _("This page was made without the samples’ texts.")
    return [
        (
            _("The page."),
            texts + " " + _("Names of domains, sources and files are shown in either case."),
        ),
        (
            _("The run’s folder."),
            _("It holds the texts of all samples and held-out texts (%(tokens)s tokens measured). Share and delete it "
              "by the rules that hold for those texts.", tokens=total),
        ),
        (
            _("Licences."),
            _("paramscope does not know the licence of the model or of the data. Check both before a tuned or pruned "
              "model is used or passed on: many model licences bind what is derived from the model, and adapters "
              "trained on personal data can give it away."),
        ),
    ]  # fmt: skip
