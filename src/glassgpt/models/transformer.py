"""The body of every transformer: positions, blocks and a final norm.

Encoder, decoder and patch encoder add their own embedding, mask and head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.base import Model
from glassgpt.nn import (
    PAD,
    AttnMask,
    Block,
    KVCache,
    Memory,
    make_added_positions,
    make_norm,
    make_rope,
)


class Transformer(Model):
    """Positions, blocks and a final norm; `cross` adds cross-attention to each block."""

    def __init__(self, config: ModelConfig, n_vocab: int, *, cross: bool = False) -> None:
        super().__init__(config, n_vocab)
        self.wpe = make_added_positions(config)
        self.rope = make_rope(config)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, cross=cross) for _ in range(config.n_layer))
        self.norm_f = make_norm(config)

    def run_blocks(
        self, x: Tensor, mask: AttnMask, *, memory: Memory | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """x: (B, T, C) without positions -> states (B, T, C).

        With a cache, x continues its text.
        """
        T, past = x.shape[1], cache.pos if cache else 0
        assert past + T <= self.config.block_size, (
            f"{past + T} tokens exceed the context of {self.config.block_size}"
        )
        if self.wpe is not None:
            x = x + self.wpe(torch.arange(past, past + T, device=x.device))  # + (T, C)
        x = self.drop(x)
        rope = self.rope(past, T) if self.rope is not None else None
        for i, block in enumerate(self.blocks):
            kv, memory_kv = (cache.layer(i), cache.cross_kv(i)) if cache else (None, None)
            x = block(x, memory, mask=mask, rope=rope, kv=kv, memory_kv=memory_kv)
        if cache is not None:
            cache.advance(T)
        return self.norm_f(x)

    def expected_logit_variance(self) -> float:
        """Sum the head's variance over C terms.

        The final norm leaves a mean square of 1.
        """
        return self.config.n_embd * 0.02**2 if self.config.init == "gpt2" else 0.0


def make_head(config: ModelConfig, wte: nn.Embedding) -> nn.Linear:
    """Build the head: tied to the embedding, or small or zero at first."""
    head = nn.Linear(config.n_embd, wte.num_embeddings, bias=False)
    if config.tie_embeddings:
        head.weight = wte.weight
    else:
        nn.init.normal_(head.weight, std=0.02 if config.init == "gpt2" else 0.0)
    return head


def embed(wte: nn.Embedding, tokens: Tensor) -> Tensor:
    """Embed tokens (B, T), padded with PAD -> (B, T, C)."""
    return wte(tokens.clamp(min=0))


def is_real(tokens: Tensor) -> Tensor:
    """True for real tokens, False for padding. tokens: (B, T) -> (B, T)."""
    return tokens != PAD
