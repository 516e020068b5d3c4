"""Runs that are compared: the domains they have in common, and whether they read the same texts."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from paramscope.errors import UsageError
from paramscope.report import text
from paramscope.result.manifest import Thresholds
from paramscope.result.profile import Profile
from paramscope.result.tables import Tables, pooled_median
from paramscope.result.verification import Checks, load_checks
from paramscope.wording import listed, quoted

MOST = 8
"""Runs on a page: more lines in a chart cannot be told apart."""

_LONGEST_LABEL = 60


@dataclass(frozen=True, eq=False)
class Run:
    """One of the runs.

    Attributes:
        letter: by which the page names it: A, B, ...
        name: of its model, as it can be shown; with the folder where models have one name.
        profile: all that was measured.
        shared: the same of the common domains alone, at a threshold by the rule that all runs share.
        checks: of the run, where it was verified.
        folder: of the run; None where it has none.
    """

    letter: str
    name: str
    profile: Profile
    shared: Profile
    checks: Checks | None
    folder: Path | None

    @property
    def label(self) -> str:
        """Letter and name."""
        return f"{self.letter} · {self.name}"


@dataclass(frozen=True, eq=False)
class Runs:
    """Several runs; the first is the one that the others are held against.

    Attributes:
        runs: two or more.
        domains: names that all of them have, in the order of the first.
    """

    runs: list[Run]
    domains: list[str]

    @classmethod
    def load(cls, folders: Sequence[Path]) -> Runs:
        """Read the folders of some runs.

        Args:
            folders: two or more.

        Returns:
            The runs.

        Raises:
            UsageError: see ``of``; or a run cannot be read.
        """
        profiles = [Profile.load(folder) for folder in folders]
        return cls.of(profiles, [load_checks(folder) for folder in folders], folders)

    @classmethod
    def of(
        cls,
        profiles: Sequence[Profile],
        checks: Sequence[Checks | None] | None = None,
        folders: Sequence[Path] | None = None,
    ) -> Runs:
        """Put profiles side by side.

        Args:
            profiles: two or more.
            checks: of each; None where there are none at all.
            folders: of each; None where they have none.

        Returns:
            The runs.

        Raises:
            UsageError: there are too many, one is given twice, or they have no domain in common.
        """
        told = [f"run {place + 1}" for place in range(len(profiles))] if folders is None else [*map(str, folders)]
        _check(profiles, told)
        domains = [name for name in profiles[0].domains if all(name in profile.domains for profile in profiles)]
        if not domains:
            each = "; ".join(
                f"{run} has {listed(profile.domains)}" for run, profile in zip(told, profiles, strict=True)
            )
            raise UsageError(
                f"the runs have no domain in common ({each}); profile them with domains of the same names, "
                "--domain NAME=SOURCE"
            )
        names = _names(profiles, folders)
        made = [
            Run(
                letter,
                names[place],
                profile,
                restricted(profile, domains),
                checks[place] if checks else None,
                folders[place] if folders else None,
            )
            for place, (letter, profile) in enumerate(zip(string.ascii_uppercase, profiles, strict=False))
        ]
        return cls(made, domains)

    @property
    def first(self) -> Run:
        """The one that the others are held against."""
        return self.runs[0]

    @property
    def others(self) -> list[Run]:
        """All but the first."""
        return self.runs[1:]

    @cached_property
    def names(self) -> list[str]:
        """Of the common domains, as they can be shown."""
        return [text.shorten(text.clean(name), _LONGEST_LABEL) for name in self.domains]

    @cached_property
    def same_texts(self) -> list[list[bool]]:
        """By other run and domain: whether it read the first run's texts, in the same groups.

        Then a group left out takes the same texts from both, so differences are taken group by group and text by text.
        The order of a draw follows from seed and text alone, whatever the model.
        """
        first = [_texts(self.first.shared, name) for name in self.domains]
        return [
            [_texts(run.shared, name) == here for name, here in zip(self.domains, first, strict=True)]
            for run in self.others
        ]

    def texts_in_common(self, other: int, domain: int) -> int:
        """Texts of a domain that both the first and another run read."""
        name = self.domains[domain]
        return len(
            {text for text, _ in _texts(self.first.shared, name)}
            & {text for text, _ in _texts(self.others[other].shared, name)}
        )

    def same_shape(self, other: int) -> bool:
        """Whether a run's model has the first one's layers and modules, so that layers compare one by one."""
        columns = ["layer", "module", "rows", "columns"]
        one, two = (run.profile.modules[columns].reset_index(drop=True) for run in (self.first, self.others[other]))
        architectures = {run.profile.manifest.model.architecture for run in (self.first, self.others[other])}
        return len(architectures) == 1 and one.equals(two)

    def same_model(self, other: int) -> bool:
        """Whether a run is of the first one's very files."""
        return self.others[other].profile.manifest.model.files == self.first.profile.manifest.model.files

    def same_measure(self, other: int) -> bool:
        """Whether activations of a run are of the same quantity as the first one's."""
        return measured_quantity(self.others[other].profile) == measured_quantity(self.first.profile)


