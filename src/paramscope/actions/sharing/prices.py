"""Prices and other assumptions behind the costs: the package's own in ``prices.yaml``, the user's in place of them."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from paramscope.actions.sharing.figures import Price
from paramscope.domains.yaml_file import read_yaml
from paramscope.errors import UsageError
from paramscope.result.manifest import first_fault
from paramscope.wording import did_you_mean, listed, quoted

LEAST, MOST = 1e-9, 1e18
"""Bounds of what is no plain mistake; within them no cost is too large for a number."""

VALUE_BOUNDS = 1e-18, MOST
"""Likewise of what a request is worth more for each percent of errors fewer."""

Amount = Annotated[float, Field(ge=0, le=MOST, strict=True)]
Positive = Annotated[float, Field(ge=LEAST, le=MOST, strict=True)]
Share = Annotated[float, Field(ge=LEAST, le=1, strict=True)]


class Prices(BaseModel):
    """What the costs are reckoned with; ``prices.yaml`` says what each is, and why it has its value."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    currency: str = Field(min_length=1, max_length=8)
    gpu_hour: Amount
    gpu_memory_gb: Positive
    gpu_memory_usable: Share
    gpu_tflops: Positive
    training_utilisation: Share
    serving_utilisation: Share
    load_gb_per_second: Positive
    storage_gb_month: Amount
    engineer_day: Amount
    setup_days_shared: Amount
    setup_days_adapters: Amount
    setup_days_layers: Amount
    setup_days_copies: Amount
    upkeep_days_per_part_month: Amount
    requests_per_month: Positive
    tokens_per_request: Positive
    concurrent_requests: Positive
    peak_factor: Annotated[float, Field(ge=1, le=MOST, strict=True)]
    training_tokens_per_domain: Positive
    horizon_months: Positive
    bytes_per_parameter: Positive
    adapter_bytes_per_parameter: Positive
    activation_bytes: Positive

    def named(self, *names: str) -> dict[str, Price]:
        """Some of them, as inputs of a figure."""
        return {name: Price(name, getattr(self, name)) for name in names}


def default_prices() -> str:
    """The text of the package's ``prices.yaml``."""
    return resources.files(__package__).joinpath("prices.yaml").read_text(encoding="utf-8")


def load_prices(file: str | os.PathLike[str] | None = None, **given: float) -> Prices:
    """The package's prices with the user's in place of them.

    Args:
        file: a YAML file of some of the keys.
        given: in place of both.

    Returns:
        The prices.

    Raises:
        UsageError: the file cannot be read, holds an unknown key, or a value that is not allowed.
    """
    import yaml

    known = yaml.safe_load(default_prices())
    own = {} if file is None else _read(Path(file), known)
    try:
        return Prices.model_validate(known | own | given)
    except ValidationError as error:
        where = "" if file is None else f"{file}: "
        found = quoted(error.errors()[0]["input"])
        raise UsageError(f"{where}{first_fault(error)}; it is {found}, mend that value") from error


def _read(path: Path, known: dict[str, Any]) -> dict[str, Any]:
    """The user's file.

    Raises:
        UsageError: it is no mapping of known keys.
    """
    own = read_yaml(path)
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise UsageError(
            f"{path}: expected a mapping of names to numbers; 'paramscope share --print-prices' prints one"
        )
    for key in own:
        if key not in known:
            near = did_you_mean(str(key), known)
            raise UsageError(f"{path}: unknown key {quoted(key)}{near}; known are {listed(known, len(known))}")
    return own
