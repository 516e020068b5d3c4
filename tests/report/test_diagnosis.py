"""The diagnosis table: the profile's and the checks' numbers, a row a layer or a band."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paramscope.measures.ranks import mean_interval
from paramscope.report import Material
from paramscope.report.sections import diagnosis
from paramscope.report.sections.diagnosis import MANY, DiagnosisTable
from paramscope.report.text import percent
from tests.report.checks import made_up_checks
from tests.report.runs import LAYERS, NAMES, made_up_run


def column(table: DiagnosisTable, text: str) -> list[str]:
    """Values of a column, from the input to the output."""
    place = [head.text for head in table.heads].index(text)
    return [row.cells[place].value for row in table.rows]


def test_numbers_are_those_of_profile_and_checks() -> None:
    profile, checks = made_up_run(NAMES, LAYERS, 4), made_up_checks(NAMES, LAYERS)
    table = diagnosis.section(Material(profile, checks)).layers
    density = profile.density()
    for name in NAMES:
        assert [float(value) for value in column(table, name)] == pytest.approx(density[name].tolist(), rel=1e-5)
    across = profile.similarity().across.value.mean(axis=1).tolist()
    assert [float(value) for value in column(table, "Similarity")] == pytest.approx(across, rel=1e-4)
    whole = checks.parts[checks.parts["kind"] == "layer"]
    worst = whole.groupby(["layer", "domain"])["damage"].mean().groupby("layer").max().tolist()
    assert [float(value) for value in column(table, "Causal damage")] == pytest.approx(worst, rel=1e-4)
    assert column(table, "Fail-safe risk") == [slow_risk(rows) for _, rows in checks.parts.groupby("layer")]


def slow_risk(parts: pd.DataFrame) -> str:
    """3 where the interval of some loss is at 1 nat per token or above, 2 where it reaches that, else 1."""
    found = "1"
    for _key, damage in parts.groupby(["kind", "name", "domain"])["damage"]:
        values = damage.to_numpy(float)
        interval = mean_interval(values, np.zeros(len(values), dtype=np.int64), seed=0)
        low, high = (interval.value, interval.value) if len(values) < 2 else (interval.low, interval.high)
        surely = low >= 1 and len(values) > 1
        found = max(found, "3" if surely else "2" if high >= 1 else "1")
    return found


def test_without_checks_nothing_is_called_safe() -> None:
    table = diagnosis.section(Material(made_up_run(NAMES, LAYERS, 4))).layers
    assert set(column(table, "Fail-safe risk")) == {"0"}
    assert set(column(table, "Causal damage")) == {""}
    assert not set(column(table, "Confidence")) & {"tested by intervention"}


def test_many_layers_have_a_row_a_band_and_the_layers_below() -> None:
    profile = made_up_run(NAMES, MANY + 1, 3)
    shown = diagnosis.section(Material(profile))
    assert shown.bands
    assert len(shown.bands.rows) == len(profile.bands)
    assert len(shown.layers.rows) == MANY + 1
    deep = profile.bands["deep"]
    mean = profile.density()[NAMES[0]].iloc[deep].mean()
    place = [head.text for head in shown.bands.heads].index(NAMES[0])
    assert shown.bands.rows[list(profile.bands).index("deep")].cells[place].text == percent(mean)


def test_every_row_has_a_cell_for_every_head() -> None:
    for names, layers in ((["a"], 1), (NAMES, 3)):
        table = diagnosis.section(Material(made_up_run(names, layers, 2))).layers
        assert all(len(row.cells) == len(table.heads) for row in table.rows)
