"""Where a model's files are: a folder, a GGUF file, or the hub; checked before they are loaded."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from safetensors import SafetensorError, safe_open

from paramscope.errors import UsageError
from paramscope.models.embedded import model_path
from paramscope.wording import one_line, quoted

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_FILES = ["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"]


@dataclass(frozen=True)
class ModelFiles:
    """A model on disk.

    Attributes:
        folder: that holds the configuration, the weights and the tokenizer.
        gguf: name of the GGUF file in it, if that is the model.
        weights: the files with weights.
    """

    folder: Path
    gguf: str | None
    weights: tuple[Path, ...]

    @property
    def all(self) -> list[Path]:
        """All files that the model and its tokenizer are made from, in name order."""
        if self.gguf:
            return [self.folder / self.gguf]
        kinds = {".json", ".model", ".txt", ".jinja"}
        return sorted({*self.weights, *(path for path in self.folder.iterdir() if path.suffix in kinds)})


def locate_model(model: str, revision: str | None = None) -> ModelFiles:
    """Find a model's files and check that its weights are whole.

    Args:
        model: a folder in Hugging Face format, a ``.gguf`` file, ``embedded:smollm2``, or a hub id.
        revision: branch, tag or commit on the hub.

    Returns:
        The files.

    Raises:
        UsageError: nothing is there, or it is not a model with readable weights.
    """
    path = model_path(model)
    # os.path and not Path, which raises for names that are too long.
    if os.path.exists(path):
        if revision is not None:
            raise UsageError(f"--revision {revision} is for models of the hub, {model} is on this disk; leave it out")
        return _gguf_file(path) if path.is_file() else _folder(path)
    if path.suffix == ".gguf" or not _HUB_ID.fullmatch(model):
        raise UsageError(
            f"model {quoted(model, 120)}: no such file or folder; give a folder, a .gguf file or a hub id (owner/name)"
        )
    return _folder(_download(model, revision))


def _download(model: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    where = f"model {model}" + (f" at revision {revision}" if revision else "")
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_HUB_FILES))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = (
            f"the hub answered {status}" if status else "the hub cannot be reached and it is not in the local cache"
        )
        raise UsageError(
            f"{where}: no such file or folder, and {reason}; check the name, or give a folder or a .gguf file"
        ) from error
    except (HFValidationError, HfHubHTTPError) as error:
        raise UsageError(f"{where}: {one_line(error)}; check the name and the revision") from error


def _gguf_file(path: Path) -> ModelFiles:
    if path.suffix != ".gguf":
        raise UsageError(f"model {path} is a file but no .gguf; give a folder in Hugging Face format or a .gguf file")
    if find_spec("gguf") is None:
        raise UsageError(f"model {path} needs the package gguf; pip install 'paramscope[gguf]'")
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        ends = [int(tensor.data_offset) + int(tensor.n_bytes) for tensor in reader.tensors]
    except (ValueError, IndexError, KeyError, OSError, OverflowError) as error:
        raise UsageError(f"model {path} is no readable GGUF file ({one_line(error)}); fetch it again") from error
    if not ends or max(ends) > path.stat().st_size:
        raise UsageError(f"model {path} is truncated ({path.stat().st_size} bytes, weights missing); fetch it again")
    return ModelFiles(path.parent, path.name, (path,))


def _indexed_files(index: Path) -> list[str]:
    """Names of the files that an index of weights lists.

    Raises:
        UsageError: it cannot be read or has another form.
    """
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{index} is no readable index of weights ({one_line(error)}); fetch it again") from error
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not places or not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise UsageError(f"{index} is no readable index of weights (no weight_map with file names); fetch it again")
    return sorted(set(places.values()))


def _folder(folder: Path) -> ModelFiles:
    if not (folder / "config.json").is_file():
        raise UsageError(f"model {folder} has no config.json; give a folder in Hugging Face format")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        weights = tuple(folder / name for name in _indexed_files(index))
    else:
        weights = (folder / "model.safetensors",)
    for path in weights:
        if not path.is_file():
            pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
            hint = "pickled weights are not opened, save the model with safetensors" if pickled else "fetch it again"
            raise UsageError(f"model {folder}: {path.name} is missing; {hint}")
        try:
            with safe_open(path, framework="numpy") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            raise UsageError(f"{path} is unreadable or truncated ({one_line(error)}); fetch it again") from error
    return ModelFiles(folder, None, weights)
