"""One training: against slow references, and the model comes back bit for bit."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from paramscope.actions.pilots.lora import adapters_of
from paramscope.actions.pilots.material import ordered
from paramscope.actions.pilots.sizes import BATCH, Speed, fitting_sizes, fixed_sizes
from paramscope.actions.pilots.training import adapted, text_losses, train
from paramscope.actions.tuning.signals import explained_variance, gradient_norms, signal_to_noise, weight_signal
from paramscope.models.blocks import find_blocks
from tests.actions.tuned_runs import lean
from tests.engine.architectures import random_ids, tiny_model
from tests.engine.test_model_unchanged import mixed, unchanged

TEXTS = random_ids([9, 5, 12, 7, 3, 8, 11, 6])
RANKS = {
    f"model.layers.{layer}.{name}": rank
    for layer, name, rank in ((0, "self_attn.q_proj", 2), (1, "mlp.down_proj", 3), (2, "mlp.up_proj", 1))
}
GPT2 = {"transformer.h.0.attn.c_attn": 2, "transformer.h.2.mlp.c_proj": 1}


_lean = pytest.fixture(autouse=True, scope="module")(lean)


def reference_losses(model: Any, texts: list[list[int]]) -> list[float]:
    """One text at a time, token by token, in float64."""
    wide = copy.deepcopy(model).double().eval()
    found = []
    with torch.no_grad():
        for ids in texts:
            logs = functional.log_softmax(wide(input_ids=torch.tensor([ids])).logits[0].double(), -1)
            found.append(-sum(float(logs[i, ids[i + 1]]) for i in range(len(ids) - 1)) / (len(ids) - 1))
    return found


@pytest.mark.parametrize("name", ["llama", "gpt2", "mixtral", "opt"])
@pytest.mark.parametrize("batch", [1, 3, 8])
def test_losses_are_those_of_each_text_alone(name: str, batch: int) -> None:
    model = tiny_model(name)
    found = text_losses(model, TEXTS, batch=batch)
    np.testing.assert_allclose(found, reference_losses(model, TEXTS), rtol=1e-5)


def reference_training(model: Any, ranks: dict[str, int], texts: list[list[int]], rate: float, seed: int) -> Any:
    """AdamW step by step over a copy with PEFT's adapters, without the trainer."""
    from paramscope.actions.pilots.lora import inject, lora_config

    other = copy.deepcopy(model)
    torch.manual_seed(seed)
    inject(other, lora_config(ranks, other))
    wanted = [p for p in other.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=rate, weight_decay=0.0)
    steps = len(texts) // 2
    warm = steps // 10
    other.train()
    for step in range(steps):
        share = step / warm if step < warm else (steps - step) / max(steps - warm, 1)
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        total: Any = 0.0
        count = 0
        for ids in texts[2 * step : 2 * step + 2]:
            logits = other(input_ids=torch.tensor([ids])).logits[0, :-1]
            total = total + functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum")
            count += len(ids) - 1
        optimizer.zero_grad()
        (total / count).backward()
        torch.nn.utils.clip_grad_norm_(wanted, 1.0)
        optimizer.step()
    return {name: p.detach() for name, p in other.named_parameters() if p.requires_grad}


def test_training_equals_a_plain_loop() -> None:
    model = tiny_model("llama")
    expected = reference_training(model, RANKS, TEXTS, 1e-2, 5)
    with adapted(model, RANKS, 5):
        loss, seconds = train(model, TEXTS, batch=2, rate=1e-2, seed=5)
        found = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name].to(value.dtype), rtol=1e-5, atol=1e-7)
    assert any(float(value.abs().max()) > 0 for name, value in found.items() if "lora_B" in name)
    assert np.isfinite(loss)
    assert seconds > 0


@pytest.mark.parametrize(("name", "ranks"), [("llama", RANKS), ("gpt2", GPT2)])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt, RuntimeError])
def test_a_training_gives_the_model_back_bit_for_bit(
    name: str, ranks: dict[str, int], error: type[BaseException] | None
) -> None:
    model = mixed(name)
    settings = model.config.to_dict()
    steps = []

    def progress(done: int) -> None:
        steps.append(done)
        if error and len(steps) == 2:
            raise error

    with unchanged(model):
        try:
            with adapted(model, ranks, 0):
                assert {n: rank for n, (rank, _, _) in adapters_of(model).items()} == ranks
                train(model, TEXTS, batch=2, rate=1e-2, seed=0, progress=progress)
        except (KeyboardInterrupt, RuntimeError):
            assert error
    assert len(steps) == (2 if error else 4)
    assert not adapters_of(model)
    assert model.config.to_dict() == settings
    assert not hasattr(model, "peft_config")


def test_hooks_and_patches_of_the_user_stay() -> None:
    model = tiny_model("llama", dtype=torch.float32)
    block = model.get_submodule("model.layers.1")
    plain, calls = block.forward, []
    block.forward = lambda *args, **kwargs: calls.append("patch") or plain(*args, **kwargs)  # type: ignore[func-returns-value]
    block.mlp.register_forward_hook(lambda *_: calls.append("hook"))
    with unchanged(model), adapted(model, RANKS, 0):
        train(model, TEXTS, batch=4, rate=1e-2, seed=0)
    assert set(calls) == {"patch", "hook"}


def test_chance_outside_goes_on_as_if_nothing_had_been() -> None:
    model = tiny_model("llama")
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    with adapted(model, RANKS, 0):
        train(model, TEXTS, batch=4, rate=1e-2, seed=0)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_a_training_follows_its_seed_alone() -> None:
    def trained(seed: int, noise: int) -> np.ndarray:
        torch.manual_seed(noise)
        model = tiny_model("llama")
        with adapted(model, RANKS, seed):
            train(model, TEXTS, batch=2, rate=1e-2, seed=seed)
            return text_losses(model, TEXTS, batch=4)

    np.testing.assert_array_equal(trained(1, 0), trained(1, 7))
    assert (trained(1, 0) != trained(2, 0)).any()