def measured_quantity(profile: Profile) -> tuple[str, str]:
    """Objective, and how its change was estimated."""
    manifest = profile.manifest
    return manifest.objective, str(manifest.arguments.get("activation") or "first-order")


def restricted(profile: Profile, domains: Sequence[str]) -> Profile:
    """A profile of some domains alone, as if no others had been measured.

    Centred cosines then have the centre of these domains, and the threshold is the median of their activations: both
    would differ from run to run for the sake of domains that only some runs have.

    Args:
        profile: the run.
        domains: which, in the order wanted.

    Returns:
        The profile; nothing that needs held-out texts is in it.
    """
    manifest = profile.manifest
    places = [profile.domains.index(name) for name in domains]
    kept = profile.tables if list(domains) == profile.domains else _restricted(profile.tables, domains, places)
    rule = "pooled median of the compared domains"
    thresholds = Thresholds(default=pooled_median(kept), rule=rule, exact=manifest.thresholds.exact)
    records = [manifest.domains[place] for place in places]
    return Profile(manifest.model_copy(update={"domains": records, "thresholds": thresholds}), kept)


def _restricted(tables: Tables, domains: Sequence[str], places: Sequence[int]) -> Tables:
    samples = np.concatenate([np.flatnonzero(tables.samples["domain"] == name) for name in domains])
    return Tables(
        tables.samples.iloc[samples].reset_index(drop=True),
        tables.held_out.iloc[:0],
        tables.modules,
        tables.activation[tables.activation["domain"].isin(domains)].reset_index(drop=True),
        tables.histograms[tables.histograms["domain"].isin(domains)].reset_index(drop=True),
        tables.gram[:, samples[:, None], samples],
        {key: sums[list(places)] for key, sums in tables.sums.items()},
    )


def _check(profiles: Sequence[Profile], told: Sequence[str]) -> None:
    """Refuse what cannot be compared.

    Raises:
        UsageError: there are too few or too many runs, or one is given twice.
    """
    if not 2 <= len(profiles) <= MOST:
        raise UsageError(f"{len(profiles)} runs are given to compare; give 2 to {MOST}")
    digests = [profile.manifest.digest() for profile in profiles]
    for place, digest in enumerate(digests):
        if digest in digests[:place]:
            before = told[digests.index(digest)]
            raise UsageError(
                f"{quoted(told[place])} is the same run as {quoted(before)}, there is nothing to compare; give each "
                "run once"
            )


def _texts(profile: Profile, domain: str) -> list[tuple[str, int]]:
    """Text and group of each sample of a domain; where a run was given tokens alone, what tells these."""
    rows = profile.samples[profile.samples["domain"] == domain]
    record = profile.manifest.domains[profile.domains.index(domain)]
    told = [
        str(words) if isinstance(words, str) and words else f"\0{digest}"
        for words, digest in zip(rows["text"], record.sha256, strict=True)
    ]
    return list(zip(told, rows["group"].astype(int).tolist(), strict=True))


def _names(profiles: Sequence[Profile], folders: Sequence[Path] | None) -> list[str]:
    """Names of the models, with their runs' folders where that is what tells them apart."""
    names = [text.shorten(text.clean(profile.manifest.model.name), _LONGEST_LABEL) for profile in profiles]
    if folders is None:
        return names
    return [
        f"{name} ({text.shorten(text.clean(folder.name), _LONGEST_LABEL // 2)})" if names.count(name) > 1 else name
        for name, folder in zip(names, folders, strict=True)
    ]
