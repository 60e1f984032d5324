"""A GPT in the style of one file of plain torch: manual attention, `(logits, loss)`, learned positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, C: int, n_head: int, T: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.register_buffer("mask", torch.ones(T, T).tril().bool())

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_head, -1).transpose(1, 2) for part in self.c_attn(x).split(C, dim=2)
        )  # (B, H, T, D)
        scores = (q @ k.transpose(-2, -1)) * self.scale(q)
        weights = F.softmax(self.masked(scores), dim=-1)  # (B, H, T, T)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(B, T, C))

    def scale(self, q: Tensor) -> float:
        return q.shape[-1] ** -0.5

    def masked(self, scores: Tensor) -> Tensor:
        T = scores.shape[-1]
        return scores.masked_fill(~self.mask[:T, :T], float("-inf"))


class MLP(nn.Module):
    def __init__(self, C: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, C: int, n_head: int, T: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.attn, self.mlp = Attention(C, n_head, T), MLP(C)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class SmallGPT(nn.Module):
    def __init__(
        self, n_vocab: int = 65, C: int = 32, n_layer: int = 2, n_head: int = 2, T: int = 64
    ) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(n_vocab, C), nn.Embedding(T, C)
        self.drop = nn.Dropout(0.0)
        self.h = nn.ModuleList(Block(C, n_head, T) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(C)
        self.lm_head = nn.Linear(C, n_vocab, bias=False)
        self.apply(self.init)
        self.lm_head.weight = self.wte.weight

    @staticmethod
    def init(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(idx.shape[1], device=idx.device)))
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        if targets is None:
            return self.lm_head(x[:, [-1]]), None
        logits = self.lm_head(x)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        return logits, loss
