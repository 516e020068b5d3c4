"""A study's file is read whole before anything is done; what it does not know it names, with the nearest it knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from paramscope.errors import UsageError
from paramscope.study import read_study

WHOLE = """
model: ./model
output: out
domains:
  support: tickets.jsonl
  code: {source: code.jsonl, field: body}
profile: {samples: 8, max-tokens: 32}
verify: {budget: 5m, seed: 2}
tune: {domains: [code], budget: 90s}
share: {requests: 1000}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tickets.jsonl", "code.jsonl"):
        (tmp_path / name).write_text('{"text": "a b", "body": "c"}\n')
    (tmp_path / "model").mkdir()
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "study.yaml"
    file.write_text(text)
    return file


def test_paths_start_at_the_files_folder_and_settings_are_those_of_the_profile(folder: Path) -> None:
    read = read_study(write(folder, WHOLE))
    assert read.model == str(folder / "model")
    assert read.output == folder / "out"
    assert [spec.name for spec in read.specs] == ["support", "code"]
    assert str(read.specs[1].source) == str(folder / "code.jsonl")
    assert (read.settings.samples, read.settings.max_tokens) == (8, 32)
    assert read.study.verify
    assert read.study.verify.budget == "5m"


def test_a_model_of_the_hub_is_no_path(folder: Path) -> None:
    assert read_study(write(folder, WHOLE.replace("./model", "owner/name"))).model == "owner/name"


def test_what_is_not_named_takes_its_default_and_false_leaves_out(folder: Path) -> None:
    least = "model: ./model\noutput: out\ndomains: {a: tickets.jsonl}\n"
    study = read_study(write(folder, least)).study
    assert study.verify
    assert study.tune
    assert study.share
    study = read_study(write(folder, least + "verify: false\ntune: false\nshare: false\n")).study
    assert not (study.verify)
    assert not (study.tune)
    assert not (study.share)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("output:", "outptu:", r"unknown key 'outptu' \(did you mean 'output'\?\)"),
        ("samples: 8", "smaples: 8", r"profile: unknown key 'smaples' \(did you mean 'samples'\?\)"),
        ("seed: 2", "sede: 2", r"verify.*unknown key 'sede' \(did you mean 'seed'\?\)"),
        ("requests: 1000", "request: 1000", r"share.*unknown key 'request' \(did you mean 'requests'\?\)"),
        ("requests: 1000", "steps: 3", r"share.*steps is of the pilot; give pilot: true too"),
        ("requests: 1000", "pilot: true, steps: 3, budget: 1m", r"share.*steps and budget both say"),
        ("requests: 1000", "stepps: 3", r"share: unknown key 'stepps' \(did you mean 'steps'\?\)"),
        ("requests: 1000", "pilot: true, budget: soon", r"--budget 'soon' is no time"),
        ("field: body", "feild: body", r"domain 'code': unknown key 'feild'"),
        ("samples: 8", "samples: 0", r"--samples 0 is out of range"),
        ("budget: 5m", "budget: soon", r"--budget 'soon' is no time"),
        ("[code]", "[codes]", r"tune: domain 'codes' is not of this study \(did you mean 'code'\?\)"),
        ("tickets.jsonl", "nowhere.jsonl", r"nowhere.jsonl': no such file"),
        ("model: ./model\n", "", r"model: Field required; a study has model, output and domains"),
        ("seed: 2", "seed: 2, seed: 3", r"study.yaml:8: 'seed' is given twice"),
        ("seed: 2", "steps: 4", r"--steps 4 is of the path of --activation integrated"),
        (WHOLE, "- a", r"expected a mapping with model, output and domains"),
        (WHOLE, "a: [", r"broken YAML"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_done(folder: Path, before: str, after: str, message: str) -> None:
    assert before in WHOLE
    with pytest.raises(UsageError, match=message) as error:
        read_study(write(folder, WHOLE.replace(before, after)))
    assert str(folder / "study.yaml") in str(error.value)
    assert "\n" not in str(error.value)
