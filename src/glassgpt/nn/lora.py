"""Small matrices beside large ones that stay as they are: what fine-tuning learns, with little state.

Each of these stands in the place of the layer that it takes over, with its weight under the same name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """W x + b + scale · B A x, where W and b are frozen and A (rank, in) and B (out, rank) are trained.

    B begins at zero, so that nothing has changed before the first step; A is drawn from N(0, 1 / in).
    Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models".
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.weight, self.bias, self.scale = linear.weight, linear.bias, scale
        n_out, n_in = linear.weight.shape
        self.lora_a = nn.Parameter(torch.empty(rank, n_in))
        self.lora_b = nn.Parameter(torch.empty(n_out, rank))
        nn.init.normal_(self.lora_a, std=n_in**-0.5)
        nn.init.zeros_(self.lora_b)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        return F.linear(x, self.weight, self.bias) + self.scale * F.linear(
            F.linear(x, self.lora_a), self.lora_b
        )


class ExtendedEmbedding(nn.Module):
    """An embedding whose rows are frozen; to the last ones, of new tokens, `added` is added and trained."""

    def __init__(self, embedding: nn.Embedding, n_new: int) -> None:
        super().__init__()
        self.weight = embedding.weight
        self.added = nn.Parameter(torch.empty(n_new, embedding.embedding_dim))
        nn.init.zeros_(self.added)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, C)."""
        place = tokens - (len(self.weight) - len(self.added))  # among the new ones, or below zero
        added = F.embedding(place.clamp(min=0), self.added) * (place >= 0)[..., None]  # (B, T, C)
        return F.embedding(tokens, self.weight) + added


class ExtendedHead(nn.Module):
    """A head with frozen rows plus trained ones; `added` is the embedding's if weights are tied."""

    def __init__(self, head: nn.Linear, added: nn.Parameter) -> None:
        super().__init__()
        self.weight, self.added = head.weight, added

    def forward(self, h: Tensor) -> Tensor:
        """(..., C) -> (..., V)."""
        n_old = len(self.weight) - len(self.added)
        return F.linear(h, self.weight) + F.pad(F.linear(h, self.added), (n_old, 0))
