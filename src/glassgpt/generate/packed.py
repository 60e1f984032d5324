"""The quick decoder: a GPT with its weights laid out for writing, its slots in one cache, one pass a token.

It computes what `GPT.forward` computes, for texts of different lengths at once, without modules between the
kernels and nothing kept for a backward pass. Nobody can look inside or edit: decoder.py has the readable one.
Here R is the number of rows, the new tokens of all texts together: B · T.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.generate import compiled
from glassgpt.generate.decoder import Decoder, Ids, exchange
from glassgpt.generate.packing import PackedMatrix, Precision, pack
from glassgpt.models import GPT, Captioner, Seq2Seq
from glassgpt.nn import Attention, Block, Memory, SwigluMLP

Rope = tuple[Tensor, Tensor]
"""Of each row, cosines and signed sines: (R, 1, D) each."""
KeyValue = tuple[Tensor, Tensor]
"""(B, H_kv, S, D) each."""


class PackedDecoder(Decoder):
    """Slots of a GPT, with or without a memory to look at.

    precision: how the weights are kept for tokens that are written. What is read, a prompt, goes through
    the model's own weights. Raises UserError as `check_precision`.
    """

    def __init__(
        self, model: GPT, max_batch: int, max_len: int | None = None, precision: Precision = "float32"
    ) -> None:
        super().__init__(model, max_batch, max_len)
        self.gpt, self.config, self.device = model, model.config, model.device
        self.cache = model.new_cache(max_batch, self.max_len)
        self.keys = [_Room(kept) for kept in self.cache.keys]
        self.values = [_Room(kept) for kept in self.cache.values]
        self.wte = model.wte.weight.detach()
        self.blocks = [block for block in model.blocks if isinstance(block, Block)]
        self.layers = [_Layer(block, model.config, precision) for block in self.blocks]
        self.norm_f = _norm(model.norm_f)
        self.lm_head = _Linear(model.lm_head.weight, model.lm_head.bias, precision)
        places = torch.arange(self.config.block_size, device=self.device)
        self.added = None if model.wpe is None else model.wpe(places)  # (block_size, C)
        self.turns = (
            None if model.rope is None else _turns(model.rope.cos.to(self.wte), model.rope.sin.to(self.wte))
        )
        self.compiled = self._compile()
        self._known: list[list[KeyValue]] = [[]] * max_batch  # of the memory of each slot, by layer
        self._together: tuple[tuple[int, ...], list[KeyValue], Tensor | None] = (), [], None

    @staticmethod
    def can_stand_for(model: GPT) -> bool:
        """Whether the model is one of ours, unwatched and unedited, its matrices plain, without adapters."""
        if type(model) not in (GPT, Seq2Seq, Captioner) or any(
            module._forward_hooks or module._forward_pre_hooks for module in model.modules()
        ):
            return False
        matrices: list[nn.Module] = [model.lm_head]
        for block in model.blocks:
            assert isinstance(block, Block)
            attentions = [part for part in (block.attn, block.cross) if part is not None]
            matrices += [part for each in attentions for part in (each.qkv, each.proj)]
            matrices += [block.mlp.fc, block.mlp.proj]
        return type(model.wte) is nn.Embedding and all(type(matrix) is nn.Linear for matrix in matrices)

    def _compile(self) -> compiled.CompiledBlocks | None:
        """All blocks in one call, where a compiler and layouts for it are there."""
        library, c = compiled.load(), self.config
        if library is None or not isinstance(self.lm_head.packed, PackedMatrix):
            return None
        rope = self.gpt.rope
        cos, sin = (None, None) if rope is None else (rope.cos.contiguous(), rope.sin.contiguous())
        gpt = compiled.GPT(
            cos=compiled.address(cos),
            sin=compiled.address(sin),
            norm_f=compiled.norm(self.gpt.norm_f),
            n_head=c.n_head,
            n_kv_head=c.kv_heads,
            head_dim=c.head_dim,
            n_embd=c.n_embd,
            hidden=c.hidden,
            mlp=compiled.MLP[c.mlp],
            max_len=self.max_len,
            window=c.window or 0,
        )
        layers = [
            layer.struct(block, keys.kept, values.kept)
            for layer, block, keys, values in zip(
                self.layers, self.blocks, self.keys, self.values, strict=True
            )
        ]
        return compiled.CompiledBlocks(library, gpt, layers, (self.gpt, self.cache, self.layers, cos, sin))

    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        h = self._states(first, tokens, few=True)  # (B · T, C)
        return self.lm_head(h, few=True).view(len(tokens), len(tokens[0]), -1)  # (B, T, V)

    def read(self, slot: int, tokens: Ids) -> Tensor:
        h = self._states(slot, [tokens], few=len(tokens) == 1)
        return self.lm_head(h[-1:], few=True)[0]

    def _states(self, first: int, tokens: Sequence[Ids], few: bool) -> Tensor:
        """States (R, C) after the last norm; the tokens are then part of the slots' texts."""
        B, T = len(tokens), len(tokens[0])
        slots = slice(first, first + B)
        texts = self.texts[slots]
        past = [len(text) for text in texts]
        S = max(past) + T
        assert S <= self.max_len, f"{S} tokens in a slot for {self.max_len}"
        places = [p + t for p in past for t in range(T)]
        place = self._tensor(places)  # (R,)
        if few and self.compiled is not None and self.memories[first] is None:
            x = self._embed(texts, tokens, place)
            for text, new in zip(texts, tokens, strict=True):
                text.extend(new)
            return self.compiled(x, [first + i for i in range(B) for _ in range(T)], places)
        line = self._tensor(
            [(first + i) * self.max_len + p + t for i, p in enumerate(past) for t in range(T)]
        )
        mask = self._mask(past, T, S, place)
        rope = None if self.turns is None else (self.turns[0][place], self.turns[1][place])
        x = self._embed(texts, tokens, place)  # (R, C)
        looked, real = self._looked(first, B)
        for i, layer in enumerate(self.layers):
            q, k, v = layer.query_key_value(x, rope, few)
            keys, values = self.keys[i].keep(k, line, slots, S), self.values[i].keep(v, line, slots, S)
            x = x + layer.attn_proj(_attend(q, keys, values, mask, B), few)
            if layer.has_cross:
                x = x + layer.cross_proj(_attend(layer.cross_query(x, few), *looked[i], real, B), few)
            x = x + layer.mlp(x, few)
        for text, new in zip(texts, tokens, strict=True):
            text.extend(new)
        return self.norm_f(x)

    def _tensor(self, ids: list[int]) -> Tensor:
        return torch.tensor(ids, device=self.device)

    def _embed(self, texts: list[list[int]], tokens: Sequence[Ids], place: Tensor) -> Tensor:
        """(R, C): tokens, the runs that end with them, and their places."""
        x = self.wte[self._tensor([id for row in tokens for id in row])]
        if (ngrams := self.gpt.ngrams) is not None:
            n = ngrams.order - 1
            seen = [
                [-1] * max(0, n - len(text)) + text[-n:] + list(row)
                for text, row in zip(texts, tokens, strict=True)
            ]
            T = len(tokens[0])
            x = x + ngrams(torch.tensor(seen, device=self.device))[:, -T:].flatten(0, 1)
        return x if self.added is None else x + self.added[place]

    def _mask(self, past: list[int], T: int, S: int, place: Tensor) -> Tensor | None:
        """What to add to the scores, (B, 1, T, S): 0, or −∞ where a token may not look. None for nothing."""
        window = self.config.window
        if T == 1 and min(past) == max(past) and (window is None or S <= window):
            return None
        query, key = place.view(-1, 1, T, 1), torch.arange(S, device=self.device)
        hidden = key > query
        if window is not None:
            hidden |= key <= query - window
        return _as_scores(hidden, self.wte.dtype)

    def copy(self, source: int, target: int, n: int) -> None:
        self.texts[target], self.memories[target] = self.texts[source][:n], self.memories[source]
        self._known[target] = self._known[source]
        for kept in (self.cache.keys, self.cache.values):
            kept[:, target, :, :n] = kept[:, source, :, :n]

    def swap(self, a: int, b: int) -> None:
        n = max(len(self.texts[a]), len(self.texts[b]))
        for kept in (self.cache.keys, self.cache.values):
            kept[:, [a, b], :, :n] = kept[:, [b, a], :, :n]
        super().swap(a, b)
        exchange(self._known, a, b)

    def select(self, rows: Ids) -> None:
        n = len(rows)
        longest = max(len(self.texts[row]) for row in rows)
        if list(rows) != list(range(n)):
            chosen = self._tensor(list(rows))
            for kept in (self.cache.keys, self.cache.values):
                kept[:, :n, :, :longest] = kept[:, chosen, :, :longest]
        old = [(list(self.texts[row]), self.memories[row], self._known[row]) for row in rows]
        for i, each in enumerate(old):
            self.texts[i], self.memories[i], self._known[i] = each

    def look_at(self, first: int, memory: Memory | None) -> None:
        super().look_at(first, memory)
        if memory is None:
            self._known[first] = []
            return
        layers = [block.cross.key_value(memory.states) for block in self.blocks if block.cross]
        for i in range(len(memory.states)):
            self._known[first + i] = [(k[i], v[i]) for k, v in layers]  # (H_kv, S, D) each

    def _looked(self, first: int, B: int) -> tuple[list[KeyValue], Tensor | None]:
        """Keys and values of the memories of these slots, by layer, and a mask as in `_mask`."""
        memories = self.memories[first : first + B]
        if memories[0] is None:
            return [], None
        known = [self._known[first + i] for i in range(B)]
        key = tuple(map(id, known))
        if key != self._together[0]:
            S = max(each[0][0].shape[1] for each in known)
            layers = []
            for i in range(len(self.layers)):
                pairs = ([_filled(of[i][j], S) for of in known] for j in (0, 1))
                k, v = (torch.stack(pair) for pair in pairs)
                layers.append((k, v))
            self._together = key, layers, _real([m for m in memories if m is not None], S)
        return self._together[1], self._together[2]


