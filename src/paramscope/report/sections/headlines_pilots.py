"""Findings about tuning: what pilots showed, and what that cost other domains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from paramscope.actions.pilots.judging import MARGIN
from paramscope.language import _
from paramscope.report.material import Material
from paramscope.report.sections.finding import Finding
from paramscope.report.sections.pilots import harm
from paramscope.report.text import change, interval
from paramscope.result.tuned import PilotRecord, TunedDomain
from paramscope.wording import sentences


def pilot_findings(material: Material) -> Iterator[Finding]:
    """What tuning pilots showed: the first domain's, and what other domains lost by any."""
    made = [(tuned, pilot) for tuned, pilot in material.piloted if pilot.effects]
    if not made:
        return
    tuned, pilot = made[0]
    found = pilot.effects[0].domain
    value, low, high = (math.nan if end is None else end for end in (found.value, found.low, found.high))
    name = material.shown(tuned.domain)
    if high < -MARGIN:
        status, sentence = "supported", _("Tuning helps %(name)s: its held-out loss falls.", name=name)
    elif low > -MARGIN:
        status, sentence = (
            "not supported",
            _("That tuning helps %(name)s does not hold: its held-out loss did not fall.", name=name),
        )
    else:
        status, sentence = "undecided", _("Whether tuning for %(name)s lowers its loss is open.", name=name)
    counts = Counter(each.status for each in pilot.comparisons)
    against = _(
        "Against %(all)s controls of equal size: better than %(better)s, worse than %(worse)s.",
        all=len(pilot.comparisons),
        better=counts["better"],
        worse=counts["worse"],
    )
    yield Finding(
        status,
        sentence,
        change(value, 3),
        interval(low, high, lambda end: change(end, 3)) if math.isfinite(low) else "",
        _("nats per token, in a short pilot"),
        sentences(against, *_harm(material, made)),
        "invest",
    )


def _harm(material: Material, made: Sequence[tuple[TunedDomain, PilotRecord]]) -> Iterator[str]:
    """What another domain lost by a pilot's plan, where that is more than may be."""
    for tuned, pilot in made:
        harmed = harm(pilot)
        if harmed:
            yield _(
                "Tuning for %(name)s raised the loss of %(other)s by %(loss)s.",
                name=material.shown(tuned.domain),
                other=material.shown(harmed[0]),
                loss=f"{harmed[1]:.3f}",
            )
