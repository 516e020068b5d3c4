"""Perplexity by the convention of the pruning papers, by hand and against a plain loop."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import paramscope
from paramscope.errors import UsageError
from paramscope.evaluation.perplexity import blocks_of, held_out_losses, joined_text, perplexity
from paramscope.result.profile import Profile
from tests.conftest import made_texts
from tests.engine.architectures import random_ids, tiny_model
from tests.evaluation.models import Unigram, one_at_a_time

IDS = random_ids([137])[0]
EIGHTHS = Unigram([1 / 2, 1 / 4, 1 / 8, 1 / 8])


def as_wanda(model: nn.Module, ids: list[int], context: int) -> float:
    """The perplexity of Wanda's and GPTQ's evaluation code: block means times the block's length, summed."""
    blocks = len(ids) // context
    total = 0.0
    for number in range(blocks):
        block = torch.tensor([ids[number * context : (number + 1) * context]])
        with torch.no_grad():
            logits = model(block).logits.double()
        loss = nn.functional.cross_entropy(logits[0, :-1], block[0, 1:])
        total += float(loss) * context
    return math.exp(total / (blocks * context))


@pytest.mark.parametrize("name", ["llama", "gpt2", "mamba"])
@pytest.mark.parametrize("context", [2, 16, 50])
def test_is_that_of_the_papers_code(name: str, context: int) -> None:
    model = tiny_model(name)
    found = perplexity(model, IDS, context=context)
    assert found.value == pytest.approx(as_wanda(model, IDS, context), rel=1e-6 if name == "mamba" else 1e-10)
    assert (found.blocks, found.tokens) == (137 // context, (context - 1) * (137 // context))


def test_is_that_of_a_plain_loop_with_its_interval() -> None:
    model = tiny_model("llama")
    found = perplexity(model, IDS, context=20, batch_tokens=45)
    means = [
        one_at_a_time(model, IDS[start : start + 1], IDS[start + 1 : start + 20]).mean() for start in range(0, 120, 20)
    ]
    assert found.nats == pytest.approx(np.mean(means), rel=1e-12)
    assert found.standard_error == pytest.approx(stats.sem(means), rel=1e-9)
    low, high = stats.t.interval(0.95, 5, np.mean(means), stats.sem(means))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-9)


def test_of_a_uniform_model_is_its_vocabulary() -> None:
    found = perplexity(Unigram([1 / 7] * 7), [0, 3, 6, 2, 1, 5, 4, 4], context=4)
    assert (found.value, found.low, found.high) == pytest.approx((7, 7, 7), rel=1e-6)


def test_by_hand() -> None:
    # Blocks 0 1 2 | 3 0 0, the last token is left over: 1 2 cost 2 and 3 bits, 0 0 cost 1 each.
    found = perplexity(EIGHTHS, [0, 1, 2, 3, 0, 0, 3], context=3)
    assert found.nats == pytest.approx(7 / 4 * math.log(2), rel=1e-6)
    assert found.value == pytest.approx(2 ** (7 / 4), rel=1e-6)
    # Block means 2.5 and 1 bits: their standard error is half their distance.
    assert found.standard_error == pytest.approx(0.75 * math.log(2), rel=1e-6)
    assert (found.blocks, found.tokens) == (2, 4)


def test_a_text_shorter_than_a_block_is_one_block_without_interval() -> None:
    found = perplexity(EIGHTHS, [0, 1, 2, 0], context=2048)
    assert found.value == pytest.approx(2 ** (6 / 3), rel=1e-6)
    assert (found.blocks, found.tokens) == (1, 3)
    assert math.isnan(found.low)
    assert math.isnan(found.standard_error)


