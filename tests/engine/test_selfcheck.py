"""Where the engine cannot be exact, it finds out by itself and says so."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

import paramscope
from paramscope.domains.sample import Sample, Text
from paramscope.engine.objectives import OBJECTIVES, Reading
from paramscope.engine.selfcheck import self_check
from paramscope.errors import CheckError
from paramscope.models.blocks import find_blocks, find_structure
from paramscope.profiling import check_plan
from tests.engine.architectures import ARCHITECTURES, random_ids, tiny_model
from tests.engine.custom import Block, Changed, Model
from tests.engine.runs import plan_of

GIVEN = {"a": [[3, 9, 4, 1, 7], [8, 2, 3], [5, 5, 30, 11, 2, 6, 7]]}


def refused(model: nn.Module, message: str) -> None:
    with pytest.raises(CheckError, match=message) as raised:
        paramscope.profile(model, GIVEN)
    assert raised.value.exit_code == 3
    assert "\n" not in str(raised.value)


def test_a_weight_shared_by_two_blocks_is_refused() -> None:
    model: Any = Model([Block(), Block()])
    model.blocks[1].up.weight = model.blocks[0].up.weight
    refused(model, r"blocks\.1\.up and blocks\.0\.up are one shared weight")


def test_two_modules_of_one_block_that_share_a_weight_are_refused() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return block.plain(block.other(hidden))

    model: Any = Model([Changed(run), Block()])
    model.blocks[0].other = nn.Linear(12, 12, bias=False).double()
    model.blocks[0].other.weight = model.blocks[0].mix.weight
    refused(model, r"blocks\.0\.other and blocks\.0\.mix are one shared weight")


def test_a_weight_shared_with_the_head_is_refused() -> None:
    model: Any = Model([Block(), Block()])
    model.blocks[1].tied = nn.Linear(12, 31, bias=False).double()
    model.blocks[1].tied.weight = model.head.weight
    model.blocks[1].forward = lambda hidden: hidden + model.blocks[1].tied(hidden)[..., :12]
    refused(model, r"the activations of blocks\.1\.tied differ from plain autograd by")


def test_a_tensor_handed_on_through_an_object_is_refused() -> None:
    box: list[torch.Tensor] = []

    def write(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        box[:] = [block.mix(hidden)]
        return block.plain(hidden)

    def read(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return block.plain(hidden + box[0])

    refused(Model([Changed(write), Changed(read)]), r"activations of blocks\.0\.\w+ differ from plain autograd by")


def test_noise_in_the_model_is_refused() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return block.plain(hidden) * (1 + 1e-7 * torch.rand_like(hidden))

    refused(Model([Changed(run), Block()]), r"differ from plain autograd by \S+ \(at most 1e-09 is expected in float64")


def test_an_activation_that_is_not_a_number_is_refused() -> None:
    class Overflow(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, value: torch.Tensor) -> torch.Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
            return gradient * float("nan")

    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return block.plain(hidden) + Overflow.apply(block.mix(hidden))

    # All modules but one are exact, and NaN compares with nothing.
    refused(Model([Changed(run), Block()]), r"the activations of blocks\.0\.mix differ from plain autograd by inf")


@pytest.mark.parametrize(
    ("order", "came"), [([1, 0], "at block 0 it came to block 1"), ([0, 1, 0, 1], "at block 2 it came to block 0")]
)
def test_blocks_out_of_order_or_run_twice_are_refused(order: list[int], came: str) -> None:
    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        for number in order:
            hidden = blocks[number](hidden)
        return hidden

    refused(Model([Block(), Block()], wire), rf"does not run its blocks one after the other \({came}\)")


def test_a_model_that_leaves_a_block_out_is_refused() -> None:
    refused(Model([Block(), Block()], lambda blocks, hidden: blocks[0](hidden)), r"at block 1 it came to its end")


def test_a_block_that_stands_in_the_list_twice_is_refused_and_left_as_it_was() -> None:
    block = Block()
    refused(Model([block, block]), r"are one shared weight|one after the other")
    assert "forward" not in vars(block)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("objective", ["max-logit", "mean-logprob"])
def test_half_precision_passes_with_its_own_tolerance(dtype: torch.dtype, objective: str) -> None:
    model = tiny_model("llama", dtype=dtype)
    profile = paramscope.profile(model, {"a": random_ids([9, 3, 12, 6])}, objective=objective)
    check = profile.manifest.self_check
    assert 0 < check.largest_relative_error < check.tolerance == 0.1
    assert profile.manifest.engine.dtype == str(dtype).removeprefix("torch.")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_text_of_one_token_passes(name: str, dtype: torch.dtype) -> None:
    # Attention looks at one position: query and key have activation 0, and rounding may leave something of it.
    model = tiny_model(name, dtype=dtype)
    structure = find_structure(model)
    alone = structure.routes or dtype == torch.float64
    readings = [Reading((7,), (0,)), *([] if alone else [Reading((5, 9, 4, 11, 3, 8), (5,))])]
    found = self_check(model, structure.blocks, readings, OBJECTIVES["max-logit"], "one token")
    assert found.largest_relative_error < found.tolerance / 10
    assert re.fullmatch(r"[\w.]+\.\d+\.[\w.]+", found.module)


@pytest.mark.parametrize("objective", ["target-logprob", "mean-logprob"])
def test_a_short_text_before_a_large_vocabulary_passes(objective: str) -> None:
    # Plain autograd itself is inexact for so few rows of the head, see engine.batches.HEAD_ROWS.
    model = tiny_model("llama", dtype=torch.float32, vocab_size=50_000, num_hidden_layers=2)
    with torch.no_grad():
        model.get_output_embeddings().weight.add_(0.3)
    short, long = (Sample(Text(""), ids, (4,)) for ids in ((5, 6, 7), (8, 9, 3, 5, 6, 7, 8)))
    readings = [OBJECTIVES[objective].read(sample) for sample in (short, long)]
    found = self_check(model, find_blocks(model), readings, OBJECTIVES[objective], "short")
    assert found.largest_relative_error < 5e-6


def test_a_wrong_module_is_found_though_it_carries_a_ten_thousandth_of_the_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_model("llama", dtype=torch.float32)
    with torch.no_grad():
        model.get_submodule("model.layers.1.self_attn.q_proj").weight.mul_(1e-3)
    from paramscope.engine import selfcheck

    captures = selfcheck._engine_captures

    def wrong(*args: Any) -> dict[str, Any]:
        found = captures(*args)
        ((inputs, gradients),) = found["model.layers.1.self_attn.q_proj"]
        return found | {"model.layers.1.self_attn.q_proj": [(inputs, 3 * gradients)]}

    monkeypatch.setattr(selfcheck, "_engine_captures", wrong)
    with pytest.raises(CheckError, match=r"the activations of model\.layers\.1\.self_attn\.q_proj differ"):
        paramscope.profile(model, {"a": random_ids([9, 3, 12, 6])})


@pytest.mark.parametrize("name", ["gemma2", "bloom", "gpt2"])
@pytest.mark.parametrize("seed", range(3))
def test_float64_is_exact_where_the_model_rounds_longer_rows_otherwise(name: str, seed: int) -> None:
    # Eager attention takes its softmax in float32; texts of 17 to 33 tokens are long enough to be added up otherwise.
    model = tiny_model(name, attn_implementation="eager")
    given = {"a": random_ids([17, 20, 33, 25, 25], seed=seed), "b": random_ids([30, 19, 21], seed=seed + 9)}
    profile = paramscope.profile(model, given, samples=5, objective="mean-logprob")
    assert profile.manifest.self_check.largest_relative_error <= 1e-12
    assert sum(profile.manifest.engine.micro_batches) == 8


@pytest.mark.parametrize("lengths", [[9, 9, 9, 4], [4, 6, 9, 9], [4, 9, 9, 9]])
def test_the_checked_sample_is_padded_where_lengths_differ(lengths: list[int]) -> None:
    plan = plan_of(tiny_model("llama", dtype=torch.float32), {"a": random_ids(lengths)})
    number = int(check_plan(plan).sample.removeprefix("a, sample "))
    assert len(plan.readings[number].input_ids) < 9
