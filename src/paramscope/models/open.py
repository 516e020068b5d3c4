"""Open a model for measuring: weights, tokenizer, fingerprints, and a check that it is a causal language model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from paramscope.errors import UsageError
from paramscope.models.embedded import EMBEDDED_MODEL, model_path
from paramscope.models.files import ModelFiles, locate_model
from paramscope.models.fingerprint import hash_file, hash_weights
from paramscope.models.quantised import dequantising
from paramscope.models.running import evaluation_mode
from paramscope.models.streaming import StreamedWeights, offloading, take_over
from paramscope.models.weights import refuse_not_finite
from paramscope.wording import one_line

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LocatedModel:
    """A model on disk whose weights are not yet loaded.

    Attributes:
        name: the hub id, or the name of the folder or file.
        place: the hub id, or the path of the folder or file.
        revision: on the hub.
        files: of the model.
        config: transformers' configuration.
        tokenizer: of the model.
    """

    name: str
    place: str
    revision: str | None
    files: ModelFiles
    config: Any
    tokenizer: Any


@dataclass(frozen=True)
class OpenModel:
    """A model ready to be measured.

    Attributes:
        model: on its device, or without weights (see ``sketch``).
        name: the hub id, or the name of the folder, file or class.
        revision: on the hub.
        files: SHA-256 by file name.
        device: where it is computed.
        dtype: type of the weights.
        warnings: one sentence each.
        weights: of the blocks, where they stay on the disk.
        place: where it was opened from; None for a model in memory.
    """

    model: nn.Module
    name: str
    revision: str | None
    files: dict[str, str]
    device: torch.device
    dtype: torch.dtype
    warnings: tuple[str, ...] = ()
    weights: StreamedWeights | None = None
    place: str | None = None

    def running(self) -> AbstractContextManager[None]:
        """Within it the model can be called as a whole, also where its weights stay on the disk."""
        return self.weights.in_order() if self.weights else nullcontext()


def max_positions(config: Any) -> int | None:
    """Longest input that a model takes, where its configuration tells."""
    value = getattr(config, "max_position_embeddings", None)
    return value if isinstance(value, int) and value > 0 else None


def choose_device(device: str) -> torch.device:
    """The device that ``--device`` names.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        The device; ``auto`` takes a GPU where there is one.

    Raises:
        UsageError: there is no such device; the message says what there is.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
    if device == "auto":
        return _current_gpu() if count else torch.device("cpu")
    if device not in {"cpu", *(["cuda"] if count else []), *(f"cuda:{i}" for i in range(count))}:
        raise UsageError(f"device {device} is not there; this machine has: {there} (PyTorch {torch.__version__})")
    return _current_gpu() if device == "cuda" else torch.device(device)


def _current_gpu() -> torch.device:
    """The first GPU; of several processes, each has set its own."""
    return torch.device("cuda", torch.cuda.current_device())


def locate(model: str, revision: str | None = None) -> LocatedModel:
    """Find a model by name and open its configuration and tokenizer; the weights are left for ``load``.

    Args:
        model: a folder in Hugging Face format (safetensors), a ``.gguf`` file, ``embedded:smollm2``, or a hub id.
        revision: on the hub.

    Returns:
        The model on disk.

    Raises:
        UsageError: it cannot be opened, has no tokenizer, or is an encoder-decoder.
    """
    files = locate_model(model, revision)
    config = _load_config(model, files)
    # A path says where a model lies on one machine; its last part is what it is called.
    path = model_path(model)
    name = path.resolve().name if path.exists() else model
    place = str(path.resolve()) if path.exists() and model != EMBEDDED_MODEL else model
    return LocatedModel(name, place, revision, files, config, _load_tokenizer(model, files))


