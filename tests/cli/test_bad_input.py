"""What bad input gets: one line that names the value and the repair, exit code 2, nothing written."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.conftest import made_texts

Write = Callable[..., Path]


@pytest.fixture
def texts(write_jsonl: Write) -> Path:
    return write_jsonl("texts.jsonl", made_texts(5))


@pytest.fixture
def broken_model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the model, to be broken."""
    return shutil.copytree(tiny_model, tmp_path / "broken")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", "", r"no rows in .*empty\.jsonl; expected one text or more"),
        ("blank.jsonl", '{"text": " "}\n', r"no usable text in .*blank\.jsonl \(1 rows, 1 empty, 0 repeated\)"),
        (
            "cut.jsonl",
            '{"text": "w1"}\n{"text": \n',
            r"cut\.jsonl:2: broken JSON at column \d+ .*expected one JSON object",
        ),
        ("list.jsonl", "[1, 2]\n", r"list\.jsonl:1: JSON of type list; expected an object"),
        ("other.jsonl", '{"body": "w1", "title": "w2"}\n', r"other\.jsonl:1: .*body, title"),
        ("notes.docx", "x", r"unknown file type '\.docx'; expected one of \.jsonl, "),
        ("ragged.csv", "text,n\nw1,2,3\n", r"ragged\.csv:2: 3 fields where the header has 2; quote fields"),
        ("table.parquet", "x", r"table\.parquet: cannot be read as Parquet"),
    ],
)
def test_source_that_cannot_be_read(
    refused: Call, tiny_model: Path, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    err = refused("profile", tiny_model, "--domain", f"a={tmp_path / name}", "-o", tmp_path / "run").err
    assert re.search(message, err), err


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("a=missing.jsonl", r"'missing\.jsonl': no such file or folder"),
        ("a=humanevl", r"no built-in data set 'humanevl' \(did you mean 'humaneval'\?\)"),
        ("a=embedded:legal", r"no such embedded domain.*there are support, code"),
        ("boolq", r"expected NAME=SOURCE"),
        ("a|b=boolq", r"domain name 'a\|b': '\|' is not allowed"),
    ],
)
def test_source_that_does_not_exist(refused: Call, tmp_path: Path, argument: str, message: str) -> None:
    err = refused("profile", "model", "--domain", argument, "-o", tmp_path / "run").err
    assert re.search(message, err), err


@pytest.mark.parametrize("option", [("--field", "body"), ("--template", "{body}")])
def test_missing_field_names_those_that_are_there(
    refused: Call, tiny_model: Path, texts: Path, tmp_path: Path, option: tuple[str, str]
) -> None:
    err = refused("profile", tiny_model, "--domain", f"a={texts}", *option, "-o", tmp_path / "run").err
    assert "'body'" in err
    assert re.search(r"texts\.jsonl:1.*\btext\b", err), err


