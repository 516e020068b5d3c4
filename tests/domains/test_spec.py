"""What a user may say of a domain: NAME=SOURCE, YAML, Python."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paramscope.domains import EMBEDDED, DomainSpec, Text, check_names, load_specs, parse_domain, read_texts
from paramscope.errors import UsageError


def test_importing_the_package_imports_no_large_library() -> None:
    code = (
        "import sys, paramscope.domains\n"
        "large = {'torch', 'transformers', 'datasets', 'pandas', 'pyarrow', 'yaml'} & set(sys.modules)\n"
        "sys.exit(', '.join(large) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_name_ends_at_the_first_equals_sign(write_rows: Callable[..., Path]) -> None:
    path = write_rows([{"text": "a"}], "a=b.jsonl")
    spec = parse_domain(f"顧客 対応={path}")
    assert (spec.name, spec.source) == ("顧客 対応", str(path))


@pytest.mark.parametrize("argument", ["boolq", "", "name="])
def test_form_of_a_domain(argument: str) -> None:
    with pytest.raises(UsageError, match=r"expected NAME=SOURCE, such as qa=boolq"):
        parse_domain(argument)


@pytest.mark.parametrize("name", ["", " a", "a\t", "a|b", "a=b", "a\nb", "a\x00b", "a\u2028b", None, 3])
def test_name_that_results_could_not_hold_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^domain name .*(is not allowed; leave out|expected text that neither)"):
        DomainSpec(name, ["a"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hellaswg", r"'hellaswg': no built-in data set 'hellaswg' \(did you mean 'hellaswag'\?\); there are boolq, "),
        ("BoolQ", r"did you mean 'boolq'"),
        ("bolq@x.jsonl", r"no built-in data set 'bolq' \(did you mean 'boolq'\?\)"),
        ("boolq@missing.jsonl", r"'boolq@missing\.jsonl': no such file or folder"),
        ("boolq@", r"'boolq@': no such file or folder"),
        ("missing.jsonl", r"'missing\.jsonl': no such file or folder"),
        ("./missing", r"'missing': no such file or folder"),
        ("a text that was meant as a text. " * 300, r"'a text that.*\.\.\..*': no such file or folder"),
        ("embedded:suport", r"no such embedded domain \(did you mean 'support'\?\); there are support, code"),
        ("hf:", r"'hf:': expected hf:owner/name\[:config\]\[:split\], or hf:\./folder"),
        ("hf:a/b/c", r"expected hf:owner/name"),
        ("hf:a/b:c:d:e", r"expected hf:owner/name"),
        ("hf:./missing:train", r"'hf:\./missing:train': no such folder"),
    ],
)
def test_source_that_does_not_exist_is_refused_before_anything_is_read(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_domain(f"d={source}")
    assert len(str(caught.value)) < 400


def test_file_wins_over_the_at_sign_and_a_built_in_over_a_folder(
    write_rows: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows([{"text": "at"}], "team@work.jsonl")
    write_rows([{"text": "folder"}], "c4/rows.jsonl")
    assert read_texts(parse_domain("d=team@work.jsonl")).texts[0].text == "at"
    assert read_texts(parse_domain("d=./c4")).texts[0].text == "folder"
    assert read_texts(DomainSpec("d", Path("c4"))).texts[0].text == "folder"
    assert parse_domain("d=c4").source == "c4"


def test_home_folder_is_expanded(
    write_rows: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_rows([{"text": "a"}])
    assert read_texts(parse_domain("d=~/rows.jsonl")).texts[0].text == "a"


def test_texts_given_in_python_are_read_as_they_are() -> None:
    texts = read_texts(DomainSpec("d", (text for text in ["{a}", "", "b", "b"]), target=" yes", keep="end"))
    assert texts.texts == (Text("{a}", " yes", None, "text 1"), Text("b", " yes", None, "text 3"))
    assert (texts.rows, texts.empty, texts.duplicates, texts.keep) == (4, 1, 1, "end")
    given = Text("a", "b", "c", "mail 7")
    assert read_texts(DomainSpec("d", [given])).texts == (given,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": []}, r"domain 'd': no rows in 0 texts given in Python"),
        ({"source": ["a", 3]}, r"domain 'd': text 2 is of type int; expected all texts, or all token ids"),
        ({"source": 3}, r"domain 'd': source is of type int; expected a SOURCE"),
        ({"source": b"abc"}, r"source is of type bytes"),
        ({"source": {"a": 1}}, r"source is of type dict"),
        ({"source": ["a"], "field": "text"}, r"field is given, but the source is texts given in Python; leave it out"),
        ({"source": ["a"], "target": "{b}"}, r"target '\{b\}' uses the field 'b', but the texts have no fields"),
        ({"source": [Text("a")], "target": "b"}, r"target or foil is given beside Text objects; put it into each"),
        ({"source": ["a"], "field": "b", "template": "{b}"}, r"field and template are both given; give one of them"),
        ({"source": ["a"], "keep": "middle"}, r"keep is 'middle'; expected 'start' or 'end'"),
    ],
)
def test_wrong_settings_in_python_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_texts(DomainSpec("d", **settings))  # type: ignore[arg-type]


def test_two_domains_of_one_name_are_refused() -> None:
    check_names([DomainSpec("a", ["x"]), DomainSpec("b", ["x"])])
    with pytest.raises(UsageError, match=r"domain 'a' is given twice; give every domain its own name"):
        check_names([DomainSpec("a", ["x"]), DomainSpec("a", ["y"])])


def yaml_specs(tmp_path: Path, text: str) -> list[DomainSpec]:
    path = tmp_path / "domains.yaml"
    path.write_text(text, encoding="utf-8")
    return load_specs(path)


def test_yaml_gives_each_domain_its_own_settings_and_paths_start_at_its_folder(
    tmp_path: Path, write_rows: Callable[..., Path]
) -> None:
    write_rows([{"q": "a", "text": "b"}], "data/rows.jsonl")
    write_rows([{"question": "q", "passage": "p"}], "boolq")
    specs = yaml_specs(
        tmp_path,
        'support: ./data\nqa: {source: "boolq@data/rows.jsonl", keep: start, chat: true}\n'
        "web: c4\ndemo: embedded:support\nhub: hf:owner/name:train\n"
        "rows:\n  source: data/rows.jsonl\n  template: 'Q: {q}'\n  target: ' yes'\n",
    )
    assert [spec.name for spec in specs] == ["support", "qa", "web", "demo", "hub", "rows"]
    sources = [spec.source for spec in specs]
    data = tmp_path / "data"
    assert sources == [
        str(data),
        f"boolq@{data}/rows.jsonl",
        "c4",
        "embedded:support",
        "hf:owner/name:train",
        f"{data}/rows.jsonl",
    ]
    assert (specs[1].keep, specs[1].chat) == ("start", True)
    assert read_texts(specs[0]).texts[0].text == "b"
    assert read_texts(specs[5]).texts[0] == Text("Q: a", " yes", None, "rows.jsonl:1")


def test_yaml_in_the_working_folder_keeps_its_paths_relative(
    tmp_path: Path, write_rows: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows([{"text": "a"}], "boolq/rows.jsonl")
    Path("d.yaml").write_text("own: ./boolq\nbuilt: boolq\n", encoding="utf-8")
    own, built = load_specs("d.yaml")
    assert (own.source, built.source) == ("./boolq", "boolq")
    assert read_texts(own).texts[0].text == "a"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {source: c4, templte: x}", r"yaml: domain 'a': unknown key 'templte' \(did you mean 'template'\?\)"),
        ("a: {source: c4, 3: x}", r"unknown key 3; known are source, field, template, lines, chat, target, foil, keep"),
        ("a: {field: x}", r"domain 'a': no source; give source: SOURCE"),
        ("a: {source: c4, target: yes}", r"domain 'a': target is True; expected text; put it in quotes"),
        ("a: {source: c4, chat: 'yes'}", r"domain 'a': chat is 'yes'; expected true or false"),
        ("a: {source: c4, keep: middle}", r"keep is 'middle'; expected 'start' or 'end'"),
        ("a: [x, y]", r"domain 'a': source is \['x', 'y'\]; expected text"),
        ("a:", r"domain 'a': source is None; expected text"),
        ("a: c4\na: boolq", r"domains\.yaml:2: 'a' is given twice; give it once"),
        ("a: {source: c4, source: boolq}", r"domains\.yaml:1: 'source' is given twice"),
        ("yes: c4", r"domain name True is no text; put it in quotes"),
        ("'a|b': c4", r"domains\.yaml: domain name 'a\|b': '\|' is not allowed"),
        ("a: c5x", r"domains\.yaml: 'c5x': no built-in data set"),
        ("a: missing.jsonl", r"missing\.jsonl': no such file or folder"),
        ("", r"domains\.yaml: expected a mapping of domain names to sources"),
        ("- a", r"expected a mapping"),
        ("a: {", r"domains\.yaml: broken YAML: while parsing"),
        ("a: 2024-99-99", r"domains\.yaml: broken YAML: month must be"),
        ("a: !!python/object/apply:os.getcwd []", r"broken YAML: could not determine a constructor"),
        ("a: &x {source: *x}", r"domains\.yaml: domain 'a': source is"),
    ],
)
def test_broken_yaml_is_refused_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        yaml_specs(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_missing_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read: No such file or directory"):
        load_specs(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_domain_can_be_read(name: str) -> None:
    texts = read_texts(parse_domain(f"d=embedded:{name}"))
    assert len(texts.texts) >= 16
    assert (texts.empty, texts.duplicates, texts.keep) == (0, 0, "start")
    with pytest.raises(UsageError, match="field is given, but the source is a data set with a template of its own"):
        read_texts(DomainSpec("d", f"embedded:{name}", field="id"))
