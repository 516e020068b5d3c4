"""A study: everything from the profile to the page, written down in one YAML file.

    model: ./my-model
    output: study-run
    domains:
      support: tickets.csv
      code: {source: snippets.jsonl, field: body}
    profile: {samples: 32, max_tokens: 128}
    verify: {budget: 10m}
    tune: {domains: [support], budget: 15m}
    share: {requests: 200000, pilot: true, budget: 15m}

``model``, ``output`` and ``domains`` must be there. ``verify``, ``tune`` and ``share`` may be ``false`` and are then
left out; where they are not named, ``verify`` and ``share`` take their defaults, and ``tune`` tries what the plan says
to try first. Relative paths start at the file's folder.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from paramscope.domains import DomainSpec
from paramscope.domains.spec import specs_of
from paramscope.domains.yaml_file import read_yaml
from paramscope.errors import UsageError
from paramscope.result.manifest import first_fault
from paramscope.settings import Settings, read_seconds
from paramscope.wording import did_you_mean, listed, quoted


class _Part(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, content: Any) -> Any:
        """Name the nearest known key of one that is not known.

        Raises:
            ValueError: there is such a key; pydantic makes its own error of it.
        """
        if isinstance(content, dict):
            for key in content:
                if key not in cls.model_fields:
                    near = did_you_mean(str(key), cls.model_fields)
                    raise ValueError(f"unknown key {quoted(key)}{near}; known are {listed(cls.model_fields, 30)}")
        return content


class VerifyPart(_Part):
    """See ``paramscope.verify``; ``budget`` is a time such as 5m."""

    budget: str | None = None
    seed: int = 0
    activation: Literal["first-order", "integrated"] = "first-order"
    steps: int | None = None


class TunePart(_Part):
    """See ``paramscope.tune``; ``domains`` are tuned for, one after the other."""

    domains: list[str] | None = Field(default=None, min_length=1)
    rule: str | None = None
    layers: int | list[int] | None = None
    trainable: str | int | None = None
    full: bool = False
    seeds: int = 2
    steps: int | None = None
    budget: str | None = None
    seed: int = 0


PILOT_KEYS = ("seeds", "steps", "budget", "seed")
"""Of the sharing pilot alone."""


class SharePart(_Part):
    """See ``paramscope.share``, and with ``pilot`` also ``paramscope.try_sharing``."""

    rank: int | None = None
    own_layers: int | None = None
    prices: str | None = None
    requests: float | None = Field(default=None, strict=False)
    value: float | None = Field(default=None, strict=False)
    pilot: bool = False
    seeds: int | None = None
    steps: int | None = None
    budget: str | None = None
    seed: int | None = None

    @model_validator(mode="after")
    def _of_the_pilot(self) -> SharePart:
        """Refuse settings of a pilot that is not asked for.

        Raises:
            ValueError: there is one, or two that contradict each other; pydantic makes its own error of it.
        """
        for name in PILOT_KEYS:
            if getattr(self, name) is not None and not self.pilot:
                raise ValueError(f"{name} is of the pilot; give pilot: true too, or leave it out")
        if self.steps is not None and self.budget is not None:
            raise ValueError("steps and budget both say how long the pilot takes; give one of them")
        return self


class Study(_Part):
    """The content of a study's file, see the module."""

    model: str
    output: str
    domains: dict[str, Any] = Field(min_length=1)
    revision: str | None = None
    profile: dict[str, Any] = Field(default_factory=dict)
    verify: VerifyPart | Literal[False] = Field(default_factory=VerifyPart)
    tune: TunePart | Literal[False] = Field(default_factory=TunePart)
    share: SharePart | Literal[False] = Field(default_factory=SharePart)


def told_length(pilot: TunePart | SharePart) -> str:
    """How long a pilot is, in words."""
    return f"{pilot.steps} steps" if pilot.steps else pilot.budget or "15m"


@dataclasses.dataclass(frozen=True)
class ReadStudy:
    """A study whose paths and settings were looked at.

    Attributes:
        study: the file's content.
        model: MODEL.
        output: folder of the run.
        specs: the domains.
        settings: of the profile.
        base: the file's folder.
    """

    study: Study
    model: str
    output: Path
    specs: list[DomainSpec]
    settings: Settings
    base: Path


def read_study(file: Path) -> ReadStudy:
    """Read a study, and refuse what cannot be done before anything is done.

    Args:
        file: the YAML file.

    Returns:
        The study.

    Raises:
        UsageError: the file cannot be read, or a key or value in it is not known; says which, and the nearest known.
    """
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise UsageError(f"{file}: expected a mapping with model, output and domains")
    try:
        study = Study.model_validate(content)
        specs = specs_of(study.domains, file.parent)
        settings = _settings(study.profile)
        _check_parts(study, [spec.name for spec in specs])
    except ValidationError as error:
        raise UsageError(f"{file}: {_told(error)}") from error
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    beside = file.parent / study.model
    model = str(beside) if beside.exists() else study.model
    # Without ".." in it: the run's place stands in the commands that a plan and a page name.
    output = Path(os.path.normpath(file.parent / study.output))
    return ReadStudy(study, model, output, specs, settings, file.parent)


def _told(error: ValidationError) -> str:
    first = error.errors()[0]
    fault = first_fault(error).replace("Value error, ", "")
    if first["type"] == "missing":
        return f"{fault}; a study has model, output and domains"
    # Pydantic tells of each kind that a value may be; the user wants the first.
    return re.sub(r"\.(?:function-after\[\w+\(\), )?(?:VerifyPart|TunePart|SharePart)\b\]?", "", fault)


def _settings(given: dict[str, Any]) -> Settings:
    """Settings of the profile, with underscores or hyphens in their names.

    Raises:
        UsageError: one is not known, or out of range.
    """
    known = [field.name for field in dataclasses.fields(Settings)]
    named = {str(key).replace("-", "_"): value for key, value in given.items()}
    for key in named:
        if key not in known:
            raise UsageError(
                f"profile: unknown key {quoted(key)}{did_you_mean(key, known)}; known are {listed(known, 30)}"
            )
    return Settings(**named)


def _check_parts(study: Study, domains: list[str]) -> None:
    """Look at what the later steps are asked for, before the first one takes its time.

    Raises:
        UsageError: a domain is not of the study, or a time is none.
    """
    for part in (study.verify, study.tune, study.share):
        if part:
            read_seconds(part.budget)
    if study.verify:
        Settings(activation=study.verify.activation, steps=study.verify.steps)
    for name in (study.tune.domains or []) if study.tune else []:
        if name not in domains:
            near = did_you_mean(name, domains)
            raise UsageError(f"tune: domain {quoted(name)} is not of this study{near}; it has {listed(domains)}")
