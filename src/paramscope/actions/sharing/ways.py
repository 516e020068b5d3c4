"""Adapters that are partly shared: which layers are a domain's own, and a model that has such adapters.

One adapter of all domains lies on the shared layers; on the others every domain has one of its own. So the ways to
share differ by the own layers alone: none is one adapter for all, all of them is an adapter for each domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from paramscope.actions.pilots.lora import inject, lora_config, lora_layers
from paramscope.actions.pilots.training import check_adapted, kept, let_train, seeded
from paramscope.actions.sharing.costs import ADAPTERS, EVERYWHERE, SHARED
from paramscope.actions.sharing.outcome import RANDOM
from paramscope.actions.tuning.layers import random_layers

if TYPE_CHECKING:
    from peft.tuners.lora import LoraLayer

Activate = Callable[[int], None]
"""Makes the adapters of a domain, by its number, those that the model uses and trains."""


@dataclass(frozen=True)
class Way:
    """A way to share.

    Attributes:
        name: of the option in ``share.json``, or ``RANDOM``.
        draws: own layers; of ``RANDOM`` one set a draw, of the others one.
    """

    name: str
    draws: tuple[tuple[int, ...], ...]

    def draw(self, turn: int) -> int:
        """Which set is trained with the seed of a number."""
        return turn % len(self.draws)


def make_ways(plan: Sequence[int], layers: int, *, seeds: int, seed: int) -> list[Way]:
    """The plan, and what it is held against.

    Args:
        plan: own layers.
        layers: of the model.
        seeds: trainings of each; so many draws has ``RANDOM``.
        seed: of the draws.

    Returns:
        The plan first. Where all layers are the domains' own, there is nothing else to draw or to be own.
    """
    own = tuple(sorted(plan))
    ways = [Way(ADAPTERS, (own,)), Way(SHARED, ((),))]
    if len(own) == layers:
        return ways
    return [
        *ways,
        Way(EVERYWHERE, (tuple(range(layers)),)),
        Way(RANDOM, random_layers(layers, len(own), [own], draws=seeds, seed=seed)),
    ]


@contextmanager
def partly_shared(
    model: nn.Module, shared: Mapping[str, int], own: Mapping[str, int], domains: int, seed: int
) -> Iterator[Activate]:
    """Within it a model has adapters that are shared, and others for each domain; afterwards it is as before.

    All are trained; those that are not active get no gradient, and no step.

    Args:
        model: a causal language model.
        shared: ranks of the shared adapters, by full name of the module.
        own: likewise of the domains' own.
        domains: how many.
        seed: of the adapters' first values, and of all chance within.

    Yields:
        What makes a domain's adapters the active ones.

    Raises:
        RunError: PEFT adapts other modules, or with other ranks.
    """
    with kept(model), seeded(seed, next(model.parameters()).device):
        for name, ranks in ((_SHARED, shared), *((_own(domain), own) for domain in range(domains))):
            if ranks:
                inject(model, lora_config(ranks, model), name=name)
                found = {module: int(layer.r[name]) for module, layer in lora_layers(model).items() if name in layer.r}
                check_adapted(found, ranks)
        let_train(model)
        layers = list(lora_layers(model).values())
        for layer in layers:
            for parameter in _adapter_parameters(layer):
                parameter.requires_grad_(True)  # so that the trainer knows of it, active or not

        def activate(domain: int) -> None:
            for layer in layers:
                layer.set_adapter(_SHARED if _SHARED in layer.r else _own(domain))

        yield activate


_SHARED = "shared"


def _own(domain: int) -> str:
    return f"domain{domain}"


def _adapter_parameters(layer: LoraLayer) -> Iterator[nn.Parameter]:
    for kind in (layer.lora_A, layer.lora_B):
        for adapter in kind.values():
            yield from adapter.parameters()
