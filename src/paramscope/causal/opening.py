"""The model that a profile was made of, and no other."""

from __future__ import annotations

import os

from torch import nn

from paramscope.errors import UsageError
from paramscope.models.blocks import Structure
from paramscope.models.open import LocatedModel, OpenModel, adopt, load, locate
from paramscope.result.manifest import Manifest
from paramscope.result.profile import Profile


def open_profiled(profile: Profile, model: str | os.PathLike[str] | nn.Module | None, device: str) -> OpenModel:
    """Open the model that a profile was made of.

    Args:
        profile: of a run.
        model: that it was made of; None opens the one that the run names.
        device: for a model that is opened.

    Returns:
        The model.

    Raises:
        UsageError: it is not named, not there, or another one.
    """
    manifest = profile.manifest
    if isinstance(model, nn.Module):
        opened = adopt(model)
    else:
        place = os.fspath(model) if model is not None else manifest.model.place
        if place is None:
            raise UsageError("the run was made of a model in memory; give it, or a path to it with --model")
        if manifest.engine.weights == "streamed":
            raise UsageError(
                f"the run's weights stayed on the disk, and the checks change them in memory; profile {place} with "
                "--weights resident, or give a loaded model"
            )
        located = _locate(manifest, place, given=model is not None)
        opened = load(located, dtype=str(manifest.arguments.get("dtype", "auto")), device=device)
    files = manifest.model.files
    if set(files) == set(opened.files) and files != opened.files:
        changed = next(name for name in files if files[name] != opened.files[name])
        raise UsageError(
            f"{opened.name} is not the model of the run ({changed} differs); give the one that was profiled with "
            "--model"
        )
    return opened


def _locate(manifest: Manifest, place: str, *, given: bool) -> LocatedModel:
    try:
        return locate(place, manifest.model.revision)
    except UsageError as error:
        if given:
            raise
        raise UsageError(f"{error}; where the run's model lies elsewhere now, give it with --model") from error


def check_shapes(profile: Profile, opened: OpenModel, structure: Structure) -> None:
    """Refuse a model with other weights than the profile tells of, where its files do not tell it from the run's.

    Args:
        profile: of a run.
        opened: the model.
        structure: of the model.

    Raises:
        UsageError: it has.
    """
    measured = profile.tables.modules[["layer", "module", "rows", "columns"]].itertuples(index=False, name=None)
    there = [
        (layer, weight.name, weight.rows, weight.columns)
        for layer, block in enumerate(structure.blocks)
        for weight in block.weights
    ]
    if list(measured) != there:
        raise UsageError(
            f"{opened.name} is not the model of the run (its layers have other weights); give the one that was "
            "profiled with --model"
        )
