"""The texts of a run, read back from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from paramscope.domains import Sample, Text
from paramscope.engine.objectives import OBJECTIVES, Objective, Reading
from paramscope.errors import UsageError
from paramscope.result.profile import Profile


def samples_of(table: pd.DataFrame, domains: Sequence[str]) -> dict[str, list[Sample]]:
    """Samples by domain, in the order of the draw.

    Args:
        table: ``Tables.samples`` or ``Tables.held_out``.
        domains: names.

    Returns:
        The samples; an empty list for a domain without any.
    """
    found: dict[str, list[Sample]] = {domain: [] for domain in domains}
    for row in table.to_dict("records"):
        text = Text(row["text"], origin=row["origin"])
        ids = {name: tuple(int(i) for i in row[name]) for name in ("token_ids", "target_ids", "foil_ids")}
        found[row["domain"]].append(Sample(text, **ids, full_tokens=row["full_tokens"]))
    return found


def profiled_samples(profile: Profile) -> dict[str, list[Sample]]:
    """The samples that a profile was made of.

    Args:
        profile: of a run.

    Returns:
        By domain.

    Raises:
        UsageError: the run was made by a version that did not keep their tokens.
    """
    if "token_ids" not in profile.samples:
        raise UsageError(
            f"the run was made by paramscope {profile.manifest.paramscope}, which kept no token ids; profile the model "
            "again to verify it"
        )
    return samples_of(profile.samples, profile.domains)


def held_out_samples(profile: Profile) -> dict[str, list[Sample]]:
    """The samples that were kept apart, and of which a log-likelihood can be told (two tokens or more).

    Args:
        profile: of a run.

    Returns:
        By domain.

    Raises:
        UsageError: a domain has less than two.
    """
    found = samples_of(profile.tables.held_out, profile.domains)
    fit = {domain: [sample for sample in samples if len(sample.token_ids) > 1] for domain, samples in found.items()}
    for domain, samples in fit.items():
        if len(samples) < 2:
            raise UsageError(
                f"domain {domain!r} has {len(samples)} held-out samples of two tokens or more, and at least 2 are "
                "needed; profile again with more texts in it, or a larger --held-out"
            )
    return fit


def objective_of(profile: Profile) -> Objective:
    """The objective of a run."""
    return OBJECTIVES[profile.manifest.objective]


def likelihood_readings(samples: Mapping[str, Sequence[Sample]]) -> dict[str, list[Reading]]:
    """What the mean log-likelihood reads of samples, by domain."""
    read = OBJECTIVES["mean-logprob"].read
    return {domain: [read(sample) for sample in given] for domain, given in samples.items()}
