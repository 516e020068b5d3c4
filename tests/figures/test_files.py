"""The figures' files: the same bytes each time, whole or not there, nothing of others' replaced, no name in power."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import pytest

import paramscope.figures
from paramscope.cli.report import command
from paramscope.errors import UsageError
from paramscope.figures import write_figures
from paramscope.figures.album import draw_figures
from paramscope.figures.files import captions, rendered
from paramscope.result.profile import Profile
from tests.reference import made_up_layers, make_profile
from tests.report.test_hostile import NASTY

MARKUP = ["$x^2$", "$", r"\alpha", "_underscore", "a|b", "**bold**", "[link](http://example.org)", "# head", "客服"]


def small(names: list[str], *, layers: int = 2, samples: int = 2, model: str = "model") -> Profile:
    sizes = dict.fromkeys(names, samples)
    return make_profile(made_up_layers(layers, sizes, rows=4, columns=4), sizes, threshold=4e-4, model=model)


def test_same_run_gives_the_same_bytes() -> None:
    one, other = (draw_figures(small(["a", "b"]), None, None) for _ in range(2))
    assert captions(one) == captions(other)
    for first, second in zip(one.drawn, other.drawn, strict=True):
        content = rendered(first, one, "svg")
        assert content == rendered(second, other, "svg")
        assert b"<dc:date>" not in content
    assert rendered(one.drawn[0], one, "png") == rendered(other.drawn[0], other, "png")


def test_a_users_own_style_changes_nothing() -> None:
    plain = draw_figures(small(["a"]), None, None)
    with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path", "lines.linewidth": 9, "axes.grid": True}):
        styled = draw_figures(small(["a"]), None, None)
        found = [rendered(drawn, styled, "svg") for drawn in styled.drawn[:2]]
    assert found == [rendered(drawn, plain, "svg") for drawn in plain.drawn[:2]]


def test_each_figure_is_svg_and_png_of_a_columns_or_a_pages_width(tmp_path: Path) -> None:
    album = draw_figures(small(["a", "b"]), None, None)
    written = write_figures(small(["a", "b"]), None, None, tmp_path / "new" / "figures")
    names = [f"{drawn.name}.{form}" for drawn in album.drawn for form in ("svg", "png")]
    assert [path.name for path in written] == [*names, "captions.md"]
    assert sorted(path.name for path in written) == sorted(path.name for path in written[0].parent.iterdir())
    for path in written[:-1]:
        if path.suffix == ".svg":
            width = float(str(ET.parse(path).getroot().get("width")).removesuffix("pt")) / 72
        else:
            head = path.read_bytes()[:33]
            assert head.startswith(b"\x89PNG")
            width = int.from_bytes(head[16:20], "big") / 300
        assert 3.29 <= width <= 6.91


def test_captions_tell_texts_threshold_intervals_model_and_what_differs() -> None:
    album = draw_figures(small(["a", "b"], samples=3), None, None)
    text = captions(album)
    for drawn in album.drawn:
        paragraph = next(line for line in text.splitlines() if line.startswith(f"**{drawn.title}.**"))
        assert f"## {drawn.name}\n" in text
        for words in ("3 texts from each of 2 domains", "model model", "2026-01-01"):
            assert words in paragraph
        assert re.search(r"γ = |No threshold", paragraph)
        assert "interval" in paragraph.lower()
        assert "The paper" in paragraph
    for left in album.left_out:
        assert f"- {left.name}: {left.why}." in text


def test_a_name_is_text_and_nothing_else() -> None:
    names = [*NASTY, *MARKUP]
    album = draw_figures(small(names, layers=1, samples=1), None, None)
    for drawn in album.drawn:
        root = ET.fromstring(rendered(drawn, album, "svg").decode("utf-8"))
        tags = {element.tag.split("}")[1] for element in root.iter()}
        assert not tags & {"script", "image", "a", "foreignObject", "img"}
        assert not [key for element in root.iter() for key in element.attrib if key.lower().startswith("on")]
        texts = {"".join(element.itertext()) for element in root.iter() if element.tag.endswith("}text")}
        if drawn.name in {"density-lines", "density-heat"}:
            assert {name for name in album.subject.names if len(name) < 9} <= texts
    assert {"$x^2$", "$", r"\alpha"} <= set(album.subject.names)
    text = captions(album)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert not re.search(r"(?<!\\)<", text)
    assert text.count("\n| ") == len(names) + 1


def test_hostile_module_and_model_names_are_text() -> None:
    profile = small(["a"], model="<script>$x$</script>")
    for table in (profile.tables.modules, profile.tables.activation, profile.tables.histograms):
        table["module"] = table["module"].replace({"mlp.up_proj": "$x^2$<b>"})
    album = draw_figures(profile, None, None)
    histograms = next(drawn for drawn in album.drawn if drawn.name == "activation-histograms")
    assert "$x^2$&lt;b&gt;" in rendered(histograms, album, "svg").decode("utf-8")
    assert r"\<script\>\$x\$\</script\>" in captions(album)


def test_a_name_that_no_font_can_show_is_told_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paramscope.figures.lettering._families", lambda: ["DejaVu Sans"])
    told: list[str] = []
    write_figures(small(["plain", "客服"], layers=1, samples=1), None, None, tmp_path, told.append)
    assert "no installed font can show '客服', so the figures say domain 2" in told
    assert "| domain 2 | 客服 | 1 |" in (tmp_path / "captions.md").read_text(encoding="utf-8")
    assert ">domain 2<" in (tmp_path / "density-lines.svg").read_text(encoding="utf-8")


def test_a_font_that_has_the_characters_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # Cyrillic letters stand for any that the usual font lacks; matplotlib brings other fonts that have them.
    lacking = frozenset(range(128))
    real = paramscope.figures.lettering._characters
    monkeypatch.setattr(
        "paramscope.figures.lettering._characters",
        lambda path: lacking if path.endswith("DejaVuSans.ttf") else real(path),
    )
    album = draw_figures(small(["привет"], layers=1), None, None)
    assert album.subject.names == ["привет"]
    assert album.subject.letters.families


def test_captions_of_another_hand_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "captions.md").write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match="not of paramscope"):
        write_figures(small(["a"]), None, None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["captions.md"]


def test_other_files_stay_and_own_ones_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "figure-9.svg").write_text("mine", encoding="utf-8")
    for _ in range(2):
        written = write_figures(small(["a"], layers=1, samples=1), None, None, tmp_path)
    assert (tmp_path / "figure-9.svg").read_text(encoding="utf-8") == "mine"
    assert len(list(tmp_path.iterdir())) == len(written) + 1


@pytest.mark.parametrize("kind", ["file", "below a file"])
def test_a_place_that_is_no_folder_is_wrong_use(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="--figures"):
        write_figures(small(["a"]), None, None, file if kind == "file" else file / "below")
    assert file.read_text(encoding="utf-8") == "mine"


def test_without_matplotlib_the_repair_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paramscope.figures, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=re.escape("pip install 'paramscope[plots]'")) as raised:
        write_figures(small(["a"]), None, None, tmp_path / "figures")
    assert raised.value.exit_code == 2
    assert not (tmp_path / "figures").exists()


def test_command_lists_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, folder = tmp_path / "run", tmp_path / "figures"
    small(["a", "b"], layers=1, samples=1).save(run)
    command.main([str(run), "--figures", str(folder), "--json"], standalone_mode=False)
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["report"] == str(run / "report.html")
    assert sorted(document["figures"]) == sorted(str(path) for path in folder.iterdir())
    assert "figure sharing-curve is left out" in err


def test_drawing_needs_no_torch_and_importing_no_matplotlib(tmp_path: Path) -> None:
    run = tmp_path / "run"
    small(["a"]).save(run)
    code = (
        "import sys; from pathlib import Path; from paramscope.figures import write_run_figures\n"
        "assert 'matplotlib' not in sys.modules\n"
        f"write_run_figures(Path({str(run)!r}), Path({str(tmp_path / 'figures')!r}))\n"
        "assert 'torch' not in sys.modules and 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
