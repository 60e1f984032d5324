"""One attention for every role.

Causal, bidirectional, padded, cached and cross-attention differ only in the arguments `memory`, `mask` and
`kv`. The slow, readable `attention_weights` stands next to the fast kernel: tests compare the two, and a
recorder shows its numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.nn.cache import CrossKV, LayerKV
from glassgpt.nn.mask import AttnMask
from glassgpt.nn.norm import RMSNorm
from glassgpt.nn.position import Rope


def attention_scores(q: Tensor, k: Tensor, scale: float | None = None) -> Tensor:
    """Compute the scores q · k / √D, or with another `scale`.

    q: (B, H, T, D), k: (B, H_kv, S, D), H a multiple of H_kv. Returns (B, H, T, S), float32 or finer.
    """
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)  # (B, H, S, D)
    finer = torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(finer), k.to(finer)
    return q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)  # (B, H, T, D) @ (B, H, D, S)


def masked_scores(scores: Tensor, mask: AttnMask) -> Tensor:
    """Set the scores (B, H, T, S) of masked pairs to −∞.

    Raises ValueError if a query has nothing to attend to.
    """
    allowed = mask.dense(scores.shape[-2], scores.shape[-1], scores.device)
    if not allowed.any(dim=-1).all():
        raise ValueError("a query has nothing to attend to: its row of the mask is empty")
    return scores.masked_fill(~allowed, -torch.inf)


def attention_weights(q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
    """Compute the softmax of the scaled, masked scores; the fast kernel never shows it.

    q: (B, H, T, D), k: (B, H_kv, S, D), H a multiple of H_kv. Returns (B, H, T, S), float32 or finer, each
    row summing to 1.
    Raises ValueError if a query has nothing to attend to.
    Source: Vaswani et al. 2017, eq. 1.
    """
    return masked_scores(attention_scores(q, k), mask).softmax(dim=-1)


class ScaledDotProduct(nn.Module):
    """softmax(q kᵀ / √D) v by torch's fastest kernel. No parameters; recorders hook it.

    `scores` and `weights` are its readable reference. A variant overrides `scores` as well as `forward`, so
    that recorders show its own numbers.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask) -> Tensor:
        """q: (B, H, T, D), k and v: (B, H_kv, S, D) -> (B, H, T, D)."""
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask.allowed, is_causal=mask.is_causal, enable_gqa=q.shape[1] != k.shape[1]
        )

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Compute the scores (B, H, T, S) before the mask; see `attention_scores`."""
        return attention_scores(q, k)

    def weights(self, q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
        """Compute the weights (B, H, T, S) readably: the softmax of the masked scores."""
        return masked_scores(self.scores(q, k), mask).softmax(dim=-1)


class Attention(nn.Module):
    """Multi-head attention: a weighted sum of values, by the match of query and key.

    `qkv` is one matrix for queries, keys and values: (n_head + 2 n_kv_head) · head_dim rows.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_head, self.n_kv_head, self.head_dim = config.n_head, config.kv_heads, config.head_dim
        rows = (config.n_head + 2 * config.kv_heads) * config.head_dim
        self.qkv = nn.Linear(config.n_embd, rows, bias=config.bias)
        self.proj = nn.Linear(config.n_head * config.head_dim, config.n_embd, bias=config.bias)
        self.q_norm = RMSNorm(self.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()
        self.sdpa = ScaledDotProduct()

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        *,
        mask: AttnMask,
        rope: Rope | None = None,
        kv: LayerKV | CrossKV | None = None,
    ) -> Tensor:
        """x: (B, T, C) -> (B, T, C).

        memory: (B, S, C), to attend to instead of x; the mask is then over S.
        kv: the cache, a `LayerKV` without a memory, a `CrossKV` with one.
        rope: rotates queries and keys of one sequence, so it cannot be used with a memory.
        """
        if memory is None:
            q, k, v = self._project(x)
            if rope is not None:
                q, k = rope.rotate(q), rope.rotate(k)
            if isinstance(kv, LayerKV):
                k, v = kv.extend(k, v)
        else:
            assert rope is None and not isinstance(kv, LayerKV)
            q = self._query(x)
            cached = None if kv is None else kv.cached
            k, v = self.key_value(memory) if cached is None else cached  # (B, H_kv, S, D) each
            if kv is not None:
                kv.write(k, v)
        y = self.sdpa(q, k, v, mask)  # (B, H, T, D)
        return self.proj(y.transpose(1, 2).flatten(2))  # (B, T, H · D) -> (B, T, C)

    def _heads(self, x: Tensor, n_head: int) -> Tensor:
        return x.unflatten(-1, (n_head, self.head_dim)).transpose(1, 2)  # (B, T, n · D) -> (B, n, T, D)

    @property
    def _widths(self) -> list[int]:
        return [n * self.head_dim for n in (self.n_head, self.n_kv_head, self.n_kv_head)]

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute q (B, H, T, D), k and v (B, H_kv, T, D) of one x."""
        q, k, v = self.qkv(x).split(self._widths, dim=-1)  # (B, T, n · D) each, n = H, H_kv, H_kv
        q, k = self._heads(q, self.n_head), self._heads(k, self.n_kv_head)
        return self.q_norm(q), self.k_norm(k), self._heads(v, self.n_kv_head)

    def _query(self, x: Tensor) -> Tensor:
        """Compute q (B, H, T, D) only, by the first rows of the matrix."""
        n = self._widths[0]
        bias = None if self.qkv.bias is None else self.qkv.bias[:n]
        return self.q_norm(self._heads(F.linear(x, self.qkv.weight[:n], bias), self.n_head))

    def key_value(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Compute k and v (B, H_kv, S, D) of a memory (B, S, C)."""
        n = self._widths[0]
        bias = None if self.qkv.bias is None else self.qkv.bias[n:]
        k, v = F.linear(memory, self.qkv.weight[n:], bias).split(self._widths[1:], dim=-1)  # (B, S, H_kv · D)
        return self.k_norm(self._heads(k, self.n_kv_head)), self._heads(v, self.n_kv_head)
