"""All that a page is made from: a run and what its folder holds beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.actions.roles import PartRisk, part_risks
from paramscope.actions.sharing.curve import own_share_intervals
from paramscope.deciding import decide
from paramscope.language import language
from paramscope.measures.ranks import Interval
from paramscope.measures.resample import Resampler
from paramscope.report import text
from paramscope.report.charts.colours import Bounds
from paramscope.report.charts.svg import nice_range
from paramscope.report.findings import Findings, find
from paramscope.result.planned import Planned
from paramscope.result.profile import PAPER_THRESHOLD, Estimate, Profile
from paramscope.result.share_pilot import SharePilot, read_share_pilot
from paramscope.result.shared import Shared, read_shared
from paramscope.result.tuned import PilotRecord, TunedDomain, Tuning, read_tuning
from paramscope.result.verification import Checks, load_checks

KINDS = ("centred", "raw")
"""Of the similarities that matrices show."""

LONGEST_NAME = 100
"""Names stand in many tool tips, so the longest are cut; the table of texts has them whole."""


@dataclass(frozen=True, eq=False)
class Material:
    """What sections are made from. Numbers are found once, whatever language they are told in.

    Attributes:
        profile: the run.
        checks: of the run, where it was verified.
        tuning: what was tried for single domains, where there was anything.
        shared: what the domains can share, where that was reckoned.
        folder: of the run, for the commands; None where it has none.
        with_text: whether texts of the samples are shown.
    """

    profile: Profile
    checks: Checks | None = None
    tuning: Tuning | None = None
    shared: Shared | None = None
    folder: Path | None = None
    with_text: bool = True

    @classmethod
    def load(cls, run: Path, *, with_text: bool = True) -> Material:
        """Read all that a run's folder holds.

        Args:
            run: the folder.
            with_text: whether texts of the samples are shown.

        Returns:
            The material.

        Raises:
            UsageError: the run, or a result in it, cannot be read.
        """
        return cls(Profile.load(run), load_checks(run), read_tuning(run), read_shared(run), run, with_text)

    @property
    def place(self) -> str:
        """Of the run's folder, for the commands."""
        return str(self.folder or "RUN")

    @property
    def piloted(self) -> list[tuple[TunedDomain, PilotRecord]]:
        """Domains that tuning was tried for, with their pilots."""
        return [(each, each.pilot) for each in (self.tuning.domains if self.tuning else []) if each.pilot]

    @cached_property
    def names(self) -> list[str]:
        """Of the domains, as they can be shown."""
        return [text.shorten(text.clean(name), LONGEST_NAME) for name in self.profile.domains]

    def shown(self, domain: str) -> str:
        """The name of a domain, or another text of a document, as it can be shown."""
        return text.shorten(text.clean(domain), LONGEST_NAME)

    @cached_property
    def density(self) -> Estimate:
        """At the run's threshold."""
        return self.profile.density_estimate()

    @cached_property
    def paper_density(self) -> Estimate | None:
        """At the paper's threshold; None where that is the run's."""
        same = np.isclose(self.profile.threshold, PAPER_THRESHOLD, rtol=1e-3)
        return None if same else self.profile.density_estimate(PAPER_THRESHOLD)

    @cached_property
    def concentration(self) -> pd.DataFrame:
        """How few weights carry how much, see ``Profile.concentration``."""
        return self.profile.concentration()

    @cached_property
    def resampler(self) -> Resampler:
        """Of the samples' similarities."""
        return self.profile.resampler

    @cached_property
    def findings(self) -> Findings:
        """Whether the paper's pattern is in the run."""
        return find(self.profile, self.resampler, self.density, self.paper_density)

    @cached_property
    def own_and_excess(self) -> tuple[list[Interval], list[Interval]]:
        """Own share of each layer, and how much it is above the mean layer's; NaN for one domain."""
        if len(self.resampler.domains) < 2:
            nothing = [Interval(math.nan)] * self.profile.layers
            return nothing, nothing
        return own_share_intervals(self.profile, self.resampler)

    @property
    def own_shares(self) -> list[Interval]:
        """Own share of each layer, see ``actions.sharing.curve``; NaN for one domain."""
        return self.own_and_excess[0]

    @cached_property
    def across(self) -> list[Interval]:
        """Mean LLMDcos of texts of different domains, by layer."""
        return [self.resampler.layers([layer], centred=False).mean_across for layer in range(self.profile.layers)]

    @cached_property
    def matrix_scales(self) -> dict[str, Bounds]:
        """Ends of the colours of the domains' matrices, the same for all layers, by kind; none without a number."""
        values = {kind: self._every_cosine(centred=kind == "centred") for kind in KINDS}
        if len(self.names) < 2 or not len(values["raw"]):
            return {}
        return {
            kind: nice_range(round(each.min(), 2), round(each.max(), 2), 0.05) if len(each) else (0.0, 1.0)
            for kind, each in values.items()
        }

    def _every_cosine(self, *, centred: bool) -> NDArray[np.float64]:
        """Of every two domains in every layer, those that have a pair of texts."""
        layers = range(self.profile.layers)
        found = [self.profile.similarity_matrix([layer], centred=centred).to_numpy(dtype=float) for layer in layers]
        return np.concatenate([matrix[np.isfinite(matrix)] for matrix in found])

    @cached_property
    def risks(self) -> dict[int, list[PartRisk]]:
        """Of the parts that were taken away, by layer."""
        if self.checks is None:
            return {}
        grouped = self.checks.parts.groupby("layer")
        return {int(str(layer)): part_risks(rows, self.profile.domains) for layer, rows in grouped}

    @cached_property
    def share_pilot(self) -> SharePilot | None:
        """How ways to share did, as the run's folder has it."""
        return read_share_pilot(self.folder) if self.folder else None

    def planned(self) -> Planned:
        """What the run leads to, in the language that is spoken."""
        spoken = language()
        if spoken not in self._plans:
            self._plans[spoken] = decide(self.profile, self.folder, self.checks, self.tuning, self.shared)
        return self._plans[spoken]

    @cached_property
    def _plans(self) -> dict[str, Planned]:
        """By language: several sections ask, and roles take a bootstrap each time."""
        return {}
