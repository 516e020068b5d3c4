"""``paramscope report RUN1 RUN2 ...``: several runs on one page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.reference import made_up_layers, make_profile
from tests.report.document import Document


def made_run(folder: Path, *, layers: int = 4, seed: int = 0, names: tuple[str, ...] = ("code", "support")) -> Path:
    sizes = dict.fromkeys(names, 4)
    made = made_up_layers(layers, sizes, seed=seed, rows=8, columns=6)
    make_profile(made, sizes, model=folder.name).save(folder)
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return made_run(tmp_path / "small"), made_run(tmp_path / "large", layers=9, seed=1)


def test_several_runs_make_one_page_where_it_is_told(call: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    before = sorted(file for run in pair for file in run.iterdir())
    done = call("report", *pair, "-o", page, "--json")
    assert (done.code, done.document) == (0, {"report": str(page)})
    document = Document(page.read_text(encoding="utf-8"))
    assert "How small and large use their parameters" in document.text
    assert sorted(file for run in pair for file in run.iterdir()) == before


def test_without_output_the_page_lies_in_the_working_folder(
    call: Call, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a page replaces a page
        done = call("report", *pair)
        assert (done.code, done.out) == (0, "")
        assert "compare.html" in done.err
    assert (tmp_path / "compare.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_what_is_no_page_is_not_replaced(refused: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("my notes")
    assert "is there and is no page" in refused("report", *pair, "-o", tmp_path / "mine.html").err
    assert (tmp_path / "mine.html").read_text() == "my notes"


def test_runs_that_cannot_be_compared_are_refused(refused: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    other = made_run(tmp_path / "other", names=("legal",))
    said = refused("report", pair[0], other, "-o", page).err
    assert "no domain in common" in said
    assert f"{other} has legal" in said
    assert "is the same run as" in refused("report", pair[0], pair[1], pair[0], "-o", page).err
    assert "is no run folder" in refused("report", pair[0], tmp_path / "none", "-o", page).err


def test_what_is_of_one_run_is_refused_for_several(refused: Call, pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert "--figures is of one run" in refused("report", *pair, "-o", page, "--figures", tmp_path / "figures").err
    assert "--format md is of one run" in refused("report", *pair, "-o", page, "--format", "md").err
