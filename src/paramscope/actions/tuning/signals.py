"""Scores of layers that are measured on the model itself: what other methods choose layers by, as controls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from paramscope.actions.pilots.training import Tokens, kept, padded, token_losses
from paramscope.models.blocks import Block, find_blocks
from paramscope.models.running import evaluation_mode
from paramscope.models.weights import LinearWeight

Array = NDArray[np.float64]

EXPLAINING = 16
"""Directions of a module's input whose share of the variance is told: about the rank of an adapter."""

_QUARTILES = 1.349
"""Interquartile range of a standard normal distribution."""


def layer_scores(rule: str, model: nn.Module, texts: Sequence[Tokens]) -> Array:
    """Score layers.

    Args:
        rule: ``gradient``, ``signal-to-noise`` or ``explained-variance``.
        model: a causal language model; it comes back unchanged.
        texts: training texts, for the first and the last.

    Returns:
        ``[layers]``.
    """
    blocks = find_blocks(model)
    if rule == "signal-to-noise":
        return signal_to_noise(blocks)
    return gradient_norms(model, blocks, texts) if rule == "gradient" else explained_variance(model, blocks, texts)


def gradient_norms(model: nn.Module, blocks: Sequence[Block], texts: Sequence[Tokens]) -> Array:
    """Norm of the training loss's gradient by each layer's linear weights.

    Args:
        model: of the blocks.
        blocks: of the model.
        texts: each is a batch of its own.

    Returns:
        ``[layers]``, root of the mean square over texts.
    """
    squares = np.zeros(len(blocks))
    device = next(model.parameters()).device
    with kept(model), evaluation_mode(model):
        owners = {id(weight.parameter): layer for layer, block in enumerate(blocks) for weight in block.weights}

        def take(parameter: torch.Tensor) -> None:
            assert parameter.grad is not None
            squares[owners[id(parameter)]] += float(parameter.grad.double().square().sum())
            parameter.grad = None  # so that no more than one is in memory

        handles = []
        try:
            for block in blocks:
                for weight in block.weights:
                    weight.parameter.requires_grad_(True)
                    handles.append(weight.parameter.register_post_accumulate_grad_hook(take))
            for text in texts:
                inputs = padded([text], device)
                with torch.enable_grad():
                    logits = model(input_ids=inputs["input_ids"]).logits
                    token_losses(logits, inputs["labels"])[0].mean().backward()
        finally:
            for handle in handles:
                handle.remove()
    return np.sqrt(squares / max(len(texts), 1))


def signal_to_noise(blocks: Sequence[Block]) -> Array:
    """Signal-to-noise ratio of each layer's weights.

    Of a weight ``[m, n]``: the singular values above the Marchenko-Pastur bound of its noise, added up, over those
    below, over the largest one (Hartford et al. 2024, Spectrum, section 3). The bound is sigma (1 + sqrt(beta)), beta
    the smaller over the larger side, sigma the interquartile range of the singular values over 1.349. Modules of
    different kinds have ratios of different sizes, so each is taken over the mean of its kind before a layer's are
    averaged.

    Args:
        blocks: of a model.

    Returns:
        ``[layers]``, 1 on the mean.
    """
    kinds: dict[str, list[tuple[int, float]]] = {}
    for layer, block in enumerate(blocks):
        for weight in block.weights:
            kinds.setdefault(weight.name, []).append((layer, weight_signal(weight.matrices[0])))
    totals, counts = np.zeros(len(blocks)), np.zeros(len(blocks))
    for members in kinds.values():
        mean = np.mean([ratio for _, ratio in members])
        for layer, ratio in members:
            totals[layer] += ratio / mean if mean > 0 else 1.0
            counts[layer] += 1
    return totals / counts


def weight_signal(matrix: torch.Tensor) -> float:
    """Spectrum's ratio of one weight ``[m, n]``; see ``signal_to_noise``."""
    values = torch.linalg.svdvals(matrix.detach().float()).double().cpu().numpy()
    beta = min(matrix.shape) / max(matrix.shape)
    low, high = np.quantile(values, [0.25, 0.75])
    bound = (high - low) / _QUARTILES * (1 + np.sqrt(beta))
    signal, noise = values[values > bound].sum(), values[values <= bound].sum()
    return float(signal / max(noise, 1e-12 * max(signal, 1.0)) / max(values[0], 1e-300))


def explained_variance(model: nn.Module, blocks: Sequence[Block], texts: Sequence[Tokens]) -> Array:
    """How much of its inputs' variance few directions explain, mean over each layer's linear modules.

    After Paischer et al. 2024 (EVA, section 3), which gives ranks to the directions of a module's input that explain
    most; here layers are chosen by it. Not centred, as there.

    Args:
        model: of the blocks.
        blocks: of the model.
        texts: to run.

    Returns:
        ``[layers]``, between 0 and 1.
    """
    device = next(model.parameters()).device
    sums: dict[str, tuple[int, torch.Tensor]] = {}
    handles = []

    def watch(layer: int, weight: LinearWeight) -> None:
        name = f"{layer}/{weight.name}"

        def take(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            rows = inputs[0].detach().reshape(-1, weight.columns).float()
            before = sums[name][1] if name in sums else 0
            sums[name] = (layer, before + rows.T @ rows)

        handles.append(weight.owner.register_forward_pre_hook(take))

    try:
        for layer, block in enumerate(blocks):
            for weight in block.weights:
                watch(layer, weight)
        with torch.no_grad(), evaluation_mode(model):
            for text in texts:
                model(input_ids=torch.tensor([list(text)], device=device))
    finally:
        for handle in handles:
            handle.remove()
    shares: list[list[float]] = [[] for _ in blocks]
    for layer, matrix in sums.values():
        values = torch.linalg.eigvalsh(matrix).clamp(min=0)
        shares[layer].append(float(values[-EXPLAINING:].sum() / values.sum().clamp(min=1e-30)))
    return np.array([np.mean(each) if each else np.nan for each in shares])
