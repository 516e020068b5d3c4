"""From a run and what was tried on it to a plan; needs neither the model nor torch."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

from paramscope.actions.proposals import evidence_records, first_pilot, make_proposals, most_specific
from paramscope.actions.roles import layer_roles
from paramscope.language import _, mark
from paramscope.result import planned, shared, tuned, verification
from paramscope.result.planned import LayerPlan, Planned
from paramscope.result.profile import Profile
from paramscope.result.shared import Shared
from paramscope.result.tuned import Tuning
from paramscope.result.verification import Checks

_LIMITS = (
    mark("A role is about one layer alone; several layers taken away together can cost more than the sum."),
    mark(
        "Shared and specific are association: they say how alike the domains' use of a layer is, not what is gained by "
        "training or keeping it apart. Pilots on held-out texts say that."
    ),
    mark("Benefits hold for texts like those of the run, and for the training that was tried."),
)
_UNCHECKED = mark("No causal checks: no layer can be called spare or fragile. Run paramscope verify.")


def plan(run: str | os.PathLike[str]) -> Planned:
    """Propose what to do with a model: from its run, and from the checks and pilots that the run's folder holds.

    Args:
        run: folder of the run; the plan is kept there.

    Returns:
        The plan. It is made anew at each call, of what is there.

    Raises:
        UsageError: the run, or a result in it, cannot be read.
    """
    folder = Path(run)
    profile, checks = Profile.load(os.fspath(run)), verification.load_checks(folder)
    found = decide(profile, folder, checks, tuned.read_tuning(folder), shared.read_shared(folder))
    planned.write_plan(folder, found)
    return found


def decide(
    profile: Profile, folder: Path | None, checks: Checks | None, tuning: Tuning | None, sharing: Shared | None
) -> Planned:
    """The plan of a run, which is not kept.

    Args:
        profile: of the run.
        folder: of the run; None where it has none.
        checks: of the run, where there are any.
        tuning: what was tried for single domains, where there was anything.
        sharing: what the domains can share, where that was reckoned.

    Returns:
        The plan.
    """
    roles = layer_roles(profile, checks)
    there = {verification.DOCUMENT: checks, tuned.DOCUMENT: tuning, shared.DOCUMENT: sharing}
    proposals = make_proposals(profile, roles, tuning, sharing, folder)
    return Planned(
        paramscope=version("paramscope"),
        run_sha256=verification.run_digest(folder) if folder else profile.manifest.digest(),
        layers=[
            LayerPlan(
                layer=role.layer,
                parameters=int(profile.parameters.loc[role.layer]),
                role=str(role.role),
                domains=list(role.domains),
                confidence=str(role.confidence),
                evidence=evidence_records(role),
                proposals=[proposal.priority for proposal in proposals if role.layer in proposal.layers],
            )
            for role in roles
        ],
        proposals=proposals,
        pilot=first_pilot(profile, roles, tuning, folder),
        made_from=["run.json", *(name for name, document in there.items() if document is not None)],
        limits=[_(limit) for limit in (*_LIMITS, *(() if checks else (_UNCHECKED,)))],
    )


def first_to_try(run: str | os.PathLike[str]) -> str:
    """The domain whose pilot a plan would name first if no pilot had been made.

    Args:
        run: folder of the run.

    Returns:
        Its name.
    """
    profile = Profile.load(os.fspath(run))
    return most_specific(layer_roles(profile, verification.load_checks(Path(run))), profile.domains)