def sketch(located: LocatedModel, *, dtype: str = "auto", device: str = "auto") -> OpenModel:
    """The model without its weights: what can be known from the configuration alone.

    Args:
        located: from ``locate``.
        dtype: see ``load``.
        device: see ``choose_device``.

    Returns:
        The model on PyTorch's device ``meta``.

    Raises:
        UsageError: it is no causal language model.
    """
    from transformers import AutoModelForCausalLM

    place = choose_device(device)
    wanted = _wanted_dtype(located, dtype, place)
    if not isinstance(wanted, torch.dtype):
        wanted = getattr(located.config, "dtype", None) or torch.float32
    with _told(located), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(located.config, dtype=wanted)
    return OpenModel(model, located.name, located.revision, {}, place, wanted)


def load(
    located: LocatedModel, *, dtype: str = "auto", device: str = "auto", streamed: OpenModel | None = None
) -> OpenModel:
    """Load a model's weights.

    Args:
        located: from ``locate``.
        dtype: one of ``DTYPES``, or ``auto``: float32 on the CPU and for GGUF files, the files' own type on a GPU.
        device: see ``choose_device``.
        streamed: the same model from ``sketch``, to leave the blocks' weights on the disk.

    Returns:
        The model in evaluation mode.

    Raises:
        UsageError: the weights are not whole or not finite, or it is no causal language model.
    """
    place = choose_device(device)
    wanted = _wanted_dtype(located, dtype, place)
    weights: StreamedWeights | None = None
    if streamed:
        folder = tempfile.mkdtemp(prefix="paramscope-weights-")
        try:
            model, unused = _load_weights(located, wanted, offloading(streamed.model, place, folder))
            weights = take_over(model, place, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    else:
        model, unused = _load_weights(located, wanted, {})
        model.to(place)
    model.eval()
    warnings: tuple[str, ...] = ()
    if unused:
        warnings = (
            f"{len(unused)} weights of the files, such as {unused[0]}, are no part of the model that config.json "
            "describes and are not measured",
        )
    digests = {path.name: hash_file(path) for path in located.files.all}
    kind = next(p.dtype for p in model.parameters() if p.is_floating_point())
    opened = OpenModel(model, located.name, located.revision, digests, place, kind, warnings, weights, located.place)
    check_finite(model, skip=weights.names if weights else frozenset())
    with opened.running():
        check_causal(model)
    return opened


def _wanted_dtype(located: LocatedModel, dtype: str, place: torch.device) -> torch.dtype | str:
    if dtype == "auto" and (place.type == "cpu" or located.files.gguf):
        return torch.float32
    return DTYPES.get(dtype, "auto")


def adopt(model: nn.Module) -> OpenModel:
    """Take a model that the user has loaded.

    Args:
        model: a causal language model of transformers, or one that is called and answers like it.

    Returns:
        The model as it is.

    Raises:
        UsageError: its weights are not finite, or it is no causal language model.
    """
    check_finite(model)
    check_causal(model)
    name = str(getattr(getattr(model, "config", None), "_name_or_path", "")) or type(model).__name__
    first = next(p for p in model.parameters() if p.is_floating_point())
    return OpenModel(model, name, None, {"weights in memory": hash_weights(model)}, first.device, first.dtype)


def _gguf_argument(files: ModelFiles) -> dict[str, str]:
    return {"gguf_file": files.gguf} if files.gguf else {}


def _load_tokenizer(model: str, files: ModelFiles) -> Any:
    from transformers import AutoTokenizer

    names = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "spiece.model")
    if not files.gguf and not any((files.folder / name).is_file() for name in names):
        raise UsageError(f"model {model} has no tokenizer (no {names[0]} in {files.folder}); save it into the folder")
    try:
        return AutoTokenizer.from_pretrained(files.folder, trust_remote_code=False, **_gguf_argument(files))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise UsageError(f"model {model}: its tokenizer cannot be opened ({one_line(error)}); save it again") from error


