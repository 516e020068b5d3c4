"""The audit: the command makes the very same run again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml

from paramscope.report import Material
from paramscope.report.sections.audit import replay_command, section
from paramscope.result.profile import Profile
from tests.cli.conftest import Call
from tests.conftest import made_texts


@pytest.mark.parametrize(
    "flags", [[], ["--keep", "end", "--pairs", "2"], ["--template", "{text} !", "--objective", "mean-logprob"]]
)
def test_the_command_makes_the_same_run_again(call: Call, tiny_model: Path, tmp_path: Path, flags: list[str]) -> None:
    for place, name in enumerate(("a b", "c")):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in made_texts(12, start=place))
        (tmp_path / f"{name}.jsonl").write_text(rows, encoding="utf-8")
    domains = [part for name in ("a b", "c") for part in ("--domain", f"{name}={tmp_path / name}.jsonl")]
    asked = ["--samples", "3", "--max-tokens", "8", "--seed", "5", "--held-out", "2", "--threshold", "1e-3", *flags]
    done = call("profile", tiny_model, *domains, *asked, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    command, _, settings = replay_command(Material.load(tmp_path / "run")).partition("\n\n# domains.yaml\n")
    words = shlex.split(command)
    assert words[:2] == ["paramscope", "profile"]
    if settings:
        (tmp_path / "domains.yaml").write_text(settings, encoding="utf-8")
        assert set(yaml.safe_load(settings)) == {"a b", "c"}
    words = [str(tmp_path / word) if word in ("domains.yaml",) else word for word in words[1:]]
    words[words.index("-o") + 1] = str(tmp_path / "again")
    again = call(*words)
    assert again.code == 0, again.err
    first, second = Profile.load(tmp_path / "run"), Profile.load(tmp_path / "again")
    assert first.density().equals(second.density())
    assert [domain.sha256 for domain in first.manifest.domains] == [domain.sha256 for domain in second.manifest.domains]


def test_lines_of_commands_stay_lines(tmp_path: Path) -> None:
    from tests.report.runs import full_run

    shown = section(Material.load(full_run(tmp_path / "run")))
    assert [line.split()[1] for line in shown.later] == ["verify", "tune", "share"]
    assert {name for name, _ in shown.documents} >= {"run.json", "verify.json", "tune.json", "share.json"}
