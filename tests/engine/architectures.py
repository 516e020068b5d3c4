"""Tiny random models of the architectures that the engine must measure exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import nn

from tests.engine.wide import EXPERTS, MORE_THAN_ONE_TENSOR, RECURRENT, ROPE, TWO_KINDS, VOCABULARY

_GEMMA = ROPE | {"head_dim": 8, "hidden_activation": "gelu_pytorch_tanh"}
_ALL_HEADS = ROPE | {"num_key_value_heads": 4}


@dataclass(frozen=True)
class Architecture:
    """One architecture: its configuration, where its blocks are, and what is known of its weights.

    Attributes:
        config: class of transformers.
        blocks: path of the list of blocks.
        options: of the configuration.
        left_padding: whether padding in front is tested too.
        bare: linear weights outside linear modules, by the end of their names; whether they are kept transposed.
        left_out: last names of weights that are not measured; ``convolution`` for those.
        routes: whether tokens are routed, so that samples go one at a time.
        alone: whether it computes parts in float32 whatever its type, so that float64 needs one sample at a time.
        tolerance: of a float64 run; larger where the model itself computes its router in float32.
    """

    config: str
    blocks: str
    options: dict[str, Any]
    left_padding: bool = False
    bare: dict[str, bool] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    routes: bool = False
    alone: bool = False
    tolerance: float = 1e-9


def _gpt2(**options: Any) -> dict[str, Any]:
    return {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 64} | options


ARCHITECTURES = {
    "llama": Architecture("LlamaConfig", "model.layers", ROPE | {"num_hidden_layers": 3}, left_padding=True),
    "mistral-window": Architecture("MistralConfig", "model.layers", ROPE | {"sliding_window": 4}),
    "qwen2": Architecture("Qwen2Config", "model.layers", ROPE),
    "qwen3": Architecture("Qwen3Config", "model.layers", ROPE | {"head_dim": 8}),
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
    "glm": Architecture("GlmConfig", "model.layers", ROPE | {"head_dim": 8}),
    "glm4": Architecture("Glm4Config", "model.layers", ROPE | {"head_dim": 8}),
    "olmo": Architecture("OlmoConfig", "model.layers", ROPE),
    "olmo3": Architecture("Olmo3Config", "model.layers", ROPE | TWO_KINDS),
    "nemotron": Architecture("NemotronConfig", "model.layers", ROPE),
    "helium": Architecture("HeliumConfig", "model.layers", ROPE | {"head_dim": 4}),
    "cohere2": Architecture("Cohere2Config", "model.layers", ROPE | {"sliding_window": 4}),
    "exaone4": Architecture("Exaone4Config", "model.layers", ROPE | {"sliding_window": 4, "sliding_window_pattern": 2}),
    "seed-oss": Architecture("SeedOssConfig", "model.layers", ROPE | {"head_dim": 8}),
    "arcee": Architecture("ArceeConfig", "model.layers", ROPE),
    "ernie4.5": Architecture("Ernie4_5Config", "model.layers", ROPE | {"head_dim": 8}),
    "hunyuan": Architecture("HunYuanDenseV1Config", "model.layers", ROPE | {"head_dim": 8}),
    "vaultgemma": Architecture("VaultGemmaConfig", "model.layers", ROPE | {"head_dim": 8, "sliding_window": 4}),
    "diffllama": Architecture("DiffLlamaConfig", "model.layers", ROPE),
    "persimmon": Architecture("PersimmonConfig", "model.layers", _ALL_HEADS),
    "biogpt": Architecture("BioGptConfig", "biogpt.layers", ROPE),
    "gpt-j": Architecture("GPTJConfig", "transformer.h", _gpt2(rotary_dim=4), alone=True),
    "codegen": Architecture("CodeGenConfig", "transformer.h", _gpt2(rotary_dim=4), alone=True),
    "gpt-bigcode": Architecture("GPTBigCodeConfig", "transformer.h", _gpt2()),
    "gpt-neo": Architecture(
        "GPTNeoConfig",
        "transformer.h",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 16,
            "num_layers": 2,
            "attention_types": [[["global", "local"], 1]],
            "num_heads": 4,
            "max_position_embeddings": 64,
            "window_size": 4,
        },
        alone=True,
    ),
    "mpt": Architecture(
        "MptConfig",
        "transformer.blocks",
        {"vocab_size": VOCABULARY, "d_model": 16, "n_heads": 4, "n_layers": 2, "max_seq_len": 64, "expansion_ratio": 2},
        alone=True,
    ),
    "phi": Architecture("PhiConfig", "model.layers", _ALL_HEADS),
    "phi3": Architecture("Phi3Config", "model.layers", ROPE),
    "gpt2": Architecture("GPT2Config", "transformer.h", _gpt2(n_layer=3), left_padding=True),
    "gpt-neox": Architecture("GPTNeoXConfig", "gpt_neox.layers", _ALL_HEADS),
    "opt": Architecture("OPTConfig", "model.decoder.layers", ROPE | {"ffn_dim": 24}, left_padding=True),
    "opt-projected": Architecture(
        "OPTConfig", "model.decoder.layers", ROPE | {"ffn_dim": 24, "word_embed_proj_dim": 12}
    ),
    "bloom": Architecture(
        "BloomConfig",
        "transformer.h",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "n_layer": 2, "n_head": 4},
        left_padding=True,
    ),
    "falcon": Architecture("FalconConfig", "transformer.h", ROPE | {"new_decoder_architecture": False}),
    "olmo2": Architecture("Olmo2Config", "model.layers", ROPE),
    "stablelm": Architecture("StableLmConfig", "model.layers", ROPE),
    "cohere": Architecture("CohereConfig", "model.layers", ROPE),
    "granite": Architecture("GraniteConfig", "model.layers", ROPE | {"residual_multiplier": 0.7}),
    "smollm3": Architecture("SmolLM3Config", "model.layers", ROPE),
    "starcoder2": Architecture("Starcoder2Config", "model.layers", ROPE | {"sliding_window": 4}),
}
"""By name; those without routed experts and recurrences."""

_LISTS = {
    "mamba": "backbone.layers",
    "falcon-mamba": "backbone.layers",
    "mamba2": "backbone.layers",
    "rwkv": "rwkv.blocks",
}
_FLOAT32_ROUTERS = {"deepseek-v2", "deepseek-v3", "dots1", "glm4-moe", "ernie4.5-moe"}
ARCHITECTURES |= {
    name: Architecture(
        config,
        _LISTS.get(name, "model.layers"),
        options,
        bare=bare,
        alone=True,
        tolerance=1e-7 if name in _FLOAT32_ROUTERS else 1e-9,
        left_out=left_out,
        # Llama 4 multiplies all tokens by all experts, and weighs the outcomes.
        routes=(name, config, options, bare, left_out) in EXPERTS and name != "llama4",
    )
    for name, config, options, bare, left_out in (*EXPERTS, *RECURRENT, *MORE_THAN_ONE_TENSOR)
}

REFUSED = {
    "zamba2": Architecture(
        "Zamba2Config",
        "model.layers",
        ROPE
        | {
            "num_hidden_layers": 4,
            "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
            "num_mem_blocks": 1,
            "mamba_d_state": 4,
            "n_mamba_heads": 4,
            "mamba_ngroups": 1,
            "chunk_size": 4,
            "attention_head_dim": 8,
            "adapter_rank": 4,
            "use_mem_eff_path": False,
        },
    ),
}
"""Offered by transformers and not exact: its blocks share the weights of one attention layer."""


def tiny_model(name: str, *, dtype: torch.dtype = torch.float64, seed: int = 0, **options: Any) -> Any:
    """A random model; its weights are large, so that no activation is near zero, biases and norms included."""
    architecture = (ARCHITECTURES | REFUSED)[name]
    config = getattr(transformers, architecture.config)(**(architecture.options | options))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.float64, experts_implementation="eager"
        )
        for parameter in model.parameters():
            vector = parameter.dim() == 1
            nn.init.normal_(parameter, mean=0.5 if vector else 0.0, std=0.3)
    return model.to(dtype).eval()


def random_ids(lengths: list[int], *, seed: int = 0) -> list[list[int]]:
    """Different samples of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, VOCABULARY, (length,), generator=generator).tolist() for length in lengths]
