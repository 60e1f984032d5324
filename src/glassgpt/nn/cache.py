"""Keys and values that were computed before, so that a new token costs one token's work.

Those of the text so far grow by a token at a time, those of the memory that a decoder looks at are computed
once. The caller owns the cache and passes it in; no module holds one.
"""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Room for the keys and values of `max_len` tokens in every layer, and for the tokens, allocated once.

    One forward pass writes T tokens in every layer at `pos`; the model then calls `advance(T)`.
    """

    def __init__(
        self,
        n_layer: int,
        B: int,
        n_kv_head: int,
        max_len: int,
        head_dim: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
    ) -> None:
        shape = (n_layer, B, max_len, n_kv_head, head_dim)  # what one token writes lies side by side
        self.keys = torch.zeros(shape, dtype=dtype, device=device).transpose(2, 3)  # (n_layer, B, H, S, D)
        self.values = torch.zeros(shape, dtype=dtype, device=device).transpose(2, 3)
        self.tokens = torch.zeros(B, max_len, dtype=torch.int64, device=device)
        self.pos = 0
        self._memory = [CrossKV() for _ in range(n_layer)]

    @property
    def max_len(self) -> int:
        """Number of tokens that fit."""
        return self.keys.shape[3]

    def layer(self, i: int) -> LayerKV:
        """The view that layer i's attention writes to."""
        return LayerKV(self.keys[i], self.values[i], self.pos)

    def memory(self, i: int) -> CrossKV:
        """Where layer i's cross-attention keeps the keys and values of the memory."""
        return self._memory[i]

    def recall(self, tokens: Tensor, n: int) -> Tensor:
        """Keep (B, T) tokens beside the keys; returns them after the n before, fewer at the beginning."""
        end = self.pos + tokens.shape[1]
        self.tokens[:, self.pos : end] = tokens
        return self.tokens[:, max(0, self.pos - n) : end]

    def advance(self, T: int) -> None:
        """Make the T tokens that the layers have just written part of the past."""
        self.pos += T

    def reset(self) -> None:
        """Forget the text; the room for it stays, and what is known of the memory."""
        self.pos = 0

    def select(self, rows: Tensor) -> None:
        """Keep these sequences of the batch, in this order (rows may repeat: beams, samples)."""
        self.keys = self.keys[:, rows]
        self.values = self.values[:, rows]
        self.tokens = self.tokens[rows]
        for kv in self._memory:
            kv.select(rows)


class CrossKV:
    """Keys and values of a memory in one layer: empty until its cross-attention has run once."""

    def __init__(self) -> None:
        self.kept: tuple[Tensor, Tensor] | None = None

    def keep(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Remember k and v (B, H, S, D), and return them."""
        self.kept = k, v
        return self.kept

    def select(self, rows: Tensor) -> None:
        """Keep these sequences of the batch, in this order."""
        if self.kept is not None:
            k, v = self.kept
            self.kept = k[rows], v[rows]


class LayerKV:
    """One layer's share of a `KVCache`."""

    def __init__(self, keys: Tensor, values: Tensor, pos: int) -> None:
        self.keys, self.values, self.pos = keys, values, pos

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append k, v (B, H, T, D) and return all keys and values so far (B, H, pos + T, D)."""
        end = self.pos + k.shape[2]
        assert end <= self.keys.shape[2], f"{end} tokens in a cache for {self.keys.shape[2]}"
        self.keys[:, :, self.pos : end] = k
        self.values[:, :, self.pos : end] = v
        return self.keys[:, :, :end], self.values[:, :, :end]
