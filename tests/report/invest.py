"""A small run whose ways to share were reckoned with gains of some, for the tests of the page's prices."""

from __future__ import annotations

from pathlib import Path

from paramscope.result.profile import Profile
from paramscope.result.shared import MeasuredGain, Shared
from paramscope.sharing import share
from tests.reference import made_up_layers, make_profile

NAMES = ["support", "code"]

EDITS: list[dict[str, float]] = [
    {},
    {"gpu_hour": 9.75, "engineer_day": 333.3},
    {"setup_days_shared": 0, "setup_days_adapters": 0.5, "setup_days_layers": 7, "setup_days_copies": 1e-7},
    {"requests_per_month": 5e8, "tokens_per_request": 8000, "gpu_tflops": 0.5, "peak_factor": 7},
    {"gpu_memory_gb": 1e-4, "concurrent_requests": 500, "gpu_memory_usable": 1},
    {"horizon_months": 0.75, "upkeep_days_per_part_month": 0, "storage_gb_month": 12.5},
    {"requests_per_month": 3},
    {"training_tokens_per_domain": 1e15, "training_utilisation": 0.001, "serving_utilisation": 0.9},
    {"bytes_per_parameter": 1, "adapter_bytes_per_parameter": 4, "activation_bytes": 1},
]
"""Prices in place of the package's own; each moves other figures, the GPUs among them."""


def profile_of(*names: str) -> Profile:
    sizes = dict.fromkeys(names or NAMES, 4)
    return make_profile(made_up_layers(4, sizes, rows=8, columns=6), sizes, threshold=4e-4)


def gains(*names: str) -> list[MeasuredGain]:
    """Of one way on all domains, of one on the first alone, and of one that may do harm."""
    first, second = names or NAMES
    measured = [
        (first, "shared", 1.5, 0.4, 0.6),
        (second, "shared", 1.9, 0.05, 0.15),
        (first, "adapters", 1.2, 0.7, 0.9),
        (first, "all-adapters", 1.95, -0.1, 0.2),
    ]
    return [
        MeasuredGain(domain=domain, option=option, loss_before=2, loss_after=after, low=low, high=high, source="here")
        for domain, option, after, low, high in measured
    ]


def reckoned(run: Path, prices: Path | None = None, value: float | None = 0.001) -> Shared:
    return share(run, rank=1, prices=prices, value=value, gains=gains())


def price_file(folder: Path, prices: dict[str, float]) -> Path:
    file = folder / "prices.yaml"
    file.write_text("".join(f"{name}: {value:.17f}\n" for name, value in prices.items()), "utf-8")
    return file
