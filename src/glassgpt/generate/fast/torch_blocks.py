"""The blocks of a GPT by torch's kernels, for GPUs and without a C compiler.

They compute the same as `Block.forward`, for texts of different lengths at once, without modules between the
kernels and without a backward pass. Here R is the number of rows, the new tokens of all slots together:
B · T. native_blocks.py is the faster form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.generate.fast.batch import SlotMemory, TokenBatch
from glassgpt.generate.fast.weights import Precision, pack
from glassgpt.models import GPT
from glassgpt.nn import Attention, Block, GeluMLP, KVCache, SwigluMLP

RopeRows = tuple[Tensor, Tensor]
"""Cosines and signed sines, (R, 1, D) each."""
KeyValue = tuple[Tensor, Tensor]
"""(B, H_kv, S, D) each."""
GELU = {"gelu": "tanh", "gelu_erf": "none"}
"""Form of GELU by `config.mlp`, as `F.gelu` names it."""


class TorchBlocks:
    """All blocks of a GPT and the final norm, with a KV cache."""

    def __init__(self, model: GPT, cache: KVCache, precision: Precision) -> None:
        self.config, self.device, self.dtype = model.config, model.device, model.wte.weight.dtype
        self.max_len = cache.max_len
        self.keys = [KVSlots(cached) for cached in cache.keys]
        self.values = [KVSlots(cached) for cached in cache.values]
        self.layers = [
            _Layer(block, model.config, precision) for block in model.blocks if isinstance(block, Block)
        ]
        self.norm_f = _norm(model.norm_f)
        self._stacked: tuple[list[SlotMemory], list[KeyValue], Tensor | None] = [], [], None
        self.rope = None if model.rope is None else _rope_tables(model.rope.cos, model.rope.sin, self.dtype)

    def __call__(self, x: Tensor, batch: TokenBatch, memories: Sequence[SlotMemory] = ()) -> Tensor:
        """Compute states (R, C) from embedded tokens x (R, C).

        memories: one per slot, or none.
        """
        B, T = len(batch.past), batch.T
        slots, S = slice(batch.first, batch.first + B), max(batch.past) + T
        position = torch.tensor(batch.positions, device=self.device)  # (R,)
        slot = torch.tensor(batch.slots, device=self.device)  # (R,)
        index, mask = slot * self.max_len + position, self._mask(batch, S, position)
        rope = None if self.rope is None else (self.rope[0][position], self.rope[1][position])
        cross_kv, cross_mask = self._stack(memories)
        for i, layer in enumerate(self.layers):
            q, k, v = layer.query_key_value(x, rope)
            keys = self.keys[i].write(k, index, slots, S)  # (B, H_kv, S, D)
            values = self.values[i].write(v, index, slots, S)
            x = x + layer.attn_proj(_attend(q, keys, values, mask, B))
            if layer.has_cross:
                x = x + layer.cross_proj(_attend(layer.cross_query(x), *cross_kv[i], cross_mask, B))
            x = x + layer.mlp(x)
        return self.norm_f(x)

    def _mask(self, batch: TokenBatch, S: int, position: Tensor) -> Tensor | None:
        """Build the additive mask (B, 1, T, S); None if nothing is hidden."""
        window = self.config.window
        if batch.T == 1 and min(batch.past) == max(batch.past) and (window is None or S <= window):
            return None
        query = position.view(-1, 1, batch.T, 1)  # (B, 1, T, 1)
        key = torch.arange(S, device=self.device)
        hidden = key > query  # (B, 1, T, S)
        if window is not None:
            hidden |= key <= query - window
        return _additive(hidden, self.dtype)

    def _stack(self, memories: Sequence[SlotMemory]) -> tuple[list[KeyValue], Tensor | None]:
        """Stack the memories of several slots by layer, and build their mask.

        The mask is additive, (B, 1, 1, S), or None if nothing is hidden. The result is kept for the next call
        with the same memories.
        """
        if list(memories) != self._stacked[0]:
            S = max((memory.S for memory in memories), default=0)
            layers = list[KeyValue]()
            for pairs in zip(*(memory.layers for memory in memories), strict=True):
                k, v = (torch.stack([_padded(t, S) for t in part]) for part in zip(*pairs, strict=True))
                layers.append((k, v))  # (B, H_kv, S, D) each
            position, mask = torch.arange(S, device=self.device), None
            if any(memory.S < S for memory in memories):
                hidden = torch.stack([position >= memory.S for memory in memories])  # (B, S)
                mask = _additive(hidden[:, None, None], self.dtype)
            self._stacked = list(memories), layers, mask
        return self._stacked[1], self._stacked[2]


class KVSlots:
    """Keys or values of one layer: (max_batch, H_kv, max_len, D), each token's numbers contiguous."""

    def __init__(self, cached: Tensor) -> None:
        self.cached = cached
        self.flat = cached.transpose(1, 2).flatten(0, 1)  # (max_batch · max_len, H_kv, D)

    def write(self, new: Tensor, index: Tensor, slots: slice, S: int) -> Tensor:
        """Write R tokens (R, H_kv, D); return the slots so far (B, H_kv, S, D).

        index: (R,), rows of `flat`.
        """
        self.flat.index_copy_(0, index, new)
        return self.cached[slots].narrow(2, 0, S)


