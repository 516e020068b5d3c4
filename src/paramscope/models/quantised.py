"""Models whose files hold quantised weights: they are measured as the plain weights that these stand for."""

from __future__ import annotations

import inspect
from typing import Any

from paramscope.errors import UsageError


def quantised(config: Any) -> str | None:
    """By which method the weights of a model's files are quantised; None where they are not."""
    given = getattr(config, "quantization_config", None)
    if given is None:
        return None
    method = given.get("quant_method") if isinstance(given, dict) else getattr(given, "quant_method", None)
    return str(getattr(method, "value", method))


def dequantising(config: Any, name: str) -> dict[str, Any]:
    """What lets transformers turn quantised weights into plain ones as it reads them.

    Args:
        config: of the model.
        name: of the model, for the message.

    Returns:
        Arguments for ``from_pretrained``; none for a model that is not quantised.

    Raises:
        UsageError: transformers cannot for this method.
    """
    method = quantised(config)
    if method is None:
        return {}
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING as METHODS

    able = {name: kind for name, kind in METHODS.items() if "dequantize" in inspect.signature(kind).parameters}
    if method not in able:
        raise UsageError(
            f"model {name} is quantised by {method}, which cannot be made plain as it is read (that goes for "
            f"{', '.join(sorted(able))}); give the model before it was quantised"
        )
    return {"quantization_config": able[method](dequantize=True)}
