"""Which parameters of a language model each kind of input uses, layer by layer.

``paramscope.profile(model, domains={...})`` measures, ``paramscope.Profile.load(run)`` reads a run folder. Importing
this package, and reading a run, needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paramscope.errors import CheckError, ParamscopeError, RunError, UsageError

if TYPE_CHECKING:
    from paramscope.deciding import plan
    from paramscope.domains import DomainSpec, Text
    from paramscope.evaluating import evaluate
    from paramscope.profiling import profile
    from paramscope.pruning import prune
    from paramscope.result.profile import Profile
    from paramscope.sharing import share
    from paramscope.sharing_pilot import try_sharing
    from paramscope.tuning import tune
    from paramscope.verifying import verify

__all__ = [
    "CheckError",
    "DomainSpec",
    "ParamscopeError",
    "Profile",
    "RunError",
    "Text",
    "UsageError",
    "evaluate",
    "plan",
    "profile",
    "prune",
    "share",
    "try_sharing",
    "tune",
    "verify",
]

_LAZY = {
    "DomainSpec": "paramscope.domains",
    "Text": "paramscope.domains",
    "Profile": "paramscope.result.profile",
    "evaluate": "paramscope.evaluating",
    "plan": "paramscope.deciding",
    "profile": "paramscope.profiling",
    "share": "paramscope.sharing",
    "try_sharing": "paramscope.sharing_pilot",
    "tune": "paramscope.tuning",
    "prune": "paramscope.pruning",
    "verify": "paramscope.verifying",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


def __getattr__(name: str) -> Any:
    """Import the heavy parts when they are first asked for.

    Raises:
        AttributeError: there is no such name.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
