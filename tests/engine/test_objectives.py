"""The four objectives against formulas that are written out independently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from paramscope.domains.sample import Sample, Text
from paramscope.engine.batches import MicroBatch
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.errors import UsageError
from paramscope.result.profile import Profile
from paramscope.settings import OBJECTIVE_NAMES
from tests.engine.architectures import VOCABULARY, random_ids, tiny_model
from tests.engine.autograd import Case, assert_tables_equal, expected_tables, reference
from tests.engine.runs import plan_of, run

LLAMA = tiny_model("llama")
GPT2 = tiny_model("gpt2")


def tokenizer() -> PreTrainedTokenizerFast:
    """Token i is the word ``wi``."""
    words = {f"w{number}": number for number in range(VOCABULARY)}
    made = Tokenizer(models.WordLevel(words, unk_token="w0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def words(ids: Sequence[int]) -> str:
    return " ".join(f"w{token}" for token in ids)


def ids(text: str | None) -> tuple[int, ...]:
    return tuple(int(word[1:]) for word in (text or "").split())


CASES = {
    "a": [
        Text(words(text), words(target), words(foil))
        for text, target, foil in zip(
            random_ids([6, 3, 9, 1], seed=5),
            random_ids([1, 4, 2, 3], seed=6),
            random_ids([2, 1, 1, 2], seed=7),
            strict=True,
        )
    ],
    "b": [Text(words([7, 8, 9, 10]), words([11, 12, 13, 14, 15, 16]), words([12])), Text("w9 w9 w4", "w3", "w5 w1")],
}


@pytest.mark.parametrize("objective", OBJECTIVE_NAMES)
@pytest.mark.parametrize("model", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_each_objective_equals_its_formula(objective: str, model: torch.nn.Module) -> None:
    given = {
        name: [text for text in texts if objective != "mean-logprob" or len(ids(text.text)) > 1]
        for name, texts in CASES.items()
    }
    profile = run(plan_of(model, given, tokenizer(), objective=objective, batch_size=4))
    assert profile.manifest.objective == objective
    by_text = {text.text: text for texts in given.values() for text in texts}
    drawn = [by_text[text] for text in profile.samples["text"]]
    cases = [Case(ids(text.text), ids(text.target), ids(text.foil)) for text in drawn]
    blocks = "model.layers" if model is LLAMA else "transformer.h"
    found = reference(model, blocks, cases, objective)
    np.testing.assert_allclose(profile.samples["objective"], found.values, rtol=1e-10)
    assert_tables_equal(profile.tables, expected_tables(profile, found), 1e-9, counts=False)
    assert profile.manifest.self_check.largest_relative_error < 1e-9
    assert profile.samples["token"].tolist() == [looked_at(model, case, objective) for case in cases]


def looked_at(model: torch.nn.Module, case: Case, objective: str) -> int:
    if objective == "max-logit":
        with torch.no_grad():
            return int(model(input_ids=torch.tensor([case.ids])).logits[0, -1].argmax())
    return case.ids[1] if objective == "mean-logprob" else case.target[0]


def test_the_objective_of_an_impossible_target_is_measured_too() -> None:
    text = Text("w5 w6 w7", "w1 w2 w3 w4")
    profile: Profile = run(plan_of(LLAMA, {"a": [text]}, tokenizer(), objective="target-logprob"))
    assert profile.samples["objective"][0] < -10
    assert (profile.concentration()["total"] > 0).all()


def test_the_first_token_is_taken_at_a_tie_and_stays_fixed() -> None:
    logits = torch.tensor([[[0.0, 3.0, 1.0, 3.0]], [[5.0, 1.0, 5.0, 5.0]]], dtype=torch.float64, requires_grad=True)
    values, tokens = OBJECTIVES["max-logit"].evaluate(logits, [Reading((1,), (0,))] * 2)
    values.sum().backward()
    assert values.tolist() == [3.0, 5.0]
    assert tokens.tolist() == [1, 0]
    # The whole gradient goes to that one token; a maximum would share it among the equal ones.
    assert logits.grad is not None
    assert logits.grad[:, 0].tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]


def test_a_tie_between_tokens_of_a_model_takes_the_first() -> None:
    model = tiny_model("llama")
    profile = run(plan_of(model, {"a": [[5, 6, 7]]}))
    token = profile.samples["token"][0]
    head = model.get_output_embeddings().weight
    assert token < VOCABULARY - 1
    with torch.no_grad():
        head[VOCABULARY - 1] = head[token]
    assert run(plan_of(model, {"a": [[5, 6, 7]]})).samples["token"][0] == token


def test_rows_beyond_a_readings_own_positions_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    short = Reading((1, 2, 3), (0, 1), (2, 3))
    long = Reading((1, 2, 3, 4, 5, 6), (0, 1, 2, 3, 4), (2, 3, 4, 5, 6))
    for name in ("target-logprob", "mean-logprob"):
        both, _ = OBJECTIVES[name].evaluate(logits, [short, long])
        alone, _ = OBJECTIVES[name].evaluate(logits[:1, :2], [short])
        assert both[0] == pytest.approx(float(alone[0]), rel=1e-14)


@pytest.mark.parametrize("name", ["target-logprob", "mean-logprob"])
def test_the_gradient_of_a_float32_logprob_is_right_to_the_last_digits(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    exact = 3 * torch.randn(1, 1, 20000, generator=generator, dtype=torch.float64)
    exact[0, 0, 5] = 30.0  # next to certain, as after training
    logits = exact.float()
    gradients = []
    for values in (logits, logits.double()):
        values.requires_grad_()
        OBJECTIVES[name].evaluate(values, [Reading((1,), (0,), (5,))])[0].sum().backward()
        assert values.grad is not None
        gradients.append(values.grad.double())
    assert (gradients[0] - gradients[1]).norm() < 1e-6 * gradients[1].norm()


def test_the_head_is_exact_over_a_large_vocabulary_in_float32() -> None:
    # Few rows of a product over a long dimension are added up inexactly by some BLAS; the error grows downwards.
    model = tiny_model("llama", vocab_size=50_000, num_hidden_layers=2)
    with torch.no_grad():
        model.get_output_embeddings().weight.add_(0.3)  # a common direction, as real embeddings have
    given = {"a": [Text("w5 w6 w7 w8 w9", "w4"), Text("w8 w9 w3", "w60")]}
    cases = [Case(ids(text.text), ids(text.target)) for text in given["a"]]
    found = reference(model, "model.layers", cases, "target-logprob")
    single = run(plan_of(model.float(), given, tokenizer(), objective="target-logprob"))
    by_text = {text.text: place for place, text in enumerate(given["a"])}
    order = [by_text[text] for text in single.samples["text"]]
    for layer, activations in enumerate(found.layers):
        vectors = np.concatenate([a[order].reshape(2, -1) for a in activations.values()], 1)
        np.testing.assert_allclose(single.tables.gram[layer], vectors @ vectors.T, rtol=5e-6)


@pytest.mark.parametrize("samples", [1, 2, 3, 5, 16, 33])
@pytest.mark.parametrize("width", [1, 7, 16])
def test_the_head_sees_rows_in_sixteens(samples: int, width: int) -> None:
    reading = Reading(tuple(range(20)), tuple(range(3, 3 + width)))
    positions = MicroBatch((reading,) * samples, 0).positions(torch.device("cpu"))
    assert positions.numel() % 16 == 0
    assert positions.numel() < samples * width + 16 * samples
    assert positions[0, :width].tolist() == list(reading.positions)
    assert set(positions[:, width:].flatten().tolist()) <= {2 + width}


def test_mean_logprob_refuses_a_text_of_one_token() -> None:
    with pytest.raises(UsageError, match=r"'Hi': one token, mean-logprob needs two"):
        OBJECTIVES["mean-logprob"].read(Sample(Text("Hi"), (4,)))
    with pytest.raises(UsageError, match=r"no usable text in .* 1 unfit .* sample 1: one token"):
        plan_of(LLAMA, {"a": [[4]]}, objective="mean-logprob")
    plan = plan_of(LLAMA, {"a": [[3, 4, 5], [4]]}, objective="mean-logprob")
    assert (len(plan.domains[0].samples), plan.domains[0].unfit) == (1, 1)
    assert "sample 2: one token, mean-logprob needs two" in plan.warnings[0]


def test_logit_difference_refuses_answers_that_begin_alike() -> None:
    sample = Sample(Text("2 + 2 =", " four", " forty"), (4, 5), (7, 8), (7, 9))
    message = r"'2 \+ 2 =': target ' four' and foil ' forty' begin with the same token, so their logits are equal"
    with pytest.raises(UsageError, match=message):
        OBJECTIVES["logit-difference"].read(sample)


def test_every_objective_name_of_the_settings_is_there() -> None:
    assert tuple(OBJECTIVES) == OBJECTIVE_NAMES
