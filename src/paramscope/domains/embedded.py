"""The small domains that come with the package."""

from __future__ import annotations

from importlib import resources

from paramscope.domains.readers import Row, parse_json_rows
from paramscope.errors import UsageError
from paramscope.wording import did_you_mean, quoted

EMBEDDED = ("support", "code", "contracts", "finance", "specifications", "prose")
"""Their names, in the order in which they are shown; each is the SOURCE ``embedded:NAME``."""


def check_embedded(name: str) -> None:
    """Refuse a name that is no embedded domain.

    Args:
        name: what the user wrote after ``embedded:``.

    Raises:
        UsageError: when there is no such domain.
    """
    if name not in EMBEDDED:
        near = did_you_mean(name, EMBEDDED)
        raise UsageError(
            f"{quoted(f'embedded:{name}')}: no such embedded domain{near}; there are {', '.join(EMBEDDED)}"
        )


def read_embedded(name: str) -> list[Row]:
    """Read an embedded domain.

    Args:
        name: one of ``EMBEDDED``.

    Returns:
        Its rows, with the fields ``id`` and ``text``.
    """
    check_embedded(name)
    file = resources.files(__package__).joinpath("data", f"{name}.jsonl")
    return parse_json_rows(file.read_text(encoding="utf-8"), f"embedded:{name}")
