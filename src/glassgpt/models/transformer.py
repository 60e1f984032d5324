"""What every transformer here is between its first embedding and its head: positions, blocks, a last norm.

Encoder, decoder and image encoder differ in what they embed and in the mask they pass; this is the rest.
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
    """Blocks over embedded things, `cross` with a look at a memory."""

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
        """x: (B, T, C) without positions -> states (B, T, C). With a cache x continues what it holds."""
        T, past = x.shape[1], cache.pos if cache else 0
        assert past + T <= self.config.block_size, (
            f"{past + T} tokens, the model sees {self.config.block_size}"
        )
        if self.wpe is not None:
            x = x + self.wpe(torch.arange(past, past + T, device=x.device))  # + (T, C)
        x = self.drop(x)
        rope = self.rope(past, T) if self.rope is not None else None
        for i, block in enumerate(self.blocks):
            kv, memory_kv = (cache.layer(i), cache.memory(i)) if cache else (None, None)
            x = block(x, memory, mask=mask, rope=rope, kv=kv, memory_kv=memory_kv)
        if cache is not None:
            cache.advance(T)
        return self.norm_f(x)

    def expected_logit_variance(self) -> float:
        """The last norm leaves a mean square of 1, so a logit is a sum of C terms of the head's variance."""
        return self.config.n_embd * 0.02**2 if self.config.init == "gpt2" else 0.0


def make_head(config: ModelConfig, wte: nn.Embedding) -> nn.Linear:
    """From states to logits of tokens: the embedding's own matrix, or one that starts small or at zero."""
    head = nn.Linear(config.n_embd, wte.num_embeddings, bias=False)
    if config.tie_embeddings:
        head.weight = wte.weight
    else:
        nn.init.normal_(head.weight, std=0.02 if config.init == "gpt2" else 0.0)
    return head


def embed(wte: nn.Embedding, tokens: Tensor) -> Tensor:
    """tokens: (B, T), PAD where there is none -> (B, T, C). What padding holds, nobody looks at."""
    return wte(tokens.clamp(min=0))


def is_real(tokens: Tensor) -> Tensor:
    """True where there is a token. tokens: (B, T) -> (B, T)."""
    return tokens != PAD
