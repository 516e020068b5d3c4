"""Names and texts from outside change nothing on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from paramscope.cli.common import inert, number
from tests.cli.conftest import Call
from tests.conftest import made_texts
from tests.reference import made_up_layers, make_profile

NAMES = ["[red]alarm[/red]", "[/]", ":smile:", "[link]here", "back\\", "顧客対応", "a\u202eb"]


def test_names_stand_in_talk_and_tables_as_they_are(
    call: Call, tiny_model: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    domains: list[str] = []
    for place, name in enumerate(NAMES):
        domains += ["--domain", f"{name}={write_jsonl(f'{place}.jsonl', made_texts(3, start=9 * place))}"]
    done = call("profile", tiny_model, *domains, "-o", tmp_path / "run", "--samples", "4")
    assert done.code == 0, done.err
    shown = call("show", tmp_path / "run")
    for name in NAMES:
        visible = name.replace("\u202e", "\N{REPLACEMENT CHARACTER}")
        assert f"domain {visible}: 3 samples" in done.err
        assert f"│ {visible} " in done.out
        assert f" {visible} ┃" in shown.out
    for text in (done.out, done.err, shown.out, shown.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert call("show", tmp_path / "run", "--json").document["domains"] == NAMES


def test_warnings_of_a_run_are_inert(call: Call, tmp_path: Path) -> None:
    profile = make_profile(made_up_layers(2, {"a": 3}), {"a": 3}, warnings=["odd \x1b]0;title\x07[red]text"])
    profile.save(tmp_path / "run")
    err = call("show", tmp_path / "run").err
    assert err == "warning: odd \N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}[red]text\n"


def test_tables_of_many_long_names_fit_a_terminal(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = {f"department number {i} of the whole company": 2 for i in range(9)}
    make_profile(made_up_layers(3, sizes, rows=4, columns=4), sizes).save(tmp_path / "run")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("paramscope.cli.common._width", lambda _: 80)
    lines = call("show", tmp_path / "run").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("char", ["\n", "\r", "\t", "\x1b", "\x9b", "\u202e", "\u2028", "\ud800"])
def test_inert_text_has_no_control_characters(char: str) -> None:
    assert inert(f"a{char}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_number_that_does_not_exist_is_a_dash() -> None:
    assert (number(float("nan")), number(0.125), number(12.34, 1)) == ("-", "0.12", "12.3")