def test_two_domains_of_one_name(refused: Call, tiny_model: Path, texts: Path, tmp_path: Path) -> None:
    twice = ("--domain", f"a={texts}", "--domain", f"a={texts}")
    err = refused("profile", tiny_model, *twice, "-o", tmp_path / "run").err
    assert "domain 'a' is given twice; give every domain its own name" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--samples", "0"), "--samples 0 is out of range; give a whole number of at least 1"),
        (("--max-tokens", "-3"), "--max-tokens -3 is out of range"),
        (("--batch-size", "0"), "--batch-size '0' is no number of samples; give a whole number of at least 1, or auto"),
        (("--seed", "-1"), "--seed -1 is out of range"),
        (("--threshold", "0"), "--threshold '0' is no positive number; give one such as 2e-5, or auto"),
        (("--threshold", "-1"), "--threshold '-1' is no positive number"),
        (("--threshold", "nan"), "--threshold 'nan' is no positive number"),
        (("--threshold", "half"), "--threshold 'half' is no positive number"),
        (("--resume", "--overwrite"), "--resume and --overwrite contradict each other; give one of them"),
        (("--samples", "many"), "'many' is not a valid integer; see 'paramscope profile --help'"),
        (("--objective", "max-logits"), "'max-logits' is not one of 'max-logit'"),
        (("--fild", "text"), "No such option '--fild'"),
        (("--device", "cuda:99"), "device cuda:99 is not there; this machine has: cpu"),
        (("--device", "tpu"), "device tpu is not there; this machine has: cpu"),
        (("--revision", "main"), "--revision main is for models of the hub"),
        (("--chat",), "the tokenizer has no chat template; leave out chat"),
    ],
)
def test_option_out_of_range(
    refused: Call, tiny_model: Path, texts: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    err = refused("profile", tiny_model, "--domain", f"a={texts}", "-o", tmp_path / "run", *options).err
    assert message in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "yes"), "a target is given, but the objective max-logit reads none; leave it out"),
        (("--foil", "no"), "a foil is given, but the objective max-logit reads none; leave it out"),
        (
            ("--objective", "target-logprob", "--target", "w1", "--foil", "w2"),
            "a foil is given, but the objective target-logprob reads none",
        ),
        (("--objective", "target-logprob"), "the objective reads a target, but there is none"),
        (("--lines",), "lines is given, but holds for .txt files only; leave it out"),
        (("--field", "text", "--template", "{text}"), "field and template are both given; give one of them"),
    ],
)
def test_setting_that_would_be_ignored(
    refused: Call, tiny_model: Path, texts: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    err = refused("profile", tiny_model, "--domain", f"a={texts}", "-o", tmp_path / "run", *options).err
    assert message in err


@pytest.mark.parametrize("option", [("--field", "text"), ("--template", "{text}"), ("--lines",)])
def test_setting_of_own_files_with_built_in_domains_only(
    refused: Call, tiny_model: Path, tmp_path: Path, option: tuple[str, ...]
) -> None:
    domains = ("--domain", "code=embedded:code", "--domain", "qa=boolq")
    err = refused("profile", tiny_model, *domains, *option, "-o", tmp_path / "run").err
    assert f"{option[0]} is given, but none of the domains uses it; leave it out" in err


def test_no_domain_and_no_folder(refused: Call, tiny_model: Path, texts: Path, tmp_path: Path) -> None:
    assert "give at least one with --domain NAME=SOURCE" in refused("profile", tiny_model, "-o", tmp_path / "run").err
    assert "give one with -o RUN" in refused("profile", tiny_model, "--domain", f"a={texts}").err


@pytest.mark.parametrize("command", ["profile", "dry run"])
def test_output_that_is_taken(refused: Call, tiny_model: Path, texts: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("mine")
    more = ("--dry-run",) if command == "dry run" else ()
    for output, message in (
        ("file", "is a file, a folder is expected; give another path with -o"),
        ("file/run", f"{tmp_path / 'file'} is a file; give another path with -o"),
        ("folder", "holds files but no run, so it is left alone"),
    ):
        err = refused("profile", tiny_model, "--domain", f"a={texts}", "-o", tmp_path / output, *more).err
        assert message in err


def test_model_that_is_not_there(refused: Call, texts: Path, tmp_path: Path) -> None:
    err = refused("profile", "./no/model", "--domain", f"a={texts}", "-o", tmp_path / "run").err
    assert "model './no/model': no such file or folder; give a folder, a .gguf file or a hub id" in err


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_truncated_safetensors(refused: Call, broken_model: Path, texts: Path, tmp_path: Path, keep: int) -> None:
    path = broken_model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    err = refused("profile", broken_model, "--domain", f"a={texts}", "-o", tmp_path / "run").err
    assert f"{path} is unreadable or truncated" in err


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no gguf at all, only text " * 50])
def test_truncated_gguf(refused: Call, texts: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    err = refused("profile", tmp_path / "model.gguf", "--domain", f"a={texts}", "-o", tmp_path / "run").err
    assert "model.gguf" in err
    assert "fetch it again" in err


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (("tokenizer.json", "tokenizer_config.json"), "has no tokenizer (no tokenizer.json in"),
        (("config.json",), "has no config.json; give a folder in Hugging Face format"),
        (("model.safetensors",), "model.safetensors is missing; fetch it again"),
    ],
)
def test_model_folder_that_lacks_a_file(
    refused: Call, broken_model: Path, texts: Path, tmp_path: Path, missing: tuple[str, ...], message: str
) -> None:
    for name in missing:
        (broken_model / name).unlink()
    err = refused("profile", broken_model, "--domain", f"a={texts}", "-o", tmp_path / "run").err
    assert message in err


def test_nan_in_the_weights_names_the_tensor(refused: Call, broken_model: Path, texts: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(broken_model / "model.safetensors")
    weights["model.layers.2.mlp.up_proj.weight"][3, 5] = float("nan")
    save_file(weights, broken_model / "model.safetensors", metadata={"format": "pt"})
    err = refused("profile", broken_model, "--domain", f"a={texts}", "-o", tmp_path / "run").err
    assert "weight model.layers.2.mlp.up_proj.weight has 1 values that are NaN or infinite" in err


def test_encoder_model_is_named_as_one(refused: Call, broken_model: Path, texts: Path, tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    BertModel(BertConfig(vocab_size=90, **sizes)).save_pretrained(broken_model)
    err = refused("profile", broken_model, "--domain", f"a={texts}", "-o", tmp_path / "run").err
    assert "Bert" in err
    assert "causal" in err


def test_text_of_a_message_stays_on_one_line_and_inert(refused: Call, tmp_path: Path) -> None:
    hostile = "x\n\x1b[31m[red]\u202ey"
    for arguments in (("show", hostile), ("profile", hostile, "--domain", "a=boolq", "-o", tmp_path / "run")):
        err = refused(*arguments).err
        assert "\x1b" not in err
        assert "\u202e" not in err
        assert "[red]" in err


def test_commands_on_a_folder_that_is_no_run(refused: Call, tmp_path: Path) -> None:
    for command in ("show", "report"):
        assert "is no run folder (no run.json in it)" in refused(command, tmp_path).err


def test_page_that_cannot_be_written(refused: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    from tests.reference import made_up_layers, make_profile

    make_profile(made_up_layers(2, {"a": 3}), {"a": 3}).save(tmp_path / "run")
    run = tmp_path / "run"
    assert "is a folder, a file is expected" in refused("report", run, "-o", tmp_path).err
    assert "output - is no file; give a name such as report.html" in refused("report", run, "-o", "-").err
    assert "cannot be written" in refused("report", run, "-o", tmp_path / "file" / "page.html").err


def test_token_beyond_the_vocabulary(refused: Call, broken_model: Path, write_jsonl: Write, tmp_path: Path) -> None:
    config = json.loads((broken_model / "tokenizer.json").read_text())
    config["model"]["vocab"]["w3"] = 5000
    (broken_model / "tokenizer.json").write_text(json.dumps(config))
    path = write_jsonl("a.jsonl", ["w1 w3"])
    err = refused("profile", broken_model, "--domain", f"a={path}", "-o", tmp_path / "run").err
    assert "a.jsonl:1: token id 5000 is beyond the model's vocabulary of 83" in err


@pytest.mark.parametrize("place", [".", "", "/"])
def test_show_of_a_folder_that_is_no_run(refused: Call, tmp_path: Path, place: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no run folder (no run.json in it)" in refused("show", place).err


def test_a_word_where_the_config_has_a_number(refused: Call, tiny_model: Path, texts: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"hidden_size": "many"}))
    err = refused("profile", model, "--domain", f"a={texts}", "--field", "text", "-o", tmp_path / "run").err
    assert "its configuration cannot be opened (" in err
    assert "hidden_size" in err


def test_report_replaces_pages_only(refused: Call, call: Call, tiny_model: Path, texts: Path, tmp_path: Path) -> None:
    run, page = tmp_path / "run", tmp_path / "page.html"
    assert call("profile", tiny_model, "--domain", f"a={texts}", "--samples", "2", "-o", run).code == 0
    before = (run / "run.json").read_bytes()
    assert "is there and is no page, so it is not replaced" in refused("report", run, "-o", run / "run.json").err
    assert (run / "run.json").read_bytes() == before
    assert [call("report", run, "-o", page).code for _ in range(2)] == [0, 0]


def test_hub_set_has_no_lines(refused: Call, tiny_model: Path, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    shutil.copy(texts, tmp_path / "set")
    err = refused("profile", tiny_model, "--domain", f"a=hf:{tmp_path}/set", "--lines", "-o", tmp_path / "run").err
    assert "--lines is given, but none of the domains uses it" in err


def test_report_goes_through_links_and_replaces_no_device(
    call: Call, refused: Call, tiny_model: Path, texts: Path, tmp_path: Path
) -> None:
    run, page, link = tmp_path / "run", tmp_path / "page.html", tmp_path / "link.html"
    assert call("profile", tiny_model, "--domain", f"a={texts}", "--samples", "2", "-o", run).code == 0
    link.symlink_to(page)
    assert call("report", run, "-o", link).code == 0
    assert link.is_symlink()
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    os.mkfifo(tmp_path / "pipe")
    assert "is no file but a device or a pipe; give a file" in refused("report", run, "-o", tmp_path / "pipe").err
