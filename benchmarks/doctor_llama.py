"""A small decoder as people write them after Llama: rotary positions, RMSNorm, grouped queries, a KV cache.

It takes and returns what models of transformers do, in one file of plain torch. Bugs replace one method of
an instance; every method is a step that people get wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IGNORE = -100
Past = tuple[Tensor, Tensor]
"""Keys and values (B, H_kv, S, D) of the tokens before."""


@dataclass
class LlamaConfig:
    """Settings, named as in transformers."""

    vocab_size: int = 65
    hidden_size: int = 32
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 48
    rope_theta: float = 10_000.0
    rms_norm_eps: float = 1e-5
    sliding_window: int | None = None
    layer_types: tuple[str, ...] = ("full_attention", "full_attention")
    tie_word_embeddings: bool = False
    attention_dropout: float = 0.0
    use_cache: bool = True


@dataclass
class Cache:
    """Keys and values of each layer, and the number of tokens read so far."""

    layers: list[Past]
    seen: int


@dataclass
class LlamaOutput:
    logits: Tensor
    loss: Tensor | None
    past_key_values: Cache | None
    attentions: list[Tensor] | None


class RMSNorm(nn.Module):
    def __init__(self, C: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(C)), eps

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt() * self.weight


class Attention(nn.Module):
    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        C, self.n_head, self.n_kv = config.hidden_size, config.num_attention_heads, config.num_key_value_heads
        self.D = C // self.n_head
        self.q_proj = nn.Linear(C, self.n_head * self.D, bias=False)
        self.k_proj = nn.Linear(C, self.n_kv * self.D, bias=False)
        self.v_proj = nn.Linear(C, self.n_kv * self.D, bias=False)
        self.o_proj = nn.Linear(self.n_head * self.D, C, bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        return self.split(q, self.n_head), self.split(k, self.n_kv), self.split(v, self.n_kv)

    def split(self, x: Tensor, n: int) -> Tensor:
        return x.view(*x.shape[:2], n, self.D).transpose(1, 2)  # (B, n, T, D)

    def merge(self, y: Tensor) -> Tensor:
        return y.transpose(1, 2).flatten(2)  # (B, H, T, D) -> (B, T, H · D)

    def angles(self, start: int, T: int) -> Tensor:
        frequency = self.config.rope_theta ** (-torch.arange(0, self.D, 2) / self.D)  # (D / 2,)
        return torch.outer(torch.arange(start, start + T).float(), frequency)  # (T, D / 2)

    def rotate(self, x: Tensor, start: int) -> Tensor:
        angle = self.angles(start, x.shape[2])
        a, b = x.chunk(2, -1)
        turned = torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)
        return turned.to(x.dtype)  # the angles are float32

    def remember(self, past: Past | None, k: Tensor, v: Tensor) -> Past:
        if past is None:
            return k, v
        return torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)

    def kept(self, k: Tensor, v: Tensor) -> Past:
        """Keys and values for the next step: a window needs no older ones."""
        n = self.window or k.shape[2]
        return k[:, :, -n:], v[:, :, -n:]

    @property
    def window(self) -> int | None:
        return self.config.sliding_window if self.config.layer_types[self.layer].startswith("slid") else None

    def allowed(self, T: int, S: int) -> Tensor:
        mask = torch.ones(T, S).tril(S - T).bool()
        return mask & torch.ones(T, S).triu(S - T - self.window + 1).bool() if self.window else mask

    def scores(self, q: Tensor, k: Tensor, start: int) -> Tensor:
        return q @ k.mT * self.scale()

    def scale(self) -> float:
        return self.D**-0.5

    def masked(self, scores: Tensor, allowed: Tensor) -> Tensor:
        return scores.masked_fill(~allowed, float("-inf"))

    def weights(self, scores: Tensor) -> Tensor:
        return F.dropout(scores.softmax(-1), self.config.attention_dropout, self.training)

    def reported(self, scores: Tensor, weights: Tensor) -> Tensor:
        return weights

    def repeat(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.n_head // self.n_kv, 1)

    def forward(self, x: Tensor, past: Past | None, start: int, real: Tensor | None) -> tuple[Any, ...]:
        q, k, v = self.project(x)
        q, k = self.rotate(q, start), self.rotate(k, start)
        k, v = self.remember(past, k, v)
        allowed = self.allowed(q.shape[2], k.shape[2])
        if real is not None:
            itself = torch.eye(q.shape[2], k.shape[2]).bool()  # padding sees itself, so that no row is empty
            allowed = (allowed & real[:, None, None, :]) | itself
        scores = self.masked(self.scores(q, self.repeat(k), start), allowed)
        weights = self.weights(scores)
        y = self.o_proj(self.merge(weights @ self.repeat(v)))
        return y, self.kept(k, v), self.reported(scores, weights)


class MLP(nn.Module):
    def __init__(self, C: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(C, 3 * C, bias=False), nn.Linear(C, 3 * C, bias=False)
        self.down_proj = nn.Linear(3 * C, C, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        C, eps = config.hidden_size, config.rms_norm_eps
        self.input_norm, self.post_norm = RMSNorm(C, eps), RMSNorm(C, eps)
        self.self_attn, self.mlp = Attention(config, layer), MLP(C)

    def forward(self, x: Tensor, past: Past | None, start: int, real: Tensor | None) -> tuple[Any, ...]:
        y, present, weights = self.self_attn(self.input_norm(x), past, start, real)
        x = x + y
        return x + self.mlp(self.post_norm(x)), present, weights


class SmallLlama(nn.Module):
    def __init__(self, config: LlamaConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LlamaConfig()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        for p in self.parameters():
            if p.ndim == 2:
                nn.init.normal_(p, std=0.02)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool = False,
        output_attentions: bool = False,
    ) -> LlamaOutput:
        x = self.embed_tokens(input_ids)
        start = self.start(past_key_values)
        real = None if attention_mask is None else self.real(attention_mask)
        presents: list[Past] = []
        attentions: list[Tensor] = []
        for i, block in enumerate(self.layers):
            x, present, weights = block(x, past_key_values and past_key_values.layers[i], start, real)
            presents.append(present)
            attentions.append(weights)
        logits = self.lm_head(self.norm(x))
        loss = None if labels is None else self.loss(logits, labels)
        cache = Cache(presents, self.start(past_key_values) + input_ids.shape[1]) if use_cache else None
        return LlamaOutput(logits, loss, cache, attentions if output_attentions else None)

    def start(self, past: Cache | None) -> int:
        return past.seen if past else 0

    def real(self, attention_mask: Tensor) -> Tensor:
        return attention_mask.bool()

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE)
