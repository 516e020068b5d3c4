"""``paramscope share`` from the shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from paramscope.result.shared import Shared
from tests.actions.planted import planted_profile
from tests.actions.tuned_runs import make_run
from tests.cli.conftest import Call

SIZES = {"support": 6, "code": 6, "[red]contracts": 6, "finance": 6}
PROFILE = planted_profile(SIZES, (0.0, 0.8, 0.0, 0.3), groups=(0, 1, 0, 1))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    PROFILE.save(tmp_path / "run")
    return tmp_path / "run"


def test_json_is_the_document_in_the_run(call: Call, run: Path) -> None:
    done = call("share", run, "--rank", "2", "--json")
    assert done.code == 0, done.err
    assert done.err == f"kept: {run / 'share.json'}\n"
    assert json.loads((run / "share.json").read_text()) == done.document
    shared = Shared.model_validate(done.document)
    assert {frozenset(group) for group in shared.groups} == {
        frozenset({"support", "[red]contracts"}),
        frozenset({"code", "finance"}),
    }
    assert len(shared.curve) == 6
    assert call("share", run, "--rank", "2", "--json", "--quiet").err == ""


def test_tables_tell_curve_groups_options_and_what_is_not_shown(call: Call, run: Path) -> None:
    out = call("share", run, "--rank", "2").out
    assert "From one model for all 4 domains to a model each" in out
    assert " rest │" in out
    assert "support, [red]contracts" in out
    assert "and 4 adapters of rank 2 on " in out
    assert "storage (copies) = domains * parameters * bytes_per_parameter" in out
    assert "- shared, adapters, all-adapters, layers, copies: not measured: run the pilot" in out
    assert "is association" in out


@pytest.mark.parametrize("width", [80, 140])
def test_tables_fit_the_terminal(call: Call, run: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("paramscope.cli.common._width", lambda _: width)
    gains = run.parent / "gains.json"
    gains.write_text(json.dumps([measured("support"), measured("code")]))
    done = call("share", run, "--rank", "2", "--value", "0.01", "--gains", gains)
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= width
    assert "…" not in done.out


def measured(domain: str) -> dict[str, object]:
    return {
        "domain": domain,
        "option": "adapters",
        "loss_before": 2.0,
        "loss_after": 1.5,
        "low": 0.3,
        "high": 0.7,
        "source": "a pilot",
    }


def test_measured_gains_pay_back(call: Call, run: Path) -> None:
    gains = run.parent / "gains.json"
    gains.write_text(json.dumps([measured(name) for name in SIZES]))
    arguments = ("share", run, "--rank", "2", "--gains", gains, "--value", "1", "--requests", "1000")
    shared = Shared.model_validate(call(*arguments, "--json").document)
    by_name = {record.option: record for record in shared.break_even}
    assert by_name["adapters"].gain is not None
    assert by_name["adapters"].gain.value == pytest.approx(25)
    assert by_name["adapters"].benefit is not None
    assert by_name["adapters"].benefit.value == pytest.approx(25 * 1000)
    assert by_name["layers"].gain is None
    assert shared.prices["requests_per_month"] == 1000
    out = call(*arguments).out
    assert "- adapters: pays back in " in out
    assert "- shared, all-adapters, layers, copies: not measured: run the pilot" in out


def test_prices_are_printed_edited_and_taken(call: Call, run: Path) -> None:
    printed = call("share", "--print-prices")
    assert (printed.code, printed.err) == (0, "")
    prices = yaml.safe_load(printed.out)
    file = run.parent / "prices.yaml"
    file.write_text(printed.out.replace("currency: USD", "currency: JPY"))
    done = call("share", run, "--rank", "2", "--prices", file)
    assert "extra cost once, JPY" in done.out
    document = call("share", run, "--rank", "2", "--json").document
    assert document["prices"] | {"bytes_per_parameter": 2} == prices


def test_wrong_use_is_one_line(refused: Call, run: Path) -> None:
    file = run.parent / "prices.yaml"
    file.write_text("gpu_hors: 3\n")
    assert "unknown key 'gpu_hors' (did you mean 'gpu_hour'?)" in refused("share", run, "--prices", file).err
    assert "--rank 0 is out of range; give a whole number from 1 to 12" in refused("share", run, "--rank", "0").err
    assert "--rank 8000" in refused("share", run, "--rank", "8000").err
    assert "--value 0.0 is no positive number" in refused("share", run, "--rank", "2", "--value", "0").err
    assert "--requests nan is no positive number" in refused("share", run, "--requests", "nan").err
    assert "--own-layers 9 is out of range" in refused("share", run, "--own-layers", "9").err
    assert "gone.json: cannot be read" in refused("share", run, "--gains", run.parent / "gone.json").err
    assert "is no run folder" in refused("share", run.parent / "nowhere").err


def test_one_domain_is_refused(refused: Call, tmp_path: Path) -> None:
    planted_profile({"support": 6}, (0.1,)).save(tmp_path / "run")
    assert "the run has one domain (support), sharing needs at least two" in refused("share", tmp_path / "run").err


def test_neither_torch_nor_transformers_are_loaded(run: Path) -> None:
    code = (
        "import sys\n"
        "from paramscope.cli.main import main\n"
        f"sys.argv = ['paramscope', 'share', {str(run)!r}, '--rank', '2', '--quiet']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_run_with_the_document_is_a_run_all_the_same(call: Call, run: Path) -> None:
    assert call("share", run, "--rank", "2").code == 0
    assert call("show", run).code == 0
    assert call("report", run).code == 0
    PROFILE.save(run, overwrite=True)
    assert not (run / "share.json").exists()


def test_sizes_of_a_profiled_model_are_its_own(
    call: Call, tiny_model: Path, domains: list[str], tmp_path: Path
) -> None:
    assert call("profile", tiny_model, *domains, "-o", tmp_path / "run", "--samples", "4").code == 0
    shared = Shared.model_validate(call("share", tmp_path / "run", "--rank", "4", "--json").document)
    # Weights in float32, and the file's header.
    assert shared.curve[0].layer_bytes == (tiny_model / "model.safetensors").stat().st_size
    assert shared.prices["bytes_per_parameter"] == pytest.approx(4, rel=0.1)
    # Keys and values of 2 heads of 8 dimensions in each of 4 layers.
    assert shared.options[0].figure("memory of requests").inputs["cache_values"] == 2 * 2 * 8 * 4
    # rank (inputs + outputs): q and o 32 + 32, k and v 32 + 16, three of 32 and 64.
    assert shared.layers[0].adapter_parameters == 4 * (2 * 64 + 2 * 48 + 3 * 96)


def test_help_has_json_and_quiet(call: Call) -> None:
    assert "share" in call("--help").out
    out = call("share", "--help").out
    assert "--json" in out
    assert "--quiet" in out


def test_a_pilot_is_made_told_and_kept(call: Call, refused: Call, tiny_model: Path, tmp_path: Path) -> None:
    run = make_run(tiny_model, tmp_path)
    arguments = ("share", run, "--rank", "2", "--own-layers", "2")
    done = call(*arguments, "--pilot", "--steps", "2", "--seeds", "1", "--value", "0.01")
    assert done.code == 0, done.err
    assert "Pilot: what each way changes in held-out loss" in done.out
    assert "random layers" in done.out
    assert "Own adapters in layers" in done.out
    assert "- layers, copies: not measured: run the pilot" in done.out
    again = call(*arguments, "--json")  # needs no pilot to be asked for any more
    assert again.document["pilot"]["ways"][0]["name"] == "adapters"
    assert "share-pilot.json" in again.document["arguments"]["gains"][0]["source"]
    assert call("show", run).code == 0
    assert "made with other arguments" in refused(*arguments, "--pilot", "--steps", "3", "--seeds", "1").err


def test_the_pilots_options_need_the_pilot(refused: Call, run: Path) -> None:
    for option in (("--steps", "3"), ("--budget", "5m"), ("--model", "x"), ("--resume",), ("--overwrite",)):
        assert f"{option[0]} is of the pilot; give --pilot too" in refused("share", run, *option).err
    assert "--budget 'soon' is no time" in refused("share", run, "--pilot", "--budget", "soon").err
