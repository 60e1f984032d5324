"""The parts of a transformer: attention, mask, KV cache, positions, norm, MLP, block.

No part knows its model, or that a recorder may be attached.
"""

from glassgpt.nn.attention import (
    Attention,
    ScaledDotProduct,
    attention_scores,
    attention_weights,
    masked_scores,
)
from glassgpt.nn.block import Block, Memory
from glassgpt.nn.cache import CrossKV, KVCache, LayerKV
from glassgpt.nn.init import init_weights
from glassgpt.nn.lora import ExtendedEmbedding, ExtendedHead, LoraLinear
from glassgpt.nn.mask import PAD, AttnMask
from glassgpt.nn.mlp import GeluMLP, SwigluMLP, make_mlp
from glassgpt.nn.ngram import NgramEmbedding, make_ngrams
from glassgpt.nn.norm import RMSNorm, make_norm
from glassgpt.nn.position import Rope, RotaryEmbedding, SinusoidalEmbedding, make_added_positions, make_rope

__all__ = [
    "PAD",
    "Attention",
    "AttnMask",
    "Block",
    "CrossKV",
    "ExtendedEmbedding",
    "ExtendedHead",
    "GeluMLP",
    "KVCache",
    "LayerKV",
    "LoraLinear",
    "Memory",
    "NgramEmbedding",
    "RMSNorm",
    "Rope",
    "RotaryEmbedding",
    "ScaledDotProduct",
    "SinusoidalEmbedding",
    "SwigluMLP",
    "attention_scores",
    "attention_weights",
    "init_weights",
    "make_added_positions",
    "make_mlp",
    "make_ngrams",
    "make_norm",
    "make_rope",
    "masked_scores",
]
