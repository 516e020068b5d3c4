"""When an option pays back, by hand; nothing is worth anything that was not measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramscope.actions.sharing.breakeven import UNMEASURED, break_even, check_gains
from paramscope.actions.sharing.figures import figure
from paramscope.actions.sharing.prices import load_prices
from paramscope.errors import UsageError
from paramscope.result.shared import BreakEvenRecord, MeasuredGain, OptionRecord
from paramscope.sharing import load_gains

DOMAINS = ["support", "code"]
PRICES = load_prices(requests_per_month=1000.0)  # pays back within 12 months


def option(name: str, once: float, month: float) -> OptionRecord:
    figures = [figure("money once", "USD", f"{once}"), figure("money per month", "USD a month", f"{month}")]
    return OptionRecord(name=name, text=name, layers=[], figures=figures)


OPTIONS = [option("untuned", 0, 100), option("shared", 600, 150), option("adapters", 1200, 200)]


def gain(
    domain: str, option: str = "adapters", change: float = 0.2, low: float = 0.1, high: float = 0.3
) -> MeasuredGain:
    """Of a loss of 2 at first, so that 0.2 is 10 percent."""
    return MeasuredGain(
        domain=domain,
        option=option,
        loss_before=2.0,
        loss_after=2.0 - change,
        low=low,
        high=high,
        source="pilot",
    )


BOTH = [gain("support"), gain("code")]


def found(gains: list[MeasuredGain], value: float | None = 0.1, name: str = "adapters") -> BreakEvenRecord:
    records = break_even(OPTIONS, gains, DOMAINS, PRICES, value)
    return next(record for record in records if record.option == name)


def test_costs_are_those_beyond_the_model_as_it_is() -> None:
    record = found([])
    assert (record.once.value, record.month.value) == (1200, 100)
    assert [record.option for record in break_even(OPTIONS, [], DOMAINS, PRICES, None)] == ["shared", "adapters"]


def test_nothing_is_worth_anything_that_was_not_measured() -> None:
    for record in (found([]), found([gain("support", "shared")])):
        assert record.told == UNMEASURED == "not measured: run the pilot"
        assert (record.gain, record.benefit, record.months, record.requests) == (None, None, None, None)
        assert record.per_request.value == pytest.approx((1200 / 12 + 100) / 1000)
        assert record.needed is not None
        assert record.needed.value == pytest.approx(0.2 / 0.1)


def test_without_a_value_there_is_no_money_from_a_gain() -> None:
    record = found(BOTH, value=None)
    assert record.gain is not None
    assert record.gain.value == pytest.approx(10)
    assert (record.needed, record.benefit, record.months, record.requests) == (None, None, None, None)
    assert "--value" in record.told


def test_months_and_requests_by_hand() -> None:
    record = found(BOTH)
    assert record.gain is not None
    assert record.benefit is not None
    assert record.months is not None
    assert record.requests is not None
    assert list(record.gain.model_dump().values()) == pytest.approx([10, 5, 15])
    # 1,000 requests at 0.1 for each of 10 (5 to 15) percent; 100 a month more are spent.
    assert list(record.benefit.model_dump().values()) == pytest.approx([1000, 500, 1500])
    assert list(record.months.model_dump().values()) == pytest.approx([1200 / 900, 1200 / 1400, 1200 / 400])
    assert list(record.requests.model_dump().values()) == pytest.approx([200 / 1, 200 / 1.5, 200 / 0.5])
    assert record.told == "pays back in 1.3 months (0.9 months at the soonest, 3.0 at the latest)"


def test_only_measured_domains_bring_something() -> None:
    one, both = found([gain("support")]), found(BOTH)
    assert one.measured == ["support"]
    assert one.benefit is not None
    assert both.benefit is not None
    assert one.benefit.value == pytest.approx((both.benefit.value or 0) / 2)
    assert one.requests is not None
    assert one.requests.value == pytest.approx(400)


def test_interval_is_the_mean_of_the_domains_intervals() -> None:
    record = found([gain("support", change=0.2, low=0.1, high=0.3), gain("code", change=0.0, low=-0.2, high=0.1)])
    assert record.gain is not None
    assert list(record.gain.model_dump().values()) == pytest.approx([5, -2.5, 10])


def test_an_end_without_a_payback_is_never() -> None:
    record = found([gain("support", change=0.06, low=-0.1, high=0.2), gain("code", change=0.06, low=-0.1, high=0.2)])
    assert record.months is not None
    assert record.requests is not None
    assert record.months.high is None
    assert record.requests.high is None
    assert record.told == "pays back in 6.0 months (1.3 months at the soonest, may never); not surely within 12"


def test_a_gain_too_small_for_the_monthly_cost_never_pays_back_but_may() -> None:
    record = found([gain(name, change=0.01, low=-0.1, high=0.2) for name in DOMAINS])
    assert record.months is not None
    assert (record.months.value, record.months.high) == (None, None)
    assert record.told == "does not pay back at the measured gain; 1.3 months at the soonest, may never"


def test_a_loss_never_pays_back() -> None:
    record = found([gain(name, change=-0.2, low=-0.3, high=-0.1) for name in DOMAINS])
    assert record.months is not None
    assert list(record.months.model_dump().values()) == [None, None, None]
    assert record.requests is not None
    assert list(record.requests.model_dump().values()) == [None, None, None]
    assert record.told == "never pays back, over the whole interval of the gain"


def test_what_costs_nothing_more_pays_back_at_once() -> None:
    free = [OPTIONS[0], option("adapters", 0, 100)]
    record = break_even(free, BOTH, DOMAINS, PRICES, 0.1)[0]
    assert record.months is not None
    assert record.months.value == 0
    assert record.requests is not None
    assert record.requests.value == 0


@given(
    once=st.floats(1, 1e6),
    month=st.floats(0, 1e4),
    change=st.floats(-0.5, 1.5),
    below=st.floats(0, 1),
    above=st.floats(0, 0.5),
    value=st.floats(1e-4, 10),
)
def test_ends_are_in_order_and_the_payback_repays(
    once: float, month: float, change: float, below: float, above: float, value: float
) -> None:
    gains = [gain(name, change=change, low=change - below, high=change + above) for name in DOMAINS]
    record = break_even([OPTIONS[0], option("adapters", once, 100 + month)], gains, DOMAINS, PRICES, value)[0]
    assert record.months is not None
    assert record.benefit is not None
    never = float("inf")
    low, middle, high = (
        never if end is None else end for end in (record.months.low, record.months.value, record.months.high)
    )
    assert low <= middle <= high
    if middle < never:
        assert record.benefit.value is not None
        extra = record.benefit.value - record.month.value
        assert middle * extra == pytest.approx(record.once.value, rel=1e-6)


@pytest.mark.parametrize(
    ("gains", "message"),
    [
        ([gain("suport")], r"gain of 'adapters' on 'suport': the run has no such domain \(did you mean 'support'\?\)"),
        ([gain("code", "adapter")], r"no such option \(did you mean 'adapters'\?\); give one of shared, adapters"),
        ([gain("code", "untuned")], "no such option; give one of shared, adapters, all-adapters, layers, copies"),
        ([gain("code"), gain("code")], "is given twice"),
        ([gain("code", change=0.4)], r"its interval 0.1 to 0.3 lacks the gain itself, .* = 0.4"),
    ],
)
def test_gains_that_are_not_of_the_run_are_refused(gains: list[MeasuredGain], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_gains(gains, DOMAINS)


def test_gains_are_read_from_json(tmp_path: Path) -> None:
    file = tmp_path / "gains.json"
    file.write_text(json.dumps([one.model_dump() for one in BOTH]))
    assert load_gains(file) == BOTH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected a JSON list of measured gains, each with domain, option, loss_before"),
        ('[{"domain": "code"}]', "0.option: Field required"),
        (json.dumps([BOTH[0].model_dump() | {"loss_before": 0}]), "0.loss_before: Input should be greater than 0"),
        (json.dumps([BOTH[0].model_dump() | {"gain": 1}]), "0.gain: Extra inputs are not permitted"),
    ],
)
def test_broken_files_of_gains_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "gains.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_gains(file)
