"""KV cache: keys and values of past tokens, computed once.

The cache of the text grows token by token; that of a memory is computed once. The caller owns the cache and
passes it in; no module holds one.
"""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keys and values of up to `max_len` tokens in every layer, and their ids.

    All are allocated once. One forward pass writes T tokens in every layer at `pos`; the model then calls
    `advance(T)`.
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
        shape = (n_layer, B, max_len, n_kv_head, head_dim)  # one token's numbers are contiguous
        self.keys = torch.zeros(shape, dtype=dtype, device=device).transpose(2, 3)  # (n_layer, B, H, S, D)
        self.values = torch.zeros(shape, dtype=dtype, device=device).transpose(2, 3)  # (n_layer, B, H, S, D)
        self.tokens = torch.zeros(B, max_len, dtype=torch.int64, device=device)
        self.pos = 0
        self._cross = [CrossKV() for _ in range(n_layer)]

    @staticmethod
    def size(n_layer: int, B: int, n_kv_head: int, max_len: int, head_dim: int, dtype: torch.dtype) -> int:
        """Return the bytes that a cache takes."""
        return B * max_len * (2 * n_layer * n_kv_head * head_dim * dtype.itemsize + torch.int64.itemsize)

    @property
    def max_len(self) -> int:
        """Capacity in tokens."""
        return self.keys.shape[3]

    def layer(self, i: int) -> LayerKV:
        """Return the view that layer i's self-attention writes to."""
        return LayerKV(self.keys[i], self.values[i], self.pos)

    def cross_kv(self, i: int) -> CrossKV:
        """Return the keys and values of the memory in layer i's cross-attention."""
        return self._cross[i]

    def append_tokens(self, tokens: Tensor, n: int) -> Tensor:
        """Store ids (B, T) and return them with the n ids before them.

        N-gram embeddings need those. Returns (B, n + T), or fewer at the start of the text.
        """
        end = self.pos + tokens.shape[1]
        self.tokens[:, self.pos : end] = tokens
        return self.tokens[:, max(0, self.pos - n) : end]

    def advance(self, T: int) -> None:
        """Make the T tokens just written part of the past."""
        self.pos += T


class CrossKV:
    """Keys and values of a memory in one layer; None before the first pass."""

    def __init__(self) -> None:
        self.cached: tuple[Tensor, Tensor] | None = None

    def write(self, k: Tensor, v: Tensor) -> None:
        """Store k and v, (B, H, S, D) each."""
        self.cached = k, v


class LayerKV:
    """One layer's view of a `KVCache`."""

    def __init__(self, keys: Tensor, values: Tensor, pos: int) -> None:
        self.keys, self.values, self.pos = keys, values, pos

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append k, v (B, H, T, D); return all so far, (B, H, pos + T, D) each."""
        end = self.pos + k.shape[2]
        assert end <= self.keys.shape[2], f"{end} tokens in a cache for {self.keys.shape[2]}"
        self.keys[:, :, self.pos : end] = k
        self.values[:, :, self.pos : end] = v
        return self.keys[:, :, :end], self.values[:, :, :end]
