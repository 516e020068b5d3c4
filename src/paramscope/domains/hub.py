"""Rows of a set that the library ``datasets`` reads: from the Hugging Face hub, or from a local folder.

``hf:owner/name[:config][:split]`` is a set on the hub; ``hf:./folder[:config][:split]`` (or with ``../``, ``/`` or
``~``) is a local folder, saved by ``save_to_disk`` or one that ``load_dataset`` reads. One part after the name is a
configuration where the set has one of that name, else a split. Without a split it is ``train`` where there is one,
else the only one. Code that comes with a set is never run.

Sets on the hub are streamed, and of a longer set only the first 20,000 rows are read, so the draw depends on the set
and the seed only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from paramscope.domains.readers import Row, explicit
from paramscope.errors import UsageError
from paramscope.wording import did_you_mean, listed, one_line, quoted

HUB_ROWS = 20_000
"""How many rows of a set on the hub are read."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class HubSet:
    """A set that the library ``datasets`` reads.

    Attributes:
        path: ``owner/name`` on the hub, or a local folder.
        parts: what follows it: nothing, configuration or split, or configuration and split.
        local: whether ``path`` is a folder.
    """

    path: str
    parts: tuple[str, ...] = ()
    local: bool = False

    @property
    def label(self) -> str:
        """The set as a SOURCE."""
        return ":".join(["hf", self.path, *self.parts])


def parse_hub(text: str, base: Path = Path()) -> HubSet:
    """Parse what follows ``hf:`` in a SOURCE.

    Args:
        text: ``owner/name[:config][:split]`` or ``./folder[:config][:split]``.
        base: the folder that a relative folder is resolved against.

    Returns:
        The set.

    Raises:
        UsageError: when it is neither an id on the hub nor a folder that exists.
    """
    if text.startswith(("./", "../", "/", "~")) or text in {".", ".."}:
        pieces = text.split(":")
        # A folder's name may hold a colon, so the longest beginning that is a folder is the path.
        for end in range(len(pieces), max(0, len(pieces) - 3), -1):
            folder = base / os.path.expanduser(":".join(pieces[:end]))
            if os.path.isdir(folder):
                return HubSet(explicit(folder), tuple(pieces[end:]), local=True)
        raise UsageError(f"{quoted(f'hf:{text}', 120)}: no such folder; check the path")
    path, *parts = text.split(":")
    if len(parts) > 2 or not _HUB_ID.fullmatch(path):
        raise UsageError(
            f"{quoted(f'hf:{text}')}: expected hf:owner/name[:config][:split], or hf:./folder for a local one"
        )
    return HubSet(path, tuple(parts))


def read_hub(hub: HubSet, repair: str) -> tuple[list[Row], str]:
    """Read the rows of a set.

    Args:
        hub: the set.
        repair: what to do where the hub cannot be reached, for the message.

    Returns:
        The rows, and the set as it was read: its label, with a note where only the first rows were taken.

    Raises:
        UsageError: when the library is missing, the set cannot be reached, found or read, or has no such split.
    """
    try:
        import datasets
        from datasets.exceptions import DatasetsError
        from huggingface_hub import errors as hub_errors
    except ImportError as error:
        raise UsageError(f"{hub.label}: needs the library datasets; pip install 'paramscope[hub]'") from error
    import pyarrow

    limit = None if hub.local else HUB_ROWS
    try:
        rows = _open(datasets, hub)
        taken = [
            Row(f"{hub.label}:{number}", fields)
            for number, fields in enumerate(islice(rows, limit and limit + 1), start=1)
        ]
    # HTTPError is the base of what the hub's HTTP library raises, connection errors included; it is no OSError.
    except (ConnectionError, hub_errors.HTTPError) as error:
        raise UsageError(
            f"{hub.label}: the Hugging Face hub cannot be reached ({one_line(error)}); {repair}"
        ) from error
    except FileNotFoundError as error:
        raise UsageError(f"{hub.label}: not found ({one_line(error)}); check the name, or {repair}") from error
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError, DatasetsError, pyarrow.ArrowException) as error:
        raise UsageError(f"{hub.label}: the library datasets cannot read it ({one_line(error)}); {repair}") from error
    if limit is not None and len(taken) > limit:
        return taken[:limit], f"{hub.label} (the first {limit:,} rows)"
    return taken, hub.label


def _open(datasets: Any, hub: HubSet) -> Iterable[dict[str, object]]:
    if hub.local and any((Path(hub.path) / name).is_file() for name in ("state.json", "dataset_dict.json")):
        saved = datasets.load_from_disk(hub.path)
        splits = saved if isinstance(saved, dict) else {str(saved.split or "train"): saved}
        if len(hub.parts) > 1:
            raise UsageError(f"{hub.label}: a folder saved by save_to_disk has no configurations; give the split alone")
        return _choose(hub, splits, hub.parts[0] if hub.parts else "")
    config, split = "", ""
    if len(hub.parts) == 2:
        config, split = hub.parts
    elif hub.parts and hub.parts[0] in datasets.get_dataset_config_names(hub.path):
        config = hub.parts[0]
    elif hub.parts:
        split = hub.parts[0]
    return _choose(hub, datasets.load_dataset(hub.path, name=config or None, streaming=True), split)


def _choose(hub: HubSet, splits: Any, split: str) -> Iterable[dict[str, object]]:
    names = [str(name) for name in splits]
    if not split:
        split = "train" if "train" in names else names[0] if len(names) == 1 else ""
    if split not in names:
        wrong = f"no split {split!r}{did_you_mean(split, names)}" if split else "which split?"
        raise UsageError(f"{hub.label}: {wrong}; there are {listed(names)}")
    return splits[split]
