"""Multiple choice, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from paramscope.errors import UsageError
from paramscope.evaluation.choice import Item, evaluate_choices, make_item
from tests.engine.architectures import random_ids, tiny_model
from tests.evaluation.models import Unigram, made_tokenizer

EIGHTHS = Unigram([1 / 2, 1 / 4, 1 / 8, 1 / 8])


def item(*options: list[int], right: int, lengths: tuple[int, ...] | None = None) -> Item:
    return Item((3,), tuple(map(tuple, options)), right, lengths or tuple(len(option) for option in options))


def test_by_hand() -> None:
    items = [
        item([0], [1], right=0),  # 1 and 2 bits: right
        item([2], [0, 0], right=0),  # 3 and 2 bits: wrong; per character 3 and 1: wrong
        item([1], [0, 0, 0], right=1),  # 2 and 3 bits: wrong; per character 2 and 1: right
        item([1], [2], right=1, lengths=(1, 4)),  # 2 and 3 bits: wrong; per character 2 and 3/4: right
        item([0], [0, 1], [3], right=2),  # wrong in both
    ]
    found = evaluate_choices(EIGHTHS, items)
    assert found.accuracy == 1 / 5
    assert found.normalised == 3 / 5
    assert found.standard_error == pytest.approx(math.sqrt(0.2 * 0.8 / 4))
    assert found.normalised_error == pytest.approx(math.sqrt(0.6 * 0.4 / 4))
    assert found.items == 5
    assert found.chance == pytest.approx((4 / 2 + 1 / 3) / 5)
    assert found.constant == 2 / 5
    np.testing.assert_allclose(found.log_likelihoods[1], -np.log(2) * np.array([3, 2]), rtol=1e-6)


def test_standard_error_is_that_of_a_mean_of_zeros_and_ones() -> None:
    items = [item([0], [1], right=int(number % 3 == 0)) for number in range(11)]
    found = evaluate_choices(EIGHTHS, items)
    right = [float(number % 3 != 0) for number in range(11)]
    assert found.accuracy == pytest.approx(np.mean(right))
    assert found.standard_error == pytest.approx(np.std(right, ddof=1) / math.sqrt(11))


def test_of_equal_options_the_first_is_chosen() -> None:
    assert evaluate_choices(EIGHTHS, [item([2], [3], right=0), item([3], [2], right=0)]).accuracy == 1


def test_one_item_has_no_standard_error() -> None:
    assert math.isnan(evaluate_choices(EIGHTHS, [item([0], [1], right=0)]).standard_error)


def test_impossible_options_are_counted_and_never_chosen_over_a_possible_one() -> None:
    found = evaluate_choices(Unigram([1.0, 0.0]), [item([1], [0], right=1), item([1], [1, 1], right=0)])
    assert (found.accuracy, found.not_finite) == (1, 3)


def test_a_prompt_that_is_too_long_loses_its_beginning() -> None:
    model = tiny_model("gpt2", n_positions=16)
    context, first, second = random_ids([30, 3, 6])
    found = evaluate_choices(model, [Item(tuple(context), (tuple(first), tuple(second)), 0, (1, 1))])
    expected = [-_last(model, context, option) for option in (first, second)]
    np.testing.assert_allclose(found.log_likelihoods[0], expected, rtol=1e-9)
    assert found.cut == 1
    with pytest.raises(UsageError, match="an option has 17 tokens, and the model takes 16; leave the row out"):
        evaluate_choices(model, [Item((3,), (tuple(random_ids([17])[0]),), 0, (1,), "row")])


def _last(model: Any, context: list[int], option: list[int]) -> float:
    """The loss of an option after the last tokens of a prompt that the model of 16 positions takes."""
    ids = [*context, *option][-17:]
    with torch.no_grad():
        told = torch.log_softmax(model(torch.tensor([ids[:-1]])).logits[0].double(), -1)
    return -sum(float(told[place - 1, ids[place]]) for place in range(17 - len(option), 17))


def test_no_items_are_refused() -> None:
    with pytest.raises(UsageError, match="no question to answer"):
        evaluate_choices(EIGHTHS, [])


@pytest.mark.parametrize("bos", [False, True])
def test_an_option_is_what_it_adds_to_the_prompt(bos: bool) -> None:
    tokenizer = made_tokenizer(bos=bos)
    made = make_item(tokenizer, "ice water:", ["lamp", "stone river"], 1, "row 1")
    assert made.context == tuple(tokenizer.encode("ice water:"))
    assert (made.context[0] == 0) is bos
    assert [made.context + option for option in made.options] == [
        tuple(tokenizer.encode("ice water: lamp")),
        tuple(tokenizer.encode("ice water: stone river")),
    ]
    assert (made.right, made.lengths, made.origin) == (1, (4, 11), "row 1")


def test_blanks_at_the_end_of_a_prompt_go_to_the_option() -> None:
    tokenizer = made_tokenizer()
    made = make_item(tokenizer, "ice water: ", ["lamp"], 0)
    assert made.context == tuple(tokenizer.encode("ice water:"))
    assert tokenizer.decode(list(made.options[0])) == "  lamp"


def test_options_without_tokens_are_named() -> None:
    words = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="a")
    with pytest.raises(UsageError, match="row 2: the option ' ' adds no token"):
        make_item(tokenizer, "a b", ["a", " "], 0, "row 2")
    with pytest.raises(UsageError, match="row 2: the tokenizer leaves nothing of the prompt"):
        make_item(tokenizer, " ", ["a"], 0, "row 2")
