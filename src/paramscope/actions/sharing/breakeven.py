"""When an option pays back: from a pilot's measured gain with its interval, and the reader's own value of a gain.

A gain is told in **percent of errors fewer**, ``100 (before - after) / before`` of whatever the pilot measured as loss.
The reader says what a request is worth more when one percent of the errors are gone (``value``). Nothing is worth
anything that was not measured: domains without a measurement bring nothing, and an option without any has costs only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from paramscope.actions.sharing.costs import OPTIONS, UNTUNED
from paramscope.actions.sharing.figures import figure
from paramscope.actions.sharing.prices import Prices
from paramscope.errors import UsageError
from paramscope.language import _, again, mark
from paramscope.result.share_pilot import DOCUMENT, SharePilot
from paramscope.result.shared import BreakEvenRecord, Figure, MeasuredGain, OptionRecord
from paramscope.result.verification import IntervalRecord
from paramscope.wording import did_you_mean, listed, quoted

UNMEASURED = mark("not measured: run the pilot")

_EXTRA = {"money once": mark("extra money once"), "money per month": mark("extra money per month")}
"""Of the figures by which options differ, what they are beyond the model as it is."""


def check_gains(gains: Sequence[MeasuredGain], domains: Sequence[str]) -> None:
    """Refuse gains that are not of this run, or contradict each other.

    Args:
        gains: of all options.
        domains: names, of the run.

    Raises:
        UsageError: a domain or option is unknown, a pair of them occurs twice, or an interval lacks its gain.
    """
    tried = [option for option in OPTIONS if option != UNTUNED]
    seen = set()
    for gain in gains:
        what = f"gain of {quoted(gain.option)} on {quoted(gain.domain)}"
        if gain.domain not in domains:
            near = did_you_mean(gain.domain, domains)
            raise UsageError(f"{what}: the run has no such domain{near}; it has {listed(domains)}")
        if gain.option not in tried:
            near = did_you_mean(gain.option, tried)
            raise UsageError(f"{what}: there is no such option{near}; give one of {', '.join(tried)}")
        if (gain.domain, gain.option) in seen:
            raise UsageError(f"{what} is given twice; give one measurement of each")
        found = gain.loss_before - gain.loss_after
        slack = 1e-9 * gain.loss_before  # of decimals that were written down
        if not gain.low - slack <= found <= gain.high + slack:
            raise UsageError(
                f"{what}: its interval {gain.low:g} to {gain.high:g} lacks the gain itself, loss_before - loss_after "
                f"= {found:g}; give the interval of that difference"
            )
        seen.add((gain.domain, gain.option))


def pilot_gains(pilot: SharePilot) -> list[MeasuredGain]:
    """What a pilot measured, as break-even takes it; of trainings that diverged there is nothing.

    Args:
        pilot: of the run.

    Returns:
        A gain for every domain and every way that is an option.
    """
    found = []
    for way in pilot.outcome.ways:
        for domain, change in way.domains.items():
            before = [value for value in pilot.before[domain] if value is not None]
            if way.name not in OPTIONS or None in (change.value, change.low, change.high) or not before:
                continue
            mean = sum(before) / len(before)
            assert change.value is not None
            assert change.low is not None
            assert change.high is not None
            found.append(
                MeasuredGain(
                    domain=domain,
                    option=way.name,
                    loss_before=mean,
                    loss_after=mean + change.value,
                    low=-change.high,
                    high=-change.low,
                    source=f"{DOCUMENT}: held-out loss in nats per token, {len(before)} texts",
                )
            )
    return found


def break_even(
    options: Sequence[OptionRecord],
    gains: Sequence[MeasuredGain],
    domains: Sequence[str],
    prices: Prices,
    value: float | None,
) -> list[BreakEvenRecord]:
    """Hold every option against the model as it is.

    Args:
        options: with their costs; the model as it is first.
        gains: that were measured, see ``check_gains``.
        domains: names, of the run.
        prices: and other assumptions.
        value: money that a request is worth more for each percent of errors fewer; None where the reader gave none.

    Returns:
        A record an option, without the model as it is.
    """
    reference, *others = options
    return [
        _record(option, reference, [gain for gain in gains if gain.option == option.name], domains, prices, value)
        for option in others
    ]


def _record(
    option: OptionRecord,
    reference: OptionRecord,
    gains: Sequence[MeasuredGain],
    domains: Sequence[str],
    prices: Prices,
    value: float | None,
) -> BreakEvenRecord:
    once, month = (_extra(option, reference, name) for name in _EXTRA)
    per_request = figure(
        mark("needed value per request"),
        f"{prices.currency} a request",
        "(once / horizon_months + month) / requests_per_month",
        once=once,
        month=month,
        **prices.named("horizon_months", "requests_per_month"),
    )
    needed = (
        None
        if value is None
        else figure(mark("needed gain"), _FEWER, "per_request / value", per_request=per_request, value=value)
    )
    record = BreakEvenRecord(
        option=option.name,
        once=once,
        month=month,
        per_request=per_request,
        needed=needed,
        gain=_mean_percent(gains),
        measured=[gain.domain for gain in gains],
        benefit=None,
        months=None,
        requests=None,
        told="",
    )
    if record.gain is None or value is None:
        return record.model_copy(update={"told": _told(record, prices.horizon_months)})
    # Requests are spread evenly over the domains; those without a measurement bring nothing.
    worth = value * len(gains) / len(domains)  # a request, for each percent of the measured domains' mean gain
    benefit = _interval(record.gain, lambda percent: percent * worth * prices.requests_per_month)

    def months(monthly_benefit: float) -> float | None:
        left = monthly_benefit - month.value
        if once.value <= 0 and left >= 0:
            return 0.0
        return once.value / left if left > 0 else None

    def requests(percent: float) -> float | None:
        needed = once.value / prices.horizon_months + month.value
        gained = percent * worth  # a request; so little may be left of a tiny gain that it is nothing
        return max(needed, 0.0) / gained if gained > 0 else None if needed > 0 else 0.0

    paid = record.model_copy(
        update={
            "benefit": benefit,
            "months": _falling(benefit, months),
            "requests": _falling(record.gain, requests),
        }
    )
    return paid.model_copy(update={"told": _told(paid, prices.horizon_months)})


_FEWER = mark("%% of errors fewer").replace("%%", "%")


def _extra(option: OptionRecord, reference: OptionRecord, name: str) -> Figure:
    """What an option costs more than the model as it is."""
    mine, untuned = option.figure(name), reference.figure(name)
    return figure(_EXTRA[name], mine.unit, "option - untuned", option=mine, untuned=untuned)


def _mean_percent(gains: Sequence[MeasuredGain]) -> IntervalRecord | None:
    """Percent of errors fewer, the mean over the measured domains.

    The ends of the interval are the means of the domains' ends: right if all errors go one way, as those of one pilot
    may, and too wide if they are independent.
    """
    if not gains:
        return None

    def mean(percents: list[float]) -> float:
        return sum(percents) / len(percents)

    value = mean([100 * (gain.loss_before - gain.loss_after) / gain.loss_before for gain in gains])
    # Rounding must not put the mean outside of its interval.
    low = min(value, mean([100 * gain.low / gain.loss_before for gain in gains]))
    high = max(value, mean([100 * gain.high / gain.loss_before for gain in gains]))
    return IntervalRecord(value=value, low=low, high=high)


def _interval(of: IntervalRecord, function: Callable[[float], float]) -> IntervalRecord:
    """A rising function of a number and of the ends of its interval."""
    return IntervalRecord(**{end: function(value) for end, value in _ends(of).items()})


def _falling(of: IntervalRecord, function: Callable[[float], float | None]) -> IntervalRecord:
    """A falling function of a number and of the ends of its interval, which change places; None is never."""
    ends = _ends(of)
    return IntervalRecord(value=function(ends["value"]), low=function(ends["high"]), high=function(ends["low"]))


def _ends(of: IntervalRecord) -> dict[str, float]:
    return {end: number for end, number in of.model_dump().items() if number is not None}


def told_break_even(record: BreakEvenRecord, horizon: float) -> str:
    """Whether and when an option of a document pays back, in the language that is spoken.

    Args:
        record: of the option.
        horizon: months within which it should, see the document's prices.

    Returns:
        The words; those of the document where it is of another version.
    """
    return again(record.told, lambda: [_told(record, horizon)])


def _told(record: BreakEvenRecord, horizon: float) -> str:
    """Whether and when an option pays back, in words."""
    months = record.months
    if record.gain is None:
        return _(UNMEASURED)
    if months is None:
        return _("measured; with --value it is told when that pays back")
    if months.low is None:
        return _("never pays back, over the whole interval of the gain")
    told = {"soonest": _count(months.low), "horizon": f"{horizon:g}"}
    if months.value is None:
        return _("does not pay back at the measured gain; %(soonest)s months at the soonest, may never", **told)
    told["months"] = _count(months.value)
    if months.high is None:
        return _(
            "pays back in %(months)s months (%(soonest)s months at the soonest, may never); not surely within "
            "%(horizon)s",
            **told,
        )
    told["latest"] = _count(months.high)
    if months.high <= horizon:
        return _("pays back in %(months)s months (%(soonest)s months at the soonest, %(latest)s at the latest)", **told)
    return _(
        "pays back in %(months)s months (%(soonest)s months at the soonest, %(latest)s at the latest); not surely "
        "within %(horizon)s",
        **told,
    )


def _count(months: float) -> str:
    """A number of months, never the bare 1 that would want a singular."""
    return f"{months:.1f}" if months < 9.95 else f"{months:,.0f}"
