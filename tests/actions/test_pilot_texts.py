"""What a pilot trains on is never what it is tested on, nor what the profile saw."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

import paramscope
from paramscope import RunError, UsageError
from paramscope.actions.pilots.material import (
    Pool,
    check_apart,
    cut_pool,
    draw_pool,
    held_out_texts,
    prints_of,
    training_spec,
)
from paramscope.causal.texts import held_out_samples, profiled_samples
from paramscope.domains import DomainSpec, Sample, Text
from paramscope.result.profile import Profile
from tests.actions.tuned_runs import HELD_OUT, ROWS, SAMPLES, make_run, write_texts
from tests.conftest import made_texts


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tiny_model, tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def profile(run: Path) -> Profile:
    return Profile.load(run)


def own(profile: Profile) -> list[Sample]:
    """Every sample of the run."""
    return [
        s for table in (profiled_samples(profile), held_out_samples(profile)) for given in table.values() for s in given
    ]


def fresh(count: int, start: int = 0) -> list[Sample]:
    """Samples that no run has: their tokens begin alike nowhere."""
    return [
        Sample(Text(f"new {i}"), tuple((7 * i + j * j + 11) % 80 for j in range(9)), full_tokens=9)
        for i in range(start, start + count)
    ]


@given(st.data())
def test_planted_texts_of_the_run_are_dropped_and_counted(profile: Profile, data: st.DataObject) -> None:
    planted = data.draw(st.lists(st.sampled_from(own(profile)), max_size=8))
    disguises = data.draw(st.lists(st.sampled_from(["same", "blanks", "tokens", "text"]), min_size=8, max_size=8))
    rows = list(fresh(30))
    for sample, disguise in zip(planted, disguises, strict=False):
        text = sample.text.text
        ids = sample.token_ids
        if disguise == "blanks":  # the same words, other tokens
            text, ids = f"  {text}\n".replace(" ", "  "), (*ids[::-1], 5)
        elif disguise == "tokens":  # other words, the same tokens up to the cut
            text, ids = "other words", (*ids, 17)
        elif disguise == "text":
            ids = ids[::-1]
        rows.insert(data.draw(st.integers(0, len(rows))), Sample(Text(text), ids, full_tokens=len(ids)))
    tokens = data.draw(st.sampled_from([6, 10]))
    material = cut_pool(profile, Pool(tuple(rows), "rows", len(rows)), tokens=tokens, training=99, validation=4)
    assert material.overlapping == len(planted)
    assert len(material.training) + len(material.validation) + material.repeated == 30
    used = set(material.training) | set(material.validation)
    assert not used & {sample.token_ids[:tokens] for sample in own(profile)}
    assert not set(material.training) & set(material.validation)
    tested = held_out_texts(profile)
    assert not used & {ids[:tokens] for given in tested.values() for ids in given}


def test_texts_that_are_alike_once_cut_are_taken_once(profile: Profile) -> None:
    rows = [Sample(s.text, (1, 2, 3, *s.token_ids), full_tokens=12) for s in fresh(20)]
    pool = Pool((*rows, *fresh(20, start=20)), "rows", 40)
    assert cut_pool(profile, pool, tokens=3, training=99, validation=4).repeated >= 19


def test_the_own_source_gives_the_texts_that_come_after_the_runs(run: Path, profile: Profile, tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    spec = training_spec(profile, "a")
    assert (spec.name, spec.lines) == ("a", True)
    pool = draw_pool(profile, spec, tokenizer, 100)
    mine = [*profiled_samples(profile)["a"], *held_out_samples(profile)["a"]]
    assert [s.token_ids for s in pool.samples[: SAMPLES + HELD_OUT]] == [s.token_ids for s in mine]
    material = cut_pool(profile, pool, tokens=64, training=99, validation=4)
    assert material.overlapping == SAMPLES + HELD_OUT + sum(
        bool(prints_of([s], 64) & prints_of(held_out_samples(profile)["b"] + profiled_samples(profile)["b"], 64))
        for s in pool.samples[SAMPLES + HELD_OUT :]
    )
    assert len(material.training) + len(material.validation) + material.overlapping + material.repeated == ROWS


def test_more_texts_begin_with_fewer(profile: Profile) -> None:
    pool = Pool(tuple(fresh(40)), "rows", 40)
    few, many = (cut_pool(profile, pool, tokens=9, training=count, validation=8) for count in (10, 20))
    assert many.training[:10] == few.training
    assert many.validation == few.validation
    assert many.sha256 != few.sha256


def test_a_text_that_would_be_tested_stops_everything(profile: Profile) -> None:
    check_apart(profile, fresh(3), 9)
    tested = held_out_samples(profile)["b"][3]
    for other in (tested, Sample(Text("x"), tested.token_ids), Sample(Text(tested.text.text + " "), (1, 2))):
        with pytest.raises(RunError, match="would be trained on and is a text of the run"):
            check_apart(profile, [*fresh(2), other], 9)


def test_too_few_texts_are_refused_with_what_there_is(profile: Profile) -> None:
    with pytest.raises(
        UsageError,
        match=r"rows has 15 texts to train on \(99 rows, 0 of them the run's own, 0 repeated"
        r"\), and 16 are needed; give others with --train",
    ):
        cut_pool(profile, Pool(tuple(fresh(15)), "rows", 99), tokens=9, training=99, validation=8)
    assert len(cut_pool(profile, Pool(tuple(fresh(16)), "rows", 99), tokens=9, training=9, validation=8).training) == 9


def test_a_given_source_is_read_as_the_run_read_its_own(profile: Profile, tmp_path: Path) -> None:
    path = write_texts(tmp_path / "more.txt", made_texts(5))
    assert training_spec(profile, "a", path).lines
    assert training_spec(profile, "a", "gsm8k").source == "gsm8k"
    assert training_spec(profile, "a", ["w1 w2"]).given == ("w1 w2",)
    spec = DomainSpec("other", ["w3"])
    assert training_spec(profile, "a", spec) is spec


def test_texts_given_in_python_have_no_source(tiny_model: Path) -> None:
    profile = paramscope.profile(tiny_model, {"a": made_texts(8)}, samples=4, held_out=2)
    with pytest.raises(UsageError, match=r"its 8 texts given in Python are not kept as a source; give .* --train"):
        training_spec(profile, "a")
