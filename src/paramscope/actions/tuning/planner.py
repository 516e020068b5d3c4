"""From a run, its model and a domain to the plan of what is trained."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from paramscope.actions.tuning.adapters import AdapterPlan, Modules, find_modules, plan_adapters, read_trainable
from paramscope.actions.tuning.layers import Choice, choose_layers, given_layers, usual_count
from paramscope.actions.tuning.request import Request
from paramscope.causal.opening import open_profiled
from paramscope.errors import UsageError
from paramscope.models.fingerprint import hash_file
from paramscope.models.open import locate, sketch
from paramscope.recording import now
from paramscope.result.profile import Profile
from paramscope.result.tuned import ModuleRecord, PilotRecord, PlanRecord, TunedDomain
from paramscope.result.verification import Checks, load_checks, plain


@dataclass
class Planner:
    """What planning needs."""

    profile: Profile
    folder: Path | None
    model: nn.Module
    modules: Modules
    domain: str
    request: Request
    tokenizer: Any
    started: float

    @classmethod
    def begin(
        cls,
        profile: Profile,
        folder: Path | None,
        model: str | os.PathLike[str] | nn.Module,
        domain: str,
        request: Request,
        device: str,
        tokenizer: Any,
        started: float,
        *,
        weights: bool,
    ) -> Planner:
        """Open the model; its weights where they are wanted."""
        if isinstance(model, nn.Module):
            opened = open_profiled(profile, model, device).model
        else:
            place = os.fspath(model)
            located = locate(place, None if os.path.exists(place) else profile.manifest.model.revision)
            tokenizer = tokenizer or located.tokenizer
            if weights:
                opened = open_profiled(profile, place, device).model
            else:
                _check_files(profile, place, {path.name: hash_file(path) for path in located.files.all})
                opened = sketch(located, device="cpu").model
        return cls(profile, folder, opened, find_modules(profile, opened), domain, request, tokenizer, started)

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return int(self.profile.parameters.sum())

    @property
    def count(self) -> int:
        """Layers that are chosen."""
        given = self.request.layers
        return given if isinstance(given, int) else len(given) if given else usual_count(self.profile.layers)

    @functools.cached_property
    def checks(self) -> Checks | None:
        """The run's causal checks, where layers are chosen by them."""
        chosen_by = self.request.rule == "damage" and not isinstance(self.request.layers, list)
        return load_checks(self.folder) if chosen_by and self.folder is not None else None

    @property
    def seen(self) -> int:
        """Held-out texts of each domain that the layers are chosen by, so that nothing can be tested on them."""
        return int(self.checks.result.sizes["held_out"]) if self.checks else 0

    def choice(self, measured: dict[str, Any]) -> Choice:
        """The layers of the plan."""
        request = self.request
        if isinstance(request.layers, list):
            return given_layers(request.layers, self.profile.layers)
        checks = self.checks
        return choose_layers(
            request.rule,
            self.count,
            self.profile,
            self.domain,
            damages=checks.parts if checks else None,
            measured=measured.get(request.rule),
            seed=request.seed,
        )

    def plan(self, measured: dict[str, Any]) -> AdapterPlan:
        """The plan."""
        choice = self.choice(measured)
        if self.request.rank is None:
            budget = read_trainable(self.request.trainable, self.parameters)
        else:
            budget = self.request.rank * sum(module.cost for module in self.modules.of(choice.layers))
        return plan_adapters(choice, self.modules, budget)

    def plan_of(self, there: TunedDomain) -> AdapterPlan:
        """The plan that a document tells of."""
        record = there.plan
        choice = Choice(record.rule, tuple(record.layers), (), record.evidence)
        return plan_adapters(choice, self.modules, there.budget)

    def document(self, plan: AdapterPlan, pilot: PilotRecord | None) -> TunedDomain:
        """The result."""
        return TunedDomain(
            domain=self.domain,
            arguments=self.request.plan_arguments(),
            budget=plan.budget,
            share=plan.parameters / self.parameters,
            plan=plan_record(plan),
            left_out=list(self.modules.left_out),
            pilot=pilot,
            finished=now(),
        )


def _check_files(profile: Profile, place: str, digests: dict[str, str]) -> None:
    """Refuse another model than the run's, where both have files of the same names.

    Raises:
        UsageError: a file differs.
    """
    files = profile.manifest.model.files
    changed = [name for name in files if set(files) == set(digests) and files[name] != digests[name]]
    if changed:
        raise UsageError(f"{place} is not the model of the run ({changed[0]} differs); give the one that was profiled")


def plan_record(plan: AdapterPlan) -> PlanRecord:
    """A plan for ``tune.json``."""
    return PlanRecord(
        rule=plan.choice.rule,
        layers=list(plan.choice.layers),
        scores=plain(list(plan.choice.scores)),
        evidence=plan.choice.evidence,
        parameters=plan.parameters,
        modules=[
            ModuleRecord(
                name=adapter.module.name,
                layer=adapter.module.layer,
                rank=adapter.rank,
                alpha=adapter.alpha,
                parameters=adapter.parameters,
            )
            for adapter in plan.adapters
        ],
    )
