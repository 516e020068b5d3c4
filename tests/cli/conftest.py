"""Calls of the command line in this process, as a shell would make them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from paramscope.cli.main import main
from tests.conftest import made_texts


@dataclass(frozen=True)
class Outcome:
    """What a call left."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Call = Callable[..., Outcome]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run ``paramscope`` with arguments; lines are not wrapped."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["paramscope", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)

    return run


@pytest.fixture
def refused(call: Call, tmp_path: Path) -> Call:
    """Run ``paramscope`` with bad input: exit code 2, one line on stderr, nothing written."""

    def run(*arguments: str | Path) -> Outcome:
        before = sorted(tmp_path.rglob("*"))
        outcome = call(*arguments)
        assert outcome.code == 2, outcome.err
        assert outcome.err.startswith("paramscope: error: ")
        assert outcome.err.count("\n") == 1, outcome.err
        assert outcome.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return outcome

    return run


@pytest.fixture
def domains(write_jsonl: Callable[..., Path], tmp_path: Path) -> list[str]:
    """Three domains, one of each kind of file, as arguments."""
    tickets = write_jsonl("tickets.jsonl", made_texts(7))
    (tmp_path / "code.csv").write_text(
        "id,text\n" + "".join(f"{i},{t}\n" for i, t in enumerate(made_texts(6, start=31)))
    )
    (tmp_path / "prose.txt").write_text("\n\n".join(made_texts(5, start=53, length=14)) + "\n")
    files = {"support": tickets, "code": tmp_path / "code.csv", "prose": tmp_path / "prose.txt"}
    return [part for name, path in files.items() for part in ("--domain", f"{name}={path}")]
