"""What is drawn, and how its captions tell of the run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from paramscope.figures.lettering import Lettering, letter
from paramscope.report.text import clean, scientific
from paramscope.report.words import objective_words
from paramscope.result.profile import Estimate, Profile

JACKKNIFE = "Bands are 95 % intervals of a delete-a-group jackknife over the texts; a domain of one text has none."
BOOTSTRAP = "Bands are 95 % intervals of a bootstrap over the texts; domains of fewer than 3 texts have none."

_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>&$|~#!"})


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        name: of its files.
        title: of its caption.
        figure: drawn, not yet saved.
        caption: sentences.
    """

    name: str
    title: str
    figure: Figure
    caption: Sequence[str]


@dataclass(frozen=True)
class LeftOut:
    """A figure that the run cannot give.

    Attributes:
        name: of the files that it would have.
        why: one clause.
    """

    name: str
    why: str


@dataclass(frozen=True)
class Subject:
    """A run on its way into figures.

    Attributes:
        profile: its numbers.
        letters: what stands for its names.
    """

    profile: Profile
    letters: Lettering

    @classmethod
    def of(cls, profile: Profile) -> Subject:
        """Take up a run.

        Args:
            profile: the run.

        Returns:
            The subject.
        """
        return cls(profile, letter(profile.domains, profile.modules["module"].unique().tolist()))

    @property
    def names(self) -> list[str]:
        """Of the domains, as they are drawn."""
        return self.letters.domains

    @functools.cached_property
    def density(self) -> Estimate:
        """At the run's threshold."""
        return self.profile.density_estimate()

    @functools.cached_property
    def told(self) -> str:
        """The sentence that ends every caption: texts, model, objective, run."""
        manifest = self.profile.manifest
        sizes = [domain.samples for domain in manifest.domains]
        span = f"{sizes[0]}" if len(set(sizes)) == 1 else f"{min(sizes)} to {max(sizes)}"
        texts = f"{span} {'text' if span == '1' else 'texts'}"
        domains = "from one domain" if len(sizes) == 1 else f"from each of {len(sizes)} domains"
        cut = manifest.arguments.get("max_tokens")
        tokens = f", cut to {cut} tokens" if isinstance(cut, int) else ""
        objective = objective_words(manifest.objective)
        return (
            f"{texts} {domains}{tokens}; model {marked(manifest.model.name)}; activation of {marked(objective)}; "
            f"run started {marked(manifest.started)}."
        )

    def threshold_told(self) -> str:
        """The run's threshold and where it is from."""
        return f"γ = {scientific(self.profile.threshold)} ({marked(self.profile.manifest.thresholds.rule)})"


def marked(text: str) -> str:
    """Text from outside for Markdown: one line, nothing in it is markup."""
    return clean(text).translate(_MARKUP)
