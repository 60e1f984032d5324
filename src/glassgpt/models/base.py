"""What every model can do, so that one trainer, one generator and one recorder serve all of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import KVCache, Memory


class Model(nn.Module):
    """Tokens in, logits out: `forward = head ∘ trunk`. It computes no loss and draws no samples."""

    def __init__(self, config: ModelConfig, n_vocab: int) -> None:
        super().__init__()
        self.config = config
        self.n_vocab = n_vocab

    def encode(self, source: Tensor) -> Memory | None:
        """What the decoder will look at; None for models that only look at their own tokens."""
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
        """Logits (B, T, V) of a batch, its source encoded first.

        tokens: (B, T). source: what `encode` takes. source_of: (B,), which source each row is about; without
        it row i is about source i. blank: with the memory zeroed, as if nothing had been given.
        """
        memory = None if source is None else self.encode(source)
        if memory is not None and source_of is not None:
            memory = memory.select(source_of)
        return self(tokens, memory=memory.blank() if memory and blank else memory)

    @property
    def readout(self) -> nn.Module | None:
        """The module whose output is the logits; None for what only encodes."""
        return None

    def new_cache(self, B: int, max_len: int | None = None) -> KVCache | None:
        """An empty cache for B sequences, or None for a model that needs no past."""
        return None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def n_params(self) -> int:
        """Number of trained weights; shared ones count once."""
        return sum(p.numel() for p in self.parameters())

    def expected_logit_variance(self) -> float:
        """Variance of a logit before any training, from the scheme of the first weights."""
        raise NotImplementedError
