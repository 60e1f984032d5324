"""Positions: attention alone sees a set of tokens, not a sequence."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn import cpu


class Rope(NamedTuple):
    """Cosines and sines of some positions, each (T, D / 2)."""

    cos: Tensor
    sin: Tensor

    def rotate(self, x: Tensor) -> Tensor:
        """Rotate each pair (x_i, x_{i + D/2}) of x (B, H, T, D) by its angle.

        Source: Su et al. 2021, with the pairing of GPT-NeoX ("rotate half").
        """
        return cpu.rotate(x, self.cos.to(x.dtype), self.sin.to(x.dtype))


def _angles(n: int, width: int, theta: float) -> Tensor:
    """Compute position times frequency, (n, width / 2).

    Frequencies fall from 1 to about 1 / theta.
    """
    frequency = theta ** (-torch.arange(0, width, 2).float() / width)  # (width / 2,)
    return torch.outer(torch.arange(n).float(), frequency)


def _on_meta_device() -> bool:
    """True if modules are built on the meta device; tables then stay without values.

    Any computation there imports torch's compiler, which takes over a second.
    """
    return torch.empty(0).is_meta


class RotaryEmbedding(nn.Module):
    """Tables of the rotary angles: buffers, not trained and not saved, recomputed on load."""

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
        """Return the angles of positions start … start + T − 1."""
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
    """Build the positions added to token embeddings; None for rotary positions, used inside attention."""
    match config.position:
        case "learned":
            return nn.Embedding(config.block_size, config.n_embd)
        case "sinusoidal":
            return SinusoidalEmbedding(config.block_size, config.n_embd)
        case _:
            return None


def make_rope(config: ModelConfig) -> RotaryEmbedding | None:
    """Build rotary positions; None for any other `config.position`."""
    if config.position != "rope":
        return None
    return RotaryEmbedding(config.head_dim, config.block_size, config.rope_theta)