def test_texts_come_in_an_order_of_the_seed_and_each_once_before_any_twice() -> None:
    texts = [[i] for i in range(7)]
    found = ordered(texts, 17, 3)
    assert found == ordered(texts, 17, 3)
    assert found != ordered(texts, 17, 4)
    assert sorted(map(list, found[:7])) == sorted(map(list, found[7:14])) == texts
    assert ordered(texts, 9, 3) == found[:9]


def reference_gradients(model: nn.Module, texts: list[list[int]]) -> list[float]:
    model = copy.deepcopy(model)
    blocks = find_blocks(model)
    squares = np.zeros(len(blocks))
    for ids in texts:
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1]
        loss = functional.cross_entropy(logits, torch.tensor(ids[1:]))
        for layer, block in enumerate(blocks):
            for weight in block.weights:
                (gradient,) = torch.autograd.grad(loss, weight.parameter, retain_graph=True)
                squares[layer] += float(gradient.square().sum())
    return list(np.sqrt(squares / len(texts)))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_gradient_norms_are_those_of_autograd(name: str) -> None:
    model = tiny_model(name)
    with unchanged(model):
        found = gradient_norms(model, find_blocks(model), TEXTS)
    np.testing.assert_allclose(found, reference_gradients(model, TEXTS), rtol=1e-5)


def test_signal_rises_over_noise_with_a_planted_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 90, generator=generator) / 30
    direction = torch.outer(torch.ones(60), torch.ones(90)) / 30
    values = torch.linalg.svdvals(noise.double()).numpy()
    low, high = np.quantile(values, [0.25, 0.75])
    bound = (high - low) / 1.349 * (1 + np.sqrt(60 / 90))
    expected = values[values > bound].sum() / values[values <= bound].sum() / values.max()
    assert weight_signal(noise) == pytest.approx(expected, rel=1e-4)
    planted = [
        weight_signal(noise + scale * direction) * float(torch.linalg.matrix_norm(noise + scale * direction, 2))
        for scale in (0.0, 1.0, 4.0)
    ]
    assert planted == sorted(planted)
    model = tiny_model("llama")
    scores = signal_to_noise(find_blocks(model))
    assert scores.shape == (3,)
    assert scores.mean() == pytest.approx(1.0)


def test_explained_variance_is_that_of_the_modules_inputs() -> None:
    model = tiny_model("llama", hidden_size=32, intermediate_size=48)
    blocks = find_blocks(model)
    with unchanged(model):
        found = explained_variance(model, blocks, TEXTS)
    inputs: dict[str, list[torch.Tensor]] = {}
    other = copy.deepcopy(model)
    for layer, block in enumerate(find_blocks(other)):
        for weight in block.weights:
            weight.owner.register_forward_pre_hook(
                lambda _, given, key=f"{layer}/{weight.name}": inputs.setdefault(key, []).append(given[0][0])
            )
    with torch.no_grad():
        for ids in TEXTS:
            other(input_ids=torch.tensor([ids]))
    for layer in range(len(blocks)):
        shares = []
        for key, rows in inputs.items():
            if key.startswith(f"{layer}/"):
                values = np.linalg.svd(torch.cat(rows).double().numpy(), compute_uv=False) ** 2
                shares.append(values[:16].sum() / values.sum())
        assert found[layer] == pytest.approx(np.mean(shares), rel=1e-4)


@pytest.mark.parametrize("budget", [1.0, 60.0, 900.0, 36_000.0])
@pytest.mark.parametrize("plans", [2, 4, 9])
def test_sizes_fit_the_budget_unless_it_is_too_small_for_any(budget: float, plans: int) -> None:
    speed = Speed(training=0.01, testing=0.004)
    given: dict[str, Any] = {
        "plans": plans,
        "training": [100, 60, 30, 128] * 50,
        "held_out": [[90, 20, 128] * 6, [64] * 16],
        "seeds": 2,
        "full": False,
    }
    sizes = fitting_sizes(speed, budget=budget, **given)
    least = fitting_sizes(speed, budget=1e-9, **given)
    assert sizes.expected_seconds is not None
    assert least.expected_seconds is not None
    assert sizes.expected_seconds <= max(0.8 * budget, least.expected_seconds)
    assert sizes.steps >= least.steps == 8
    assert sizes.tokens >= least.tokens
    assert sizes.batch == BATCH
    # A slower machine never gets more.
    slower = fitting_sizes(Speed(0.02, 0.008), budget=budget, **given)
    assert (slower.tokens, slower.test) <= (sizes.tokens, sizes.test) or slower.steps <= sizes.steps


def test_given_steps_are_taken_whatever_the_machine() -> None:
    sizes = fixed_sizes(longest=40, seeds=3, steps=5, full=False)
    assert (sizes.steps, sizes.tokens, sizes.seeds, sizes.expected_seconds) == (5, 40, 3, None)
    assert sizes.trials == len(sizes.rates) + 2
    full = fixed_sizes(longest=400, seeds=2, steps=None, full=True)
    assert (full.tokens, full.test, len(full.rates)) == (128, 32, 4)


def test_a_model_whose_files_were_quantised_is_trained() -> None:
    model = tiny_model("llama")
    model.is_quantized = True  # as of a GGUF file, whose weights are plain once it is read
    with unchanged(model), adapted(model, RANKS, 0):
        loss, _ = train(model, TEXTS, batch=4, rate=1e-2, seed=0)
    assert np.isfinite(loss)
