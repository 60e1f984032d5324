"""LoRA: trainable low-rank updates of frozen weights, and trainable rows for new tokens.

Each class replaces a layer and keeps its weight under the same name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """W x + b + scale · B A x, with W and b frozen.

    A (rank, in) and B (out, rank) are trained. B starts at zero, so the layer computes the same before the
    first step; A is drawn from N(0, 1 / in).
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
        update = F.linear(F.linear(x, self.lora_a), self.lora_b)  # (..., out)
        return F.linear(x, self.weight, self.bias) + self.scale * update


class ExtendedEmbedding(nn.Module):
    """A frozen embedding; a trained `added` extends its last rows, the new tokens."""

    def __init__(self, embedding: nn.Embedding, n_new: int) -> None:
        super().__init__()
        self.weight = embedding.weight
        self.added = nn.Parameter(torch.empty(n_new, embedding.embedding_dim))
        nn.init.zeros_(self.added)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, C)."""
        row = tokens - (len(self.weight) - len(self.added))  # (B, T): row of `added`; negative if old
        added = F.embedding(row.clamp(min=0), self.added) * (row >= 0)[..., None]  # (B, T, C)
        return F.embedding(tokens, self.weight) + added


class ExtendedHead(nn.Module):
    """A frozen head with trained last rows; `added` is the embedding's if weights are tied."""

    def __init__(self, head: nn.Linear, added: nn.Parameter) -> None:
        super().__init__()
        self.weight, self.added = head.weight, added

    def forward(self, h: Tensor) -> Tensor:
        """(..., C) -> (..., V)."""
        n_old = len(self.weight) - len(self.added)
        return F.linear(h, self.weight) + F.pad(F.linear(h, self.added), (n_old, 0))
