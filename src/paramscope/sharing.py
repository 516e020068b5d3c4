"""What the domains of a run can share, what that costs and when it pays back; needs neither the model nor torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from paramscope.actions.sharing.breakeven import break_even, check_gains, pilot_gains
from paramscope.actions.sharing.costs import cost_options
from paramscope.actions.sharing.curve import (
    bearing_findings,
    compare_layers,
    in_order,
    removal_check,
    sharing_curve,
)
from paramscope.actions.sharing.groups import ALL_LAYERS, domain_tree, supported_groups
from paramscope.actions.sharing.prices import VALUE_BOUNDS, load_prices
from paramscope.actions.sharing.shape import Shape, model_shape
from paramscope.domains.readers import read_utf8
from paramscope.errors import UsageError
from paramscope.language import _, again, term
from paramscope.measures.resample import Resampler
from paramscope.measures.similarity import FEWEST
from paramscope.result.manifest import first_fault
from paramscope.result.profile import Profile
from paramscope.result.share_pilot import SharePilot, read_share_pilot
from paramscope.result.shared import LayerRecord, MeasuredGain, Shared, TreeRecord, write_shared
from paramscope.result.verification import load_checks, run_digest
from paramscope.settings import is_positive
from paramscope.wording import listed, sentences

RANK = 8
"""Of LoRA adapters, where nothing else is asked for."""


def share(
    profile: Profile | str | os.PathLike[str],
    *,
    rank: int = RANK,
    own_layers: int | None = None,
    prices: str | os.PathLike[str] | None = None,
    requests: float | None = None,
    value: float | None = None,
    gains: Sequence[MeasuredGain] | None = None,
) -> Shared:
    """Tell what the domains of a run can share, what each way costs and when it pays back.

    Args:
        profile: a profile, or the folder of a run; then the result is kept there as ``share.json``.
        rank: of LoRA adapters.
        own_layers: that each domain has of its own where some are, those that differ most; None takes the layers that
            differ more than the mean layer does, or a third of all where none surely does.
        prices: a YAML file of prices and other assumptions in place of the package's own.
        requests: per month, of all domains together, in place of those in the prices.
        value: money that a request is worth more for each percent of errors fewer; None tells no gain in money.
        gains: that were measured elsewhere, in place of those of the run's own pilot (``try_sharing``).

    Returns:
        The document.

    Raises:
        UsageError: an argument is out of range, or the run cannot be compared so; says what to mend.
    """
    for name, number, example in (("--requests", requests, 100000), ("--value", value, 0.5)):
        if number is not None and not is_positive(number):
            raise UsageError(f"{name} {number!r} is no positive number; give one such as {example}")
    if value is not None and not VALUE_BOUNDS[0] <= value <= VALUE_BOUNDS[1]:
        raise UsageError(f"--value {value!r} is out of range; give one from {VALUE_BOUNDS[0]:g} to {VALUE_BOUNDS[1]:g}")
    run = None if isinstance(profile, Profile) else Path(profile)
    profile = profile if isinstance(profile, Profile) else Profile.load(os.fspath(profile))
    checks = None if run is None else load_checks(run)
    given = load_prices(prices, **({} if requests is None else {"requests_per_month": float(requests)}))
    resampler = profile.resampler
    layers = compare_layers(profile, resampler, checks, rank=rank)
    own = choose_own_layers(layers, own_layers)
    pilot = None if run is None else read_share_pilot(run)
    fits = gains is None and pilot is not None and (pilot.rank, pilot.own_layers) == (rank, own)
    elsewhere = gains is not None
    gains = list(gains) if gains is not None else pilot_gains(pilot) if pilot and fits else []
    check_gains(gains, profile.domains)
    trees = _trees(profile, resampler)
    groups = next((supported_groups(tree) for tree in trees if tree.band == ALL_LAYERS), [])
    count = len(profile.domains)
    parts = count - sum(len(group) - 1 for group in groups) if groups else None
    shape = model_shape(profile, given)
    options = cost_options(shape, layers, own, domains=count, rank=rank, prices=given)
    manifest = profile.manifest
    shared = Shared(
        paramscope=version("paramscope"),
        run_sha256=run_digest(run) if run else manifest.digest(),
        model=manifest.model.name,
        model_files=manifest.model.files,
        domains=profile.domains,
        arguments={
            "rank": rank,
            "own_layers": own_layers,
            "value": value,
            "gains": [gain.model_dump() for gain in gains],
        },
        prices=given.model_dump() | {"bytes_per_parameter": shape.bytes_per_parameter},
        layers=layers,
        curve=sharing_curve(
            layers,
            parameters=shape.parameters,
            domains=count,
            parts=parts,
            bytes_per_parameter=shape.bytes_per_parameter,
            adapter_bytes_per_parameter=given.adapter_bytes_per_parameter,
        ),
        trees=trees,
        groups=groups,
        findings=bearing_findings(checks),
        removal=removal_check(layers, checks, seed=manifest.seed),
        options=options,
        break_even=break_even(options, gains, profile.domains, given, value),
        pilot=pilot.outcome if pilot and fits else None,
        limits=[
            *([_told_pilot(pilot, fits=fits, elsewhere=elsewhere)] if pilot else []),
            *_limits(profile, layers, resampler, shape, own_layers),
        ],
    )
    if run is not None:
        write_shared(run, shared)
    return shared


def load_gains(file: str | os.PathLike[str]) -> list[MeasuredGain]:
    """Read what a pilot measured: a JSON list of objects with the fields of ``MeasuredGain``.

    Args:
        file: the file.

    Returns:
        The gains.

    Raises:
        UsageError: it cannot be read or has another form.
    """
    try:
        return TypeAdapter(list[MeasuredGain]).validate_json(read_utf8(Path(file)))
    except ValidationError as error:
        fields = ", ".join(MeasuredGain.model_fields)
        raise UsageError(
            f"{file}: {first_fault(error)}; expected a JSON list of measured gains, each with {fields}"
        ) from error


def choose_own_layers(layers: list[LayerRecord], count: int | None) -> list[int]:
    """The layers that differ most, in their order in the model.

    Args:
        layers: of the run.
        count: how many; None takes those that surely differ more than the mean layer, or a third where none does.

    Returns:
        Their numbers.

    Raises:
        UsageError: there are not as many.
    """
    if count is None:
        count = sum(record.stands_out for record in layers) or -(-len(layers) // 3)
    elif isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(layers):
        raise UsageError(f"--own-layers {count!r} is out of range; give a whole number from 1 to {len(layers)}")
    return sorted(in_order(layers)[:count])


def _told_pilot(pilot: SharePilot, *, fits: bool, elsewhere: bool) -> str:
    """What a pilot shows, or why it shows nothing here."""
    if fits:
        sizes = pilot.sizes
        trained = _(
            "The pilot trained %(steps)s steps of %(batch)s texts a domain, cut to %(tokens)s tokens: short trainings "
            "on few texts say little of long ones. Which way is best is told by the texts that tell its gain, so that "
            "gain is rather too large. Copies of layers and of the model were not trained.",
            steps=sizes.steps,
            batch=sizes.batch,
            tokens=sizes.tokens,
        )
        return sentences(trained, _edge(pilot))
    if elsewhere:
        return _("The run's own pilot is not used, since gains from elsewhere were given.")
    return _(
        "The run's pilot is of rank %(rank)s and own layers %(layers)s, not of what is reckoned here: it is not used.",
        rank=pilot.rank,
        layers=listed(pilot.own_layers),
    )


def _edge(pilot: SharePilot) -> str:
    """That the search for a rate ended at its edge, where it did."""
    ways = listed(term(way.name) for way in pilot.outcome.ways if way.at_edge)
    return _("The best rate was the smallest or largest of those tried for %(ways)s.", ways=ways) if ways else ""


def _trees(profile: Profile, resampler: Resampler) -> list[TreeRecord]:
    """Of all layers and of each band."""
    bands = {ALL_LAYERS: list(range(profile.layers))} | profile.bands
    trees = [domain_tree(profile, resampler, band, layers) for band, layers in bands.items()]
    return [tree for tree in trees if tree]


def _limits(
    profile: Profile, layers: list[LayerRecord], resampler: Resampler, shape: Shape, own_layers: int | None
) -> list[str]:
    """What the result cannot show, and what it takes for granted."""
    told = _told_limits(_left_out(profile), shape.bytes_per_parameter)
    there = {
        "few": len(resampler.domains) < len(profile.domains),
        "chance": own_layers is None and not any(record.stands_out for record in layers),
        "assumed": not shape.measured,
        "quantised": shape.measured and shape.bytes_per_parameter < 1.5,
        "cache": shape.cache_values is None,
    }
    return [text for name, text in told.items() if there.get(name, True)]


def _left_out(profile: Profile) -> list[str]:
    """Domains of too few samples to be compared."""
    return [domain.name for domain in profile.manifest.domains if domain.samples < FEWEST]


def _told_limits(left: Sequence[str], bytes_per_parameter: float) -> dict[str, str]:
    """All limits that a result may have, in their order."""
    return {
        "association": _(
            "That a layer's activation differs between domains is association: it is not shown that a domain gains "
            "from a layer of its own, or that one with a small own share can be shared without loss. A pilot on "
            "held-out texts tells."
        ),
        "few": _(
            "Of %(names)s there are fewer than %(count)s samples: left out of own shares and groups, counted in costs.",
            names=listed(left),
            count=FEWEST,
        ),
        "chance": _(
            "No layer surely differs more than the mean layer, so which are the domains' own is a matter of chance; a "
            "third of all is reckoned with."
        ),
        "assumed": _(
            "The model's files are not where they were profiled: %(bytes)s bytes a parameter are assumed.",
            bytes=f"{bytes_per_parameter:g}",
        ),
        "quantised": _(
            "The model's files hold quantised weights. Tuning usually takes 16 bits, and what is tuned is as small as "
            "reckoned here only once it is quantised again."
        ),
        "cache": _("The modules do not tell the size of the cache of keys and values; serving memory is without it."),
        "losses": _(
            "Losses stand for errors: that one percent less loss is one percent fewer errors is an assumption, unless "
            "the pilot measured errors. Costs are those of the prices; change them with --prices."
        ),
    }


def told_limits(shared: Shared, profile: Profile, pilot: SharePilot | None = None) -> list[str]:
    """The limits of a document in the language that is spoken.

    Args:
        shared: the document.
        profile: of the run.
        pilot: of the run, where there is one; without it what the document says of it stays in English.

    Returns:
        A text for each of the document's ``limits``; its own where it is of another version.
    """
    left, size = _left_out(profile), float(shared.prices["bytes_per_parameter"])

    def make() -> list[str]:
        cases = ((True, False), (False, True), (False, False)) if pilot else ()
        told = [_told_pilot(pilot, fits=fits, elsewhere=elsewhere) for fits, elsewhere in cases if pilot]
        return [*told, *_told_limits(left, size).values()]

    return [again(limit, make) for limit in shared.limits]