def _load_config(model: str, files: ModelFiles) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import MODEL_FOR_MASKED_LM_MAPPING, AutoConfig

    try:
        config = AutoConfig.from_pretrained(files.folder, trust_remote_code=False, **_gguf_argument(files))
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise UsageError(
            f"model {model}: its configuration cannot be opened ({one_line(error)}); fetch it again"
        ) from error
    if getattr(config, "is_encoder_decoder", False):
        raise UsageError(
            f"model {model} ({_kind(config)}) is an encoder-decoder, a causal (decoder-only) model is expected"
        )
    decoder = any(getattr(config, name, False) for name in ("is_decoder", "causal"))
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not decoder:
        raise UsageError(f"model {model} ({_kind(config)}) is an encoder, a causal (decoder-only) model is expected")
    return config


def _kind(config: Any) -> str:
    return str((config.architectures or [config.model_type])[0])


@contextmanager
def _told(located: LocatedModel) -> Iterator[None]:
    """Say in one line what transformers has against a model.

    Raises:
        UsageError: it has something.
    """
    name = f"model {located.name}"
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if "Unrecognized configuration class" in str(error):
            raise UsageError(
                f"{name} ({_kind(located.config)}) is no causal language model, one is expected"
            ) from error
        if "ignore_mismatched_sizes" in str(error):
            raise UsageError(f"{name}: its weights have other shapes than config.json says; fetch it again") from error
        what = f"unknown value {error} in config.json" if isinstance(error, KeyError) else one_line(error)
        raise UsageError(f"{name} cannot be opened ({what}); check config.json, or fetch it again") from error


def _load_weights(
    located: LocatedModel, dtype: torch.dtype | str, offloading: dict[str, Any]
) -> tuple[nn.Module, list[str]]:
    """The model, and the names of weights that it has no place for.

    Raises:
        UsageError: the weights cannot be read or do not fit.
    """
    from transformers import AutoModelForCausalLM

    plain = dequantising(located.config, located.name)
    with _told(located):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            located.files.folder,
            config=located.config,
            dtype=dtype,
            trust_remote_code=False,
            output_loading_info=True,
            **offloading,
            **_gguf_argument(located.files),
            **plain,
        )
    model, info = cast(tuple[nn.Module, dict[str, Any]], loaded)
    missing = sorted(info["missing_keys"])
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(
            f"model {located.name} ({_kind(located.config)}) lacks weights of a causal language model, {missing[0]}"
            f"{more}; give a complete one"
        )
    return model, sorted(info["unexpected_keys"])


def check_finite(model: nn.Module, skip: Collection[str] = ()) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        model: any model.
        skip: names of weights that are looked at later.

    Raises:
        UsageError: names the tensor.
    """
    refuse_not_finite((name, parameter) for name, parameter in model.named_parameters() if name not in skip)


def check_causal(model: nn.Module) -> None:
    """Refuse a model whose output at a position depends on later tokens, such as an encoder.

    Args:
        model: called with ``input_ids``, returns ``logits``.

    Raises:
        UsageError: it has no logits ``[1, tokens, vocabulary]``, or they are not causal.
    """
    expected = "a causal (decoder-only) language model is expected"
    first = next(model.parameters(), None)
    if first is None:
        raise UsageError(f"{type(model).__name__} has no weights; {expected}")
    try:
        with torch.no_grad(), evaluation_mode(model):
            output = model(input_ids=torch.tensor([[1, 2, 3, 4], [1, 2, 3, 5]], device=first.device))
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(
            f"{type(model).__name__} cannot be called with input_ids ({one_line(error)}); {expected}"
        ) from error
    logits = getattr(output, "logits", None)
    if not isinstance(logits, torch.Tensor) or logits.dim() != 3:
        raise UsageError(f"{type(model).__name__} returns no next-token logits; {expected}")
    before, after = (value[:3].double() for value in logits)
    tolerance = 1e-2 if logits.dtype.itemsize < 4 else 1e-4
    if (before - after).abs().max() > tolerance * before.abs().max():
        raise UsageError(f"{type(model).__name__} looks at later tokens, so it is an encoder; {expected}")
