"""Samples that are kept apart: drawn after the others, and never at their cost where there are enough texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

import paramscope
from paramscope.causal.texts import held_out_samples, profiled_samples, samples_of
from paramscope.domains import Domain, DomainSpec, draw_domain
from tests.engine.architectures import random_ids, tiny_model


def draw(
    count: int, tokenizer: PreTrainedTokenizerFast | None, samples: int, held_out: int, *, repeated: int = 0
) -> Domain:
    texts = [f"w{i} w{i + 1} w{i + 2}" for i in range(count)]
    spec = DomainSpec("d", texts + texts[:repeated])
    return draw_domain(spec, tokenizer, samples=samples, max_tokens=16, seed=0, held_out=held_out)


def texts_of(samples: object) -> list[str]:
    return [sample.text.text for sample in samples]  # type: ignore[attr-defined]


@given(st.integers(1, 60), st.integers(1, 40), st.integers(0, 30), st.integers(0, 3))
def test_they_are_the_next_of_the_draw_and_different_from_the_samples(
    word_tokenizer: PreTrainedTokenizerFast, count: int, samples: int, held_out: int, repeated: int
) -> None:
    domain = draw(count, word_tokenizer, samples, held_out, repeated=repeated)
    both = [*domain.samples, *domain.held_out]
    assert len({sample.sha256 for sample in both}) == len(both)
    everything = draw(count, word_tokenizer, count, 0)
    assert texts_of(both) == texts_of(everything.samples)[: len(both)]
    assert len(domain.held_out) <= held_out
    if count >= samples:
        assert len(domain.samples) == samples
        assert len(domain.held_out) == min(held_out, count - samples)
    elif count >= 10:
        assert len(domain.held_out) == min(held_out, count // 5)
        assert len(both) == count
    else:
        assert (len(domain.samples), len(domain.held_out)) == (count, 0)


@given(st.integers(1, 60), st.integers(1, 30), st.integers(0, 30), st.integers(0, 30))
def test_more_of_them_begin_with_fewer_and_leave_the_samples_alone(
    word_tokenizer: PreTrainedTokenizerFast, count: int, samples: int, few: int, many: int
) -> None:
    few, many = sorted((few, many))
    less, more = draw(count, word_tokenizer, samples, few), draw(count, word_tokenizer, samples, many)
    if count >= samples:
        assert less.samples == more.samples
        assert texts_of(more.held_out)[: len(less.held_out)] == texts_of(less.held_out)
    assert texts_of([*less.samples, *less.held_out])[: len(more.samples)] == texts_of(more.samples)


@pytest.mark.parametrize(("count", "kept"), [(9, 0), (10, 2), (24, 4), (25, 5)])
def test_of_scarce_texts_a_fifth_is_kept_apart_and_told_of(
    word_tokenizer: PreTrainedTokenizerFast, count: int, kept: int
) -> None:
    domain = draw(count, word_tokenizer, 100, 16)
    assert len(domain.held_out) == kept
    (warning,) = domain.warnings
    assert f"{count - kept} of the 100 samples that were asked for" in warning
    assert (f"{kept} are kept apart for checks (--held-out 0 takes them too)" in warning) == bool(kept)
    assert not draw(count, word_tokenizer, 100, 0).held_out


def test_a_run_keeps_tokens_and_texts_apart_and_reads_them_back() -> None:
    given_ids = {"a": random_ids([5, 9, 7, 8, 6, 4]), "b": random_ids([6, 2, 3, 9], seed=1)}
    model = tiny_model("llama")
    profile = paramscope.profile(model, given_ids, samples=2, held_out=3)
    kept, seen = held_out_samples(profile), profiled_samples(profile)
    for name, ids in given_ids.items():
        both = [sample.token_ids for sample in (*seen[name], *kept[name])]
        assert len(set(both)) == len(both)
        assert {tuple(each) for each in ids} >= set(both)
        assert (len(seen[name]), len(kept[name])) == (2, min(3, len(ids) - 2))
    record = profile.manifest.domains[0]
    assert (record.samples, record.held_out) == (2, 3)
    assert record.sha256 == [sample.sha256 for sample in seen["a"]]
    assert samples_of(profile.tables.held_out.iloc[:0], ["a"]) == {"a": []}


def test_what_is_kept_apart_does_not_change_a_profile() -> None:
    given_ids = {"a": random_ids([5, 9, 7, 8, 6, 4])}
    model = tiny_model("llama")
    with_some, without = (paramscope.profile(model, given_ids, samples=3, held_out=count) for count in (3, 0))
    np.testing.assert_array_equal(with_some.tables.gram, without.tables.gram)
    assert with_some.tables.held_out["token_ids"].size == 3
    assert without.tables.held_out.empty
