"""``paramscope plan`` and ``paramscope run``: a whole study, gone on with where it was left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paramscope.result.planned import Planned
from tests.actions.tuned_runs import TRAINABLE, lean, write_texts
from tests.causal.conftest import resize, small  # noqa: F401 - fixtures
from tests.cli.conftest import Call
from tests.conftest import made_texts

_lean = pytest.fixture(autouse=True, scope="module")(lean)

pytestmark = pytest.mark.usefixtures("small")

STUDY = f"""
model: MODEL
output: out
domains:
  a: {{source: a.txt, lines: true}}
  b: {{source: b.txt, lines: true}}
profile: {{samples: 4, held_out: 8}}
tune: {{domains: [a], steps: 2, seeds: 1, trainable: {TRAINABLE}}}
share: {{requests: 1000, pilot: true, steps: 1, seeds: 1, rank: 2, own_layers: 1}}
"""


@pytest.fixture
def study(tiny_model: Path, tmp_path: Path) -> Path:
    for name, start in (("a", 0), ("b", 40)):
        write_texts(tmp_path / f"{name}.txt", made_texts(40, start=start))
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("MODEL", str(tiny_model)))
    return file


def test_a_study_leaves_every_result_and_is_not_done_twice(call: Call, study: Path) -> None:
    done = call("run", study)
    assert done.code == 0, done.err
    run = study.parent / "out"
    for name in ("run.json", "verify.json", "tune.json", "share-pilot.json", "share.json", "plan.json", "report.html"):
        assert (run / name).is_file(), name
    planned = Planned.model_validate_json((run / "plan.json").read_text())
    assert planned.made_from == ["run.json", "verify.json", "tune.json", "share.json"]
    assert planned.pilot
    assert planned.pilot.domain == "b"
    tune = next(proposal for proposal in planned.proposals if proposal.name == "tune for a")
    assert tune.benefit is not None
    assert next(proposal for proposal in planned.proposals if proposal.name == "share").benefit is not None
    for told in ("Layers", "Proposals", "Try first", "note: A role is about one layer alone"):
        assert told in done.out
    made_anew = ("report.html", "plan.json", "share.json")  # of what is there; the rest is not done again
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.name not in made_anew}
    again = call("run", study, "--quiet")
    assert again.code == 0, again.err
    assert again.err == ""
    assert again.out == done.out
    assert {name: (run / name).read_bytes() for name in before} == before


def test_another_study_is_not_mixed_into_a_run(call: Call, study: Path) -> None:
    text = study.read_text() + "verify: false\n"
    study.write_text(text.replace("share: {", "share: false #").replace("tune: {", "tune: false #"))
    assert call("run", study, "--quiet").code == 0
    study.write_text(study.read_text().replace("samples: 4", "samples: 5"))
    done = call("run", study, "--quiet")
    assert done.code == 2
    assert "samples: 4 there, 5 now" in done.err


def test_a_dry_run_says_what_would_be_done_and_does_nothing(call: Call, study: Path) -> None:
    done = call("run", study, "--dry-run", "--json")
    assert done.code == 0
    assert "tune: a; 2 steps each" in done.err
    assert json.loads(done.out)["share"]["requests"] == 1000
    assert not (study.parent / "out").exists()


def test_a_plan_is_one_document_with_json(call: Call, study: Path) -> None:
    study.write_text(study.read_text().split("tune:")[0] + "verify: false\ntune: false\nshare: false\n")
    assert call("run", study, "--quiet").code == 0
    run = study.parent / "out"
    done = call("plan", run, "--json")
    assert done.code == 0
    document = json.loads(done.out)
    assert [proposal["priority"] for proposal in document["proposals"]] == [1, 2, 3]
    assert f"planned: {run} (from run.json)" in done.err
    assert call("plan", study.parent / "nowhere").code == 2


def test_wrong_studies_are_one_line(call: Call, tmp_path: Path) -> None:
    done = call("run", tmp_path / "none.yaml")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
