"""From tables to verdicts: planted effects are found, chance is not, and what cannot be told is undecided."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paramscope.causal import verdicts
from paramscope.causal.verdicts import SetDamages, Verdict, set_verdicts
from paramscope.causal.verdicts.verdict import judge
from paramscope.measures import specificity
from paramscope.measures.ranks import Interval

DOMAINS = ["a", "b", "c"]
BANDS = ["shallow", "middle", "deep"]
CRITERIA = ("activation", "input-norm", "difference", "ratio", "lowest", "random", "magnitude")


@pytest.fixture(autouse=True)
def _fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specificity, "PERMUTATIONS", 299)
    monkeypatch.setattr("paramscope.measures.ranks.DRAWS", 300)


def set_table(
    seed: int,
    *,
    own: float = 0.0,
    others: float = 0.0,
    texts: int = 8,
    domains: list[str] = DOMAINS,
    bands: list[str] = BANDS,
    noise: float = 0.3,
    deep_others: float | None = None,
) -> pd.DataFrame:
    """Damages of sets: what ``activation`` and ``ratio`` cost the own domain and the others, beside chance."""
    rng = np.random.default_rng(seed)
    rows = []
    for band, share, criterion in itertools.product(bands, (1e-3, 1e-2), CRITERIA):
        for chosen in [""] if criterion in ("magnitude", "random") else domains:
            for draw in range(2 if criterion == "random" else 1):
                # A set is worse or better than another for all texts alike.
                shift = 0.2 * rng.normal()
                for domain, sample in itertools.product(domains, range(texts)):
                    damage = shift + noise * rng.normal()
                    if criterion in ("activation", "ratio"):
                        far = others if band != "deep" or deep_others is None else deep_others
                        damage += own if chosen == domain else far
                    rows.append((band, share, 10, criterion, chosen, draw, domain, sample, damage))
    names = ["band", "share", "weights", "criterion", "chosen_for", "draw", "domain", "sample", "damage"]
    return pd.DataFrame(rows, columns=names)


def told(table: pd.DataFrame, domains: list[str] = DOMAINS) -> dict[str, Verdict]:
    return {each.claim: each for each in set_verdicts(SetDamages(table, domains, BANDS))}


def test_arrays_are_the_means_of_the_table() -> None:
    table = set_table(0, own=1.0)
    damages = SetDamages(table, DOMAINS, BANDS)
    assert damages.shares == [1e-3, 1e-2]
    matrix = damages.by_domain(damages.matrix("deep", 1e-2, "random"))
    for i, j in itertools.product(range(3), range(3)):
        rows = table.query(f"band == 'deep' and share == 1e-2 and criterion == 'random' and domain == '{DOMAINS[j]}'")
        assert matrix[i, j] == pytest.approx(rows["damage"].mean())
    over = damages.over_bands(1e-2, "ratio")
    own = table.query("share == 1e-2 and criterion == 'ratio' and chosen_for == domain")["damage"].mean()
    others = table.query("share == 1e-2 and criterion == 'ratio' and chosen_for != domain")["damage"].mean()
    assert damages.own(over).mean() == pytest.approx(own)
    assert damages.others(over).mean() == pytest.approx(others)
    magnitude = damages.matrix("deep", 1e-2, "magnitude")
    np.testing.assert_array_equal(magnitude, magnitude[[0, 0, 0]])


def test_order_of_the_rows_does_not_matter() -> None:
    table = set_table(0, own=0.4)
    shuffled = told(table.sample(frac=1, random_state=0))
    for claim, verdict in told(table).items():
        assert (shuffled[claim].value, shuffled[claim].count) == (pytest.approx(verdict.value), verdict.count)


def test_sets_that_are_their_domains_own_are_called_so() -> None:
    found = told(set_table(0, own=1.0))
    for claim in ("activation-beats-random", "activation-beats-magnitude", "specific-activation", "specific-ratio"):
        assert found[claim].status == "supported", found[claim]
    assert found["specific-activation"].p_value is not None
    assert found["specific-activation"].p_value < 0.02
    assert found["specific-difference"].status != "supported"


def test_sets_that_hurt_all_alike_matter_and_are_nobodys_own() -> None:
    found = told(set_table(0, own=1.0, others=1.0, texts=60, noise=0.1))
    assert found["activation-beats-random"].status == "supported"
    assert found["specific-activation"].status == "not supported"


def test_chance_is_called_specific_no_more_often_than_its_level_allows() -> None:
    called = {"specific-activation": 0, "specific-ratio": 0, "specific-difference": 0}
    for seed in range(40):
        found = told(set_table(seed, own=0.5, others=0.5, texts=5))
        for claim in called:
            called[claim] += found[claim].status == "supported"
    assert max(called.values()) <= stats.binom.ppf(0.99, 40, 0.05), called


def test_what_is_shared_in_shallow_layers_and_own_in_deep_ones_is_called_so() -> None:
    found = told(set_table(0, own=1.0, others=1.0, deep_others=0.1, noise=0.1))
    assert found["shallow-shared-deep-specific"].status == "supported"
    assert told(set_table(0, own=1.0, others=1.0, texts=60, noise=0.05))["shallow-shared-deep-specific"].status != (
        "supported"
    )


def test_one_domain_has_no_claims_of_others() -> None:
    found = told(set_table(0, own=1.0, domains=["a"]), ["a"])
    assert set(found) == {"activation-beats-random", "activation-beats-magnitude", "activation-beats-input-norm"}
    assert found["activation-beats-random"].status == "supported"


@pytest.mark.parametrize("bands", [["shallow"], ["deep"], ["shallow", "middle"]])
def test_missing_bands_leave_out_what_needs_them(bands: list[str]) -> None:
    found = told(set_table(0, own=1.0, bands=bands))
    assert "shallow-shared-deep-specific" not in found
    assert found["specific-activation"].status == "supported"


def test_a_model_that_gives_no_number_any_more_leaves_claims_undecided() -> None:
    table = set_table(0, own=1.0)
    table.loc[(table["criterion"] != "lowest") & (table["sample"] == 0), "damage"] = np.inf
    found = told(table)
    assert {each.status for each in found.values()} == {"undecided"}
    assert all(each.needed is None for each in found.values())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_undecided_claim_says_how_many_texts_would_do(seed: int) -> None:
    few = told(set_table(seed, own=0.4, texts=3, noise=1.0))["specific-activation"]
    assert few.status == "undecided"
    assert few.needed
    assert few.needed > few.count == 9
    # With so many texts the interval is about as narrow as the estimate was away from the threshold; nine texts tell
    # their own scatter within a factor of two.
    many = told(set_table(seed, own=0.4, texts=math.ceil(few.needed / 3), noise=1.0))["specific-activation"]
    away = abs(few.value - few.threshold)
    assert 0.25 * away < (many.high - many.low) / 2 < 2 * away


def test_fewer_than_eight_observations_decide_nothing() -> None:
    few = judge("claim", "A claim.", "measured", Interval(1.0, 1.0, 1.0), 0.5, 3, "layers")
    assert (few.status, few.needed) == ("undecided", 8)
    assert judge("claim", "A claim.", "measured", Interval(1.0, 1.0, 1.0), 0.5, 8, "layers").status == "supported"


def test_as_many_observations_as_nobody_has_are_not_asked_for() -> None:
    near = judge("claim", "A claim.", "measured", Interval(0.0501, 0.0, 0.1), 0.05, 24, "texts")
    assert near.status == "undecided"
    assert near.needed is None


def test_a_claim_that_only_the_permutation_test_leaves_open_asks_for_no_number() -> None:
    open_claim = judge("claim", "A claim.", "measured", Interval(0.2, 0.1, 0.3), 0.05, 24, "texts", p_value=0.2)
    assert open_claim.status == "undecided"
    assert open_claim.needed is None


def weight_table(count: int, *, seed: int = 0, noise: float = 0.0, factor: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(-9, 0, count))
    sign = rng.choice([-1, 1], count)
    return pd.DataFrame(
        {
            "domain": "a",
            "sample": np.arange(count) % 5,
            "stratum": rng.integers(0, 5, count),
            "share": rng.integers(1, 6, count).astype(float),
            "estimate": sign * size,
            "change": sign * size * factor * np.exp(noise * rng.normal(size=count)),
        }
    )


def fidelity_of(table: pd.DataFrame, floor: float = 0.0) -> tuple[verdicts.Fidelity, dict[str, str]]:
    found = verdicts.fidelity(table, floor)
    return found, {each.claim: each.status for each in verdicts.fidelity_verdicts(found)}


def test_first_order_that_is_the_truth_is_supported() -> None:
    found, status = fidelity_of(weight_table(60))
    assert (found.count, found.above, found.sign.value) == (60, 1.0, 1.0)
    assert found.correlation.value == pytest.approx(1)
    assert found.slope.value == pytest.approx(1)
    assert found.low_ratio.value == pytest.approx(1) == pytest.approx(found.high_ratio.value)
    assert set(status.values()) == {"supported"}


def test_first_order_with_the_right_order_and_the_wrong_size_is_called_so() -> None:
    for factor in (0.2, 5.0):
        found, status = fidelity_of(weight_table(60, factor=factor))
        assert status == {"first-order-order": "supported", "first-order-size": "not supported"}
        assert found.worst_ratio.value == pytest.approx(0.2)


def test_first_order_that_says_nothing_is_not_supported() -> None:
    _, status = fidelity_of(weight_table(400, noise=20))
    assert set(status.values()) == {"not supported"}


def test_numbers_are_those_of_each_weight_as_often_as_it_stands_for() -> None:
    table = weight_table(50, noise=1.0)
    found, _ = fidelity_of(table, 1e-3)
    used = table[table["estimate"].abs() > 1e-3]
    each = used.loc[used.index.repeat(used["share"].astype(int))]
    size, change = each["estimate"].abs(), each["change"].abs()
    assert found.count == len(used)
    assert found.above == pytest.approx(used["share"].sum() / table["share"].sum())
    assert found.correlation.value == pytest.approx(stats.spearmanr(size, change).statistic)
    assert found.slope.value == pytest.approx(np.polyfit(np.log(size), np.log(change), 1)[0])
    ratio = change / size
    for share, interval in ((0.05, found.low_ratio), (0.5, found.median_ratio), (0.95, found.high_ratio)):
        assert interval.value == pytest.approx(np.quantile(ratio, share, method="inverted_cdf"))
        assert interval.low <= interval.value <= interval.high


def test_weights_below_the_noise_are_not_looked_at() -> None:
    table = weight_table(100)
    small = table["estimate"].abs() < 1e-2
    table.loc[small, "change"] = 0.5
    assert set(fidelity_of(table, 1e-2)[1].values()) == {"supported"}
    assert "supported" not in fidelity_of(table)[1].values()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_weights_leave_the_claims_undecided(count: int) -> None:
    found, status = fidelity_of(weight_table(40).iloc[:count])
    assert found.count == count
    if count < 30:
        assert set(status.values()) == {"undecided"}
    # All of them below the noise.
    assert set(fidelity_of(weight_table(40), 1e9)[1].values()) == {"undecided"}


def test_weights_that_change_nothing_do_not_fit_the_size() -> None:
    table = weight_table(60)
    table["change"] = 0.0
    found, status = fidelity_of(table)
    assert status["first-order-size"] == "not supported"
    assert found.worst_ratio.value == 0


def part_table(parts: int, *, noise: float, kind: str = "layer", texts: int = 4, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for part in range(parts):
        size = rng.uniform(1, 5)
        for domain, sample in itertools.product(DOMAINS, range(texts)):
            damage = size + noise * rng.normal()
            rows.append({"kind": kind, "layer": part, "name": "", "domain": domain, "sample": sample})
            rows[-1] |= {"predicted": size, "damage": damage}
    return pd.DataFrame(rows)


@pytest.mark.parametrize("kind", ["layer", "head", "neurons"])
def test_parts_that_are_told_by_their_sums_are_called_so(kind: str) -> None:
    (one,) = verdicts.part_verdicts(part_table(12, noise=0.05, kind=kind), DOMAINS)
    assert (one.claim, one.status, one.count) == (f"parts-{kind}", "supported", 12)
    (other,) = verdicts.part_verdicts(part_table(200, noise=50, kind=kind), DOMAINS)
    assert other.status == "not supported"


def test_less_than_three_parts_make_no_claim() -> None:
    assert verdicts.part_verdicts(part_table(2, noise=0.1), DOMAINS) == []
    assert math.isnan(verdicts.part_correlations(part_table(2, noise=0.1), "layer", DOMAINS)[None].value)


def test_what_breaks_the_model_is_listed_with_the_worst_first() -> None:
    sets, parts = set_table(0), part_table(3, noise=0.0)
    sets.loc[(sets["criterion"] == "ratio") & (sets["chosen_for"] == "b") & (sets["band"] == "deep"), "damage"] = 3.0
    parts["damage"] = np.where(parts["layer"] == 1, 7.0, np.where((parts["domain"] == "c"), 1.5, 0.0))
    found = verdicts.breaking(sets, parts)
    assert found["what"].tolist() == [
        "layer 1",
        "0.1 % of the deep layers' weights by ratio, chosen for b",
        "layer 0",
        "layer 2",
    ]
    assert found["domain"].tolist()[2:] == ["c", "c"]
    assert found["broken"].tolist() == [3, 3, 1, 1]
    assert found["damage"].tolist() == pytest.approx([7, 3, 1.5, 1.5])
    assert verdicts.breaking(set_table(0, noise=0.01), parts.assign(damage=0.0)).empty
