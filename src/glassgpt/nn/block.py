"""One layer of a transformer: communication, then computation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn.attention import Attention
from glassgpt.nn.cache import CrossKV, LayerKV
from glassgpt.nn.mask import AttnMask
from glassgpt.nn.mlp import make_mlp
from glassgpt.nn.norm import make_norm
from glassgpt.nn.position import Rope


@dataclass(frozen=True)
class Memory:
    """States for a decoder's cross-attention: an encoder's output, or the patches of an image."""

    states: Tensor
    """(B, S, C)."""
    mask: AttnMask

    def select(self, rows: Tensor) -> Memory:
        """Return these sequences of the batch, in this order (rows may repeat)."""
        allowed = self.mask.allowed
        return Memory(self.states[rows], AttnMask(allowed if allowed is None else allowed[rows]))

    def blank(self) -> Memory:
        """Return the memory with zeroed states, to measure a decoder without its source."""
        return Memory(torch.zeros_like(self.states), self.mask)


class Block(nn.Module):
    """Self-attention, optional cross-attention and an MLP, each as x = x + f(norm(x))."""

    def __init__(self, config: ModelConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.norm_1 = make_norm(config)
        self.attn = Attention(config)
        self.norm_cross = make_norm(config) if cross else None
        self.cross_attn = Attention(config) if cross else None
        self.norm_2 = make_norm(config)
        self.mlp = make_mlp(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        memory: Memory | None = None,
        *,
        mask: AttnMask,
        rope: Rope | None = None,
        kv: LayerKV | None = None,
        memory_kv: CrossKV | None = None,
    ) -> Tensor:
        """x: (B, T, C) -> (B, T, C). Cross-attention needs a memory."""
        x = x + self.drop(self.attn(self.norm_1(x), mask=mask, rope=rope, kv=kv))
        if self.cross_attn is not None and self.norm_cross is not None:
            assert memory is not None, "this decoder needs a memory: encode a source first"
            x = x + self.drop(
                self.cross_attn(self.norm_cross(x), memory.states, mask=memory.mask, kv=memory_kv)
            )
        return x + self.drop(self.mlp(self.norm_2(x)))

    def residual_projections(self) -> list[nn.Linear]:
        """Return the matrices whose output is added to the residual stream."""
        return [part.proj for part in (self.attn, self.cross_attn, self.mlp) if part is not None]
