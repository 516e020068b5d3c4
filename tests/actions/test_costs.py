"""Costs by hand, figures from their own formulas, prices from files."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from paramscope.actions.sharing.costs import OPTIONS, cost_options
from paramscope.actions.sharing.figures import figure
from paramscope.actions.sharing.prices import Prices, default_prices, load_prices
from paramscope.actions.sharing.shape import Shape, model_shape
from paramscope.errors import UsageError
from paramscope.result.profile import Profile
from paramscope.result.shared import LayerRecord, OptionRecord
from tests.actions.planted import planted_profile
from tests.actions.test_sharing import record

SHAPE = Shape(parameters=1000, bytes_per_parameter=2.0, measured=True, cache_values=40, widest=60)
LAYERS = [record(0, 200, 10, 0.1), record(1, 300, 20, 0.3), record(2, 250, 30, 0.2)]
OWN = [1, 2]
PRICES = load_prices().model_copy(
    update={
        "gpu_hour": 2.0,
        "gpu_memory_gb": 1e-5,  # 10,000 bytes
        "gpu_memory_usable": 0.5,
        "gpu_tflops": 1e-6,  # a million operations a second
        "training_utilisation": 0.5,
        "serving_utilisation": 0.25,
        "load_gb_per_second": 1e-6,
        "storage_gb_month": 1e6,
        "engineer_day": 100.0,
        "setup_days_shared": 1.0,
        "setup_days_adapters": 2.0,
        "setup_days_layers": 3.0,
        "setup_days_copies": 4.0,
        "upkeep_days_per_part_month": 0.5,
        "requests_per_month": 365.0,
        "tokens_per_request": 10.0,
        "concurrent_requests": 4.0,
        "peak_factor": 2.0,
        "training_tokens_per_domain": 900.0,
        "adapter_bytes_per_parameter": 4.0,
        "activation_bytes": 2.0,
    }
)


def options(
    shape: Shape = SHAPE, layers: list[LayerRecord] = LAYERS, prices: Prices = PRICES
) -> dict[str, OptionRecord]:
    made = cost_options(shape, layers, OWN, domains=3, rank=8, prices=prices)
    return {option.name: option for option in made}


def values(name: str) -> list[float]:
    return [option.figure(name).value for option in options().values()]


def test_options_in_their_order() -> None:
    made = options()
    assert tuple(made) == OPTIONS
    assert [option.layers for option in made.values()] == [[], [], [1, 2], [0, 1, 2], [1, 2], [0, 1, 2]]


def test_storage_by_hand() -> None:
    adapters = 2 * 1000 + 3 * (20 + 30) * 4
    everywhere = 2 * 1000 + 3 * (10 + 20 + 30) * 4
    layers = (1000 + 2 * (300 + 250)) * 2
    assert values("storage") == [2000, 2000, adapters, everywhere, layers, 6000]


def test_load_time_by_hand() -> None:
    assert values("load time") == pytest.approx([2.0, 2.0, 2.6, 2.72, 4.2, 6.0])


def test_memory_of_requests_by_hand() -> None:
    requests = 4 * 10 * (40 + 60) * 2
    assert values("memory of requests") == [requests] * 6
    assert values("serving memory") == [storage + requests for storage in values("storage")]


def test_training_compute_by_hand() -> None:
    tokens = 3 * 900
    # An adapter in every layer, whether it is shared or a domain's own.
    adapters = tokens * (2 * (1000 + 60) + 2 * (1000 + 60) + 2 * 60)
    # Layer 0 lies before the first own layer: no gradient goes through its 200 weights.
    layers = tokens * (2 * 1000 + 2 * 800 + 2 * 550)
    copies = tokens * 6 * 1000
    assert values("training compute") == [0, adapters, adapters, adapters, layers, copies]


def test_training_time_by_hand() -> None:
    assert values("training time") == pytest.approx([work / (0.5e6 * 3600) for work in values("training compute")])


def test_gpus_by_hand() -> None:
    busy = 365 * 2 * 10 * 2 * 1000 / (0.25e6 * 730 * 3600)
    assert values("GPUs kept busy") == pytest.approx([busy, busy, busy * 1.05, busy * 1.06, busy, busy])
    # 5,000 usable bytes a GPU against 10,000 / 10,000 / 10,600 / 10,720 / 12,200 / 14,000 bytes.
    assert values("GPUs") == [2, 2, 3, 3, 3, 3]


def test_gpus_follow_the_work_where_that_is_more() -> None:
    busy = options(prices=PRICES.model_copy(update={"requests_per_month": 365e8}))["untuned"]
    assert busy.figure("GPUs").value == math.ceil(365e8 * 2 * 10 * 2 * 1000 / (0.25e6 * 730 * 3600))


def test_money_by_hand() -> None:
    hours = values("training time")
    assert values("money once") == pytest.approx(
        [hour * 2 + 100 * days for hour, days in zip(hours, (0, 1, 2, 2, 3, 4), strict=True)]
    )
    storage = [size / 1e9 * 1e6 for size in values("storage")]
    upkeep = [0, 50, 150, 150, 150, 150]
    gpus = [number * 730 * 2 for number in (2, 2, 3, 3, 3, 3)]
    assert values("money per month") == pytest.approx([sum(parts) for parts in zip(storage, upkeep, gpus, strict=True)])


def test_six_operations_a_parameter_and_token_where_all_is_trained() -> None:
    copies = options()["copies"].figure("training compute")
    assert copies.value == 6 * copies.inputs["parameters"] * 3 * copies.inputs["training_tokens_per_domain"]


def test_every_figure_can_be_calculated_again_from_its_formula_and_inputs() -> None:
    for option in options().values():
        for found in option.figures:
            names = {"ceil": math.ceil, "max": max} | found.inputs
            assert eval(found.formula, {"__builtins__": {}}, names) == pytest.approx(found.value)


def test_names_of_figures_are_the_same_for_all_options() -> None:
    assert len({tuple(found.name for found in option.figures) for option in options().values()}) == 1


@pytest.mark.parametrize("formula", ["a ** 2", "a if a else 1", "__import__('os')", "a.real", "min(a, 1)", "'a'"])
def test_formula_is_arithmetic_only(formula: str) -> None:
    with pytest.raises(ValueError, match=r"is no arithmetic of a figure|needs"):
        figure("x", "", formula, a=1.0)


@pytest.mark.parametrize("inputs", [{}, {"a": 1.0}, {"a": 1.0, "b": 2.0, "c": 3.0}])
def test_formula_takes_its_inputs_and_no_others(inputs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="needs"):
        figure("x", "", "a + b", **inputs)


def placed(profile: Profile, place: Path | None, files: list[str]) -> Profile:
    model = profile.manifest.model.model_copy(
        update={"place": None if place is None else str(place), "files": dict.fromkeys(files, "0" * 64)}
    )
    return Profile(profile.manifest.model_copy(update={"model": model}), profile.tables)


def test_bytes_of_a_parameter_are_measured_on_the_weights_files(tmp_path: Path) -> None:
    profile = planted_profile({"a": 3, "b": 3}, (0.1, 0.1))
    parameters = sum(profile.manifest.model.parameters.values())
    (tmp_path / "config.json").write_text("{}")
    for name, size in (("one.safetensors", 3000), ("two.safetensors", 500)):
        (tmp_path / name).write_bytes(b"0" * size)
    files = ["config.json", "one.safetensors", "two.safetensors"]
    shape = model_shape(placed(profile, tmp_path, files), PRICES)
    assert (shape.bytes_per_parameter, shape.measured) == (3500 / parameters, True)
    (tmp_path / "model.gguf").write_bytes(b"0" * 1234)
    shape = model_shape(placed(profile, tmp_path / "model.gguf", ["model.gguf"]), PRICES)
    assert shape.bytes_per_parameter == 1234 / parameters
    for place, names in ((None, files), (tmp_path / "gone", files), (tmp_path, [*files, "three.safetensors"])):
        shape = model_shape(placed(profile, place, names), PRICES)
        assert (shape.bytes_per_parameter, shape.measured) == (2.0, False)


def test_shape_is_read_off_the_modules() -> None:
    shape = model_shape(planted_profile({"a": 3, "b": 3}, (0.1, 0.1)), PRICES)
    assert shape.cache_values == 2 * 16  # k_proj of two layers
    assert shape.widest == 16 + 12
    assert shape.parameters == 2 * 2 * 16 * 12 + 1010


def test_cache_is_unknown_where_no_module_makes_keys() -> None:
    profile = planted_profile({"a": 3, "b": 3}, (0.1,))
    modules = profile.tables.modules.assign(module=profile.modules["module"].str.replace("k_proj", "qkv_proj"))
    fused = Profile(profile.manifest, dataclasses.replace(profile.tables, modules=modules))
    assert model_shape(fused, PRICES).cache_values is None


def test_package_prices_say_what_they_assume_and_when() -> None:
    lines = default_prices().splitlines()
    for place, line in enumerate(lines):
        if line and line[0] not in "# " and not line.startswith(("currency", "gpu_memory_gb")):
            assert lines[place - 1].startswith("# ")
            assert "2026-11" in lines[place - 1], line


def test_users_prices_take_the_place_of_the_packages(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("gpu_hour: 4\ncurrency: EUR\n")
    prices = load_prices(file, requests_per_month=7.0)
    assert (prices.gpu_hour, prices.currency, prices.requests_per_month) == (4, "EUR", 7)
    assert prices.engineer_day == load_prices().engineer_day
    file.write_text(default_prices())
    assert load_prices(file) == load_prices()
    file.write_text("# nothing yet\n")
    assert load_prices(file) == load_prices()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpu_hours: 3", r"unknown key 'gpu_hours' \(did you mean 'gpu_hour'\?\); known are currency, gpu_hour, "),
        ("zzz: 3", r"unknown key 'zzz'; known are currency"),
        ("3: 4", r"unknown key 3; known are"),
        ("gpu_hour: cheap", r"gpu_hour: Input should be a valid number; it is 'cheap', mend that value"),
        ("gpu_hour: -1", r"gpu_hour: Input should be greater than or equal to 0; it is -1"),
        ("gpu_hour: .inf", r"gpu_hour: Input should be less than or equal to 10+; it is inf"),
        ("gpu_hour: .nan", r"gpu_hour: .*; it is nan"),
        ("gpu_hour: true", r"gpu_hour: Input should be a valid number; it is True"),
        ("gpu_hour:", r"gpu_hour: Input should be a valid number; it is None"),
        ("serving_utilisation: 1.5", r"serving_utilisation: Input should be less than or equal to 1; it is 1.5"),
        ("load_gb_per_second: 0", r"load_gb_per_second: Input should be greater than or equal to 0.0+1; it is 0"),
        ("- 3", "expected a mapping of names to numbers"),
        ("gpu_hour: [", "broken YAML"),
        ("gpu_hour: 2026-13-45", "broken YAML"),
    ],
)
def test_broken_prices_are_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=rf"prices\.yaml: {message}"):
        load_prices(file)


def test_missing_file_of_prices_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"prices\.yaml: cannot be read"):
        load_prices(tmp_path / "prices.yaml")


def test_every_input_that_is_a_price_or_a_figure_says_which() -> None:
    known = PRICES
    for option in options().values():
        for found in option.figures:
            assert found.prices is not None
            assert found.figures is not None
            for name, price in found.prices.items():
                assert found.inputs[name] == getattr(known, price)
            for name, other in found.figures.items():
                assert found.inputs[name] == option.figure(other).value
            # What is left is of the model or of the run, so no price hides among it.
            left = set(found.inputs) - set(found.prices) - set(found.figures)
            assert not {name for name in left if name in type(known).model_fields} - {"bytes_per_parameter"}
    once = options()["layers"].figure("money once")
    assert once.prices
    assert once.prices["setup_days"] == "setup_days_layers"
