"""Blocks that exchange more than one hidden state, or are built unusually, are measured exactly all the same."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import paramscope
from paramscope.errors import CheckError
from paramscope.result.profile import Profile
from tests.engine.autograd import assert_tables_equal, drawn, expected_tables, reference
from tests.engine.custom import Block, Changed, Model

GIVEN = {
    "a": [[3, 9, 4, 1, 7], [8, 2], [5, 5, 30, 11, 2, 6, 7]],
    "b": [[12, 13, 14], [2, 4, 6, 8]],
}


def check(model: nn.Module, *, counts: bool = True, **settings: Any) -> Profile:
    """Profile in three micro-batches and compare with the reference."""
    profile = paramscope.profile(model, GIVEN, batch_size=2, **settings)
    found = reference(model, "blocks", drawn(profile, GIVEN), settings.get("objective", "max-logit"))
    assert_tables_equal(profile.tables, expected_tables(profile, found), 1e-9, counts=counts)
    assert profile.manifest.self_check.largest_relative_error < 1e-9
    return profile


@pytest.mark.parametrize("objective", ["max-logit", "mean-logprob"])
def test_plain_blocks_without_an_output_embedding_are_exact(objective: str) -> None:
    check(Model([Block(), Block(), Block()]), objective=objective)


def test_one_block_is_enough() -> None:
    check(Model([Block()]))


def test_a_second_stream_beside_the_hidden_state_is_exact() -> None:
    def run(block: Changed, hidden: torch.Tensor, side: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = block.plain(hidden + 0.3 * side)
        return out, side * torch.sigmoid(out)

    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        side = 0.5 * hidden
        for block in blocks:
            hidden, side = block(hidden, side)
        return hidden + side

    check(Model([Changed(run), Changed(run), Changed(run)], wire))


def test_a_skip_from_the_first_block_to_the_third_is_exact() -> None:
    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        first = blocks[0](hidden)
        second = blocks[1](first)
        third = blocks[2](second + torch.tanh(first))
        return blocks[3](third) * first

    check(Model([Block() for _ in range(4)], wire))


def test_outputs_kept_for_the_end_are_exact() -> None:
    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        kept = []
        for block in blocks:
            hidden = block(hidden)
            kept.append(hidden)
        return torch.stack(kept).softmax(0).mul(torch.stack(kept)).sum(0)

    check(Model([Block(), Block(), Block()], wire))


class Streams(NamedTuple):
    hidden: torch.Tensor
    memory: dict[str, Any]


def test_nested_arguments_and_outputs_are_exact() -> None:
    def run(block: Changed, streams: Streams, *, scale: torch.Tensor, flags: list[Any]) -> Streams:
        assert flags == [True, None]
        assert not scale.is_floating_point()
        memory = [streams.hidden, *streams.memory["all"]]
        out = block.plain(streams.hidden) + sum(m.mean(-1, keepdim=True) for m in memory) * scale
        return Streams(out, {"all": memory, "note": "kept"})

    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        streams = Streams(hidden, {"all": []})
        for block in blocks:
            streams = block(streams, scale=torch.tensor(2), flags=[True, None])
        assert streams.memory["note"] == "kept"
        return streams.hidden

    check(Model([Changed(run), Changed(run), Changed(run)], wire))


def test_weights_between_the_blocks_are_passed_through() -> None:
    between = nn.Linear(12, 12).double()

    def wire(blocks: nn.ModuleList, hidden: torch.Tensor) -> torch.Tensor:
        for block in blocks:
            hidden = between(block(hidden)).relu() + hidden
        return hidden

    profile = check(Model([Block(), Block()], wire), counts=False)
    assert set(profile.modules["module"]) == {"mix", "up", "down"}


def test_a_module_used_twice_in_its_block_is_exact() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return block.plain(block.mix(hidden) + hidden)

    check(Model([Changed(run), Changed(run)]))


def test_a_module_called_by_keyword_is_exact() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + block.down(input=block.up(input=hidden).tanh()) + block.mix(input=hidden)

    check(Model([Changed(run), Changed(run)]))


def test_inputs_flattened_to_two_dimensions_are_exact() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        flat = hidden.reshape(-1, hidden.shape[-1])
        return block.plain(hidden) + block.down(block.up(flat).tanh()).view(hidden.shape)

    check(Model([Changed(run), Changed(run)]))


def test_an_output_changed_in_place_is_exact_or_refused() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        mixed = block.mix(hidden)
        mixed += hidden
        mixed.tanh_()
        return mixed + block.down(block.up(mixed).tanh())

    def with_bias(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + block.mix(hidden) + block.down(nn.functional.leaky_relu(block.up(hidden), inplace=True))

    check(Model([Changed(run), Changed(run)]))
    check(Model([Changed(with_bias)]))
    # PyTorch loses sight of a product that is a view, which the product with a bias is.
    with pytest.raises(CheckError, match=r"the activations of blocks\.1\.up differ"):
        check(Model([Changed(with_bias), Changed(with_bias)]))


def test_a_module_that_is_never_reached_has_activation_zero_and_counts() -> None:
    def run(block: Changed, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + block.down(block.up(hidden).tanh())

    profile = check(Model([Changed(run), Changed(run)]))
    unused = profile.tables.activation.query("module == 'mix'")
    assert (unused["zeros"] == 144).all()
    assert profile.parameters.tolist() == [144 + 2 * 288] * 2


def test_a_list_of_blocks_with_other_lists_beside_and_inside_it_is_found() -> None:
    class Heads(Block):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList([nn.Linear(12, 12) for _ in range(3)])

        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return super().forward(hidden) + sum(head(hidden) for head in self.heads)

    model = Model([Heads(), Heads()])
    model.aside = nn.ModuleList([nn.Linear(12, 12).double() for _ in range(2)])
    profile = check(model)
    assert profile.manifest.model.blocks == "blocks"
    assert profile.modules["module"].tolist()[:6] == ["mix", "up", "down", "heads.0", "heads.1", "heads.2"]
    np.testing.assert_array_equal(profile.parameters, [144 * 4 + 2 * 288] * 2)
