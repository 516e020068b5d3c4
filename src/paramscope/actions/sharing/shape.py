"""What a model's costs depend on, read off its run."""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.actions.sharing.prices import Prices
from paramscope.errors import UsageError
from paramscope.models.embedded import model_path
from paramscope.result.manifest import ModelRecord
from paramscope.result.profile import Profile


@dataclass(frozen=True)
class Shape:
    """What costs depend on.

    Attributes:
        parameters: of the whole model.
        bytes_per_parameter: of its files, on the mean.
        measured: whether that was measured on the files, or is an assumption.
        cache_values: numbers that a token leaves in the cache of keys and values; None where the modules do not tell.
        widest: inputs and outputs of the widest linear map: what a token takes on its way, at most.
    """

    parameters: int
    bytes_per_parameter: float
    measured: bool
    cache_values: int | None
    widest: int


def model_shape(profile: Profile, prices: Prices) -> Shape:
    """Read off a run what its model's costs depend on; the model itself is not opened.

    Args:
        profile: the run.
        prices: for the bytes of a parameter, where the model's files are gone or in another place.

    Returns:
        The shape.
    """
    model, modules = profile.manifest.model, profile.modules
    parameters = sum(model.parameters.values())
    size = _file_bytes(model)
    # Rows of what makes keys and values. Fused projections hold the queries too, and do not tell.
    cached = modules[modules["module"].str.fullmatch(r"(?:.*\.)?[kv]_proj")]
    return Shape(
        parameters=parameters,
        bytes_per_parameter=prices.bytes_per_parameter if size is None else size / parameters,
        measured=size is not None,
        cache_values=int(cached["rows"].sum()) if len(cached) else None,
        widest=int((modules["rows"] + modules["columns"]).max()),
    )


def _file_bytes(model: ModelRecord) -> int | None:
    """Size of the files with the model's weights; None where they are not all there."""
    if model.place is None:
        return None
    try:
        place = model_path(model.place)
        if place.is_file():
            return place.stat().st_size
        sizes = [(place / name).stat().st_size for name in model.files if name.endswith(".safetensors")]
    except (OSError, UsageError):
        return None
    return sum(sizes) or None
