"""Who may look at whom. Resolved once per forward pass, so that no layer asks again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
    def padding(cls, real: Tensor) -> AttnMask:
        """Every token sees every real token. real: (B, S), True where a token is not padding."""
        return cls(allowed=real[:, None, None, :])  # (B, 1, 1, S)

    @classmethod
    def causal(
        cls, T: int, past: int = 0, padding: Tensor | None = None, *, device: torch.device | None = None
    ) -> AttnMask:
        """A token sees itself and what came before it, `past` cached tokens included.

        padding: (B, past + T), True where a token is real; padding still sees itself, so no row is empty.
        The kernel's own causal flag aligns to the top left, which is right only without a past: with one, the
        mask is spelled out.
        """
        if padding is None and past == 0:
            return cls(is_causal=True)
        if padding is None and T == 1:
            return cls()
        query = torch.arange(past, past + T, device=device if padding is None else padding.device)[
            :, None
        ]  # (T, 1)
        key = torch.arange(past + T, device=query.device)[None, :]  # (1, S)
        allowed = key <= query  # (T, S)
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
