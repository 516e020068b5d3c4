"""Micro-batches: every sample once, limits kept, domains next to each other."""

from __future__ import annotations

from typing import Literal

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paramscope.engine.batches import MicroBatch, plan_batches
from paramscope.engine.layout import LOGITS_BYTES, logit_rows
from paramscope.engine.objectives import Reading


def reading(length: int, positions: int, tag: int) -> Reading:
    """A reading of some length; ``tag`` makes it unlike any other."""
    return Reading((tag,) * length, tuple(range(length - min(positions, length), length)))


samples = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(samples, st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 90), st.integers(1, 60))
def test_every_sample_is_in_one_batch_and_limits_are_kept(
    made: list[tuple[int, int, int]], batch_size: int | None, tokens: int, rows: int
) -> None:
    readings = [reading(length, positions, tag) for tag, (length, positions, _) in enumerate(made)]
    domains = [domain for *_, domain in made]
    batches, order = plan_batches(readings, domains, batch_size=batch_size, tokens=tokens, logit_rows=rows)
    laid = [each for batch in batches for each in batch.readings]
    assert sorted(order) == list(range(len(readings)))
    assert laid == [readings[index] for index in order]
    starts = [sum(len(b.readings) for b in batches[:place]) for place in range(len(batches))]
    assert [batch.start for batch in batches] == starts
    assert [domains[index] for index in order] == sorted(domains)
    for domain in set(domains):
        lengths = [len(readings[index].input_ids) for index in order if domains[index] == domain]
        assert lengths == sorted(lengths)
    for batch in batches:
        size = len(batch.readings)
        if batch_size:
            assert size <= batch_size
        elif size > 1:
            assert size * batch.length <= tokens
            assert size * max(len(each.positions) for each in batch.readings) <= rows
    if batch_size:
        assert all(len(batch.readings) == batch_size for batch in batches[:-1])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(samples, st.sampled_from(["right", "left"]))
def test_inputs_and_positions_point_at_the_same_tokens(
    made: list[tuple[int, int, int]], padding: Literal["right", "left"]
) -> None:
    readings = tuple(Reading(tuple(range(1, n + 1)), tuple(range(n - min(k, n), n))) for n, k, _ in made[:6])
    batch = MicroBatch(readings, 0, padding)
    inputs = batch.model_inputs(torch.device("cpu"), takes_positions=True)
    assert inputs["input_ids"].shape == (len(readings), batch.length)
    read = inputs["input_ids"].gather(1, batch.positions(torch.device("cpu")))
    for row, each in enumerate(readings):
        wanted = [each.input_ids[place] for place in each.positions]
        found = read[row].tolist()
        assert found[: len(wanted)] == wanted
        assert set(found[len(wanted) :]) <= {wanted[-1]}
        kept = inputs["input_ids"][row]
        if padding == "left":
            assert torch.equal(kept[inputs["attention_mask"][row] == 1], torch.tensor(each.input_ids))
            places = inputs["position_ids"][row][inputs["attention_mask"][row] == 1]
            assert places.tolist() == list(range(len(each.input_ids)))
        else:
            assert set(inputs) == {"input_ids"}
            assert kept[: len(each.input_ids)].tolist() == list(each.input_ids)


def test_logits_of_a_micro_batch_stay_under_their_limit() -> None:
    for vocabulary in (50_000, 262_144):
        assert logit_rows(vocabulary) * vocabulary * 8 <= LOGITS_BYTES
    assert logit_rows(10**9) == 1
    assert logit_rows(0) > 0
