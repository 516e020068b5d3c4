"""Tokens: special tokens, the cut, targets and chat prompts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from paramscope.domains import Keep, Sample, Text
from paramscope.domains.tokenise import tokenise
from paramscope.errors import UsageError

BOS, EOS = 0, 1
LONG = " ".join(f"w{number}" for number in range(50))


def sample(
    text: str | Text, tokenizer: PreTrainedTokenizerFast, max_tokens: int, keep: Keep, **settings: bool
) -> Sample:
    given_text = text if isinstance(text, Text) else Text(text, origin="rows.jsonl:1")
    found = tokenise(given_text, tokenizer, max_tokens=max_tokens, keep=keep, **settings)
    assert found is not None
    return found


@given(st.text(min_size=1, max_size=60), st.integers(2, 40), st.sampled_from(["start", "end"]))
def test_cut_keeps_the_right_end_and_the_leading_special_token(
    byte_tokenizer: PreTrainedTokenizerFast, text: str, max_tokens: int, keep: Keep
) -> None:
    full = byte_tokenizer(text)["input_ids"]
    cut = sample(text, byte_tokenizer, max_tokens, keep)
    ids = list(cut.token_ids)
    assert len(ids) == min(len(full), max_tokens)
    assert ids[0] == BOS
    assert ids == full[:max_tokens] if keep == "start" else ids[1:] == full[1:][-(max_tokens - 1) :]
    assert (cut.full_tokens, cut.truncated) == (len(full), len(full) > max_tokens)


def test_text_longer_than_the_model_reads_gives_no_warning(
    word_tokenizer: PreTrainedTokenizerFast, caplog: pytest.LogCaptureFixture
) -> None:
    assert sample(LONG, word_tokenizer, 100, "start").full_tokens == 51
    assert not caplog.records
    assert not word_tokenizer.deprecation_warnings


@pytest.mark.parametrize("keep", ["start", "end"])
@pytest.mark.parametrize("max_tokens", [4, 20])
def test_target_counts_toward_the_tokens_and_is_never_cut(
    word_tokenizer: PreTrainedTokenizerFast, keep: Keep, max_tokens: int
) -> None:
    text = Text(LONG, "yes maybe", "no")
    cut = sample(text, word_tokenizer, max_tokens, keep, uses_target=True)
    assert word_tokenizer.convert_ids_to_tokens(list(cut.target_ids)) == ["yes", "maybe"]
    assert cut.foil_ids == ()
    assert len(cut.token_ids) + len(cut.target_ids) == max_tokens
    last = "w49" if keep == "end" else f"w{max_tokens - 4}"
    assert word_tokenizer.convert_ids_to_tokens(cut.token_ids[-1]) == last


def test_target_has_the_tokens_that_follow_the_text() -> None:
    # Like Llama's tokenizer: a blank is put before every text, so " yes" by itself begins with a token for it.
    words = {word: index for index, word in enumerate(["▁", "▁is", "▁it", "▁yes", "▁no", "?"])}
    backend = Tokenizer(models.WordLevel(words, unk_token="?"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert tokenizer(" yes")["input_ids"] == [words["▁"], words["▁yes"]]
    found = sample(Text("is it", " yes", " no"), tokenizer, 8, "end", uses_target=True, uses_foil=True)
    assert (found.target_ids, found.foil_ids) == ((words["▁yes"],), (words["▁no"],))
    merged = sample(Text("is i", "t", "t no"), tokenizer, 8, "end", uses_target=True, uses_foil=True)
    assert (merged.target_ids, merged.foil_ids) == ((words["?"],), (words["?"], words["▁no"]))


def test_target_after_a_chat_prompt(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    found = sample(Text("the text", " cut"), byte_tokenizer, 9, "start", chat=True, uses_target=True)
    assert byte_tokenizer.decode(list(found.target_ids)) == " cut"
    assert len(found.token_ids) + len(found.target_ids) <= 9
    assert byte_tokenizer.convert_ids_to_tokens(found.token_ids[-1]) == "<model>"


def test_target_is_read_only_where_the_objective_does(word_tokenizer: PreTrainedTokenizerFast) -> None:
    cut = sample(Text("w1", "yes", "no"), word_tokenizer, 8, "end")
    assert (cut.target_ids, cut.foil_ids, len(cut.token_ids)) == ((), (), 2)


def test_last_token_of_room_goes_to_the_text(word_tokenizer: PreTrainedTokenizerFast) -> None:
    text = Text("w1 w2", "yes no", origin="rows.jsonl:9")
    last = word_tokenizer("w2")["input_ids"][1]
    assert sample(text, word_tokenizer, 4, "end", uses_target=True).token_ids == (BOS, last)
    message = r"rows\.jsonl:9: 3 tokens leave no room for text beside the target \(2 tokens\) and special tokens"
    keeps: tuple[Keep, ...] = ("start", "end")
    for keep in keeps:
        with pytest.raises(UsageError, match=message):
            sample(text, word_tokenizer, 3, keep, uses_target=True)
    with pytest.raises(UsageError, match=r"1 tokens leave no room for text beside the target \(2 tokens\)"):
        sample(text, word_tokenizer, 1, "start", uses_target=True)
    with pytest.raises(UsageError, match=r"1 tokens leave no room for text beside special tokens"):
        sample(text, word_tokenizer, 1, "start")


@pytest.mark.parametrize("name", ["target", "foil"])
def test_answer_without_tokens_is_refused(name: str, word_tokenizer: PreTrainedTokenizerFast) -> None:
    text = Text("w1", " ", " ", "rows.jsonl:3")
    with pytest.raises(UsageError, match=rf"rows\.jsonl:3: the {name} ' ' has no tokens"):
        sample(text, word_tokenizer, 8, "end", **{f"uses_{name}": True})


def test_text_without_tokens_gives_no_sample(word_tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenise(Text(" "), word_tokenizer, max_tokens=8, keep="start") is None


def test_whole_chat_prompt_is_the_tokenizers_own(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [{"role": "user", "content": "the text"}]
    expected = byte_tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    found = sample("the text", byte_tokenizer, 100, "start", chat=True)
    assert list(found.token_ids) == expected
    assert found.token_ids.count(BOS) == 1
    assert EOS not in found.token_ids
    assert not found.truncated


def test_long_chat_prompt_loses_tokens_of_the_text_alone(word_tokenizer: PreTrainedTokenizerFast) -> None:
    expected: dict[Keep, list[str]] = {"start": ["w0", "w1", "w2"], "end": ["w47", "w48", "w49"]}
    for keep, words in expected.items():
        cut = sample(LONG, word_tokenizer, 7, keep, chat=True)
        tokens = word_tokenizer.convert_ids_to_tokens(list(cut.token_ids))
        assert tokens == ["<s>", "<user>", *words, "<end>", "<model>"]
        assert (cut.full_tokens, cut.truncated) == (54, True)


@given(st.text(min_size=1, max_size=40).filter(str.strip), st.integers(1, 60), st.sampled_from(["start", "end"]))
def test_chat_prompt_always_fits_and_keeps_the_template(
    byte_tokenizer: PreTrainedTokenizerFast, text: str, max_tokens: int, keep: Keep
) -> None:
    if max_tokens < 8:  # four of the template, and up to four for one letter
        with contextlib.suppress(UsageError):
            assert len(sample(text, byte_tokenizer, max_tokens, keep, chat=True).token_ids) <= max_tokens
        return
    cut = sample(text.strip(), byte_tokenizer, max_tokens, keep, chat=True)
    tokens = byte_tokenizer.convert_ids_to_tokens(list(cut.token_ids))
    assert len(tokens) <= max_tokens
    assert tokens[:2] == ["<s>", "<user>"]
    assert tokens[-2:] == ["<end>", "<model>"]
    message = str(byte_tokenizer.decode(list(cut.token_ids[2:-2])))
    assert message
    assert text.strip().startswith(message) if keep == "start" else text.strip().endswith(message)


def test_chat_prompt_without_room_is_refused(word_tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(sample("w1 w2", word_tokenizer, 5, "start", chat=True).token_ids) == 5
    with pytest.raises(UsageError, match=r"4 tokens leave no room for text beside the chat template"):
        sample("w1 w2", word_tokenizer, 4, "start", chat=True)


def test_chat_template_that_refuses_the_text_is_said(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer.backend_tokenizer,
        chat_template="{{ raise_exception('needs a system\nmessage') }}",
    )
    with pytest.raises(UsageError, match=r"chat template cannot be rendered \(needs a system message\); leave out"):
        sample("a", tokenizer, 8, "start", chat=True)


def test_chat_cut_needs_a_tokenizer_that_tells_where_tokens_lie(word_tokenizer: PreTrainedTokenizerFast) -> None:
    class Slow(PreTrainedTokenizerFast):
        is_fast = False

    slow = Slow(tokenizer_object=word_tokenizer.backend_tokenizer, chat_template=word_tokenizer.chat_template)
    with pytest.raises(UsageError, match=r"Slow cannot tell where tokens lie in a text, so it cannot be cut; raise"):
        sample(LONG, slow, 7, "start", chat=True)
