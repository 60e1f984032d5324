"""The blocks of a GPT on rows, by torch's kernels: where there is no compiler, and on a GPU.

They compute what `Block.forward` computes, for texts of different lengths at once, without modules between
the kernels and nothing kept for a backward pass. Here R is the number of rows, the new tokens of all texts
together: B · T. compiled_blocks.py has the quick form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.generate.decoder import Known, Rows
from glassgpt.generate.fast.weights import Precision, pack
from glassgpt.models import GPT
from glassgpt.nn import Attention, Block, KVCache, SwigluMLP

Rope = tuple[Tensor, Tensor]
"""Of each row, cosines and signed sines: (R, 1, D) each."""
KeyValue = tuple[Tensor, Tensor]
"""(B, H_kv, S, D) each."""


class TorchBlocks:
    """All blocks of a GPT and the norm after them, with the slots of a cache."""

    def __init__(self, model: GPT, cache: KVCache, precision: Precision) -> None:
        self.config, self.device, self.dtype = model.config, model.device, model.wte.weight.dtype
        self.max_len = cache.max_len
        self.keys = [_Room(kept) for kept in cache.keys]
        self.values = [_Room(kept) for kept in cache.values]
        self.layers = [
            _Layer(block, model.config, precision) for block in model.blocks if isinstance(block, Block)
        ]
        self.norm_f = _norm(model.norm_f)
        self._together: tuple[list[Known], list[KeyValue], Tensor | None] = [], [], None
        self.turns = None if model.rope is None else _turns(model.rope.cos, model.rope.sin, self.dtype)

    def __call__(self, x: Tensor, rows: Rows, known: Sequence[Known] = ()) -> Tensor:
        """Embedded tokens (R, C) -> their states (R, C). known: what the slots look at, if they do."""
        B, T = len(rows.past), rows.T
        slots, S = slice(rows.first, rows.first + B), max(rows.past) + T
        place = torch.tensor(rows.places, device=self.device)  # (R,)
        slot = torch.tensor(rows.slots, device=self.device)  # (R,)
        line, mask = slot * self.max_len + place, self._mask(rows, S, place)
        rope = None if self.turns is None else (self.turns[0][place], self.turns[1][place])
        looked, real = self._looked(known)
        for i, layer in enumerate(self.layers):
            q, k, v = layer.query_key_value(x, rope)
            keys, values = self.keys[i].keep(k, line, slots, S), self.values[i].keep(v, line, slots, S)
            x = x + layer.attn_proj(_attend(q, keys, values, mask, B))
            if layer.has_cross:
                x = x + layer.cross_proj(_attend(layer.cross_query(x), *looked[i], real, B))
            x = x + layer.mlp(x)
        return self.norm_f(x)

    def _mask(self, rows: Rows, S: int, place: Tensor) -> Tensor | None:
        """What to add to the scores, (B, 1, T, S): 0, or −∞ where a token may not look. None for nothing."""
        window = self.config.window
        if rows.T == 1 and min(rows.past) == max(rows.past) and (window is None or S <= window):
            return None
        query, key = place.view(-1, 1, rows.T, 1), torch.arange(S, device=self.device)
        hidden = key > query
        if window is not None:
            hidden |= key <= query - window
        return _as_scores(hidden, self.dtype)

    def _looked(self, known: Sequence[Known]) -> tuple[list[KeyValue], Tensor | None]:
        """Keys and values of several, by layer, and what to add to the scores, (B, 1, 1, S) or None."""
        if list(known) != self._together[0]:
            S = max((each.S for each in known), default=0)
            layers = list[KeyValue]()
            for pairs in zip(*(each.layers for each in known), strict=True):
                k, v = (torch.stack([_filled(t, S) for t in part]) for part in zip(*pairs, strict=True))
                layers.append((k, v))
            places = torch.arange(S, device=self.device)
            hidden = torch.stack([places >= each.S for each in known]) if known else None
            real = (
                None if hidden is None or not hidden.any() else _as_scores(hidden[:, None, None], self.dtype)
            )
            self._together = list(known), layers, real
        return self._together[1], self._together[2]


class _Room:
    """Keys or values of one layer: (max_batch, H_kv, max_len, D), each token's numbers side by side."""

    def __init__(self, kept: Tensor) -> None:
        self.kept, self.lines = kept, kept.transpose(1, 2).flatten(0, 1)  # (max_batch · max_len, H_kv, D)

    def keep(self, new: Tensor, line: Tensor, slots: slice, S: int) -> Tensor:
        """Write (R, H_kv, D) to these lines; returns what some slots hold so far, (B, H_kv, S, D)."""
        self.lines.index_copy_(0, line, new)
        return self.kept[slots].narrow(2, 0, S)


