"""From one text to the tokens of one sample.

A text goes through the tokenizer with its default special tokens and is then cut to ``max_tokens``, less the target's
tokens where the objective reads the whole target (with a foil, the first token of each answer is compared with the
other, and neither is put in); the target itself is never cut.

- ``keep="start"``: the first tokens stay, so an end token that the tokenizer appends is cut off with the rest.
- ``keep="end"``: the last tokens stay, and the special tokens before the text (such as BOS) stay in their place.
- chat: the rendered chat template is tokenised as a whole, without further special tokens. Where it is too long, the
  user's text is shortened by whole tokens of its own and rendered again until the prompt fits, so the template's own
  tokens always stay.

Target and foil, without special tokens, are the tokens that they add to those of the text (or chat prompt) before them.
Where they would change its last token instead, they are tokenised by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramscope.domains.sample import Keep, Sample, Text
from paramscope.errors import UnfitError, UsageError
from paramscope.wording import one_line, quoted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokenise(
    text: Text,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    keep: Keep,
    chat: bool = False,
    uses_target: bool = False,
    uses_foil: bool = False,
) -> Sample | None:
    """Tokenise a text, and cut it.

    Args:
        text: the text.
        tokenizer: a tokenizer of the library ``transformers``.
        max_tokens: the most tokens of the input.
        keep: which end of a long text stays.
        chat: whether the text is the user's message in the tokenizer's chat template.
        uses_target: whether the objective reads the target.
        uses_foil: whether the objective reads the foil.

    Returns:
        The sample, or ``None`` for a text of which the tokenizer leaves no token.

    Raises:
        UnfitError: when a target or foil is missing or has no tokens, or there is no room for a token of the text.
    """
    plain = token_ids(tokenizer, text.text)
    if not plain:
        return None
    prompt = _chat_prompt(text.text, tokenizer) if chat else text.text
    before = token_ids(tokenizer, prompt) if chat else plain
    target = _answer(text, text.target, "target", tokenizer, prompt, before) if uses_target else ()
    foil = _answer(text, text.foil, "foil", tokenizer, prompt, before) if uses_foil else ()
    inside = () if uses_foil else target
    room = max_tokens - len(inside)
    full = before if chat else token_ids(tokenizer, text.text, special=True)
    ids: list[int] | None = full
    if len(full) > room and chat:
        ids = _cut_chat(text.text, tokenizer, room, len(full) - room, keep)
    elif len(full) > room:
        ids = _cut(full, room, _leading(full, plain), keep)
    if ids is None:
        beside = f"the target ({len(target)} tokens) and " if inside else ""
        what = "the chat template" if chat else "special tokens"
        raise UnfitError(f"{text.origin}: {max_tokens} tokens leave no room for text beside {beside}{what}")
    return Sample(text, tuple(ids), target, foil, len(full))


def token_ids(tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool = False) -> list[int]:
    """Tokenise a string, however long.

    Args:
        tokenizer: the tokenizer.
        text: the string.
        special: whether the tokenizer adds its default special tokens.

    Returns:
        The token ids.
    """
    # verbose=False: a text longer than the model's context is cut here, so the tokenizer's warning would mislead.
    return list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def _answer(
    text: Text, answer: str | None, what: str, tokenizer: PreTrainedTokenizerBase, prompt: str, before: list[int]
) -> tuple[int, ...]:
    if answer is None:
        raise UnfitError(f"{text.origin}: the row has no {what}, but the objective reads one")
    # By itself, " yes" becomes "▁" and "▁yes" in Llama's tokenizer, as if two blanks stood before it; then the first
    # token of every answer is the same, and the difference of two answers' logits is zero.
    ids = token_ids(tokenizer, prompt + answer)
    ids = ids[len(before) :] if ids[: len(before)] == before else []
    ids = ids or token_ids(tokenizer, answer)
    if not ids:
        raise UnfitError(f"{text.origin}: the {what} {quoted(answer)} has no tokens")
    return tuple(ids)


def _leading(full: list[int], plain: list[int]) -> int:
    """Count the special tokens that the tokenizer put before the text.

    Returns:
        Their number; 0 for a tokenizer that changes the text's own tokens when it adds special ones.
    """
    starts = range(len(full) - len(plain) + 1)
    return next((start for start in starts if full[start : start + len(plain)] == plain), 0)


def _cut(ids: list[int], room: int, leading: int, keep: Keep) -> list[int] | None:
    if room <= leading:
        return None
    return ids[:room] if keep == "start" else ids[:leading] + ids[leading - room :]


def _chat_prompt(text: str, tokenizer: PreTrainedTokenizerBase) -> str:
    from jinja2 import TemplateError

    messages = [{"role": "user", "content": text}]
    try:
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    except TemplateError as error:
        raise UsageError(
            f"the tokenizer's chat template cannot be rendered ({one_line(error)}); leave out chat"
        ) from error
    assert isinstance(prompt, str)
    return prompt


def _cut_chat(text: str, tokenizer: PreTrainedTokenizerBase, room: int, over: int, keep: Keep) -> list[int] | None:
    if not tokenizer.is_fast:
        raise UsageError(
            f"a chat prompt is {over} tokens too long, and {type(tokenizer).__name__} cannot tell where tokens lie in "
            "a text, so it cannot be cut; raise --max-tokens"
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = encoded["offset_mapping"]
    count = len(offsets) - over
    while count > 0:
        part = text[: offsets[count - 1][1]] if keep == "start" else text[offsets[-count][0] :]
        ids = token_ids(tokenizer, _chat_prompt(part, tokenizer))
        if len(ids) <= room:
            return ids if part.strip() else None
        count -= len(ids) - room
    return None
