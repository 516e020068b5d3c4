"""YAML files that users write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paramscope.domains.readers import read_utf8
from paramscope.errors import UsageError
from paramscope.wording import one_line, quoted


def read_yaml(path: Path) -> Any:
    """Read a file.

    Args:
        path: of the file.

    Returns:
        Its content: plain values, lists and mappings; None of an empty file.

    Raises:
        UsageError: it cannot be read, is no YAML, or gives a key twice: the last one would silently win.
    """
    import yaml

    text = read_utf8(path)
    try:
        node, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise UsageError(f"{path}: broken YAML: {one_line(error)}") from error
    _check_twice(node, path, set())
    return content


def _check_twice(node: Any, path: Path, seen: set[int]) -> None:
    """Refuse a key that a mapping has twice.

    Raises:
        UsageError: when there is one.
    """
    if id(node) in seen:  # an alias may even be inside what it names
        return
    seen.add(id(node))
    kind = getattr(node, "id", "")
    for part in node.value if kind == "sequence" else []:
        _check_twice(part, path, seen)
    keys: set[str] = set()
    for key, value in node.value if kind == "mapping" else []:
        if str(key.value) in keys:
            raise UsageError(f"{path}:{key.start_mark.line + 1}: {quoted(key.value)} is given twice; give it once")
        keys.add(str(key.value))
        _check_twice(value, path, seen)
