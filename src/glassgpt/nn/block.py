"""One layer of a transformer: communication, then computation."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn.attention import Attention
from glassgpt.nn.cache import LayerKV
from glassgpt.nn.mask import AttnMask
from glassgpt.nn.mlp import make_mlp
from glassgpt.nn.norm import make_norm
from glassgpt.nn.position import Rope


@dataclass(frozen=True)
class Memory:
    """Whatever a decoder looks at besides itself: an encoder's output, the patches of an image."""

    states: Tensor
    """(B, S, C)."""
    mask: AttnMask


class Block(nn.Module):
    """Self-attention, optional cross-attention and an MLP, each as x = x + f(norm(x))."""

    def __init__(self, config: ModelConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.norm_1 = make_norm(config)
        self.attn = Attention(config)
        self.norm_x = make_norm(config) if cross else None
        self.cross = Attention(config) if cross else None
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
    ) -> Tensor:
        """x: (B, T, C) -> (B, T, C)."""
        x = x + self.drop(self.attn(self.norm_1(x), mask=mask, rope=rope, kv=kv))
        if self.cross is not None and self.norm_x is not None and memory is not None:
            x = x + self.drop(self.cross(self.norm_x(x), memory.states, mask=memory.mask))
        return x + self.drop(self.mlp(self.norm_2(x)))
