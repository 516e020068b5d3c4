"""Tiny random models of the architectures that the engine must measure exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

VOCABULARY = 61

_ROPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GEMMA = _ROPE | {"head_dim": 8, "hidden_activation": "gelu_pytorch_tanh"}
_ALL_HEADS = _ROPE | {"num_key_value_heads": 4}


@dataclass(frozen=True)
class Architecture:
    """One architecture: its configuration, where its blocks are, and what else is asked of it."""

    config: str
    blocks: str
    options: dict[str, Any]
    left_padding: bool = False


def _gpt2(**options: Any) -> dict[str, Any]:
    return {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64} | options


ARCHITECTURES = {
    "llama": Architecture("LlamaConfig", "model.layers", _ROPE | {"num_hidden_layers": 3}, left_padding=True),
    "mistral-window": Architecture("MistralConfig", "model.layers", _ROPE | {"sliding_window": 4}),
    "qwen2": Architecture("Qwen2Config", "model.layers", _ROPE),
    "qwen3": Architecture("Qwen3Config", "model.layers", _ROPE | {"head_dim": 8}),
    "gemma": Architecture("GemmaConfig", "model.layers", _GEMMA),
    "gemma2": Architecture("Gemma2Config", "model.layers", _GEMMA | {"sliding_window": 4, "query_pre_attn_scalar": 8}),
    "gemma3": Architecture(
        "Gemma3TextConfig",
        "model.layers",
        _GEMMA
        | {
            "num_hidden_layers": 3,
            "sliding_window": 4,
            "query_pre_attn_scalar": 8,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "phi": Architecture("PhiConfig", "model.layers", _ALL_HEADS),
    "phi3": Architecture("Phi3Config", "model.layers", _ROPE),
    "gpt2": Architecture("GPT2Config", "transformer.h", _gpt2(n_layer=3), left_padding=True),
    "gpt-neox": Architecture("GPTNeoXConfig", "gpt_neox.layers", _ALL_HEADS),
    "opt": Architecture("OPTConfig", "model.decoder.layers", _ROPE | {"ffn_dim": 24}, left_padding=True),
    "opt-projected": Architecture(
        "OPTConfig", "model.decoder.layers", _ROPE | {"ffn_dim": 24, "word_embed_proj_dim": 12}
    ),
    "bloom": Architecture(
        "BloomConfig",
        "transformer.h",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "n_layer": 2, "n_head": 4},
        left_padding=True,
    ),
    "falcon": Architecture("FalconConfig", "transformer.h", _ROPE | {"new_decoder_architecture": False}),
    "olmo2": Architecture("Olmo2Config", "model.layers", _ROPE),
    "stablelm": Architecture("StableLmConfig", "model.layers", _ROPE),
    "cohere": Architecture("CohereConfig", "model.layers", _ROPE),
    "granite": Architecture("GraniteConfig", "model.layers", _ROPE | {"residual_multiplier": 0.7}),
    "smollm3": Architecture("SmolLM3Config", "model.layers", _ROPE),
    "starcoder2": Architecture("Starcoder2Config", "model.layers", _ROPE | {"sliding_window": 4}),
}


def tiny_model(name: str, *, dtype: torch.dtype = torch.float64, seed: int = 0, **options: Any) -> Any:
    """A random model; its weights are large, so that no activation is near zero, biases and norms included."""
    architecture = ARCHITECTURES[name]
    config = getattr(transformers, architecture.config)(**(architecture.options | options))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float64)
        for parameter in model.parameters():
            vector = parameter.dim() == 1
            nn.init.normal_(parameter, mean=0.5 if vector else 0.0, std=0.3)
    return model.to(dtype).eval()


def random_ids(lengths: list[int], *, seed: int = 0) -> list[list[int]]:
    """Different samples of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]