def test_a_limit_takes_blocks_from_all_over_the_text() -> None:
    # Ten blocks, each of its own token: bits 1 1 1 1 1 2 2 2 2 3.
    ids = [token for token in [0] * 5 + [1] * 4 + [2] for _ in range(2)]
    found = perplexity(EIGHTHS, ids, context=2, limit=2)
    assert (found.blocks, blocks_of(len(ids), 2, 2)) == (2, 2)
    assert found.nats == pytest.approx(1.5 * math.log(2), rel=1e-6)  # blocks 0 and 5
    assert perplexity(EIGHTHS, ids, context=2, limit=99) == perplexity(EIGHTHS, ids, context=2)


def test_an_impossible_token_makes_it_infinite() -> None:
    found = perplexity(Unigram([1.0, 0.0]), [0, 0, 0, 1], context=2)
    assert found.value == math.inf
    assert math.isnan(found.low)


@pytest.mark.parametrize(
    ("ids", "context", "message"),
    [([3, 4], 1, "--context 1 leaves nothing to predict"), ([3], 8, "a text of 1 tokens has nothing to predict")],
)
def test_nothing_to_predict_is_refused(ids: list[int], context: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        perplexity(EIGHTHS, ids, context=context)


RAW = " \n = Title = \n \n A paragraph of it . \n Another , here . \n \n"
"""As in ``wiki.test.raw``."""

HUB_ROWS = ["", " = Title = \n", "", " A paragraph of it . \n", " Another , here . \n", ""]
"""The same, as the hub has it."""


def test_wikitext_is_joined_as_the_papers_join_the_rows_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "raw.txt").write_text(RAW, encoding="utf-8")
    (tmp_path / "crlf.txt").write_text(RAW.replace("\n", "\r\n"), encoding="utf-8", newline="")
    rows = "".join(json.dumps({"text": row}) + "\n" for row in HUB_ROWS)
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    for name in ("raw.txt", "crlf.txt", "rows.jsonl"):
        assert joined_text(f"wikitext2@{tmp_path / name}")[0] == "\n\n".join(HUB_ROWS)


def test_other_texts_are_joined_by_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"text": "one"}\n{"text": " "}\n{"text": "two"}\n', encoding="utf-8")
    assert joined_text(str(tmp_path / "own.jsonl")) == ("one\n\ntwo", str(tmp_path / "own.jsonl"))


@pytest.fixture(scope="module")
def run(tiny_model: Path) -> Profile:
    domains = {"a": made_texts(12), "b": made_texts(12, start=31, length=14)}
    return paramscope.profile(tiny_model, domains, samples=6, held_out=6)


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model).double()


def test_held_out_losses_are_means_over_texts_of_means_over_tokens(run: Profile, loaded: Any) -> None:
    found = held_out_losses(loaded, run)
    assert list(found) == ["a", "b"]
    for domain, loss in found.items():
        held = run.tables.held_out
        rows = [list(map(int, ids)) for ids in held.loc[held["domain"] == domain, "token_ids"]]
        means = [one_at_a_time(loaded, ids[:1], ids[1:]).mean() for ids in rows]
        np.testing.assert_allclose(loss.losses, means, rtol=1e-6)
        assert loss.value == pytest.approx(np.mean(means), rel=1e-6)
        assert loss.low < loss.value < loss.high
        assert (loss.samples, loss.tokens) == (len(rows), sum(len(ids) - 1 for ids in rows))


def test_held_out_interval_follows_from_the_seed(run: Profile, loaded: Any) -> None:
    one, same, other = (held_out_losses(loaded, run, seed=seed)["a"] for seed in (0, 0, 1))
    assert (one.low, one.high) == (same.low, same.high)
    assert (one.low, one.high) != (other.low, other.high)


def test_a_limit_takes_the_first_held_out_samples_of_each_domain(run: Profile, loaded: Any) -> None:
    whole, part = held_out_losses(loaded, run), held_out_losses(loaded, run, limit=2)
    for domain in whole:
        np.testing.assert_allclose(part[domain].losses, whole[domain].losses[:2], rtol=1e-9)
