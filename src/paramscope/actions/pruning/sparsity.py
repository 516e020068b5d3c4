"""How sparse each layer becomes: allocation rules, and the whole numbers of zeros that come of them.

A rule gives a wanted sparsity a layer. ``settle`` shifts them all by one number, within their bounds, until their mean
over the weights (not over the layers) is the target. ``count_zeros`` turns them into whole numbers whose sum is the
target's, to the weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from paramscope.errors import UsageError
from paramscope.measures.histogram import EDGES
from paramscope.wording import listed, quoted

ALLOCATIONS = ("uniform", "paper", "owl", "histogram")
"""Rules by name, see the functions below; besides them, a list of sparsities."""

PAPER_ALPHA, PAPER_BETA = 2.0, 0.2
"""Of Wang et al. 2025."""

OWL_OUTLIER, OWL_LAMBDA = 5.0, 0.08
"""M and lambda of OWL, as its authors ran LLaMA-7B."""

_MOST = 0.95
"""No layer becomes sparser, unless the target itself is near: a layer of next to no weights passes nothing on."""

_NEAR = 0.005
"""How far the mean of a given list may lie from the sparsity that is asked for: it was rounded."""

_HALVINGS = 100
"""Of a bisection: beyond the resolution of a float64."""

Vector = NDArray[np.float64]


def most_sparse(target: float) -> float:
    """The bound that no layer's sparsity exceeds: 0.95, or midway between the target and 1 where that is more."""
    return max(_MOST, (1.0 + target) / 2)


def uniform(layers: int, target: float) -> Vector:
    """The same sparsity in every layer."""
    return np.full(layers, target)


def paper(density: Vector, target: float, *, alpha: float = PAPER_ALPHA, beta: float = PAPER_BETA) -> Vector:
    """Denser layers are pruned less (Wang et al. 2025, the allocation by activation density).

    ``N'_i = sigmoid((N_i - mean) / std + alpha / i)`` with i counted from 1, and
    ``S_i = S + beta S (1 - N'_i L / sum N')``. The paper does not say which standard deviation; this is the
    population's (divided by L). Where all densities are equal, the first term is 0.

    Args:
        density: ``[L]``, N_i: share of each layer's weights above the threshold.
        target: S.
        alpha: how much more the first layers are spared.
        beta: how far sparsities may lie apart.

    Returns:
        ``[L]``; their plain mean is S.
    """
    spread = density.std()
    equal = spread <= 1e-12  # the rounding of equal numbers' mean
    standard = np.zeros(len(density)) if equal else (density - density.mean()) / spread
    squashed = expit(standard + alpha / np.arange(1, len(density) + 1))
    result: Vector = target + beta * target * (1.0 - squashed * len(density) / squashed.sum())
    return result


def owl(outliers: Vector, target: float, *, spread: float = OWL_LAMBDA) -> Vector:
    """Layers with more outliers are pruned less (OWL, Yin et al. 2024).

    The shares of outliers are scaled to the width 2 lambda and moved so that the sparsities' plain mean is S, as the
    authors' code does. The paper's text says ``S - lambda <= S_i <= S + lambda``; the code keeps the width of that
    interval, not its place: where one layer stands out, the others lie close together and it lies further off.

    Args:
        outliers: ``[L]``, share of each layer's Wanda scores that are above M times the layer's mean.
        target: S.
        spread: lambda.

    Returns:
        ``[L]``.
    """
    width = outliers.max() - outliers.min()
    if width <= 1e-12:
        return uniform(len(outliers), target)
    scaled = (outliers - outliers.min()) / width * (2 * spread)
    result: Vector = target - (scaled - scaled.mean())
    return result


def equal_loss(counts: Sequence[NDArray[Any]], zeros: Sequence[float], target: float) -> Vector:
    """Every layer loses the same share of its own total activation, were its smallest activations removed.

    Within a bin of the histogram the activation is taken as evenly spread over its weights.

    Args:
        counts: by layer ``[BINS]``, weights in each bin of the histogram.
        zeros: by layer, weights whose activation is exactly 0; they go first and cost nothing.
        target: S, the mean over the weights.

    Returns:
        ``[L]``. Where zeros alone are more than S, all of them, for ``settle`` to shift.
    """
    middles = (EDGES[:-1] + EDGES[1:]) / 2
    sizes, curves = [], []
    for bins, none in zip(counts, zeros, strict=True):
        used = np.flatnonzero(bins)
        number = none + np.cumsum(bins[used], dtype=np.float64)
        lost = np.cumsum(bins[used] * middles[used])
        size = number[-1] if len(used) else none
        # A layer without any activation loses nothing, however sparse.
        total = lost[-1] if len(used) else 1.0
        sizes.append(size)
        curves.append((np.append(0.0, lost / total), np.append(none, number) / size))
    weights, bound = np.array(sizes), most_sparse(target)

    def at(loss: float) -> Vector:
        return np.array([min(float(np.interp(loss, lost, shares)), bound) for lost, shares in curves])

    return at(_solve(lambda loss: float(at(loss) @ weights / weights.sum()), target, 0.0, 1.0))