class _Room:
    """Keys or values of one layer: (max_batch, H_kv, max_len, D), each token's numbers side by side."""

    def __init__(self, kept: Tensor) -> None:
        self.kept, self.lines = kept, kept.transpose(1, 2).flatten(0, 1)  # (max_batch · max_len, H_kv, D)

    def keep(self, new: Tensor, line: Tensor, slots: slice, S: int) -> Tensor:
        """Write (R, H_kv, D) to these lines; returns what some slots hold so far, (B, H_kv, S, D)."""
        self.lines.index_copy_(0, line, new)
        return self.kept[slots].narrow(2, 0, S)


class _Linear:
    """One matrix twice: packed for few rows, and as it is for many."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: Precision) -> None:
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self.packed = pack(weight, bias, precision)

    def __call__(self, x: Tensor, few: bool) -> Tensor:
        """(R, C) -> (R, N)."""
        return self.packed(x) if few else F.linear(x, self.weight, self.bias)


class _Layer:
    """What a `Block` computes, on rows."""

    def __init__(self, block: Block, config: ModelConfig, precision: Precision) -> None:
        attn, mlp = block.attn, block.mlp
        self.n_head, self.n_kv_head, self.head_dim = attn.n_head, attn.n_kv_head, attn.head_dim
        self.norm_1, self.norm_2 = _norm(block.norm_1), _norm(block.norm_2)
        self.qkv = _Linear(attn.qkv.weight, attn.qkv.bias, precision)
        self.attn_proj = _Linear(attn.proj.weight, attn.proj.bias, precision)
        self.gains = _gains(attn) if config.qk_norm else None
        self.fc = _Linear(mlp.fc.weight, mlp.fc.bias, precision)
        self.mlp_proj = _Linear(mlp.proj.weight, mlp.proj.bias, precision)
        self.gated = isinstance(mlp, SwigluMLP)
        self.gelu = "none" if config.mlp == "gelu_erf" else "tanh"
        self.has_cross = block.cross is not None
        if (cross := block.cross) is not None and block.norm_x is not None:
            n = cross.n_head * cross.head_dim
            bias = None if cross.qkv.bias is None else cross.qkv.bias[:n]
            self.norm_x, self.q_norm = _norm(block.norm_x), _norm(cross.q_norm)
            self.cross_q = _Linear(cross.qkv.weight[:n], bias, precision)
            self.cross_proj = _Linear(cross.proj.weight, cross.proj.bias, precision)

    def struct(self, block: Block, keys: Tensor, values: Tensor) -> compiled.Layer:
        """The layer for decode.c."""
        packed = [each.packed for each in (self.qkv, self.attn_proj, self.fc, self.mlp_proj)]
        norms = (block.norm_1, block.norm_2, block.attn.q_norm, block.attn.k_norm)
        return compiled.Layer(
            *map(compiled.norm, norms),
            *(matrix.struct for matrix in packed if isinstance(matrix, PackedMatrix)),
            keys.data_ptr(),
            values.data_ptr(),
        )

    def query_key_value(self, x: Tensor, rope: Rope | None, few: bool) -> tuple[Tensor, Tensor, Tensor]:
        """(R, C) -> (R, H, D) and twice (R, H_kv, D): queries and keys normed and turned, in one go."""
        n = self.n_head + self.n_kv_head
        qkv = self.qkv(self.norm_1(x), few).view(-1, n + self.n_kv_head, self.head_dim)
        qk, v = qkv.split((n, self.n_kv_head), dim=1)
        if self.gains is not None:
            qk = _rms(qk, *self.gains)
        if rope is not None:
            qk = torch.addcmul(qk * rope[0], qk.roll(self.head_dim // 2, -1), rope[1])
        q, k = qk.split((self.n_head, self.n_kv_head), dim=1)
        return q, k, v

    def cross_query(self, x: Tensor, few: bool) -> Tensor:
        """(R, C) -> (R, H, D)."""
        return self.q_norm(self.cross_q(self.norm_x(x), few).view(-1, self.n_head, self.head_dim))

    def mlp(self, x: Tensor, few: bool) -> Tensor:
        """(R, C) -> (R, C)."""
        h = self.fc(self.norm_2(x), few)
        if self.gated:
            gate, up = h.chunk(2, dim=-1)
            return self.mlp_proj(F.silu(gate).mul_(up), few)
        return self.mlp_proj(F.gelu(h, approximate=self.gelu), few)


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


def _turns(cos: Tensor, sin: Tensor) -> Rope:
    """(block_size, D / 2) each -> (block_size, 1, D) each, sines with the sign of the half they fall on."""
    return torch.cat((cos, cos), -1)[:, None], torch.cat((-sin, sin), -1)[:, None]


def _filled(t: Tensor, S: int) -> Tensor:
    """(H, s, D) -> (H, S, D), zeros after what there is."""
    return F.pad(t, (0, 0, 0, S - t.shape[1]))


def _real(memories: Sequence[Memory], S: int) -> Tensor | None:
    """(B, 1, 1, S) to be added to scores: −∞ where a memory holds nothing. None where all are full."""
    rows = [m.mask.dense(1, m.states.shape[1], m.states.device).view(-1) for m in memories]
    allowed = torch.stack([F.pad(row, (0, S - len(row))) for row in rows])
    if allowed.all():
        return None
    hidden = ~allowed[:, None, None, :]
    return _as_scores(hidden, memories[0].states.dtype)


def _as_scores(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """0, or −∞ where something is hidden."""
    return torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, -math.inf)
