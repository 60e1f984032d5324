"""The interface of every model, for one trainer, one engine and one recorder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import KVCache, Memory


class Model(nn.Module):
    """Tokens in, logits out: `forward = head ∘ trunk`. No loss, no sampling."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__()
        self.config = config
        self.n_vocab = n_vocab

    def encode(self, source: Tensor) -> Memory | None:
        """Encode a source for cross-attention; None for models without one."""
        return None

    def trunk(self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None) -> Tensor:
        """tokens: (B, T) of int64 -> states (B, T, C)."""
        raise NotImplementedError

    def head(self, h: Tensor) -> Tensor:
        """States (B, T, C) -> logits (B, T, V)."""
        raise NotImplementedError

    def forward(
        self, tokens: Tensor, *, memory: Memory | None = None, cache: KVCache | None = None
    ) -> Tensor:
        """tokens: (B, T) -> logits (B, T, V)."""
        return self.head(self.trunk(tokens, memory=memory, cache=cache))

    def predict(
        self,
        tokens: Tensor,
        source: Tensor | None = None,
        source_of: Tensor | None = None,
        *,
        blank: bool = False,
    ) -> Tensor:
        """Compute logits (B, T, V) of a batch, after encoding its source.

        tokens: (B, T). source: the input of `encode`. source_of: (B,), the source index of each row; by
        default row i has source i. blank: zero the memory, to measure the model without its source.
        """
        memory = None if source is None else self.encode(source)
        if memory is not None and source_of is not None:
            memory = memory.select(source_of)
        return self(tokens, memory=memory.blank() if memory and blank else memory)

    @property
    def output_head(self) -> nn.Module | None:
        """The module that outputs the logits; None for a mere encoder."""
        return None

    def new_cache(self, B: int, max_len: int | None = None) -> KVCache | None:
        """Create an empty KV cache for B sequences; None for a model without one."""
        return None

    def cache_bytes(self, B: int, max_len: int | None = None) -> int:
        """Return the size of `new_cache(B, max_len)` in bytes."""
        return 0

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    @property
    def n_params(self) -> int:
        """Number of parameters; shared ones count once."""
        return sum(p.numel() for p in self.parameters())

    def expected_logit_variance(self) -> float:
        """Compute the variance of a logit at initialization, from `config.init`."""
        raise NotImplementedError
