"""The decoder: a transformer in which each token sees itself and the past, and predicts the next.

With the `gpt2` preset it is GPT-2, with `modern` it is Qwen3; only the configuration tells them apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.base import Model
from glassgpt.nn import (
    AttnMask,
    Block,
    KVCache,
    Memory,
    RotaryEmbedding,
    SinusoidalEmbedding,
    init_weights,
    make_norm,
)


class GPT(Model):
    """Embedding, blocks, norm, head."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__(config, n_vocab)
        self.wte = nn.Embedding(n_vocab, config.n_embd)
        self.wpe = _added_positions(config)
        self.rope = (
            RotaryEmbedding(config.head_dim, config.block_size, config.rope_theta)
            if config.position == "rope"
            else None
        )
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm_f = make_norm(config)
        self.lm_head = nn.Linear(config.n_embd, n_vocab, bias=False)
        init_weights(self, config)
        if config.tie_embeddings:
            self.lm_head.weight = self.wte.weight

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T) -> states (B, T, C). With a cache the tokens continue what it holds."""
        T, past = tokens.shape[1], cache.pos if cache else 0
        assert past + T <= self.config.block_size, (
            f"{past + T} tokens, the model sees {self.config.block_size}"
        )
        x = self.wte(tokens)  # (B, T, C)
        if self.wpe is not None:
            x = x + self.wpe(torch.arange(past, past + T, device=tokens.device))  # + (T, C)
        x = self.drop(x)
        rope = self.rope(past, T) if self.rope is not None else None
        mask = AttnMask.causal(T, past, device=tokens.device)
        for i, block in enumerate(self.blocks):
            x = block(x, memory, mask=mask, rope=rope, kv=cache.layer(i) if cache else None)
        if cache is not None:
            cache.advance(T)
        return self.norm_f(x)

    def head(self, h: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V)."""
        return self.lm_head(h)

    def new_cache(self, B: int, max_len: int | None = None) -> KVCache:
        """Room for B sequences of `max_len` tokens (the block size when not given)."""
        c = self.config
        weight = self.wte.weight
        return KVCache(
            c.n_layer,
            B,
            c.kv_heads,
            max_len or c.block_size,
            c.head_dim,
            dtype=weight.dtype,
            device=weight.device,
        )

    def expected_logit_variance(self) -> float:
        """The last norm leaves a mean square of 1, so a logit is a sum of C terms of the head's variance."""
        return self.config.n_embd * 0.02**2 if self.config.init == "gpt2" else 0.0


def _added_positions(config: ModelConfig) -> nn.Module | None:
    """What is added to the token embeddings; rotary positions act inside attention instead."""
    match config.position:
        case "learned":
            return nn.Embedding(config.block_size, config.n_embd)
        case "sinusoidal":
            return SinusoidalEmbedding(config.block_size, config.n_embd)
        case _:
            return None
