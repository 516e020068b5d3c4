"""Configurations of tiny models: experts, recurrences, and blocks that hand on more than the hidden state."""

from __future__ import annotations

from typing import Any

VOCABULARY = 61

ROPE: dict[str, Any] = {
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
"""What most configurations call their sizes."""

TWO_KINDS = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}

_EXPERTS = ROPE | {
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
    "n_shared_experts": 1,
    "decoder_sparse_step": 1,
}
_LATENT = _EXPERTS | {
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 4,
    "head_dim": 4,
    "num_key_value_heads": 4,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "rope_interleave": True,
}
_MAMBA = {"vocab_size": VOCABULARY, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 2, "time_step_rank": 4}
_MAMBA2 = {
    "mamba_n_heads": 4,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 4,
    "mamba_chunk_size": 4,
}
_DELTA = {
    "head_dim": 8,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention"],
}
_PER_LAYER = ROPE | {
    "num_hidden_layers": 4,
    "head_dim": 8,
    "hidden_size_per_layer_input": 4,
    "vocab_size_per_layer_input": VOCABULARY,
    "sliding_window": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}

_STACK = {"mlp.experts.gate_up_proj": False, "mlp.experts.down_proj": False}
_ROUTER = {"mlp.gate.weight": False} | _STACK
_GRANITE = {
    "block_sparse_moe.router.weight": False,
    "block_sparse_moe.experts.gate_up_proj": False,
    "block_sparse_moe.experts.down_proj": False,
}
_FEED = {"feed_forward.experts.gate_up_proj": False, "feed_forward.experts.down_proj": False}

# Name, class of the configuration, options, linear weights outside linear modules, what is left out.
Entry = tuple[str, str, dict[str, Any], dict[str, bool], tuple[str, ...]]

