"""Parts of a model zeroed: layers, attention heads and groups of neurons, beside what the profile says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from paramscope.causal.damage import HeldOut
from paramscope.causal.zeroing import Cut
from paramscope.models.blocks import Block
from paramscope.models.weights import LinearWeight
from paramscope.models.writers import Writers
from paramscope.result.profile import Profile

NEURON_SHARE = 16
"""A group of neurons is one in so many of its layer's."""


@dataclass(frozen=True)
class Part:
    """A part of one layer.

    Attributes:
        kind: ``layer``, ``head``, ``neurons`` (those with the largest activation) or ``random neurons``.
        layer: its number.
        name: in the layer; empty for a whole layer.
        cuts: its weights; of a head and of neurons those that carry what it says back to the hidden state.
        predicted: ``[D]``, sum of the mean activations of the cuts.
    """

    kind: str
    layer: int
    name: str
    cuts: tuple[Cut, ...]
    predicted: NDArray[np.float64]


def list_parts(
    profile: Profile, blocks: Sequence[Block], writers: Sequence[Writers], *, most: dict[str, int], seed: int
) -> list[Part]:
    """The parts to try; where not all can be, which is drawn at random.

    Args:
        profile: that says what each part does.
        blocks: of the model.
        writers: of the blocks.
        most: parts of each kind.
        seed: of the draw.

    Returns:
        The parts, by kind and layer.
    """
    rng = np.random.default_rng(seed)
    totals = profile.tables.activation.groupby(["layer", "domain"])["total"].sum().unstack("domain")[profile.domains]
    kinds: dict[str, list[Part]] = {"layer": [], "head": [], "neurons": [], "random neurons": []}
    for layer, (block, writer) in enumerate(zip(blocks, writers, strict=True)):
        whole = tuple(Cut.whole(weight) for weight in block.weights)
        kinds["layer"].append(Part("layer", layer, "", whole, totals.loc[layer].to_numpy()))
        if writer.attention:
            sums, size = _columns(profile, layer, writer.attention), writer.attention.columns // writer.heads
            for head in range(writer.heads):
                columns = slice(head * size, (head + 1) * size)
                cut = Cut.columns(writer.attention, columns)
                kinds["head"].append(Part("head", layer, f"head {head}", (cut,), sums[:, columns].sum(1)))
        if writer.mlp and writer.mlp.columns >= 2 * NEURON_SHARE:
            sums, count = _columns(profile, layer, writer.mlp), writer.mlp.columns // NEURON_SHARE
            top = np.argsort(-sums.sum(0), kind="stable")[:count]
            others = rng.choice(np.setdiff1d(np.arange(writer.mlp.columns), top), count, replace=False)
            for kind, chosen in (("neurons", top), ("random neurons", others)):
                cut = Cut.columns(writer.mlp, torch.from_numpy(np.sort(chosen)))
                kinds[kind].append(Part(kind, layer, f"{count} neurons", (cut,), sums[:, chosen].sum(1)))
    parts = []
    for kind, there in kinds.items():
        count = min(len(there), most.get(kind, len(there)))
        parts += [there[i] for i in sorted(rng.choice(len(there), count, replace=False).tolist())]
    return parts


def _columns(profile: Profile, layer: int, weight: LinearWeight) -> NDArray[np.float64]:
    """``[D, columns]`` sums of the mean activations over a module's rows."""
    return np.asarray(profile.tables.sums[f"{layer}/{weight.name}/columns"], dtype=np.float64)


def check_parts(
    held: HeldOut, parts: Sequence[Part], domains: Sequence[str], progress: Callable[[int], object] = lambda _: None
) -> pd.DataFrame:
    """Zero parts, one after the other.

    Args:
        held: held-out texts.
        parts: to zero.
        domains: names.
        progress: told how many parts more are done.

    Returns:
        A row a part and held-out text: kind, layer, name, predicted, domain, sample, damage (nats per token).
    """
    tables = []
    for part in parts:
        damage = held.damage(part.cuts, part.layer)
        predicted = part.predicted[held.owner]
        columns = {"kind": part.kind, "layer": part.layer, "name": part.name, "predicted": predicted}
        tables.append(held.table(damage, domains, **columns))
        progress(1)
    return pd.concat(tables, ignore_index=True)
