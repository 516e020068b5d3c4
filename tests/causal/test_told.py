"""Verdicts and what breaks a model, made again from a document in another language; English ones stay as they are."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from paramscope.actions.sharing.curve import bearing_findings
from paramscope.causal import verdicts
from paramscope.causal.verdicts import SetDamages, Told, told_breaking, told_part, told_verdict
from paramscope.language import speaking
from paramscope.measures import specificity
from paramscope.result.verification import (
    BreakingRecord,
    Checks,
    MatrixRecord,
    VerdictRecord,
    Verification,
    plain,
)
from tests.causal.test_verdicts import BANDS, DOMAINS, part_table, set_table, weight_table
from tests.language.spoken import CODE, letters, speak_dots

_dots = pytest.fixture(autouse=True)(speak_dots)


@pytest.fixture(autouse=True)
def _fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specificity, "PERMUTATIONS", 9)
    monkeypatch.setattr("paramscope.measures.ranks.DRAWS", 20)


def made_checks() -> Checks:
    """All verdicts there are, and things that break the model of every kind."""
    sets = set_table(0, own=2.0, others=1.0)
    names = {"layer": "", "head": "head 3", "neurons": "12 neurons", "weight": "mlp.up_proj [1, 2]"}
    tables = [part_table(3, noise=0.1, kind=kind).assign(name=name) for kind, name in names.items()]
    parts = pd.concat([*tables, tables[2].assign(kind="random neurons")], ignore_index=True)
    damages = SetDamages(sets, DOMAINS, BANDS)
    found = [
        *verdicts.fidelity_verdicts(verdicts.fidelity(weight_table(40), 0.0)),
        *verdicts.set_verdicts(damages),
        *verdicts.part_verdicts(parts, DOMAINS),
    ]
    result = Verification(
        paramscope="0", run_sha256="0", started="", finished="", arguments={}, sizes={}, singles_dtype="float64",
        noise_floor=None, fidelity=[], fidelity_free=None, part_correlations=[], timings={}, warnings=[],
        matrices=[
            MatrixRecord(band=band, share=share, criterion="activation", damage=[])
            for band, share in itertools.product(BANDS, damages.shares)
        ],
        breaking=[BreakingRecord(**plain(row)) for row in verdicts.breaking(sets, parts).to_dict("records")],
        verdicts=[VerdictRecord(**plain(dataclasses.asdict(verdict))) for verdict in found],
    )  # fmt: skip
    return Checks(result, weight_table(40), sets, parts)


CHECKS = made_checks()
RESULT = CHECKS.result


def test_all_verdicts_are_there() -> None:
    assert [each.claim for each in RESULT.verdicts] == list(verdicts.told._CLAIMS)


@pytest.mark.parametrize("record", RESULT.verdicts, ids=lambda record: record.claim)
def test_a_verdict_is_told_again(record: VerdictRecord) -> None:
    english = Told(record.text, record.measure, record.unit)
    assert told_verdict(record, RESULT) == english
    with speaking(CODE):
        spoken = told_verdict(record, RESULT)
        for words, before in zip(dataclasses.astuple(spoken), dataclasses.astuple(english), strict=True):
            assert not letters(words), words
            assert len(words) == len(before)
    shares = [share for share in ("0.1 %", "1 %") if f"the {share} of" in record.text.lower()]
    assert all(share in spoken.text for share in shares)


def test_a_claim_of_another_version_keeps_its_english_words() -> None:
    record = RESULT.verdicts[0]
    other = record.model_copy(update={"claim": "new", "text": "New.", "measure": "x", "unit": "y"})
    reworded = RESULT.verdicts[2].model_copy(update={"text": "Said otherwise."})
    without = RESULT.model_copy(update={"matrices": []})
    with speaking(CODE):
        assert told_verdict(other, RESULT) == Told("New.", "x", "y")
        assert told_verdict(reworded, RESULT).text == "Said otherwise."
        assert told_verdict(RESULT.verdicts[2], without).text == RESULT.verdicts[2].text


def test_findings_about_sharing_are_the_verdicts_about_what_is_a_domains_own() -> None:
    found = bearing_findings(CHECKS)
    assert len(found) == 4
    own = [record for record in RESULT.verdicts if "specific" in record.claim]
    assert [(each.claim, each.text, each.status) for each in found] == [(r.claim, r.text, r.status) for r in own]
    assert bearing_findings(None) == []


def test_what_breaks_the_model_is_told_again() -> None:
    whats = [record.what for record in RESULT.breaking]
    assert told_breaking(CHECKS) == whats
    kinds = ("of the deep layers' weights by activation, chosen for", "of the deep layers' weights by random")
    for part in (*kinds, "head 3", "12 neurons (neurons)", "12 neurons (random neurons)", "mlp.up_proj [1, 2]"):
        assert any(part in what for what in whats) or part == kinds[1], part
    with speaking(CODE):
        for what in told_breaking(CHECKS):
            assert letters(what) <= {"a", "b", "c", "mlp", "up", "proj"}, what
        unknown = RESULT.model_copy(update={"breaking": [RESULT.breaking[0].model_copy(update={"what": "all"})]})
        assert told_breaking(dataclasses.replace(CHECKS, result=unknown)) == ["all"]


@pytest.mark.parametrize(
    ("kind", "name", "spoken"),
    [
        ("head", "head 3", "···· 3"),
        ("neurons", "12 neurons", "12 ·······"),
        ("random neurons", "12 neurons", "12 ·······"),
        ("weight", "mlp.up_proj [1, 2]", "mlp.up_proj [1, 2]"),
        ("layer", "", ""),
        ("head", "key head 3", "key head 3"),
    ],
)
def test_names_of_parts(kind: str, name: str, spoken: str) -> None:
    assert told_part(kind, name) == name
    with speaking(CODE):
        assert told_part(kind, name) == spoken


def test_documents_are_english_whatever_numpy_gave_the_numbers() -> None:
    table = CHECKS.sets.assign(share=CHECKS.sets["share"].astype(np.float32))
    assert verdicts.breaking(table, CHECKS.parts)["what"].tolist()[0] in [record.what for record in RESULT.breaking]