EXPERTS: list[Entry] = [
    ("mixtral", "MixtralConfig", _EXPERTS, _ROUTER, ()),
    ("qwen2-moe", "Qwen2MoeConfig", _EXPERTS, _ROUTER, ()),
    ("qwen3-moe", "Qwen3MoeConfig", _EXPERTS | {"head_dim": 8}, _ROUTER, ()),
    (
        "gpt-oss",
        "GptOssConfig",
        _EXPERTS | TWO_KINDS | {"head_dim": 8},
        {"mlp.router.weight": False, "mlp.experts.gate_up_proj": True, "mlp.experts.down_proj": True},
        ("gate_up_proj_bias", "down_proj_bias"),
    ),
    ("olmoe", "OlmoeConfig", _EXPERTS, _ROUTER, ()),
    ("flex-olmo", "FlexOlmoConfig", _EXPERTS, _ROUTER, ()),
    ("granite-moe", "GraniteMoeConfig", _EXPERTS, _GRANITE, ()),
    ("granite-moe-shared", "GraniteMoeSharedConfig", _EXPERTS | {"shared_intermediate_size": 8}, _GRANITE, ()),
    ("deepseek-v2", "DeepseekV2Config", _LATENT | {"topk_method": "greedy"}, _ROUTER, ()),
    ("deepseek-v3", "DeepseekV3Config", _LATENT, _ROUTER, ()),
    ("dots1", "Dots1Config", _LATENT, _ROUTER, ()),
    ("glm4-moe", "Glm4MoeConfig", _LATENT, _ROUTER, ()),
    (
        "ernie4.5-moe",
        "Ernie4_5_MoeConfig",
        _EXPERTS | {"moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 0, "moe_layer_end_index": 1},
        _ROUTER,
        ("e_score_correction_bias",),
    ),
    ("phi-moe", "PhimoeConfig", _EXPERTS, _STACK, ()),
    ("hunyuan-moe", "HunYuanMoEV1Config", _EXPERTS | {"head_dim": 8, "moe_topk": 2}, _STACK, ()),
    (
        "afmoe",
        "AfmoeConfig",
        _EXPERTS | TWO_KINDS | {"head_dim": 8, "num_dense_layers": 1, "num_shared_experts": 1},
        _STACK,
        (),
    ),
    (
        "jetmoe",
        "JetMoeConfig",
        _EXPERTS | {"kv_channels": 4},
        {
            "mlp.input_linear.weight": False,
            "mlp.output_linear.weight": False,
            "experts.input_linear.weight": False,
            "experts.output_linear.weight": False,
        },
        (),
    ),
    (
        "llama4",
        "Llama4TextConfig",
        _EXPERTS | {"intermediate_size_mlp": 24, "head_dim": 8, "interleave_moe_layer_step": 1, "moe_layers": [0, 1]},
        {"experts.gate_up_proj": True, "experts.down_proj": True},
        (),
    ),
    (
        "minimax",
        "MiniMaxConfig",
        _EXPERTS | {"block_size": 4, "head_dim": 4, "layer_types": ["linear_attention", "full_attention"]},
        _ROUTER,
        (),
    ),
    ("qwen3-next", "Qwen3NextConfig", _EXPERTS | _DELTA, _ROUTER, ("convolution",)),
    (
        "lfm2-moe",
        "Lfm2MoeConfig",
        _EXPERTS | {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
        {"feed_forward.gate.weight": False} | _FEED,
        ("convolution",),
    ),
    (
        "jamba",
        "JambaConfig",
        _EXPERTS
        | {
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "mamba_d_state": 4,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
        {"feed_forward.router.weight": False} | _FEED,
        ("convolution", "A_log"),
    ),
    (
        "granite-hybrid",
        "GraniteMoeHybridConfig",
        _EXPERTS | _MAMBA2 | {"shared_intermediate_size": 8, "layer_types": ["mamba", "attention"]},
        _GRANITE,
        ("convolution",),
    ),
]

RECURRENT: list[Entry] = [
    ("mamba", "MambaConfig", _MAMBA, {}, ("convolution", "A_log")),
    ("falcon-mamba", "FalconMambaConfig", _MAMBA, {}, ("convolution", "A_log")),
    (
        "mamba2",
        "Mamba2Config",
        _MAMBA | {"num_heads": 4, "head_dim": 8, "n_groups": 2, "chunk_size": 4},
        {},
        ("convolution",),
    ),
    (
        "recurrent-gemma",
        "RecurrentGemmaConfig",
        ROPE | {"num_hidden_layers": 3, "lru_width": 16, "attention_window_size": 4},
        {"rg_lru.input_gate_weight": True, "rg_lru.recurrent_gate_weight": True},
        ("convolution", "input_gate_bias", "recurrent_gate_bias"),
    ),
    ("falcon-h1", "FalconH1Config", ROPE | _MAMBA2 | {"mamba_d_ssm": 32}, {}, ("convolution",)),
    ("bamba", "BambaConfig", ROPE | _MAMBA2 | {"attn_layer_indices": [1]}, {}, ("convolution",)),
    (
        "nemotron-h",
        "NemotronHConfig",
        ROPE
        | {
            "num_hidden_layers": 3,
            "layers_block_type": ["mamba", "attention", "mlp"],
            "mamba_num_heads": 4,
            "mamba_head_dim": 8,
            "n_groups": 1,
            "ssm_state_size": 4,
            "chunk_size": 4,
            "head_dim": 8,
            "use_mamba_kernels": False,
        },
        {},
        ("convolution",),
    ),
    ("lfm2", "Lfm2Config", ROPE | {"layer_types": ["conv", "full_attention"]}, {}, ("convolution",)),
    ("qwen3.5", "Qwen3_5TextConfig", ROPE | _DELTA, {}, ("convolution",)),
    (
        "rwkv",
        "RwkvConfig",
        {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 2, "context_length": 64}
        | {"attention_hidden_size": 16},
        {},
        ("time_mix_key", "time_mix_receptance", "time_mix_value"),
    ),
]

MORE_THAN_ONE_TENSOR: list[Entry] = [
    (
        "gemma3n",
        "Gemma3nTextConfig",
        _PER_LAYER
        | {
            "altup_num_inputs": 2,
            "laurel_rank": 4,
            "num_kv_shared_layers": 1,
            "activation_sparsity_pattern": [0.5, 0.5, 0.0, 0.0],
        },
        {},
        (),
    ),
    ("gemma4", "Gemma4TextConfig", _PER_LAYER | {"global_head_dim": 8, "num_kv_shared_layers": 2}, {}, ()),
]
