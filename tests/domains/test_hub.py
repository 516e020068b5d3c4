"""Sets of the library datasets: local folders, and what is said where the hub cannot be reached."""

import builtins
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

from paramscope.domains import DomainSpec, TextSet, hub, parse_domain, read_texts
from paramscope.domains.hub import HubSet
from paramscope.errors import UsageError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One split and two splits saved by save_to_disk, and folders that load_dataset reads."""
    folder = tmp_path_factory.mktemp("sets")
    train = datasets.Dataset.from_dict({"text": ["a", "b", "a"]})
    test = datasets.Dataset.from_dict({"text": ["c"]})
    datasets.disable_progress_bars()
    try:
        train.save_to_disk(folder / "one")
        datasets.DatasetDict({"train": train, "test": test}).save_to_disk(folder / "two")
        datasets.DatasetDict({"x": train, "y": test}).save_to_disk(folder / "no:train")
        for name, part in (("train", train), ("test", test)):
            (folder / "files").mkdir(exist_ok=True)
            part.to_parquet(folder / "files" / f"{name}.parquet")
        (folder / "configs").mkdir()
        train.to_json(folder / "configs" / "a.jsonl")
        test.to_json(folder / "configs" / "b.jsonl")
    finally:
        datasets.enable_progress_bars()
    (folder / "configs" / "README.md").write_text(
        "---\nconfigs:\n- config_name: first\n  data_files: a.jsonl\n- config_name: second\n"
        "  data_files: b.jsonl\n---\n",
        encoding="utf-8",
    )
    return folder


def read(source: str, **settings: object) -> TextSet:
    return read_texts(DomainSpec("d", source, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("one", ["a", "b"]),
        ("one:train", ["a", "b"]),
        ("two", ["a", "b"]),
        ("two:test", ["c"]),
        ("no:train:y", ["c"]),
        ("files", ["a", "b"]),
        ("files:test", ["c"]),
        ("files:default:test", ["c"]),
        ("files::test", ["c"]),
        ("configs:first", ["a", "b"]),
        ("configs:second", ["c"]),
        ("configs:second:train", ["c"]),
    ],
)
def test_local_folder_with_configuration_and_split(source: str, words: list[str], saved: Path) -> None:
    texts = read(f"hf:{saved}/{source}")
    assert [text.text for text in texts.texts] == words
    assert texts.source == f"hf:{saved}/{source}"
    assert texts.rows == len(words) + (words == ["a", "b"])


def test_relative_folder_and_one_beside_the_yaml_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved)
    assert read_texts(parse_domain("d=hf:./two:test")).texts[0].text == "c"
    assert parse_domain("d=hf:two/test").source == "hf:two/test"  # an id on the hub, whatever lies here
    from paramscope.domains import load_specs

    yaml = saved / "domains.yaml"
    yaml.write_text("d: hf:./two:test\n", encoding="utf-8")
    monkeypatch.chdir(saved.parent)
    assert read_texts(load_specs(yaml)[0]).texts[0].text == "c"


def test_settings_of_own_files_hold(saved: Path) -> None:
    assert read(f"hf:{saved}/one", template="<{text}>", target=" {text}").texts[0].text == "<a>"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("two:tst", r"two:tst: no split 'tst' \(did you mean 'test'\?\); there are train, test"),
        ("one:test", r"no split 'test'; there are train"),
        ("two:x:test", r"a folder saved by save_to_disk has no configurations; give the split alone"),
        ("no:train", r"no:train: which split\?; there are x, y"),
        ("files:tst", r"no split 'tst'"),
        ("files:cfg:test", r"the library datasets cannot read it \(BuilderConfig 'cfg' not found\. Available"),
        ("configs", r"cannot read it \(Config name is missing\. Please pick one .*; use a local copy"),
    ],
)
def test_missing_split_or_configuration_names_those_that_are_there(source: str, message: str, saved: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        read(f"hf:{saved}/{source}")
    assert "\n" not in str(caught.value)


def test_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"hf:{re.escape(str(tmp_path))}: "):
        read(f"hf:{tmp_path}")


def fake_hub(monkeypatch: pytest.MonkeyPatch, splits: Callable[..., Mapping[str, Any]]) -> None:
    monkeypatch.setattr(datasets, "load_dataset", splits)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda path: ["en"])


def test_long_set_is_cut_at_a_fixed_number_of_rows_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load(path: str, **settings: object) -> dict[str, Any]:
        asked.append((path, settings))
        return {split: ({"text": f"t{number}"} for number in range(10**9)) for split in ("train", "validation")}

    fake_hub(monkeypatch, load)
    monkeypatch.setattr(hub, "HUB_ROWS", 3)
    texts = read("hf:owner/name:en:train")
    assert [text.text for text in texts.texts] == ["t0", "t1", "t2"]
    assert texts.source == "hf:owner/name:en:train (the first 3 rows)"
    assert read("c4").source == "c4: hf:allenai/c4:en:validation (the first 3 rows)"
    assert asked[0] == ("owner/name", {"name": "en", "streaming": True})


def test_one_part_is_a_configuration_where_there_is_one_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, lambda path, name, streaming: {"train": [{"text": str(name)}], "en2": [{"text": "split"}]})
    assert read("hf:owner/name:en").texts[0].text == "en"
    assert read("hf:owner/name:en2").texts[0].text == "split"


@pytest.mark.parametrize(
    ("source", "repair"),
    [("boolq", r"use a local file, such as boolq@path/boolq\.jsonl"), ("hf:a/b", r"use a local copy: a \.jsonl")],
)
def test_hub_out_of_reach_is_said_with_the_repair(source: str, repair: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> dict[str, Any]:
        raise ConnectionError("Couldn't reach it\nat all")

    fake_hub(monkeypatch, load)
    with pytest.raises(UsageError, match=rf"hub cannot be reached \(Couldn't reach it at all\); {repair}"):
        read(source)


def test_error_while_rows_are_read_is_said_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> Any:
        yield {"text": "a"}
        raise ConnectionError("gone")

    fake_hub(monkeypatch, lambda *_, **__: {"train": rows()})
    with pytest.raises(UsageError, match=r"hf:a/b: the Hugging Face hub cannot be reached \(gone\)"):
        read("hf:a/b")


def test_set_with_a_loading_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object, **__: object) -> dict[str, Any]:
        raise RuntimeError("Dataset scripts are no longer supported, but found b.py")

    fake_hub(monkeypatch, load)
    with pytest.raises(UsageError, match=r"cannot read it \(Dataset scripts are no longer supported, but found b"):
        read("hf:a/b")


def test_offline_hub_is_refused_without_waiting(tmp_path: Path) -> None:
    code = "from paramscope.domains import *; read_texts(DomainSpec('d', 'boolq'))"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    last = done.stderr.strip().split("\n")[-1]
    assert "UsageError: hf:google/boolq::validation: the Hugging Face hub cannot be reached" in last


def test_missing_library_is_said_with_the_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> object:
        if name.partition(".")[0] == "datasets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"hf:a/b: needs the library datasets; pip install 'paramscope\[hub\]'"):
        read("hf:a/b")


def test_label_is_the_source() -> None:
    assert HubSet("a/b", ("", "test")).label == "hf:a/b::test"
