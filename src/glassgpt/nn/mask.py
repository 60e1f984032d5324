"""Who may look at whom. Resolved once per forward pass, so that no layer asks again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PAD = -1
"""The id of a place without a token: batches of different lengths are filled up with it. It is in no
vocabulary, so a model needs no extra row for it, and which places are real shows in the ids themselves."""


@dataclass(frozen=True)
class AttnMask:
    """Nothing is hidden, the kernel's own causal flag, or a boolean tensor in which True means attend.

    `allowed` broadcasts to (B, H, T, S). At most one of the two fields is set.
    """

    allowed: Tensor | None = None
    is_causal: bool = False

    @classmethod
    def full(cls) -> AttnMask:
        """Every token sees every token: an encoder without padding, or a decoder looking at its memory."""
        return cls()

    @classmethod
    def padding(cls, real: Tensor, *, window: int | None = None) -> AttnMask:
        """Every token sees every real token. real: (B, S), True where a token is not padding.

        window: only tokens fewer than so many places away, on either side; padding then sees itself, so that
        no row is empty.
        """
        if window is None:
            return cls(allowed=real[:, None, None, :])  # (B, 1, 1, S)
        place = torch.arange(real.shape[1], device=real.device)
        near = (place[:, None] - place).abs() < window  # (S, S)
        itself = place[:, None] == place
        return cls(allowed=(near & real[:, None, :] | itself)[:, None])  # (B, 1, S, S)

    @classmethod
    def causal(
        cls,
        T: int,
        past: int = 0,
        padding: Tensor | None = None,
        *,
        window: int | None = None,
        device: torch.device | None = None,
    ) -> AttnMask:
        """A token sees itself and what came before it, `past` cached tokens included.

        padding: (B, past + T), True where a token is real; padding still sees itself, so no row is empty.
        window: a token sees itself and the window − 1 before it (Beltagy et al. 2020; as in Mistral).
        The kernel's own causal flag aligns to the top left, which is right only without a past: with one, the
        mask is spelled out.
        """
        if padding is None and (window is None or past + T <= window):
            if past == 0:
                return cls(is_causal=True)
            if T == 1:
                return cls()
        where = device if padding is None else padding.device
        query = torch.arange(past, past + T, device=where)[:, None]  # (T, 1)
        key = torch.arange(past + T, device=where)[None, :]  # (1, S)
        allowed = key <= query  # (T, S)
        if window is not None:
            allowed &= key > query - window
        if padding is not None:
            allowed = (allowed & padding[:, None, :]) | (key == query)  # (B, T, S)
            return cls(allowed=allowed[:, None])  # (B, 1, T, S)
        return cls(allowed=allowed)

    def dense(self, T: int, S: int, device: torch.device | None = None) -> Tensor:
        """The same mask as a boolean tensor that broadcasts to (B, H, T, S).

        >>> AttnMask.causal(3).dense(3, 3).int().tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
        """
        if self.allowed is not None:
            return self.allowed
        ones = torch.ones(T, S, dtype=torch.bool, device=device)
        return ones.tril() if self.is_causal else ones
