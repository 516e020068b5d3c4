"""The tables and arrays of a run: made from the layers' results, written to and read from a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from paramscope.errors import UsageError
from paramscope.measures.histogram import BINS, quantile
from paramscope.result.layer import LayerResult
from paramscope.result.place import TABLES
from paramscope.wording import one_line

ALL = -1
"""Value of the histograms' column ``group`` for the mean over all samples."""


@dataclass(frozen=True)
class Tables:
    """What a run measured.

    Attributes:
        samples: one row a sample, domains one after the other.
        held_out: likewise of those that were kept apart.
        modules: one row a linear module: layer, module, kind, rows, columns, parameters, heads (attention heads side by
            side in its columns, 0 for none; runs of older versions did not record them).
        activation: one row a module and domain: total, squares, zeros, underflows, largest, above (a list, a count per
            exact threshold).
        histograms: one row a module, domain and group: weights, first_bin, counts (a list). ``group`` is ``ALL`` or the
            group of samples left out of the mean.
        gram: ``[layers, N, N]``.
        sums: ``layer/module/rows`` ``[D, rows]`` and ``layer/module/columns`` ``[D, columns]``.
    """

    samples: pd.DataFrame
    held_out: pd.DataFrame
    modules: pd.DataFrame
    activation: pd.DataFrame
    histograms: pd.DataFrame
    gram: NDArray[np.float64]
    sums: dict[str, NDArray[Any]]


def build_tables(
    samples: pd.DataFrame,
    held_out: pd.DataFrame,
    domains: Sequence[str],
    layers: Sequence[LayerResult],
    heads: Sequence[Mapping[str, int]] | None = None,
) -> Tables:
    """Put the layers' results into tables.

    Args:
        samples: see ``Tables``.
        held_out: likewise.
        domains: names, in the order of the results' first axes.
        layers: all layers, from the input to the output.
        heads: of each layer, by module, where they are known.

    Returns:
        The tables.
    """
    modules, activation, histograms = [], [], []
    sums: dict[str, NDArray[Any]] = {}
    for result in layers:
        for module in result.modules:
            key = {"layer": result.layer, "module": module.name}
            modules.append(
                key
                | {
                    "kind": module.kind,
                    "rows": module.rows,
                    "columns": module.columns,
                    "parameters": module.parameters,
                }
                | ({} if heads is None else {"heads": heads[result.layer].get(module.name, 0)})
            )
            sums[f"{result.layer}/{module.name}/rows"] = module.row_sums
            sums[f"{result.layer}/{module.name}/columns"] = module.column_sums
            for place, domain in enumerate(domains):
                row = key | {"domain": domain}
                activation.append(
                    row
                    | {
                        "total": module.total[place],
                        "squares": module.squares[place],
                        "zeros": module.zeros[place],
                        "underflows": module.underflows[place],
                        "largest": module.largest[place],
                        "above": module.above[place],
                    }
                )
                histograms.append(row | {"group": ALL, "weights": module.parameters} | _sparse(module.histogram[place]))
                for group, counts in enumerate(module.deleted[place]):
                    if counts.sum() or module.deleted_weights:
                        histograms.append(row | {"group": group, "weights": module.deleted_weights} | _sparse(counts))
    return Tables(
        samples,
        held_out,
        pd.DataFrame(modules),
        pd.DataFrame(activation),
        pd.DataFrame(histograms),
        np.stack([result.gram for result in layers]),
        sums,
    )


def _sparse(counts: NDArray[np.int64]) -> dict[str, Any]:
    used = np.flatnonzero(counts)
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    return {"first_bin": first, "counts": counts[first:last]}


def pooled_histogram(histograms: pd.DataFrame) -> NDArray[np.int64]:
    """``[BINS]`` sum of the histograms in some rows of the table."""
    pooled = np.zeros(BINS, dtype=np.int64)
    for first, counts in zip(histograms["first_bin"], histograms["counts"], strict=True):
        pooled[first : first + len(counts)] += counts
    return pooled


def pooled_median(tables: Tables) -> float:
    """The median of all activations of a run; the smallest positive number where most are zero."""
    whole = tables.histograms[tables.histograms["group"] == ALL]
    median = quantile(pooled_histogram(whole), float(tables.activation["zeros"].sum()), 0.5)
    return median or float(np.finfo(np.float32).tiny)


def write_tables(folder: Path, tables: Tables) -> None:
    """Write all tables into an existing folder that is not yet a run (the caller moves it into place)."""
    for name in TABLES:
        getattr(tables, name).to_parquet(folder / f"{name}.parquet", index=False, compression="zstd")
    upper = np.triu_indices(tables.gram.shape[1])
    save_file({"upper_triangle": np.ascontiguousarray(tables.gram[:, *upper])}, folder / "gram.safetensors")
    save_file({key: np.ascontiguousarray(value) for key, value in tables.sums.items()}, folder / "sums.safetensors")


def read_tables(folder: Path) -> Tables:
    """Read the tables of a run.

    Args:
        folder: the run.

    Returns:
        The tables.

    Raises:
        UsageError: a file is missing or damaged.
    """
    frames: dict[str, pd.DataFrame] = {}
    place = folder
    try:
        for name in TABLES:
            place = folder / f"{name}.parquet"
            # Runs of older versions kept no samples apart.
            old = name == "held_out" and not place.is_file()
            frames[name] = pd.DataFrame() if old else pd.read_parquet(place)
        place = folder / "gram.safetensors"
        triangles = load_file(place)["upper_triangle"]
        gram = _symmetric(triangles, len(frames["samples"]))
        place = folder / "sums.safetensors"
        sums = load_file(place)
    except (OSError, ValueError, KeyError, pyarrow.ArrowException, SafetensorError) as error:
        raise UsageError(f"{place} is missing or damaged ({one_line(error)}); make the run again") from error
    return Tables(**frames, gram=gram, sums=sums)


def _symmetric(triangles: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """``[layers, N, N]`` from the upper triangles.

    Raises:
        ValueError: they are of another number of samples.
    """
    upper = np.triu_indices(samples)
    if triangles.shape[1:] != upper[0].shape:
        raise ValueError(f"it does not hold the pairs of {samples} samples")
    gram = np.zeros((len(triangles), samples, samples))
    gram[:, *upper] = triangles
    gram[:, upper[1], upper[0]] = triangles
    return gram