class _Layer:
    """The computation of a `Block`, on rows."""

    def __init__(self, block: Block, config: ModelConfig, precision: Precision) -> None:
        attn, mlp = block.attn, block.mlp
        assert type(mlp) in (GeluMLP, SwigluMLP), f"no fast path for {type(mlp).__name__}"
        self.n_head, self.n_kv_head, self.head_dim = attn.n_head, attn.n_kv_head, attn.head_dim
        self.norm_1, self.norm_2 = _norm(block.norm_1), _norm(block.norm_2)
        self.qkv = pack(attn.qkv.weight, attn.qkv.bias, precision)
        self.attn_proj = pack(attn.proj.weight, attn.proj.bias, precision)
        self.gains = _gains(attn) if config.qk_norm else None
        self.fc = pack(mlp.fc.weight, mlp.fc.bias, precision)
        self.mlp_proj = pack(mlp.proj.weight, mlp.proj.bias, precision)
        self.gelu = None if isinstance(mlp, SwigluMLP) else GELU[config.mlp]
        self.has_cross = block.cross_attn is not None
        if (cross := block.cross_attn) is not None and block.norm_cross is not None:
            n = cross.n_head * cross.head_dim
            bias = None if cross.qkv.bias is None else cross.qkv.bias[:n]
            self.norm_cross, self.q_norm = _norm(block.norm_cross), _norm(cross.q_norm)
            self.cross_q = pack(cross.qkv.weight[:n], bias, precision)
            self.cross_proj = pack(cross.proj.weight, cross.proj.bias, precision)

    def query_key_value(self, x: Tensor, rope: RopeRows | None) -> tuple[Tensor, Tensor, Tensor]:
        """Project (R, C) -> (R, H, D) and twice (R, H_kv, D).

        Queries and keys are normalized and rotated together.
        """
        n = self.n_head + self.n_kv_head
        qkv = self.qkv(self.norm_1(x)).view(-1, n + self.n_kv_head, self.head_dim)  # (R, H + 2 H_kv, D)
        qk, v = qkv.split((n, self.n_kv_head), dim=1)  # (R, H + H_kv, D), (R, H_kv, D)
        if self.gains is not None:
            qk = _rms(qk, *self.gains)
        if rope is not None:
            qk = torch.addcmul(qk * rope[0], qk.roll(self.head_dim // 2, -1), rope[1])
        q, k = qk.split((self.n_head, self.n_kv_head), dim=1)  # (R, H, D), (R, H_kv, D)
        return q, k, v

    def cross_query(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, H, D)."""
        q = self.cross_q(self.norm_cross(x)).view(-1, self.n_head, self.head_dim)  # (R, H · D) -> (R, H, D)
        return self.q_norm(q)

    def mlp(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, C)."""
        h = self.fc(self.norm_2(x))
        if self.gelu is None:
            gate, up = h.chunk(2, dim=-1)  # (R, hidden) each
            return self.mlp_proj(F.silu(gate).mul_(up))
        return self.mlp_proj(F.gelu(h, approximate=self.gelu))


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, B: int) -> Tensor:
    """q: (B · T, H, D), k and v: (B, H_kv, S, D) -> (B · T, H · D)."""
    R, H, D = q.shape
    q = q.view(B, R // B, H, D).transpose(1, 2)  # (B, H, T, D)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=k.shape[1] != H)
    return y.transpose(1, 2).reshape(R, H * D)  # (B, H, T, D) -> (B · T, H · D)


def _norm(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the function of a norm of `nn/norm.py`."""
    if isinstance(module, nn.RMSNorm):
        weight, eps = module.weight.detach(), module.eps
        assert eps is not None
        doubled = torch.cat((weight, weight))
        return lambda x: _rms(x, doubled, None, eps)
    if isinstance(module, nn.LayerNorm):
        shape, bias = list(module.normalized_shape), module.bias
        return lambda x: torch.layer_norm(x, shape, module.weight, bias, module.eps)
    assert isinstance(module, nn.Identity)
    return lambda x: x


def _rms(x: Tensor, doubled: Tensor | None, gain: Tensor | None, eps: float) -> Tensor:
    """Compute RMSNorm by the LayerNorm kernel, on (x, −x).

    (x, −x) has mean 0, and its variance is the mean square of x.
    x: (..., N), doubled: the gain twice, (2N,), or None; gain: factors instead, if rows differ.
    """
    N = x.shape[-1]
    y = torch.layer_norm(torch.cat((x, -x), -1), (2 * N,), doubled, None, eps)[
        ..., :N
    ]  # (..., 2N) -> (..., N)
    return y if gain is None else y * gain


def _gains(attn: Attention) -> tuple[None, Tensor, float]:
    """Return the arguments of `_rms` for queries and keys together.

    The gain has a row for each head: (H + H_kv, D).
    """
    assert isinstance(attn.q_norm, nn.RMSNorm) and isinstance(attn.k_norm, nn.RMSNorm)
    q = attn.q_norm.weight.detach().expand(attn.n_head, -1)  # (D,) -> (H, D)
    k = attn.k_norm.weight.detach().expand(attn.n_kv_head, -1)  # (D,) -> (H_kv, D)
    assert attn.q_norm.eps is not None
    return None, torch.cat((q, k)), attn.q_norm.eps


def _rope_tables(cos: Tensor, sin: Tensor, dtype: torch.dtype) -> RopeRows:
    """Build the tables of `RopeRows`: (block_size, D / 2) -> (block_size, 1, D) each.

    The sines have the sign of their half.
    """
    cos, sin = cos.to(dtype), sin.to(dtype)
    return torch.cat((cos, cos), -1)[:, None], torch.cat((-sin, sin), -1)[:, None]


def _padded(t: Tensor, S: int) -> Tensor:
    """(s, H, D) -> (H, S, D), padded with zeros."""
    return F.pad(t, (0, 0, 0, 0, 0, S - len(t))).transpose(0, 1)  # (S, H, D) -> (H, S, D)


def _additive(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a boolean mask into 0 and −∞."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -math.inf)
