"""Bands of layers: thirds, with the first and the last layer shown by themselves."""

from __future__ import annotations


def layer_bands(layers: int) -> dict[str, list[int]]:
    """Layers of each band, from the input to the output.

    Args:
        layers: number of layers.

    Returns:
        ``first``, ``shallow``, ``middle``, ``deep`` and ``last``; bands without a layer are left out. The first and the
        last layer belong to no third.
    """
    bands: dict[str, list[int]] = {name: [] for name in ("first", "shallow", "middle", "deep", "last")}
    for layer in range(layers):
        if layer == 0:
            bands["first"].append(layer)
        elif layer == layers - 1:
            bands["last"].append(layer)
        else:
            bands[("shallow", "middle", "deep")[layer * 3 // layers]].append(layer)
    return {name: members for name, members in bands.items() if members}


def thirds(layers: int) -> dict[str, list[int]]:
    """Shallow, middle and deep layers, the first and the last among them; the causal checks compare these."""
    bands = layer_bands(layers)
    found = {
        "shallow": bands.get("first", []) + bands.get("shallow", []),
        "middle": bands.get("middle", []),
        "deep": bands.get("deep", []) + bands.get("last", []),
    }
    return {name: members for name, members in found.items() if members}
