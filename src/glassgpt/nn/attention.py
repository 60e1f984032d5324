"""One attention for every role.

Causal, bidirectional, padded, cached and cross-attention differ only in what is passed in: `memory`, `mask`,
`kv`. The slow, readable `attention_weights` stands beside the fast kernel: tests hold one against the
other, and whoever looks inside a model sees its numbers.
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
    """How well each query agrees with each key: q · k / √D, or times another `scale`.

    q: (B, H, T, D), k: (B, H_kv, S, D), H a multiple of H_kv. Returns (B, H, T, S), float32 or finer.
    """
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)  # (B, H, S, D)
    finer = torch.promote_types(q.dtype, torch.float32)
    return q.to(finer) @ k.to(finer).mT * (q.shape[-1] ** -0.5 if scale is None else scale)


def masked_scores(scores: Tensor, mask: AttnMask) -> Tensor:
    """The scores (B, H, T, S) with −∞ where a query may not look.

    Raises ValueError where a query has nothing to attend to.
    """
    allowed = mask.dense(scores.shape[-2], scores.shape[-1], scores.device)
    if not allowed.any(dim=-1).all():
        raise ValueError("a query has nothing to attend to: its row of the mask is empty")
    return scores.masked_fill(~allowed, -torch.inf)


def attention_weights(q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
    """Softmax of the scaled, masked scores: the weights that the fast kernel never shows.

    q: (B, H, T, D), k: (B, H_kv, S, D), H a multiple of H_kv. Returns (B, H, T, S), float32 or finer, each
    row summing to 1.
    Raises ValueError where a query has nothing to attend to.
    Source: Vaswani et al. 2017, eq. 1.
    """
    return masked_scores(attention_scores(q, k), mask).softmax(dim=-1)


class ScaledDotProduct(nn.Module):
    """softmax(q kᵀ / √D) v, by the fastest kernel at hand. No parameters; it is where a recorder looks."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: AttnMask) -> Tensor:
        """q: (B, H, T, D), k and v: (B, H_kv, S, D) -> (B, H, T, D)."""
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask.allowed, is_causal=mask.is_causal, enable_gqa=q.shape[1] != k.shape[1]
        )

    def scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Compute the scores (B, H, T, S) before the mask, in float32 or finer: `attention_scores`."""
        return attention_scores(q, k)

    def weights(self, q: Tensor, k: Tensor, mask: AttnMask) -> Tensor:
        """Compute the weights (B, H, T, S) of the kernel, readably: the softmax of the masked scores.

        A variant of attention overrides `scores` as well as `forward`, so that recorders show its numbers.
        """
        return masked_scores(self.scores(q, k), mask).softmax(dim=-1)


class Attention(nn.Module):
    """Tokens gather from the tokens they may see, weighted by how well query and key agree.

    `qkv` is one matrix for queries, keys and values: (n_head + 2 n_kv_head) · head_dim rows.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.n_head, self.n_kv_head, self.head_dim = config.n_head, config.kv_heads, config.head_dim
        rows = (config.n_head + 2 * config.kv_heads) * config.head_dim
        self.qkv = nn.Linear(config.n_embd, rows, bias=config.bias)
        self.proj = nn.Linear(config.n_head * config.head_dim, config.n_embd, bias=config.bias)
        self.q_norm = RMSNorm(self.head_dim) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(self.head_dim) if config.qk_norm else nn.Identity()
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
        """x: (B, T, C) -> (B, T, C). memory: (B, S, C) to look at instead of x, where the mask is over S.

        kv: what was computed before; a `LayerKV` without a memory, a `CrossKV` with one. rope turns queries
        and keys of one sequence: it means nothing between two.
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
            k, v = (kv and kv.kept) or self.key_value(memory)
            if kv is not None:
                kv.keep(k, v)
        y = self.sdpa(q, k, v, mask)  # (B, H, T, D)
        return self.proj(y.transpose(1, 2).flatten(2))  # (B, T, H · D) -> (B, T, C)

    def _heads(self, x: Tensor, n_head: int) -> Tensor:
        return x.unflatten(-1, (n_head, self.head_dim)).transpose(1, 2)  # (B, T, n · D) -> (B, n, T, D)

    @property
    def _widths(self) -> list[int]:
        return [n * self.head_dim for n in (self.n_head, self.n_kv_head, self.n_kv_head)]

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All rows of the matrix on one x."""
        q, k, v = self.qkv(x).split(self._widths, dim=-1)
        q, k = self._heads(q, self.n_head), self._heads(k, self.n_kv_head)
        return self.q_norm(q), self.k_norm(k), self._heads(v, self.n_kv_head)

    def _query(self, x: Tensor) -> Tensor:
        """The query rows only."""
        n = self._widths[0]
        bias = None if self.qkv.bias is None else self.qkv.bias[:n]
        return self.q_norm(self._heads(F.linear(x, self.qkv.weight[:n], bias), self.n_head))

    def key_value(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The key and value rows only."""
        n = self._widths[0]
        bias = None if self.qkv.bias is None else self.qkv.bias[n:]
        k, v = F.linear(memory, self.qkv.weight[n:], bias).split(self._widths[1:], dim=-1)
        return self.k_norm(self._heads(k, self.n_kv_head)), self._heads(v, self.n_kv_head)
