"""Slow, obvious float64 references that the fast code is tested against."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from paramscope.measures.histogram import BINS, bin_index
from paramscope.measures.intervals import GROUPS, jackknife_stride, sample_groups
from paramscope.result.layer import LayerResult, ModuleResult
from paramscope.result.manifest import DomainRecord, EngineRecord, Manifest, ModelRecord, SelfCheck, Thresholds
from paramscope.result.profile import PAPER_THRESHOLD, Profile
from paramscope.result.tables import build_tables


def histogram(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.bincount(bin_index(values[values > 0].ravel()), minlength=BINS)


def reduce_module(
    name: str, activation: NDArray[np.float64], sizes: Sequence[int], thresholds: Sequence[float]
) -> ModuleResult:
    """All numbers of one module from the activations ``[N, rows, columns]`` of all samples, held in memory."""
    rows, columns = activation.shape[1:]
    edges = np.cumsum([0, *sizes])
    per_domain = [activation[a:b] for a, b in itertools.pairwise(edges)]
    means = [part.mean(0) for part in per_domain]
    stride = jackknife_stride(rows)
    deleted = np.zeros((len(sizes), GROUPS, BINS), dtype=np.int64)
    for place, part in enumerate(per_domain):
        groups = sample_groups(len(part))
        for group in range(groups.max() + 1 if len(part) > 1 else 0):
            deleted[place, group] = histogram(part[groups != group].mean(0)[::stride])
    return ModuleResult(
        name=name,
        kind="Linear",
        rows=rows,
        columns=columns,
        total=np.array([mean.sum() for mean in means]),
        squares=np.array([(mean**2).sum() for mean in means]),
        zeros=np.array([(mean == 0).sum() for mean in means]),
        underflows=np.zeros(len(means), dtype=np.int64),
        largest=np.array([mean.max() for mean in means]),
        above=np.array([[(mean > threshold).sum() for threshold in thresholds] for mean in means]),
        histogram=np.stack([histogram(mean) for mean in means]),
        deleted=deleted,
        deleted_weights=len(range(0, rows, stride)) * columns,
        row_sums=np.stack([mean.sum(1) for mean in means]),
        column_sums=np.stack([mean.sum(0) for mean in means]),
    )


def reduce_layer(
    layer: int,
    activations: Mapping[str, NDArray[np.float64]],
    sizes: Sequence[int],
    thresholds: Sequence[float] = (PAPER_THRESHOLD,),
) -> LayerResult:
    """All numbers of one layer."""
    vectors = np.concatenate([a.reshape(len(a), -1) for a in activations.values()], axis=1)
    modules = tuple(reduce_module(name, a, sizes, thresholds) for name, a in activations.items())
    return LayerResult(layer, vectors @ vectors.T, modules)


def make_profile(
    layers: Sequence[Mapping[str, NDArray[np.float64]]],
    sizes: Mapping[str, int],
    *,
    threshold: float = 1e-3,
    texts: Sequence[str] | None = None,
    model: str = "made-up-model",
    warnings: Sequence[str] = (),
) -> Profile:
    """A profile of given activations, ``layers[k][module]`` of shape ``[N, rows, columns]``."""
    counts = list(sizes.values())
    names = [name for name, size in sizes.items() for _ in range(size)]
    samples = pd.DataFrame(
        {
            "domain": names,
            "index": np.concatenate([np.arange(size) for size in counts]),
            "group": np.concatenate([sample_groups(size) for size in counts]),
            "tokens": 40,
            "full_tokens": 40,
            "truncated": False,
            "objective": 1.0,
            "token": 7,
            "origin": "made.jsonl:1",
            "text": list(texts or [f"text {i}" for i in range(len(names))]),
        }
    )
    results = [reduce_layer(k, activations, counts) for k, activations in enumerate(layers)]
    manifest = make_manifest(sizes, threshold=threshold, model=model, warnings=warnings, layers=layers)
    return Profile(manifest, build_tables(samples, samples.iloc[:0], list(sizes), results))


def make_manifest(
    sizes: Mapping[str, int], *, threshold: float, model: str, warnings: Sequence[str], layers: Sequence[Any]
) -> Manifest:
    counted = sum(a[0].size for layer in layers for a in layer.values())
    return Manifest(
        paramscope="0.0.0",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        arguments={"samples": 4, "max_tokens": 64},
        model=ModelRecord(
            name=model,
            revision=None,
            architecture="MadeUpForCausalLM",
            blocks="model.layers",
            files={"model.safetensors": "0" * 64},
            parameters={"linear weights of the layers": counted, "embeddings and head": 1000, "norms": 10},
        ),
        domains=[
            DomainRecord(
                name=name,
                source=f"{name}.jsonl",
                asked=size,
                samples=size,
                tokens=40 * size,
                rows=size + 3,
                empty=1,
                duplicates=2,
                truncated=0,
                sha256=["0" * 64] * size,
            )
            for name, size in sizes.items()
        ],
        objective="max-logit",
        seed=0,
        groups=GROUPS,
        thresholds=Thresholds(default=threshold, rule="given", exact=[PAPER_THRESHOLD]),
        self_check=SelfCheck(
            largest_relative_error=1e-6, module="model.layers.0.up", tolerance=1e-3, sample="first", seconds=0.1
        ),
        engine=EngineRecord(
            device="cpu", dtype="float32", threads=2, micro_batches=[4], tile_bytes=1 << 20, peak_memory_bytes=1 << 30
        ),
        timings={"total": 60.0},
        versions={"paramscope": "0.0.0", "python": "3.11"},
        warnings=list(warnings),
    )


def made_up_layers(
    layers: int, sizes: Mapping[str, int], *, seed: int = 0, rows: int = 24, columns: int = 16
) -> list[dict[str, NDArray[np.float64]]]:
    """Log-normal activations that thin out and drift apart between domains with depth."""
    rng = np.random.default_rng(seed)
    made = []
    for layer in range(layers):
        depth = layer / max(layers - 1, 1)
        modules = {}
        for name in ("self_attn.q_proj", "mlp.up_proj", "mlp.down_proj"):
            common = rng.normal(size=(rows, columns))
            parts = []
            for place, size in enumerate(sizes.values()):
                own = rng.normal(size=(rows, columns))
                noise = rng.normal(size=(size, rows, columns))
                height = np.log(1e-3) - 1.5 * depth + 0.1 * place
                parts.append(np.exp(height + common + 1.2 * depth * own + 0.7 * noise))
            modules[name] = np.concatenate(parts)
        made.append(modules)
    return made
