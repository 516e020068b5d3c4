"""What a run leaves: the table of samples and the manifest."""

from __future__ import annotations

import datetime
import platform
import resource
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import torch

from paramscope.domains import Domain, Sample
from paramscope.engine.measure import Measured
from paramscope.measures.intervals import GROUPS, sample_groups
from paramscope.models.blocks import count_parameters
from paramscope.planning import Plan
from paramscope.result.manifest import DomainRecord, EngineRecord, Manifest, ModelRecord, SelfCheck, Thresholds
from paramscope.result.tables import Tables, pooled_median


def sample_table(domains: Sequence[Domain], measured: Measured) -> pd.DataFrame:
    """One row a sample, see ``Tables.samples``."""
    rows: list[dict[str, Any]] = []
    for domain in domains:
        groups = sample_groups(len(domain.samples))
        for index, (sample, group) in enumerate(zip(domain.samples, groups, strict=True)):
            rows.append(
                _described(domain, index, sample)
                | {
                    "group": int(group),
                    "objective": measured.values[len(rows)],
                    "token": measured.tokens[len(rows)],
                }
            )
    return pd.DataFrame(rows)


def held_out_table(domains: Sequence[Domain]) -> pd.DataFrame:
    """One row a sample that was kept apart, see ``Tables.held_out``."""
    return pd.DataFrame(
        [_described(domain, i, sample) for domain in domains for i, sample in enumerate(domain.held_out)],
        columns=list(_described(domains[0], 0, domains[0].samples[0])),
    )


def _described(domain: Domain, index: int, sample: Sample) -> dict[str, Any]:
    return {
        "domain": domain.name,
        "index": index,
        "tokens": len(sample.token_ids),
        "full_tokens": sample.full_tokens,
        "truncated": sample.truncated,
        "origin": sample.text.origin,
        "text": sample.text.text,
        **{name: np.asarray(getattr(sample, name), dtype=np.int64) for name in ("token_ids", "target_ids", "foil_ids")},
    }


def make_manifest(
    plan: Plan, check: SelfCheck, tables: Tables, measured: Measured, started: str, timings: dict[str, float]
) -> Manifest:
    """The manifest of a finished run."""
    sizes = [len(domain.samples) for domain in plan.domains]
    chosen = range(sum(sizes)) if plan.reduction.paired is None else plan.reduction.paired
    paired = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[list(chosen)], minlength=len(sizes)).tolist()
    records = [
        DomainRecord(
            name=domain.name,
            source=domain.source,
            asked=domain.asked,
            samples=len(domain.samples),
            tokens=sum(len(sample.token_ids) for sample in domain.samples),
            rows=domain.rows,
            empty=domain.empty,
            duplicates=domain.duplicates,
            unfit=domain.unfit,
            truncated=domain.truncated,
            held_out=len(domain.held_out),
            paired=paired[place],
            sha256=[sample.sha256 for sample in domain.samples],
        )
        for place, domain in enumerate(plan.domains)
    ]
    opened, given = plan.opened, plan.settings.threshold
    return Manifest(
        paramscope=version("paramscope"),
        started=started,
        finished=now(),
        arguments=plan.arguments,
        model=ModelRecord(
            name=opened.name,
            place=opened.place,
            revision=opened.revision,
            architecture=type(opened.model).__name__,
            blocks=plan.blocks[0].name.rsplit(".", 1)[0],
            files=opened.files,
            parameters=count_parameters(opened.model, list(plan.blocks)),
        ),
        domains=records,
        objective=plan.settings.objective,
        completeness=[layer.completeness for layer in measured.layers] if plan.settings.path_steps else None,
        seed=plan.settings.seed,
        groups=GROUPS,
        thresholds=Thresholds(
            default=given or pooled_median(tables),
            rule="given"
            if given
            else "pooled median: half of all weights, over all layers and domains, count as active",
            exact=list(plan.reduction.thresholds),
        ),
        self_check=check,
        engine=EngineRecord(
            device=str(opened.device),
            dtype=str(opened.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            micro_batches=[len(batch.readings) for batch in measured.batches],
            tile_bytes=plan.reduction.tile_bytes,
            layers_resumed=measured.resumed,
            processes=measured.processes,
            wire_bytes=measured.wire_bytes,
            blocks_with_kept_graph=plan.keep,
            weights="streamed" if plan.opened.weights else "resident",
            weight_bytes_read=plan.opened.weights.bytes_read if plan.opened.weights else 0,
            estimated_memory_bytes=plan.memory.total,
            peak_memory_bytes=_peak_memory(),
        ),
        timings=timings,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("paramscope", "torch", "transformers", "numpy")},
        },
        warnings=[*plan.warnings, *measured.notes, *_silent_layers(tables)],
    )


def _silent_layers(tables: Tables) -> list[str]:
    """Warn of layers in which no weight has any activation: no sample's objective depends on them."""
    largest = tables.activation.groupby("layer")["largest"].max()
    silent = [int(layer) for layer in largest.index[largest == 0]]
    if not silent:
        return []
    return [
        f"all activations are zero in {len(silent)} of {len(largest)} layers, such as layer {silent[0]}: the objective "
        "does not depend on their weights, so densities and cosines there say nothing"
    ]


def _peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def now() -> str:
    """The time, for the manifest."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
