"""Attention masks, resolved once per forward pass and passed to every layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PAD = -1
"""The id of padding. It is in no vocabulary, so a model needs no extra row, and the ids show the padding."""


@dataclass(frozen=True)
class AttnMask:
    """No mask, the kernel's causal flag, or a boolean tensor (True: attend).

    `allowed` broadcasts to (B, H, T, S). At most one of the two fields is set.
    """

    allowed: Tensor | None = None
    is_causal: bool = False

    @classmethod
    def full(cls) -> AttnMask:
        """Let every token see every token: an encoder without padding, or cross-attention."""
        return cls()

    @classmethod
    def padding(cls, real: Tensor, *, window: int | None = None) -> AttnMask:
        """Let every token see every real token. real: (B, S), True for real tokens.

        window: only tokens fewer than `window` positions away, on either side. Padding then sees itself, so
        that no row is empty.
        """
        if window is None:
            return cls(allowed=real[:, None, None, :])  # (B, 1, 1, S)
        position = torch.arange(real.shape[1], device=real.device)
        near = (position[:, None] - position).abs() < window  # (S, S)
        itself = position[:, None] == position  # (S, S)
        return cls(allowed=(near & real[:, None, :] | itself)[:, None])  # (B, 1, S, S)

    @classmethod
    def causal(
        cls, T: int, past: int = 0, *, window: int | None = None, device: torch.device | None = None
    ) -> AttnMask:
        """Let a token see itself and all before it, `past` cached tokens included.

        Padding belongs after a sequence; no real token can see it there.
        window: a token sees itself and the window − 1 before it (Beltagy et al. 2020; as in Mistral).
        The kernel's causal flag aligns to the top left, so it serves without a past only.
        """
        if window is None or past + T <= window:
            if past == 0:
                return cls(is_causal=True)
            if T == 1:
                return cls()
        query = torch.arange(past, past + T, device=device)[:, None]  # (T, 1)
        key = torch.arange(past + T, device=device)[None, :]  # (1, S)
        allowed = key <= query  # (T, S)
        if window is not None:
            allowed &= key > query - window
        return cls(allowed=allowed)

    def dense(self, T: int, S: int, device: torch.device | None = None) -> Tensor:
        """Return the mask as a boolean tensor, broadcastable to (B, H, T, S).

        >>> AttnMask.causal(3).dense(3, 3).int().tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
        """
        if self.allowed is not None:
            return self.allowed
        ones = torch.ones(T, S, dtype=torch.bool, device=device)
        return ones.tril() if self.is_causal else ones
