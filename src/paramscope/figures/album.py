"""All figures of a run, drawn but not yet written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paramscope.figures.activated import activated_figures
from paramscope.figures.alike import alike_figures
from paramscope.figures.causal import damage_figures
from paramscope.figures.cosines import cosine_figures
from paramscope.figures.density import density_figures
from paramscope.figures.histograms import histogram_figure
from paramscope.figures.sharing import sharing_figure
from paramscope.figures.style import styled
from paramscope.figures.subject import Drawn, LeftOut, Subject
from paramscope.result.profile import Profile
from paramscope.result.shared import Shared
from paramscope.result.verification import Checks


@dataclass(frozen=True)
class Album:
    """The figures of a run.

    Attributes:
        subject: the run.
        drawn: the paper's first.
        left_out: what the run cannot give.
    """

    subject: Subject
    drawn: Sequence[Drawn]
    left_out: Sequence[LeftOut]


def draw_figures(profile: Profile, checks: Checks | None, shared: Shared | None) -> Album:
    """Draw a run.

    Args:
        profile: the run.
        checks: of the run, where it was verified.
        shared: what its domains can share, where that was told.

    Returns:
        The album. Save its figures inside of ``styled``, with the families of its subject.
    """
    subject = Subject.of(profile)
    with styled(subject.letters.families):
        found = [
            *activated_figures(subject),
            *cosine_figures(subject),
            *alike_figures(subject),
            *density_figures(subject),
            histogram_figure(subject),
            *damage_figures(subject, checks),
            sharing_figure(subject, shared),
        ]
    drawn = [each for each in found if isinstance(each, Drawn)]
    drawn.sort(key=lambda each: each.name if each.name.startswith("figure-") else "g")
    return Album(subject, drawn, [each for each in found if isinstance(each, LeftOut)])