class _Layer:
    """What a `Block` computes, on rows."""

    def __init__(self, block: Block, config: ModelConfig, precision: Precision) -> None:
        attn, mlp = block.attn, block.mlp
        self.n_head, self.n_kv_head, self.head_dim = attn.n_head, attn.n_kv_head, attn.head_dim
        self.norm_1, self.norm_2 = _norm(block.norm_1), _norm(block.norm_2)
        self.qkv = pack(attn.qkv.weight, attn.qkv.bias, precision)
        self.attn_proj = pack(attn.proj.weight, attn.proj.bias, precision)
        self.gains = _gains(attn) if config.qk_norm else None
        self.fc = pack(mlp.fc.weight, mlp.fc.bias, precision)
        self.mlp_proj = pack(mlp.proj.weight, mlp.proj.bias, precision)
        self.gated = isinstance(mlp, SwigluMLP)
        self.gelu = "none" if config.mlp == "gelu_erf" else "tanh"
        self.has_cross = block.cross_attn is not None
        if (cross := block.cross_attn) is not None and block.norm_cross is not None:
            n = cross.n_head * cross.head_dim
            bias = None if cross.qkv.bias is None else cross.qkv.bias[:n]
            self.norm_cross, self.q_norm = _norm(block.norm_cross), _norm(cross.q_norm)
            self.cross_q = pack(cross.qkv.weight[:n], bias, precision)
            self.cross_proj = pack(cross.proj.weight, cross.proj.bias, precision)

    def query_key_value(self, x: Tensor, rope: Rope | None) -> tuple[Tensor, Tensor, Tensor]:
        """(R, C) -> (R, H, D) and twice (R, H_kv, D): queries and keys normed and turned, in one go."""
        n = self.n_head + self.n_kv_head
        qkv = self.qkv(self.norm_1(x)).view(-1, n + self.n_kv_head, self.head_dim)
        qk, v = qkv.split((n, self.n_kv_head), dim=1)
        if self.gains is not None:
            qk = _rms(qk, *self.gains)
        if rope is not None:
            qk = torch.addcmul(qk * rope[0], qk.roll(self.head_dim // 2, -1), rope[1])
        q, k = qk.split((self.n_head, self.n_kv_head), dim=1)
        return q, k, v

    def cross_query(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, H, D)."""
        return self.q_norm(self.cross_q(self.norm_cross(x)).view(-1, self.n_head, self.head_dim))

    def mlp(self, x: Tensor) -> Tensor:
        """(R, C) -> (R, C)."""
        h = self.fc(self.norm_2(x))
        if self.gated:
            gate, up = h.chunk(2, dim=-1)
            return self.mlp_proj(F.silu(gate).mul_(up))
        return self.mlp_proj(F.gelu(h, approximate=self.gelu))


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, B: int) -> Tensor:
    """q: (B · T, H, D), k and v: (B, H_kv, S, D) -> (B · T, H · D)."""
    R, H, D = q.shape
    q = q.view(B, R // B, H, D).transpose(1, 2)  # (B, H, T, D)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=k.shape[1] != H)
    return y.transpose(1, 2).reshape(R, H * D)  # (B, H, T, D) -> (B · T, H · D)


def _norm(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """What a norm of `nn/norm.py` computes."""
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
    """x over its root mean square, by one kernel: x beside −x has mean 0 and, as variance, x's mean square.

    x: (..., N), doubled: gains (2N,) or None; gain: what to multiply by instead, where rows differ.
    """
    N = x.shape[-1]
    y = torch.layer_norm(torch.cat((x, -x), -1), (2 * N,), doubled, None, eps)[..., :N]
    return y if gain is None else y * gain


def _gains(attn: Attention) -> tuple[None, Tensor, float]:
    """What to give `_rms` for queries and keys side by side: a gain for each head, (H + H_kv, D)."""
    assert isinstance(attn.q_norm, nn.RMSNorm) and isinstance(attn.k_norm, nn.RMSNorm)
    q = attn.q_norm.weight.detach().expand(attn.n_head, -1)
    k = attn.k_norm.weight.detach().expand(attn.n_kv_head, -1)
    assert attn.q_norm.eps is not None
    return None, torch.cat((q, k)), attn.q_norm.eps


def _turns(cos: Tensor, sin: Tensor, dtype: torch.dtype) -> Rope:
    """(block_size, D / 2) each -> (block_size, 1, D) each, sines with the sign of the half they fall on."""
    cos, sin = cos.to(dtype), sin.to(dtype)
    return torch.cat((cos, cos), -1)[:, None], torch.cat((-sin, sin), -1)[:, None]


def _filled(t: Tensor, S: int) -> Tensor:
    """(s, H, D) -> (H, S, D), zeros after what there is."""
    return F.pad(t, (0, 0, 0, 0, 0, S - len(t))).transpose(0, 1)


def _as_scores(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """0, or −∞ where something is hidden."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -math.inf)
