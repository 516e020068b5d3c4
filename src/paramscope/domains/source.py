"""What a SOURCE means: a file or folder, a hub set, a built-in data set or an embedded domain.

A built-in's name stands for the data set also where a file or folder of that name lies in the working folder;
``./c4`` is the folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from paramscope.domains.builtin import BUILT_INS, BuiltIn
from paramscope.domains.embedded import check_embedded
from paramscope.domains.hub import HubSet, parse_hub
from paramscope.domains.readers import explicit
from paramscope.errors import UsageError
from paramscope.wording import did_you_mean, quoted


@dataclass(frozen=True)
class Source:
    """A parsed SOURCE. What is ``None`` or empty does not apply.

    Attributes:
        label: the SOURCE, with every folder resolved.
        path: a file or folder; beside ``built_in``, the local file that takes the hub's place.
        hub: a set that the library ``datasets`` reads.
        built_in: the data set whose template holds.
        embedded: the name of an embedded domain.
    """

    label: str
    path: Path | None = None
    hub: HubSet | None = None
    built_in: BuiltIn | None = None
    embedded: str = ""

    @property
    def own(self) -> bool:
        """Whether it is the user's own data, which take ``field``, ``template`` and ``lines``."""
        return self.built_in is None and not self.embedded


def parse_source(text: str, base: Path = Path()) -> Source:
    """Parse a SOURCE.

    Args:
        text: the SOURCE.
        base: the folder that relative paths are resolved against.

    Returns:
        What it means.

    Raises:
        UsageError: when a named file, folder, data set or embedded domain does not exist.
    """
    if text.startswith("embedded:"):
        name = text.removeprefix("embedded:")
        check_embedded(name)
        return Source(text, embedded=name)
    if text.startswith("hf:"):
        hub = parse_hub(text.removeprefix("hf:"), base)
        return Source(hub.label, hub=hub)
    if text in BUILT_INS:
        return Source(text, hub=BUILT_INS[text].hub, built_in=BUILT_INS[text])
    path = base / os.path.expanduser(text)
    # os.path and not Path.exists, which raises for names that are too long: a text in place of a SOURCE.
    if text and os.path.exists(path):
        return Source(explicit(path), path=path)
    name, at, file = text.partition("@")
    if at and re.fullmatch(r"[\w-]+", name):
        if name not in BUILT_INS:
            raise UsageError(f"{quoted(text)}: {_unknown(name)}")
        path = base / os.path.expanduser(file)
        if not file or not os.path.exists(path):
            raise UsageError(f"{quoted(text, 120)}: no such file or folder; check the path")
        return Source(f"{name}@{explicit(path)}", path=path, built_in=BUILT_INS[name])
    if re.search(r"[/\\.~]", text):
        raise UsageError(f"{quoted(str(path), 120)}: no such file or folder; check the path")
    raise UsageError(f"{quoted(text)}: {_unknown(text)}, and no file or folder of that name")


def _unknown(name: str) -> str:
    near = did_you_mean(name.lower(), BUILT_INS)
    return f"no built-in data set {quoted(name)}{near}; there are {', '.join(BUILT_INS)}"
