"""The study: every variant pruned and measured once, whatever interrupts it."""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramscope
from paramscope.domains import Domain, DomainSpec, draw_domain
from paramscope.models.embedded import embedded_model
from paramscope.models.open import load, locate
from paramscope.result.store import append_line

FILES = {
    "c4": "c4.jsonl",
    "boolq": "boolq.jsonl",
    "humaneval": "humaneval.jsonl",
    "mmlu": "mmlu.jsonl",
    "siqa": "social_i_qa.jsonl",
    "hellaswag": "hellaswag.jsonl",
    "gsm8k": "gsm8k.jsonl",
    "piqa": "piqa.jsonl",
}
"""Of each built-in data set, in the folder ``--data``."""

CALIBRATION = "c4"


@dataclass(frozen=True)
class Variant:
    """One way to prune; ``settings`` of ``paramscope.prune``."""

    name: str
    settings: dict[str, Any]
    seeded: bool = True
    profiled: bool = False


HALF: dict[str, Any] = {"sparsity": 0.5}
BASELINE = "50 %, Wanda, uniform"
VARIANTS = [
    Variant("dense", {}, seeded=False),
    Variant(BASELINE, HALF),
    Variant("50 %, Wanda, paper", HALF | {"allocation": "paper"}, profiled=True),
    Variant("50 %, Wanda, OWL", HALF | {"allocation": "owl"}),
    Variant("50 %, Wanda, histogram", HALF | {"allocation": "histogram"}, profiled=True),
    Variant("2:4, magnitude", {"pattern": "2:4", "score": "magnitude"}, seeded=False),
    Variant("2:4, Wanda", {"pattern": "2:4"}),
    Variant("2:4, activation", {"pattern": "2:4", "score": "activation"}),
]

Record = dict[str, Any]


class Results:
    """Measured so far, a JSON line each; a line that a killed process has left half written is not read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.records: list[Record] = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                self.records.append(json.loads(line))
            except ValueError:
                print(f"left out: {line[:60]}", file=sys.stderr)

    def get(self, key: Record, make: Callable[[], Record]) -> Record:
        """The record of a key, measured if it is not there."""
        for record in self.records:
            if record["key"] == key:
                return record
        started = time.perf_counter()
        record = {"key": key, **make(), "seconds": time.perf_counter() - started}
        append_line(self._path, json.dumps(record))
        self.records.append(record)
        print(f"{key}: {record['seconds']:.0f} s", file=sys.stderr, flush=True)
        return record


class Study:
    """The model, the texts and the sizes."""

    def __init__(self, options: argparse.Namespace) -> None:
        located = locate(str(embedded_model()))
        self.model = load(located, device=options.device).model
        self.tokenizer = located.tokenizer
        self.options = options
        self.results = Results(options.work / "results.jsonl")
        self.sizes = {"samples": options.samples, "max_tokens": options.max_tokens}

    def spec(self, name: str) -> DomainSpec:
        """A data set in the folder."""
        return DomainSpec(name, f"{name}@{self.options.data / FILES[name]}")

    def pruned(self, variant: Variant, domain: str, seed: int) -> Any:
        """A pruned copy of the model; the model itself where nothing is to be pruned."""
        if not variant.settings:
            return self.model
        model = copy.deepcopy(self.model)
        settings = dict(variant.settings)
        if settings.get("score") != "magnitude":
            settings |= {"domain": self.spec(domain), "tokenizer": self.tokenizer, "seed": seed, **self.sizes}
        if variant.profiled:
            settings["run"] = self.run(domain, seed)
        paramscope.prune(model, in_place=True, **settings)
        return model

    def run(self, domain: str, seed: int) -> Path:
        """A profile of the calibration texts of a seed."""
        samples, tokens = self.options.profile_samples, self.options.profile_tokens
        run: Path = self.options.work / f"run-{domain}-{seed}-{samples}-{tokens}"
        paramscope.profile(
            self.model,
            {domain: self.spec(domain)},
            tokenizer=self.tokenizer,
            output=run,
            resume=True,
            samples=samples,
            max_tokens=tokens,
            seed=seed,
            held_out=0,
            pairs=0,
        )
        return run

    def perplexities(self) -> None:
        """WikiText-2 after each variant, calibrated on C4."""
        from paramscope.evaluation.perplexity import perplexity

        text = (self.options.data / "wikitext2_test.txt").read_text(encoding="utf-8")
        ids = self.tokenizer(text, verbose=False)["input_ids"]
        context, blocks = self.options.context, self.options.blocks
        for seed in range(self.options.seeds):
            for variant in VARIANTS:
                if seed and not variant.seeded:
                    continue
                key: Record = {"perplexity": variant.name, "context": context, "blocks": blocks}
                if variant.seeded:
                    key |= {"seed": seed, **self.sizes}
                if variant.profiled:
                    key |= {"profile": [self.options.profile_samples, self.options.profile_tokens]}

                def measure(variant: Variant = variant, seed: int = seed) -> Record:
                    model = self.pruned(variant, CALIBRATION, seed)
                    found = perplexity(model, ids, context=context, limit=blocks)
                    return {"nats": found.nats, "standard_error": found.standard_error, "blocks": found.blocks}

                self.results.get(key, measure)

    def matrix(self) -> None:
        """Held-out texts of each domain after calibration on each, half of all weights by Wanda."""
        names, held_out = self.options.domains, self.options.held_out
        apart = {name: self.held_out(name) for name in names}
        baseline = next(variant for variant in VARIANTS if variant.name == BASELINE)
        for name in ("dense", *names):
            variant = VARIANTS[0] if name == "dense" else baseline
            key: Record = {"calibrated_on": name, "held_out": held_out, "domains": list(names), **self.sizes}

            def measure(variant: Variant = variant, name: str = name) -> Record:
                model = self.pruned(variant, name, 0)
                return {"nats": {domain: _losses(model, given) for domain, given in apart.items()}}

            self.results.get(key, measure)

    def held_out(self, name: str) -> list[tuple[int, ...]]:
        """Texts of a domain that are not calibrated on (the same draw, after the calibration texts)."""
        drawn: Domain = draw_domain(
            self.spec(name),
            self.tokenizer,
            samples=self.options.samples,
            max_tokens=self.options.max_tokens,
            seed=0,
            held_out=self.options.held_out,
        )
        # ``prune`` draws none apart, so of a small data set it would take these too.
        short = len(drawn.samples) < self.options.samples
        if short:
            sys.exit(
                f"{name} has too few texts for {self.options.samples} samples and held-out ones; give --samples less"
            )
        assert not {s.sha256 for s in drawn.samples} & {s.sha256 for s in drawn.held_out}
        return [sample.token_ids for sample in drawn.held_out if len(sample.token_ids) > 1]


def _losses(model: Any, texts: Sequence[tuple[int, ...]]) -> list[float]:
    """Mean negative log-likelihood of each text's tokens after the first."""
    from paramscope.evaluation.likelihood import continuation_losses

    rows = [(ids[:1], ids[1:]) for ids in texts]
    return [float(found.losses.mean()) for found in continuation_losses(model, rows)]
