"""A run that is saved and read again is the same run; what is damaged or newer is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paramscope.errors import UsageError
from paramscope.result.manifest import SCHEMA
from paramscope.result.profile import Profile
from paramscope.result.summary import summarise

FILES = (
    "samples.parquet",
    "modules.parquet",
    "activation.parquet",
    "histograms.parquet",
    "gram.safetensors",
    "sums.safetensors",
)


def test_saved_and_loaded_profile_is_equal(profile: Profile, saved: Path) -> None:
    loaded = Profile.load(saved)
    assert loaded.manifest == profile.manifest
    for name in ("samples", "modules", "activation", "histograms"):
        one, other = getattr(profile.tables, name), getattr(loaded.tables, name)
        lists = [column for column in one if isinstance(one[column].iloc[0], np.ndarray)]
        pd.testing.assert_frame_equal(one.drop(columns=lists), other.drop(columns=lists), check_dtype=False)
        for column in lists:
            for left, right in zip(one[column], other[column], strict=True):
                np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(loaded.tables.gram, profile.tables.gram)
    assert loaded.tables.sums.keys() == profile.tables.sums.keys()
    for key, values in profile.tables.sums.items():
        np.testing.assert_array_equal(loaded.tables.sums[key], values)


def test_numbers_of_a_loaded_profile_are_those_of_the_saved_one(profile: Profile, saved: Path) -> None:
    assert summarise(Profile.load(saved), 5e-4) == summarise(profile, 5e-4)


def test_saving_again_gives_the_same_files(saved: Path) -> None:
    again = saved.with_name("again")
    Profile.load(saved).save(again)
    assert sorted(path.name for path in again.iterdir()) == sorted([*FILES, "held_out.parquet", "run.json"])
    for name in ("run.json", "gram.safetensors"):
        assert (again / name).read_bytes() == (saved / name).read_bytes()


def test_all_files_of_a_run_may_be_read_by_whom_the_manifest_may(saved: Path) -> None:
    assert len({path.stat().st_mode for path in saved.iterdir()}) == 1


def test_reading_a_run_imports_no_library_of_the_measuring(saved: Path) -> None:
    code = (
        "import sys\n"
        "from paramscope import Profile\n"
        "from paramscope.result.summary import summarise\n"
        f"summarise(Profile.load({str(saved)!r}))\n"
        "sys.exit(', '.join({'torch', 'transformers', 'datasets', 'greenlet'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "text"])
def test_damaged_file_is_named(saved: Path, name: str, damage: str) -> None:
    path = saved / name
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "text": b"no table at all, " * 9}[damage])
    with pytest.raises(UsageError) as caught:
        Profile.load(saved)
    assert str(path) in str(caught.value)
    assert "make the run again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gram_matrices_of_other_samples_are_refused(saved: Path) -> None:
    path = saved / "samples.parquet"
    pd.read_parquet(path).iloc[:-1].to_parquet(path)
    with pytest.raises(UsageError, match=r"gram\.safetensors is .*damaged .*does not hold the pairs of 14 samples"):
        Profile.load(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "{}", '{"schema": "1"}', '{"schema": 1}', "\udcff"])
def test_broken_manifest_is_named(saved: Path, text: str) -> None:
    (saved / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"run\.json"):
        Profile.load(saved)


def edit(saved: Path, **values: Any) -> None:
    path = saved / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_newer_schema_is_refused_and_an_update_named(saved: Path) -> None:
    edit(saved, schema=SCHEMA + 1)
    with pytest.raises(UsageError, match=rf"schema {SCHEMA + 1}, .* reads up to {SCHEMA}; update paramscope"):
        Profile.load(saved)


def test_manifest_with_a_wrong_value_names_its_place(saved: Path) -> None:
    edit(saved, seed="many")
    with pytest.raises(UsageError, match=r"damaged: seed: .*make the run again"):
        Profile.load(saved)


def test_folder_that_is_no_run_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json in it\); give a run's folder"):
        Profile.load(tmp_path)
    with pytest.raises(UsageError, match=r"no run\.json in it\); 'paramscope profile \.\.\. -o .*' makes one"):
        Profile.load(tmp_path / "none")


def test_path_that_the_system_refuses_is_no_run_either() -> None:
    with pytest.raises(UsageError, match="is no run folder"):
        Profile.load("x" * 300)


def test_unfinished_run_says_how_to_finish_it(tmp_path: Path) -> None:
    (tmp_path / "run.unfinished").mkdir()
    for name in ("run", "run.unfinished"):
        with pytest.raises(UsageError, match="--resume"):
            Profile.load(tmp_path / name)
