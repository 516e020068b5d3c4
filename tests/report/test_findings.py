"""Verdicts on runs that were built so that the pattern is there, is not, or cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramscope.measures.ranks import Interval
from paramscope.report.findings import COSINE_STEP, Findings, Verdict, end_bands, find, judge
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from tests.reference import make_profile

LAYERS = 9
SIZES = {"support": 12, "code": 12, "contracts": 12}


def profile_with(
    *,
    falls: float = 0.0,
    parts: float = 0.0,
    scatter: float = 0.0,
    noise: float = 0.2,
    sizes: dict[str, int] | None = None,
    layers: int = LAYERS,
) -> Profile:
    """A profile whose log activations change evenly with depth.

    By the last layer, the level has fallen by ``falls``, each domain has a pattern of its own of strength ``parts``,
    and each text one of strength ``scatter`` beside the ``noise`` that it has in every layer.
    """
    sizes = sizes or SIZES
    rng = np.random.default_rng(1)
    made = []
    for layer in range(layers):
        depth = layer / max(layers - 1, 1)
        common = rng.normal(size=(40, 30))
        rows = []
        for size in sizes.values():
            own = rng.normal(size=(40, 30))
            texts = rng.normal(size=(size, 40, 30)) * (noise + scatter * depth)
            rows.append(np.exp(np.log(1e-3) + common - falls * depth + parts * depth * own + texts))
        made.append({"up": np.concatenate(rows)})
    return make_profile(made, sizes, threshold=1e-3)


def findings_of(profile: Profile) -> Findings:
    density = profile.density_estimate()
    return find(profile, profile.resampler, density, profile.density_estimate(PAPER_THRESHOLD))


def verdicts(profile: Profile) -> dict[str, Verdict]:
    return {key: claim.overall.verdict for key, claim in findings_of(profile).claims.items()}


def test_the_papers_pattern_is_found_where_it_is() -> None:
    found = findings_of(profile_with(falls=2.0, parts=1.5))
    assert {claim.overall.verdict for claim in found.claims.values()} == {Verdict.SUPPORTED}
    assert all(claim.count(Verdict.SUPPORTED) == 3 for claim in found.claims.values())


def test_an_even_network_has_no_pattern_except_staying_alike_within() -> None:
    assert verdicts(profile_with()) == {
        "density": Verdict.NOT_SUPPORTED,
        "across": Verdict.NOT_SUPPORTED,
        "within": Verdict.SUPPORTED,
        "gap": Verdict.NOT_SUPPORTED,
        "gap_centred": Verdict.NOT_SUPPORTED,
    }


def test_the_reverse_is_not_the_pattern() -> None:
    found = findings_of(profile_with(falls=-2.0)).claims["density"].overall
    assert found.change.low > 0
    assert found.verdict == Verdict.NOT_SUPPORTED


def test_texts_that_scatter_in_deep_layers_do_not_stay_alike() -> None:
    found = verdicts(profile_with(scatter=1.5))
    assert found["within"] == Verdict.NOT_SUPPORTED
    # Texts of different domains part as well, but no more than those of one domain.
    assert found["across"] == Verdict.SUPPORTED
    assert found["gap"] == Verdict.NOT_SUPPORTED


def test_few_and_noisy_texts_leave_the_matter_open() -> None:
    profile = profile_with(falls=0.3, noise=2.5, sizes={"support": 2, "code": 2})
    found = findings_of(profile).claims["density"].overall
    assert found.verdict == Verdict.UNDECIDED
    assert found.change.low < found.change.value < found.change.high


def test_single_texts_are_undecided_and_left_out() -> None:
    found = findings_of(profile_with(falls=2.0, parts=1.5, sizes={"support": 1, "code": 1}))
    assert {claim.overall.verdict for claim in found.claims.values()} == {Verdict.UNDECIDED}
    assert found.left_out == ["support", "code"]
    assert found.fewest == 0


def test_a_single_text_does_not_spoil_the_others() -> None:
    found = findings_of(profile_with(falls=2.0, parts=1.5, sizes={"support": 12, "one": 1, "code": 12}))
    assert {claim.overall.verdict for claim in found.claims.values()} == {Verdict.SUPPORTED}
    assert found.claims["density"].domains[1].verdict == Verdict.UNDECIDED
    assert [judged.domain for judged in found.claims["across"].domains] == [0, 2]


def test_one_domain_cannot_be_compared_with_others() -> None:
    found = verdicts(profile_with(falls=2.0, sizes={"support": 12}))
    assert found["density"] == Verdict.SUPPORTED
    assert found["within"] == Verdict.SUPPORTED
    assert found["across"] == found["gap"] == Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("layers", "shallow", "deep"),
    [
        (1, ("first", [0]), ("first", [0])),
        (2, ("first", [0]), ("last", [1])),
        (3, ("first", [0]), ("last", [2])),
        (4, ("shallow", [1]), ("last", [3])),
        (6, ("shallow", [1]), ("deep", [4])),
        (9, ("shallow", [1, 2]), ("deep", [6, 7])),
    ],
)
def test_small_models_fall_back_on_the_bands_there_are(
    layers: int, shallow: tuple[str, list[int]], deep: tuple[str, list[int]]
) -> None:
    profile = profile_with(layers=layers, falls=2.0, parts=1.5)
    assert end_bands(profile) == (shallow, deep)
    found = findings_of(profile)
    assert found.comparable == (layers > 1)
    assert found.stand_ins == (layers < 6)
    if not found.comparable:
        assert {claim.overall.verdict for claim in found.claims.values()} == {Verdict.UNDECIDED}


def test_the_margin_of_a_change_is_that_of_the_layers_at_its_widest() -> None:
    profile = profile_with(falls=1.0)
    density = profile.density_estimate()
    margin = (density.high - density.low) / 2
    found = findings_of(profile).claims["density"]
    widest = margin.loc[[1, 2]].mean() + margin.loc[[6, 7]].mean()
    for judged, name in zip(found.domains, profile.domains, strict=True):
        assert judged.change.high - judged.change.value == pytest.approx(widest[name])
    together = np.sqrt((widest**2).sum()) / 3
    assert found.overall.change.high - found.overall.change.value == pytest.approx(together)


def test_findings_are_the_profiles_numbers() -> None:
    profile = profile_with(falls=1.0, parts=1.0)
    found = findings_of(profile).claims
    raw = profile.similarity()
    for band, end in ((profile.bands["shallow"], "shallow"), (profile.bands["deep"], "deep")):
        assert getattr(found["density"].overall, end) == pytest.approx(profile.density().loc[band].mean().mean())
        assert getattr(found["within"].overall, end) == pytest.approx(raw.within.value.loc[band].mean().mean())
        assert getattr(found["across"].overall, end) == pytest.approx(raw.across.value.loc[band].mean().mean())


bounds = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)


@given(bounds, st.sampled_from([True, False, None]))
def test_an_interval_that_holds_both_is_undecided(ends: list[float], falls: bool | None) -> None:
    low, high = ends
    verdict = judge(Interval((low + high) / 2, low, high), COSINE_STEP, falls=falls)
    edge = COSINE_STEP if falls is False else -COSINE_STEP
    if low < edge < high:
        assert verdict == Verdict.UNDECIDED
    elif high < edge:
        assert verdict == (Verdict.SUPPORTED if falls else Verdict.NOT_SUPPORTED)
    elif low > edge:
        assert verdict == (Verdict.NOT_SUPPORTED if falls else Verdict.SUPPORTED)


def test_without_an_interval_nothing_is_decided() -> None:
    for falls in (True, False, None):
        assert judge(Interval(-0.5), COSINE_STEP, falls=falls) == Verdict.UNDECIDED
