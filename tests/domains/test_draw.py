"""The draw: what it depends on, and what it does not."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from paramscope.domains import Domain, DomainSpec, Text, draw_domain, order_by_draw
from paramscope.errors import UsageError

TEXTS = [f"w{number} w{number + 1} w{number + 2}" for number in range(40)]


def draw(source: object, tokenizer: PreTrainedTokenizerFast | None, samples: int = 10, **settings: Any) -> Domain:
    options = {"max_tokens": 16, "seed": 0}
    options |= {key: settings.pop(key) for key in ("max_tokens", "seed", "uses_target", "uses_foil") if key in settings}
    return draw_domain(DomainSpec("d", source, **settings), tokenizer, samples=samples, **options)  # type: ignore[arg-type]


def drawn(domain: Domain) -> list[str]:
    return [sample.text.text for sample in domain.samples]


texts_strategy = st.lists(
    st.builds(Text, st.text(), st.none() | st.text(), st.none() | st.text()), unique=True, max_size=20
)


@given(texts_strategy, st.integers(), st.randoms(use_true_random=False))
def test_order_does_not_depend_on_the_order_of_rows(texts: list[Text], seed: int, chance: random.Random) -> None:
    shuffled = list(texts)
    chance.shuffle(shuffled)
    assert order_by_draw(texts, seed) == order_by_draw(shuffled, seed)


@given(texts_strategy, st.integers(), st.data())
def test_order_of_some_does_not_depend_on_the_others(texts: list[Text], seed: int, data: st.DataObject) -> None:
    some = [text for text in texts if data.draw(st.booleans())]
    assert order_by_draw(some, seed) == [text for text in order_by_draw(texts, seed) if text in some]


def test_order_is_that_of_earlier_versions() -> None:
    # Frozen: another order would draw other samples from every source that users have measured.
    texts = [Text("a"), Text("b"), Text("c", "x"), Text("é", "x", "y")]
    assert [text.text for text in order_by_draw(texts, 0)] == ["a", "c", "é", "b"]
    assert [text.text for text in order_by_draw(texts, 1)] == ["a", "c", "b", "é"]


@given(st.integers(1, 40), st.integers(1, 40))
def test_larger_draw_begins_with_the_smaller(word_tokenizer: PreTrainedTokenizerFast, few: int, many: int) -> None:
    few, many = sorted((few, many))
    small, large = draw(TEXTS, word_tokenizer, few), draw(TEXTS[::-1], word_tokenizer, many)
    assert drawn(small) == drawn(large)[:few]
    assert len(large.samples) == many


def test_seed_changes_the_draw_and_nothing_else_does(word_tokenizer: PreTrainedTokenizerFast) -> None:
    first = draw(TEXTS, word_tokenizer)
    assert drawn(first) == drawn(draw(TEXTS, word_tokenizer, max_tokens=3))
    assert drawn(first) != drawn(draw(TEXTS, word_tokenizer, seed=1))
    other_name = draw_domain(DomainSpec("other", TEXTS), word_tokenizer, samples=10, max_tokens=16, seed=0)
    assert [sample.sha256 for sample in first.samples] == [sample.sha256 for sample in other_name.samples]


def test_texts_that_are_equal_once_cut_count_as_repeated(word_tokenizer: PreTrainedTokenizerFast) -> None:
    texts = ["w1 w2 w3", "w1 w2 w4", "w1 w2 w3", "w5"]
    domain = draw(texts, word_tokenizer, max_tokens=3)
    assert {sample.token_ids for sample in domain.samples} == {(0, 7, 8), (0, 11)}
    assert (domain.rows, domain.empty, domain.duplicates) == (4, 0, 2)
    assert domain.truncated == 1
    assert len(draw(texts, word_tokenizer, max_tokens=4).samples) == 3


def test_fewer_samples_than_asked_for_are_said(word_tokenizer: PreTrainedTokenizerFast) -> None:
    domain = draw(["w1", "w1", " ", "w2"], word_tokenizer, 64)
    assert domain.warnings == (
        "domain 'd': 2 of the 64 samples that were asked for; there are no more different texts in "
        "4 texts given in Python (4 rows, 1 empty, 1 repeated)",
    )
    assert (domain.asked, len(domain.samples)) == (64, 2)
    assert draw(["w1"], word_tokenizer, 1).warnings == ()


def test_source_without_a_usable_text_is_refused(word_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match=r"'d': no usable text in 2 texts given in Python \(2 rows, 2 empty, 0"):
        draw(["", "\t"], word_tokenizer)


def test_text_of_which_no_token_is_left_counts_as_empty(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    class Drops:
        chat_template = None

        def __call__(self, text: str, **settings: Any) -> Any:
            return byte_tokenizer(text.replace("\u200b", ""), **settings)

    domain = draw_domain(DomainSpec("d", ["\u200b", "a"]), Drops(), samples=2, max_tokens=9, seed=0)  # type: ignore[arg-type]
    assert (drawn(domain), domain.empty) == (["a"], 1)


@pytest.mark.parametrize(("name", "settings"), [("samples", {"samples": 0}), ("max-tokens", {"max_tokens": -1})])
def test_numbers_below_one_are_refused(
    name: str, settings: dict[str, int], word_tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(UsageError, match=rf"^{name} is (0|-1); expected 1 or more"):
        draw(TEXTS, word_tokenizer, **settings)


@pytest.mark.parametrize("name", ["target", "foil"])
def test_objective_that_reads_what_the_source_does_not_give_is_refused(
    name: str, word_tokenizer: PreTrainedTokenizerFast
) -> None:
    message = rf"domain 'd': the objective reads a {name}, but there is none in 40 texts given in Python; give --{name}"
    with pytest.raises(UsageError, match=message):
        draw(TEXTS, word_tokenizer, **{f"uses_{name}": True})


def test_row_without_a_target_is_left_out_counted_and_named(
    word_tokenizer: PreTrainedTokenizerFast, write_rows: Callable[..., Path]
) -> None:
    row = {"question": "w1", "passage": "w2"}
    path = write_rows([row | {"answer": True}, row | {"question": "w3"}])
    domain = draw(f"boolq@{path}", word_tokenizer, 1, uses_target=True)
    # The draw stops when it has enough, so it may never have come to the row.
    assert (len(domain.samples), domain.rows) == (1, 2)
    domain = draw(f"boolq@{path}", word_tokenizer, 2, uses_target=True)
    assert (len(domain.samples), domain.unfit) == (1, 1)
    assert "rows.jsonl:2: the row has no target, but the objective reads one" in domain.warnings[0]


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 12))
def test_rows_that_do_not_fit_take_no_place_of_the_others(
    word_tokenizer: PreTrainedTokenizerFast, long: list[bool], samples: int
) -> None:
    texts = [Text(f"w{place} w1", "yes " * 30 if much else "no") for place, much in enumerate(long)]
    fitting = [text for text, much in zip(texts, long, strict=True) if not much]
    if not fitting:
        with pytest.raises(UsageError, match=r"no usable text .* unfit for the objective, the first: .*raise --max-"):
            draw(texts, word_tokenizer, samples, uses_target=True)
        return
    domain = draw(texts, word_tokenizer, samples, uses_target=True)
    assert drawn(domain) == [text.text for text in order_by_draw(fitting, 0)][:samples]
    assert bool(domain.unfit) <= bool(domain.warnings)


def test_answers_longer_than_the_limit_fit_where_only_their_first_tokens_are_compared(
    word_tokenizer: PreTrainedTokenizerFast,
) -> None:
    texts = [Text("w1 w2 w3", "yes " * 30, "no " * 30)]
    domain = draw(texts, word_tokenizer, 1, uses_target=True, uses_foil=True, max_tokens=4)
    assert (len(domain.samples[0].token_ids), domain.unfit) == (4, 0)


def test_rows_with_other_targets_are_repeats_where_the_target_is_not_read(
    word_tokenizer: PreTrainedTokenizerFast,
) -> None:
    texts = [Text("w1", "yes", "no"), Text("w1", "no", "yes")]
    assert len(draw(texts, word_tokenizer, uses_target=True, uses_foil=True).samples) == 2
    domain = draw(texts, word_tokenizer)
    assert (len(domain.samples), domain.duplicates, domain.samples[0].target_ids) == (1, 1, ())


def test_texts_need_a_tokenizer_and_chat_a_template(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match=r"domain 'd': texts need a tokenizer"):
        draw(TEXTS, None)
    plain = PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer.backend_tokenizer)
    with pytest.raises(UsageError, match=r"domain 'd': chat is given, but the tokenizer has no chat template"):
        draw(TEXTS, plain, chat=True)


IDS = [[3, 1, 2], [5], [7, 7], [9, 0, 4, 4]]


@pytest.mark.parametrize(
    "source",
    [
        IDS,
        tuple(map(tuple, IDS)),
        [np.array(ids) for ids in IDS],
        [torch.tensor(ids) for ids in IDS],
        [[np.int64(token) for token in ids] for ids in IDS],
    ],
)
def test_token_ids_of_any_library_are_taken_as_they_are(source: object) -> None:
    domain = draw(source, None, 4, max_tokens=1)
    assert sorted(list(sample.token_ids) for sample in domain.samples) == sorted(IDS)
    assert domain.truncated == 0
    assert {sample.text.origin: sample.token_ids for sample in domain.samples}["sample 2"] == (5,)
    assert (domain.source, domain.rows) == ("4 samples given as token ids", 4)


def test_token_ids_are_drawn_like_texts() -> None:
    rows = np.arange(60).reshape(20, 3)
    small, large, other = draw(rows, None, 5), draw(rows[::-1].copy(), None, 12), draw(rows, None, 5, seed=1)
    first, longer, second = ([sample.token_ids for sample in domain.samples] for domain in (small, large, other))
    assert first == longer[:5]
    assert first != second
    domain = draw([[1], [2], [1]], None, 3)
    assert (len(domain.samples), domain.duplicates, len(domain.warnings)) == (2, 1, 1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([[]], r"domain 'd', sample 1: no token ids; expected one or more"),
        ([[1], [2.5]], r"domain 'd', sample 2: 2\.5 is no token id; expected integers of 0 or more"),
        ([[-1]], r"sample 1: -1 is no token id"),
        ([[True]], r"sample 1: True is no token id"),
        ([[2**40]], r"sample 1: 1099511627776 is no token id"),
        ([[1], "text"], r"sample 2: of type str; expected a list of token ids"),
        ([1, 2, 3], r"sample 1: of type int; expected a list of token ids such as \[1, 15, 7\]"),
        ([{"input_ids": [1]}], r"sample 1: of type dict; expected a list of token ids"),
        ([torch.ones(1, 3, dtype=torch.long)], r"sample 1: \[1, 1, 1\] is no token id"),
        ([torch.ones(2)], r"sample 1: 1\.0 is no token id"),
    ],
)
def test_wrong_token_ids_are_refused(source: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw(source, None)


@pytest.mark.parametrize("setting", [{"chat": True}, {"keep": "end"}, {"target": "a"}, {"field": "a"}])
def test_settings_beside_token_ids_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"{next(iter(setting))} is given, but samples given as token ids are"):
        draw(IDS, None, **setting)


def test_token_ids_have_no_target() -> None:
    with pytest.raises(UsageError, match=r"which samples given as token ids do not have; give texts and --target"):
        draw(IDS, None, uses_target=True)
