"""What a comparison of runs cannot show."""

from __future__ import annotations

from paramscope.language import _
from paramscope.report.comparison.differences import Differences
from paramscope.report.findings import COSINE_STEP, DENSITY_STEP
from paramscope.report.sections.limits import few_texts
from paramscope.report.text import cosine


def limits(found: Differences) -> list[tuple[str, str]]:
    """Short headings and what they mean, in the language that is spoken."""
    runs = found.runs
    points = [
        (
            _("A density needs a threshold, and no threshold fits two models."),
            _("Each run’s own threshold is the median of its activations over the compared domains, so half of all "
              "parameters are above it in every run: such densities show where in the depth and for which domain the "
              "parameters are used, not which model uses more. One threshold for all shows levels, but mixes them with "
              "the size of the model and the scale of its scores; it is best for versions of one model. The share that "
              "carries 90 %%, the Gini coefficient and the effective share need none."),
        ),
        (
            _("Relative depth is a convention."),
            _("Layers at the same share of the depth need not do the same. Each of the %(parts)s equal parts of the "
              "depth averages what lies in it of each layer, so a step within a part is smoothed. The thirds here hold "
              "the first and the last layer too, which a run’s own page keeps apart.", parts=found.parts),
        ),
        (
            _("Many numbers, some of them by chance."),
            _("There are many intervals on this page, and of 20 about one misses its number. A difference counts only "
              "where its whole interval is beyond a step that was set before: %(cosine)s, or %(density)s points where "
              "numbers are in percent.",
              density=f"{100 * DENSITY_STEP:g}", cosine=cosine(COSINE_STEP)),
        ),
        (
            _("Not supported is not the same as equal."),
            _("“Not supported” says that the difference is smaller than the step; “undecided” that these texts cannot "
              "tell. More texts narrow the intervals."),
        ),
        (
            _("The same text is not the same input."),
            _("Models cut texts into tokens in their own way. Where texts are longer than the limit, one model may "
              "have read more of them than another."),
        ),
        (
            _("Neither better nor worse."),
            _("How parameters are used says nothing about how well a model does its task. Evaluate both models on the "
              "task before one replaces the other (“paramscope evaluate MODEL”)."),
        ),
    ]  # fmt: skip
    points += few_texts(min(record.samples for run in runs.runs for record in run.shared.manifest.domains))
    left = [name for place, name in enumerate(runs.names) if place not in found.similar_domains]
    if left:
        points.append(
            (
                _("Some domains have too few texts for LLMDcos."),
                _("Fewer than 3 texts with pairs in some run: %(domains)s. They are left out of its means.",
                  domains=_(", ").join(left)),
            )
        )  # fmt: skip
    return points