def given(content: object, layers: int) -> Vector:
    """A list of sparsities, one a layer, or a mapping of layer numbers to sparsities.

    Args:
        content: as JSON or YAML gives it.
        layers: L, of the model.

    Returns:
        ``[L]``.

    Raises:
        UsageError: it has another form or length, names a layer that is not there, leaves one out, or holds what is no
            sparsity.
    """
    if isinstance(content, dict):
        names = {str(layer): layer for layer in range(layers)}
        unknown = [key for key in content if str(key) not in names]
        if unknown:
            raise UsageError(
                f"allocation: layer {quoted(unknown[0])} is unknown; the model's {layers} layers are 0 to {layers - 1}"
            )
        found = {str(key): value for key, value in content.items()}
        missing = [name for name in names if name not in found]
        if missing:
            raise UsageError(f"allocation: nothing is said of layer {listed(missing, 5)}; give every layer a sparsity")
        content = [found[name] for name in names]
    if not isinstance(content, list | tuple | np.ndarray):
        raise UsageError(
            f"allocation is of type {type(content).__name__}; give a list of {layers} sparsities, or a mapping of "
            "layers to sparsities"
        )
    if len(content) != layers:
        raise UsageError(f"allocation has {len(content)} sparsities, the model {layers} layers; give one for each")
    for layer, value in enumerate(content):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise UsageError(
                f"allocation: the sparsity {quoted(value)} of layer {layer} is no share; give a number of at least 0 "
                "and less than 1"
            )
    return np.array(content, dtype=np.float64)


def mean_of(sparsities: Vector, sizes: Sequence[int], asked: float | None) -> float:
    """The mean over the weights of a given list.

    Args:
        sparsities: ``[L]``.
        sizes: weights of each layer.
        asked: the target, where one is given too.

    Returns:
        ``asked``, or the mean where nothing is asked.

    Raises:
        UsageError: the two differ by more than rounding, or nothing or all would be pruned.
    """
    weights = np.asarray(sizes, dtype=np.float64)
    mean = float(sparsities @ weights / weights.sum())
    if asked is None:
        if mean == 0:
            raise UsageError("allocation: every sparsity is 0, so nothing would be pruned; give one that is not")
        return mean
    if abs(mean - asked) > _NEAR:
        raise UsageError(
            f"allocation: the mean over the weights is {mean:.4g}, --sparsity says {asked:g}; leave out --sparsity, or "
            "mend the list"
        )
    return asked


def settle(wanted: Vector, sizes: Sequence[int], target: float) -> Vector:
    """Shift all sparsities by one number, within their bounds, until their mean over the weights is the target.

    What a bound takes from one layer, the others bear in equal parts, so nothing of the target is lost. Sparsities
    that have the mean and lie within the bounds stay as they are.

    Args:
        wanted: ``[L]``.
        sizes: weights of each layer.
        target: above 0, less than 1.

    Returns:
        ``[L]``, between 0 and ``most_sparse(target)``.
    """
    weights, bound = np.asarray(sizes, dtype=np.float64), most_sparse(target)

    def shifted(by: float) -> Vector:
        return np.clip(wanted + by, 0.0, bound)

    def mean(by: float) -> float:
        return float(shifted(by) @ weights / weights.sum())

    if abs(mean(0.0) - target) < 1e-12:
        return shifted(0.0)
    return shifted(_solve(mean, target, -float(wanted.max()), bound - float(wanted.min())))


def _solve(function: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where an increasing function has a value, by bisection; an end of the interval where it has it nowhere."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < wanted else (low, middle)
    return (low + high) / 2


def count_zeros(sparsities: Vector, sizes: Sequence[int], target: float) -> NDArray[np.int64]:
    """Zeros of each layer, ``[L]``: ``round(S * all weights)`` together.

    Args:
        sparsities: ``[L]``, settled.
        sizes: weights of each layer.
        target: S.

    Returns:
        Whole numbers, by the largest remainder.
    """
    weights = np.asarray(sizes, dtype=np.int64)
    return _apportion(round(target * int(weights.sum())), sparsities * weights)


def divide(zeros: int, sizes: Sequence[int]) -> NDArray[np.int64]:
    """Zeros of each module of a layer, in proportion to its weights, by the largest remainder.

    Args:
        zeros: of the layer.
        sizes: weights of each module.

    Returns:
        Whole numbers that add up to ``zeros``.
    """
    weights = np.asarray(sizes, dtype=np.float64)
    return _apportion(zeros, zeros * weights / weights.sum())


def spread_over_rows(zeros: int, rows: int) -> NDArray[np.int64]:
    """Zeros of each row of a module: all but equal, those with one more spread evenly over the module.

    Args:
        zeros: of the module.
        rows: how many it has.

    Returns:
        ``[rows]``.
    """
    ends = np.arange(1, rows + 1, dtype=np.int64) * zeros // rows
    return np.diff(ends, prepend=0)


def _apportion(total: int, quotas: Vector) -> NDArray[np.int64]:
    """Whole numbers near the quotas that add up to the total: the largest remainders are rounded up."""
    # A quota that misses a whole number by the rounding of its product is that number.
    near = np.rint(quotas)
    quotas = np.where(np.abs(quotas - near) < 1e-6, near, quotas)
    whole = np.floor(quotas)
    parts = whole.astype(np.int64)
    rest = total - int(parts.sum())
    order = np.argsort(-(quotas - whole), kind="stable")
    if rest < 0:  # the quotas' own sum was rounded down
        parts[order[rest:]] -= 1
    else:
        parts[order[:rest]] += 1
    return parts
