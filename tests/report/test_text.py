"""Numbers as words."""

from __future__ import annotations

import math

import pytest

from paramscope.report import text
from paramscope.report.environment import told_date


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.percent(0.66149), "66.1%"),
        (text.percent(1.0, 0), "100%"),
        (text.percent(math.nan), "–"),
        (text.cosine(-0.051), "−0.05"),
        (text.cosine(-0.001), "0.00"),
        (text.cosine(math.nan), "–"),
        (text.change(0.1), "+0.10"),
        (text.change(-0.1), "−0.10"),
        (text.change(-0.0001), "0.00"),
        (text.change(math.nan), "–"),
        (text.points(-0.312), "−31.2"),
        (text.interval(0.1, 0.2, text.percent), "10.0% to 20.0%"),
        (text.interval(math.nan, 0.2, text.percent), "no interval"),
        (text.compact(999), "999"),
        (text.compact(999.7), "1.00 k"),
        (text.compact(41234), "41.2 k"),
        (text.compact(106_200_000), "106 M"),
        (text.compact(1.5e9), "1.50 B"),
        (text.compact(math.inf), "–"),
        (text.scientific(2e-5), "2e-5"),
        (text.scientific(0.000231), "2.31e-4"),
        (text.scientific(0.0), "0"),
        (text.layer_range([3]), "3"),
        (text.layer_range([1, 2, 3]), "1–3"),
        (told_date("2026-03-04T05:06:07+00:00"), "4 March 2026, 05:06 UTC"),
        (told_date("2026-03-04T05:06:07"), "4 March 2026, 05:06"),
        (told_date("yesterday"), "yesterday"),
    ],
)
def test_numbers_read_well(shown: str, expected: str) -> None:
    assert shown == expected
