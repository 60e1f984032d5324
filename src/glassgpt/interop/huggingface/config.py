"""config.json of a model for transformers, and the settings of its generation."""

from __future__ import annotations

from typing import Any

from glassgpt.config import ModelConfig, exportable_as


def class_of(shape: ModelConfig) -> str:
    """Return the class of transformers that computes the same as a model of this configuration."""
    return exportable_as(shape).formats[0]


def model_config(shape: ModelConfig, n_vocab: int, dtype: str, end: int | None) -> dict[str, Any]:
    """Return the content of config.json. end: id of the token that ends a text; None without one."""
    name = class_of(shape)
    fields = {"GPT2LMHeadModel": _gpt2, "LlamaForCausalLM": _llama, "Qwen3ForCausalLM": _qwen3}[name](shape)
    return {
        "architectures": [name],
        **fields,
        "vocab_size": n_vocab,
        "tie_word_embeddings": shape.tie_embeddings,
        "dtype": dtype,
        "torch_dtype": dtype,  # transformers 4
        "use_cache": True,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": end,
    }


def _gpt2(shape: ModelConfig) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "n_positions": shape.block_size,
        "n_embd": shape.n_embd,
        "n_layer": shape.n_layer,
        "n_head": shape.n_head,
        "n_inner": shape.hidden,
        "activation_function": "gelu" if shape.mlp == "gelu_erf" else "gelu_new",
        "layer_norm_epsilon": shape.eps,
        "attn_pdrop": 0.0,  # ours is on embeddings and on the outputs of attention and MLP
        "embd_pdrop": shape.dropout,
        "resid_pdrop": shape.dropout,
    }


def _qwen3(shape: ModelConfig) -> dict[str, Any]:
    return {**_llama(shape), "model_type": "qwen3", "use_sliding_window": False}


def _llama(shape: ModelConfig) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "max_position_embeddings": shape.block_size,
        "hidden_size": shape.n_embd,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.n_layer,
        "num_attention_heads": shape.n_head,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": shape.eps,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "rope_theta": shape.rope_theta,  # transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
    }


def generation_config(end: int | None) -> dict[str, Any]:
    """Return the content of generation_config.json: draw as `glassgpt sample` does."""
    return {
        "do_sample": True,
        "temperature": 0.8,
        "top_k": 0,
        "top_p": 1.0,
        "eos_token_id": end,
        "pad_token_id": end,
    }
