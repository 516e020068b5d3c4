"""The way of a user: profile, show, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import paramscope
from tests.cli.conftest import Call
from tests.conftest import made_texts

FEW = ("--samples", "4", "--max-tokens", "12")


@pytest.fixture(scope="module")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run of two domains. No test may change it."""
    folder = tmp_path_factory.mktemp("finished")
    for name, start in (("a", 0), ("b", 40)):
        lines = [json.dumps({"text": text}) + "\n" for text in made_texts(6, start=start)]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    paramscope.profile(
        tiny_model,
        {name: str(folder / f"{name}.jsonl") for name in ("a", "b")},
        output=folder / "run",
        samples=4,
        max_tokens=12,
    )
    yield folder / "run"
    assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl", "b.jsonl", "run"]


def test_profile_show_and_report_follow_each_other(
    call: Call, tiny_model: Path, domains: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = call("profile", tiny_model, *domains, "-o", run, *FEW, "--threshold", "0.01")
    assert done.code == 0, done.err
    assert "Density: share of weights with mean activation above 0.01" in done.out
    for told in (
        "4 layers",
        "domain support: 4 samples",
        "domain prose: 4 samples",
        "4 cut",
        "self-check",
        f"run: {run}",
    ):
        assert told in done.err
    assert not run.with_name("run.unfinished").exists()

    shown = call("show", run)
    assert shown.code == 0
    for name in ("support", "code", "prose"):
        assert name in shown.out
    assert "LLMDcos, centred" in shown.out

    document = call("show", run, "--json").document
    assert document["domains"] == ["support", "code", "prose"]
    assert document["threshold"] == 0.01
    assert document["threshold_rule"] == "given"
    assert document["self_check"] < 1e-3
    assert document["samples"] == {"support": 4, "code": 4, "prose": 4}

    reported = call("report", run)
    assert (reported.code, reported.out) == (0, "")
    assert f"page: {run / 'report.html'}" in reported.err
    assert "<svg" in (run / "report.html").read_text(encoding="utf-8")


def test_profile_with_json_prints_the_document_of_show_and_nothing_else(
    call: Call, tiny_model: Path, domains: list[str], tmp_path: Path
) -> None:
    done = call("profile", tiny_model, *domains, "-o", tmp_path / "run", *FEW, "--json")
    assert done.code == 0
    assert done.document == call("show", tmp_path / "run", "--json").document


def test_quiet_says_nothing_on_stderr(call: Call, tiny_model: Path, domains: list[str], tmp_path: Path) -> None:
    done = call("profile", tiny_model, *domains, "-o", tmp_path / "run", "--samples", "40", "--quiet", "--json")
    assert (done.code, done.err) == (0, "")
    assert any("7 of the 40 samples" in warning for warning in done.document["warnings"])
    for arguments in (("show", tmp_path / "run"), ("report", tmp_path / "run")):
        assert call(*arguments, "--quiet").err == ""


def test_dry_run_says_what_would_be_done_and_writes_nothing(
    call: Call, tiny_model: Path, domains: list[str], tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = call("profile", tiny_model, *domains, *FEW, "-o", tmp_path / "run", "--dry-run")
    assert (done.code, done.out) == (0, "")
    assert "domain code: 4 samples" in done.err
    assert "at the peak" in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_dry_run_with_json_prints_the_plan(call: Call, tiny_model: Path, domains: list[str]) -> None:
    plan = call("profile", tiny_model, *domains, *FEW, "--dry-run", "--json").document
    assert plan["domains"] == ["support", "code", "prose"]
    assert plan["layers"] == 4
    assert plan["parameters"] == [3 * 32 * 64 + 2 * 32 * 32 + 2 * 32 * 16] * 4
    assert plan["samples"] == {"support": 4, "code": 4, "prose": 4}
    assert plan["memory_bytes"] > 0


def test_show_at_a_threshold_counts_above_it(call: Call, finished: Path) -> None:
    document = call("show", finished, "--json", "--threshold", "2e-5").document
    assert document["threshold"] == 2e-5
    expected = paramscope.Profile.load(finished).density(2e-5)
    assert document["density"] == {name: expected[name].tolist() for name in ("a", "b")}
    assert "above 2e-05" in call("show", finished, "--threshold", "2e-5").out


def test_table_that_is_piped_is_not_cut(call: Call, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    shown = call("show", finished).out
    assert "…" not in shown
    assert "Density: share of weights with mean activation above " in shown


def test_report_goes_where_it_is_told_and_json_names_it(call: Call, finished: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "one.html"
    done = call("report", finished, "-o", page, "--json")
    assert (done.code, done.document) == (0, {"report": str(page)})
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    assert [path.name for path in page.parent.iterdir()] == ["one.html"]


def test_finished_run_is_kept_and_resume_only_reads_it(
    call: Call, finished: Path, tiny_model: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    domains = [x for name in ("a", "b") for x in ("--domain", f"{name}={finished.parent / name}.jsonl")]
    command = ("profile", tiny_model, *domains, "-o", run, *FEW)
    before = (run / "run.json").read_bytes()
    kept = call(*command)
    assert kept.code == 2
    assert "holds a finished run; --overwrite replaces it" in kept.err
    resumed = call(*command, "--resume", "--json")
    assert resumed.code == 0
    assert "nothing to do" in resumed.err
    assert resumed.document == call("show", run, "--json").document
    other = call(*command, "--resume", "--seed", "5")
    assert other.code == 2
    assert "was made with other arguments (" in other.err
    assert "seed: 0 there, 5 now" in other.err
    assert (run / "run.json").read_bytes() == before


def test_overwrite_replaces_a_finished_run(
    call: Call, finished: Path, tiny_model: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    path = write_jsonl("new.jsonl", made_texts(4))
    done = call("profile", tiny_model, "--domain", f"new={path}", "-o", run, *FEW, "--overwrite", "--json")
    assert done.code == 0
    assert done.document["domains"] == ["new"]
    assert paramscope.Profile.load(run).domains == ["new"]


def test_settings_reach_the_measurement(
    call: Call, tiny_model: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_jsonl("a.jsonl", made_texts(5))
    command = ("profile", tiny_model, "--domain", f"a={path}", "-o", tmp_path / "run", "--samples", "3")
    options = ("--objective", "target-logprob", "--target", " w1 w2", "--dtype", "float64", "--batch-size", "2")
    done = call(*command, *options, "--seed", "3", "--max-tokens", "9", "--save-scores", "--json")
    assert done.code == 0, done.err
    profile = paramscope.Profile.load(tmp_path / "run")
    assert profile.manifest.engine.dtype == "float64"
    assert profile.manifest.engine.micro_batches == [2, 1]
    assert profile.manifest.objective == "target-logprob"
    assert profile.manifest.seed == 3
    assert profile.samples["tokens"].tolist() == [7] * 3
    assert done.document["self_check"] < 1e-9
    assert len(list((tmp_path / "run" / "scores").iterdir())) == 4


def test_domains_come_from_a_file_and_from_the_line(
    call: Call, tiny_model: Path, write_jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    write_jsonl("a.jsonl", made_texts(3))
    (tmp_path / "b.txt").write_text("\n".join(made_texts(3, start=20)))
    (tmp_path / "domains.yaml").write_text("a: a.jsonl\nb:\n  source: b.txt\n  lines: true\n")
    line = ("--domain", f"c={write_jsonl('c.jsonl', made_texts(3, start=50))}")
    done = call("profile", tiny_model, *line, "--domains", tmp_path / "domains.yaml", *FEW, "--dry-run", "--json")
    assert done.document["samples"] == {"c": 3, "a": 3, "b": 3}
