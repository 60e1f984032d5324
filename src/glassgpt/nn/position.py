"""How a model knows where a token stands. Attention alone does not: it sees a set, not a sequence."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig


class Rope(NamedTuple):
    """Cosines and sines of some positions, each (T, D / 2)."""

    cos: Tensor
    sin: Tensor

    def rotate(self, x: Tensor) -> Tensor:
        """Turn each pair (x_i, x_{i + D/2}) of x (B, H, T, D) by its position's angle; lengths stay.

        Source: Su et al. 2021, with the pairing of GPT-NeoX ("rotate half").
        """
        return _Turn.apply(x, self.cos.to(x.dtype), self.sin.to(x.dtype))


class _Turn(torch.autograd.Function):
    """(a, b) -> (a cos − b sin, b cos + a sin). Its gradient is turned back by the same angle: nothing of x
    need be kept for that."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        a, b = x.chunk(2, dim=-1)  # (B, H, T, D / 2) each
        y = x * torch.cat((cos, cos), dim=-1)
        y_a, y_b = y.chunk(2, dim=-1)
        y_a.addcmul_(b, sin, value=-1)
        y_b.addcmul_(a, sin)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _Turn.apply(grads[0], cos, -sin), None, None


def _angles(n: int, width: int, theta: float) -> Tensor:
    """(n, width / 2): place times frequency, from 1 down to about 1 / theta."""
    frequency = theta ** (-torch.arange(0, width, 2).float() / width)
    return torch.outer(torch.arange(n).float(), frequency)


def _on_meta_device() -> bool:
    """Whether models are laid out on the meta device, where tables are left without values.

    What computes there imports torch's compiler, which takes over a second.
    """
    return torch.empty(0).is_meta


class RotaryEmbedding(nn.Module):
    """Tables of the rotary angles: not trained, so buffers; recomputed on load, so not saved."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, block_size: int, theta: float) -> None:
        super().__init__()
        if _on_meta_device():
            cos, sin = (torch.empty(block_size, head_dim // 2) for _ in range(2))
        else:
            angle = _angles(block_size, head_dim, theta)  # (block_size, D / 2)
            cos, sin = angle.cos(), angle.sin()
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, start: int, T: int) -> Rope:
        """Angles of the positions start … start + T − 1."""
        return Rope(self.cos[start : start + T], self.sin[start : start + T])


class SinusoidalEmbedding(nn.Module):
    """Fixed sines and cosines of geometrically spaced wavelengths, added to the tokens.

    Source: Vaswani et al. 2017, section 3.5.
    """

    table: Tensor

    def __init__(self, block_size: int, n_embd: int) -> None:
        super().__init__()
        if _on_meta_device():
            table = torch.empty(block_size, n_embd)
        else:
            angle = _angles(block_size, n_embd, 10_000.0)  # (block_size, C / 2)
            table = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :n_embd]  # (block_size, C)
        self.register_buffer("table", table, persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """positions (T,) -> (T, C)."""
        return self.table[positions]


def make_added_positions(config: ModelConfig) -> nn.Module | None:
    """What is added to the embeddings of the tokens; rotary positions act inside attention instead."""
    match config.position:
        case "learned":
            return nn.Embedding(config.block_size, config.n_embd)
        case "sinusoidal":
            return SinusoidalEmbedding(config.block_size, config.n_embd)
        case _:
            return None


def make_rope(config: ModelConfig) -> RotaryEmbedding | None:
    """Rotary positions, where the configuration wants them."""
    if config.position != "rope":
        return None
    return RotaryEmbedding(config.head_dim, config.block_size, config.rope_theta)
