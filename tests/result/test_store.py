"""The run folder: what is refused, kept and replaced."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from paramscope.errors import UsageError
from paramscope.result import store
from paramscope.result.layer import LayerResult
from paramscope.result.place import check_same, check_target
from paramscope.result.profile import Profile
from paramscope.result.store import Checkpoint, append_line
from tests.reference import made_up_layers, reduce_layer

Content = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def layer() -> LayerResult:
    return reduce_layer(1, made_up_layers(1, {"a": 3, "b": 2})[0], [3, 2])


def keep_layer(checkpoint: Checkpoint, layer: LayerResult) -> None:
    checkpoint.save_layer(layer)
    checkpoint.save_state({"layer": np.array([layer.layer])})


def test_file_in_the_way_is_refused(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UsageError, match=r"run is a file, a folder is expected; give another path with -o"):
        profile.save(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run").read_text() == "mine"


def test_parent_that_is_a_file_is_named(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(UsageError, match=r"notes is a file; give another path with -o"):
        profile.save(tmp_path / "notes" / "deep" / "run")


@pytest.mark.parametrize("path", ["/proc/no/run", "x" * 300])
def test_path_that_the_system_refuses_is_named(profile: Profile, path: str) -> None:
    with pytest.raises(UsageError, match=r"^output .* cannot be made \(.*\); give another path with -o$"):
        profile.save(path)
    with pytest.raises(UsageError, match=r"^output .* cannot be made"):
        Checkpoint(Path(path), {}, overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_folder_that_is_no_run_is_left_alone(profile: Profile, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"holds files but no run, so it is left alone"):
        profile.save(tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_empty_folder_and_missing_parents_are_taken(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for run in (tmp_path / "empty", tmp_path / "a" / "b" / "run"):
        profile.save(run)
        assert Profile.load(run).domains == profile.domains


def test_finished_run_stays_without_overwrite(profile: Profile, saved: Path, content: Content) -> None:
    before = content(saved)
    with pytest.raises(UsageError, match=r"holds a finished run; --overwrite replaces it, -o OTHER keeps both"):
        profile.save(saved)
    assert content(saved) == before


def test_overwrite_replaces_the_whole_run(profile: Profile, saved: Path) -> None:
    (saved / "report.html").write_text("of the old run")
    profile.save(saved, overwrite=True)
    assert not (saved / "report.html").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("step", ["write_tables", "write_atomically", "replace_folder"])
def test_failure_while_writing_leaves_the_old_run_and_nothing_else(
    profile: Profile, saved: Path, content: Content, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = content(saved.parent)
    monkeypatch.setattr(store, step, fail)
    with pytest.raises(OSError, match="No space"):
        profile.save(saved, overwrite=True)
    assert content(saved.parent) == before
    assert [path.name for path in saved.parent.iterdir()] == ["run"]


def test_run_replaces_the_old_one_only_when_it_is_complete(
    profile: Profile, saved: Path, content: Content, layer: LayerResult
) -> None:
    before = content(saved)
    checkpoint = Checkpoint(saved, {"seed": 1}, overwrite=True)
    keep_layer(checkpoint, layer)
    assert content(saved) == before
    checkpoint.finish(profile.manifest, profile.tables)
    checkpoint.close()
    assert not checkpoint.folder.exists()
    assert Profile.load(saved).layers == profile.layers


def test_unfinished_run_needs_resume_or_overwrite(tmp_path: Path, layer: LayerResult) -> None:
    checkpoint = Checkpoint(tmp_path / "run", {}, overwrite=False)
    keep_layer(checkpoint, layer)
    checkpoint.close()
    with pytest.raises(UsageError, match=r"holds an unfinished run; --resume finishes it, --overwrite replaces it"):
        check_target(tmp_path / "run", overwrite=False, resume=False)
    check_target(tmp_path / "run", overwrite=True, resume=False)
    check_target(tmp_path / "run", overwrite=False, resume=True)


def test_resume_and_overwrite_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="contradict"):
        check_target(tmp_path / "run", overwrite=True, resume=True)


def test_foreign_folder_in_the_place_of_the_unfinished_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.unfinished").mkdir()
    (tmp_path / "run.unfinished" / "novel.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is in the way and is no unfinished run"):
        check_target(tmp_path / "run", overwrite=True, resume=False)


def test_folder_of_a_run_that_died_before_it_began_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run.unfinished").mkdir()
    (tmp_path / "run.unfinished" / "lock").touch()
    check_target(tmp_path / "run", overwrite=False, resume=False)


def test_layers_and_state_come_back_as_they_were(tmp_path: Path, layer: LayerResult) -> None:
    first = Checkpoint(tmp_path / "run", {"seed": 1}, overwrite=False)
    keep_layer(first, layer)
    first.close()
    second = Checkpoint(tmp_path / "run", {"seed": 1}, overwrite=False)
    found = second.load_layer(1)
    assert second.load_state()["layer"].tolist() == [1]
    np.testing.assert_array_equal(found.gram, layer.gram)
    for one, other in zip(found.modules, layer.modules, strict=True):
        assert vars(one).keys() == vars(other).keys()
        for field, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, field), err_msg=field)
    second.close()


def test_overwrite_begins_anew(tmp_path: Path, layer: LayerResult) -> None:
    first = Checkpoint(tmp_path / "run", {"seed": 1}, overwrite=False)
    keep_layer(first, layer)
    first.close()
    second = Checkpoint(tmp_path / "run", {"seed": 2}, overwrite=True)
    assert second.finished_layers == 0
    assert second.load_state() == {}
    second.close()


def test_run_without_a_finished_layer_leaves_nothing(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run", {"seed": 1}, overwrite=False).close()
    assert not list(tmp_path.iterdir())


def test_other_arguments_are_refused_with_both_values(tmp_path: Path, layer: LayerResult) -> None:
    first = Checkpoint(tmp_path / "run", {"seed": 1, "model": "m"}, overwrite=False)
    keep_layer(first, layer)
    first.close()
    with pytest.raises(UsageError, match=r"run was made with other arguments \(seed: 1 there, 2 now\)"):
        Checkpoint(tmp_path / "run", {"seed": 2, "model": "m"}, overwrite=False)
    again = Checkpoint(tmp_path / "run", {"seed": 1, "model": "m"}, overwrite=False)
    assert again.finished_layers == 1
    again.close()


def test_long_values_are_shortened_and_missing_ones_shown() -> None:
    with pytest.raises(UsageError) as caught:
        check_same(
            Path("run"), {"a": {"text": "x" * 500}, "ids": [1, 2]}, {"a": {"text": ""}, "ids": [2, 3, 4], "dtype": "f"}
        )
    message = str(caught.value)
    assert 'xxx" there, "" now' in message
    assert "a.text: " in message
    assert "ids: 2 there, 3 now, 1 of them the same" in message
    assert 'dtype: null there, "f" now' in message
    assert len(message) < 300


@pytest.mark.parametrize("name", ["identity.json", "layer-0001.safetensors", "state.safetensors"])
def test_damaged_checkpoint_says_how_to_begin_anew(tmp_path: Path, layer: LayerResult, name: str) -> None:
    first = Checkpoint(tmp_path / "run", {}, overwrite=False)
    keep_layer(first, layer)
    first.close()
    (first.folder / name).write_bytes(b"damaged")

    def resume() -> None:
        with contextlib.closing(Checkpoint(tmp_path / "run", {}, overwrite=False)) as again:
            again.load_state()
            again.load_layer(1)

    with pytest.raises(UsageError, match=rf"{name} is damaged .*; --overwrite begins the run anew"):
        resume()


def test_two_processes_do_not_work_on_one_run(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from paramscope.result.store import Checkpoint\n"
        "held = Checkpoint(Path(sys.argv[1]), {}, overwrite=False)\n"
        "print('held', flush=True); sys.stdin.read(); held.close()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=r"another paramscope works on .*run at the moment"):
                Checkpoint(tmp_path / "run", {}, overwrite=overwrite)
        other.communicate("")
    Checkpoint(tmp_path / "run", {}, overwrite=False).close()


def test_overwrite_leaves_a_folder_with_files_of_others_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text('{"tool": "other"}')
    with pytest.raises(UsageError, match="no readable manifest"):
        check_target(run, overwrite=True, resume=False)
    (run / "precious.txt").write_text("precious")
    with pytest.raises(UsageError, match=r"holds precious\.txt, which is not of a run"):
        check_target(run, overwrite=True, resume=False)
    assert (run / "precious.txt").read_text() == "precious"


def test_a_line_that_was_left_half_written_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_line(path, "one")
    append_line(path, "two é")
    with path.open("a", encoding="utf-8") as file:
        file.write("thr")
    append_line(path, "four")
    assert path.read_text(encoding="utf-8") == "one\ntwo é\nthr\nfour\n"
