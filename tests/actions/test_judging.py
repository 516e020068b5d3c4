"""Verdicts on made-up losses, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from paramscope.actions.pilots.judging import Comparison, compare, effect, overall
from paramscope.measures.ranks import Interval, mean_interval

TEXTS = 12
BASE = np.linspace(2.0, 4.0, TEXTS)
NOISE = np.array([1, -1, 1, 1, -1, -1, 1, -1, -1, 1, 1, -1], dtype=float)


def losses(*seeds: np.ndarray, others: float = 0.0) -> dict[str, np.ndarray]:
    return {"code": np.stack(seeds), "mail": np.stack([BASE[:9] + others for _ in seeds])}


def against(*seeds: np.ndarray, others: float = 0.0) -> Comparison:
    """A plan with the base's losses against a control with others."""
    plan = losses(*(BASE for _ in seeds), others=others)
    return compare("last", plan, losses(*seeds), "code")


def test_a_plan_that_is_lower_on_every_text_is_better() -> None:
    found = against(BASE + 0.2 + 0.1 * NOISE, BASE + 0.3)
    assert found.status == "better"
    assert found.found.value == pytest.approx(-0.25)
    assert found.by_seed == pytest.approx((-0.2, -0.3))
    assert found.count == TEXTS
    assert found.needed is None
    assert found.text.startswith("-0.250 (")
    assert found.text.endswith("against last on 12 texts: better")


def test_the_interval_is_that_of_the_mean_over_seeds() -> None:
    control = [BASE + 0.2 + 0.1 * NOISE, BASE + 0.3]
    expected = mean_interval(BASE - np.mean(control, axis=0), np.zeros(TEXTS, dtype=np.int64), seed=0)
    found = against(*control).found
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_worse_is_the_reverse() -> None:
    assert against(BASE - 0.2, BASE - 0.1).status == "worse"


def test_seeds_that_disagree_show_nothing_even_where_the_interval_does() -> None:
    found = against(BASE + 0.5, BASE - 0.1)
    assert found.found.high < 0
    assert found.by_seed == pytest.approx((-0.5, 0.1))
    assert found.status == "no difference shown"


def test_within_the_margin_is_equal() -> None:
    assert against(BASE + 0.004 + 0.004 * NOISE).status == "equal"
    assert against(BASE).status == "equal"


def test_an_interval_over_zero_shows_nothing_and_says_how_many_texts_would() -> None:
    found = against(BASE + 0.05 + 0.5 * NOISE)
    assert found.status == "no difference shown"
    half = (found.found.high - found.found.low) / 2
    assert found.needed == math.ceil(TEXTS * (half / 0.05) ** 2)
    assert f"no difference shown; about {found.needed:,} texts would do" in found.text


def test_a_handful_of_texts_decides_nothing() -> None:
    plan, control = ({"code": np.full((2, 7), value)} for value in (1.0, 2.0))
    found = compare("last", plan, control, "code")
    assert found.status == "undecided"
    assert "too few texts for a verdict, at least 8 of each domain are needed" in found.text


def test_a_control_that_diverged_is_worse_than_the_plan() -> None:
    found = against(np.where(NOISE > 0, np.inf, BASE))
    assert found.status == "better"


def test_forgetting_is_of_the_other_domains_alone() -> None:
    found = against(BASE + 0.2, others=0.3)
    assert found.forgetting is not None
    assert found.forgetting.value == pytest.approx(0.3)
    assert compare("last", {"code": BASE[None]}, {"code": BASE[None]}, "code").forgetting is None


def test_an_effect_is_after_less_before() -> None:
    found = effect(BASE, np.stack([BASE - 0.2, BASE - 0.4]))
    assert found.value == pytest.approx(-0.3)
    assert found.low == found.high == pytest.approx(-0.3)


def test_a_handful_of_texts_of_one_domain_decides_nothing() -> None:
    plan, control = ({"all": np.full((2, 23), value)} for value in (1.0, 2.0))
    groups = np.repeat([0, 1], [16, 7])
    assert compare("last", plan, control, "all", groups=groups).status == "undecided"
    assert compare("last", plan, control, "all", groups=np.repeat([0, 1], [15, 8])).status == "better"


@pytest.mark.parametrize(
    ("controls", "ending"),
    [
        ([BASE + 0.2, BASE + 0.3], "better than one, two. The choice of layers pays here."),
        (
            [BASE + 0.2, BASE],
            "better than one; equal (within 0.01) to two. It is not shown to matter here whether this plan or two is "
            "trained.",
        ),
        (
            [BASE, BASE],
            "equal (within 0.01) to one, two. The choice of layers is not shown to matter here: any of these would do.",
        ),
        ([BASE - 0.1, BASE - 0.3], "worse than one, two. Take two rather than this plan."),
        ([BASE[:0]], "It was held against nothing."),
    ],
)
def test_the_whole_says_what_to_take(controls: list[np.ndarray], ending: str) -> None:
    plan = {"code": BASE[None]}
    found = [
        compare(name, plan, {"code": control[None]}, "code")
        for name, control in zip(("one", "two"), controls, strict=False)
        if len(control)
    ]
    told = overall("code", "Training layers 2", Interval(-0.5, -0.6, -0.4), found)
    assert told.startswith("Training layers 2 changes code's held-out loss by -0.500 (-0.600 to -0.400) nats per token")
    assert told.endswith(ending)
