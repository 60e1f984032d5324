"""The decoder: a transformer with causal attention that predicts the next token.

With the `gpt2` preset it is GPT-2, with `modern` it is Qwen3; only the configuration differs.
"""

from __future__ import annotations

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.models.transformer import Transformer, embed, make_head
from glassgpt.nn import AttnMask, KVCache, Memory, init_weights, make_ngrams


class GPT(Transformer):
    """Embedding, blocks, norm, head; with `cross`, also cross-attention to a memory."""

    def __init__(self, config: ModelConfig, n_vocab: int, *, cross: bool = False) -> None:
        super().__init__(config, n_vocab, cross=cross)
        self.wte = nn.Embedding(n_vocab, config.n_embd)
        self.ngrams = make_ngrams(config)
        init_weights(self, config)
        self.lm_head = make_head(config, self.wte)

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T) -> states (B, T, C).

        With a cache, the tokens continue its text. Padding is allowed after a sequence only; no real token
        can see it there.
        """
        past = cache.pos if cache else 0
        mask = AttnMask.causal(tokens.shape[1], past, window=self.config.window, device=tokens.device)
        x = embed(self.wte, tokens)
        if self.ngrams is not None:
            recent = cache.append_tokens(tokens, self.ngrams.order - 1) if cache else tokens
            x = x + self.ngrams(recent)[:, -tokens.shape[1] :]  # (B, T, C)
        return self.run_blocks(x, mask, memory=memory, cache=cache)

    def head(self, h: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V)."""
        return self.lm_head(h)

    @property
    def output_head(self) -> nn.Module:
        """The language model head."""
        return self.lm_head

    def new_cache(self, B: int, max_len: int | None = None) -> KVCache:
        """Create an empty KV cache for B sequences of `max_len` tokens (default: `block_size`)."""
        c, weight = self.config, self.wte.weight
        return KVCache(
            c.n_layer,
            B,
            c.kv_heads,
            max_len or c.block_size,
            c.head_dim,
            dtype=weight.dtype,
            device=weight.device,
        )

    def cache_bytes(self, B: int, max_len: int | None = None) -> int:
        """Return the size of `new_cache(B, max_len)` in bytes."""
        c = self.config
        shape = (c.n_layer, B, c.kv_heads, max_len or c.block_size, c.head_dim)
        return KVCache.size(*shape, dtype=self.wte.weight.dtype)
