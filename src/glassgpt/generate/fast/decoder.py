"""The fast decoder: packed weights, one KV cache for all slots.

It computes the same as `GPT.forward`, for texts of different lengths at once, without modules between the
kernels and without a backward pass. No recorder or edit can attach: `ModelDecoder` serves those.
Here R is the number of rows, the new tokens of all slots together: B · T.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.generate.fast.batch import SlotMemory, TokenBatch
from glassgpt.generate.fast.native_blocks import NativeBlocks
from glassgpt.generate.fast.torch_blocks import TorchBlocks
from glassgpt.generate.fast.weights import Precision, pack
from glassgpt.generate.slots import Decoder, Ids, exchange
from glassgpt.models import GPT, Captioner, Seq2Seq
from glassgpt.nn import (
    Attention,
    Block,
    GeluMLP,
    KVCache,
    Memory,
    NgramEmbedding,
    RMSNorm,
    RotaryEmbedding,
    ScaledDotProduct,
    SinusoidalEmbedding,
    SwigluMLP,
)

SUPPORTED = frozenset(
    {
        *("family", "n_layer", "n_head", "n_kv_head", "head_size", "n_embd", "n_hidden", "block_size"),
        *("window", "position", "rope_theta", "norm", "norm_eps", "mlp", "bias", "qk_norm", "tie_embeddings"),
        *("ngram_order", "ngram_rows"),
    }
)
"""Fields of `ModelConfig` that the fast blocks take into account."""

IRRELEVANT = frozenset(
    {
        *("preset", "size", "init", "dropout", "ngram_dropout"),  # no effect after training
        *("lora_rank", "lora_alpha", "new_tokens"),  # they change types of layers, which `supports` checks
        "lora_embeddings",  # of training
        *("n_encoder_layer", "image_size", "patch_size", "channels"),  # the model's own encoder runs
        *("prompt", "end"),  # texts
        "labels",  # of classifiers, which generate nothing
    }
)
"""Fields of `ModelConfig` that change nothing in the blocks of a decoder."""

CHOICES = {
    "family": frozenset({"gpt", "seq2seq", "captioner"}),
    "position": frozenset({"learned", "rope", "sinusoidal", "none"}),
    "norm": frozenset({"layer", "rms"}),
    "mlp": frozenset({"gelu", "gelu_erf", "swiglu"}),
}
"""Supported values of the fields with named choices."""

NORMS = (RMSNorm, nn.LayerNorm)
MAX_SCORES = 1 << 26
"""Attention scores in one pass of a prefill, at most: 256 MB. Longer prompts take several passes."""


class PackedDecoder(Decoder):
    """Slots of a GPT, with or without cross-attention to a memory.

    precision: of the weights. Raises UserError as `check_precision`.
    """

    def __init__(
        self, model: GPT, max_batch: int, max_len: int | None = None, precision: Precision = "float32"
    ) -> None:
        super().__init__(model, max_batch, max_len)
        self.gpt, self.config, self.device = model, model.config, model.device
        self.cache = model.new_cache(max_batch, self.max_len)
        self.wte = model.wte.weight.detach()
        self.blocks = make_blocks(model, self.cache, precision)
        self.lm_head = pack(model.lm_head.weight, model.lm_head.bias, precision)
        positions = torch.arange(self.config.block_size, device=self.device)
        self.wpe = None if model.wpe is None else model.wpe(positions)  # (block_size, C)
        self._slot_memories: list[SlotMemory | None] = [None] * max_batch

    @staticmethod
    def supports(model: GPT) -> bool:
        """True if the fast path computes exactly what the model does.

        False for an unknown option in the configuration, an unknown type of layer (an adapter, a variant of
        attention), and a model with a hook or an own `forward` attached (a recorder, an edit).
        """
        return (
            type(model) in (GPT, Seq2Seq, Captioner)
            and _has_known_options(model.config)
            and not any(_is_hooked(module) for module in model.modules())
            and type(model.wte) is nn.Embedding
            and type(model.wpe) in (type(None), nn.Embedding, SinusoidalEmbedding)
            and type(model.rope) in (type(None), RotaryEmbedding)
            and type(model.ngrams) in (type(None), NgramEmbedding)
            and type(model.norm_f) in NORMS
            and type(model.lm_head) is nn.Linear
            and all(_is_known_block(block) for block in model.blocks)
        )

    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        """See `Decoder.forward`."""
        h = self._states(first, tokens)  # (B · T, C)
        return self.lm_head(h).view(len(tokens), len(tokens[0]), -1)  # (B, T, V)

    def prefill(self, slot: int, tokens: Ids) -> Tensor:
        """See `Decoder.prefill`."""
        S = len(self.texts[slot]) + len(tokens)
        most = max(1, MAX_SCORES // (S * self.config.n_head))
        for i in range(0, len(tokens) - most, most):
            self._states(slot, [tokens[i : i + most]])
        rest = tokens[(len(tokens) - 1) // most * most :]
        return self.lm_head(self._states(slot, [rest])[-1:])[0]

    def _states(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        """Append tokens to slots and compute their states (R, C) after the last norm."""
        texts = self.texts[first : first + len(tokens)]
        batch = TokenBatch(first, [len(text) for text in texts], len(tokens[0]))
        S = max(batch.past) + batch.T
        assert S <= self.max_len, f"{S} tokens in a slot for {self.max_len}"
        x = self._embed(texts, tokens, batch)  # (R, C)
        memories = [memory for memory in self._slot_memories[first : first + len(tokens)] if memory]
        h = self.blocks(x, batch, memories)
        for text, new in zip(texts, tokens, strict=True):
            text.extend(new)
        return h

    def _tensor(self, ids: list[int]) -> Tensor:
        return torch.tensor(ids, device=self.device)

    def _embed(self, texts: list[list[int]], tokens: Sequence[Ids], batch: TokenBatch) -> Tensor:
        """Sum the embeddings of tokens, n-grams and positions: (R, C)."""
        x = torch.embedding(self.wte, self._tensor([id for row in tokens for id in row]))
        if (ngrams := self.gpt.ngrams) is not None:
            n = ngrams.order - 1
            recent = [
                [-1] * max(0, n - len(text)) + text[-n:] + list(row)
                for text, row in zip(texts, tokens, strict=True)
            ]
            found = ngrams(torch.tensor(recent, device=self.device))  # (B, n + T, C)
            x = x + found[:, -batch.T :].flatten(0, 1)  # (B, T, C) -> (R, C)
        return x if self.wpe is None else x.add_(torch.embedding(self.wpe, self._tensor(batch.positions)))

    def copy(self, source: int, target: int, n: int) -> None:
        """See `Decoder.copy`."""
        self.texts[target], self.memories[target] = self.texts[source][:n], self.memories[source]
        self._slot_memories[target] = self._slot_memories[source]
        for cached in (self.cache.keys, self.cache.values):  # (n_layer, max_batch, H_kv, max_len, D)
            cached[:, target, :, :n] = cached[:, source, :, :n]

    def swap(self, a: int, b: int) -> None:
        """See `Decoder.swap`."""
        n = max(len(self.texts[a]), len(self.texts[b]))
        for cached in (self.cache.keys, self.cache.values):
            cached[:, [a, b], :, :n] = cached[:, [b, a], :, :n]
        super().swap(a, b)
        exchange(self._slot_memories, a, b)

    def select(self, rows: Ids) -> None:
        """See `Decoder.select`."""
        n = len(rows)
        longest = max(len(self.texts[row]) for row in rows)
        if list(rows) != list(range(n)):
            chosen = self._tensor(list(rows))
            for cached in (self.cache.keys, self.cache.values):
                cached[:, :n, :, :longest] = cached[:, chosen, :, :longest]
        old = [(list(self.texts[row]), self.memories[row], self._slot_memories[row]) for row in rows]
        for i, each in enumerate(old):
            self.texts[i], self.memories[i], self._slot_memories[i] = each

    def set_memory(self, first: int, memory: Memory | None) -> None:
        """See `Decoder.set_memory`."""
        super().set_memory(first, memory)
        if memory is None:
            self._slot_memories[first] = None
            return
        B, S = memory.states.shape[:2]
        blocks = [block for block in self.gpt.blocks if isinstance(block, Block)]
        layers = [
            block.cross_attn.key_value(memory.states) for block in blocks if block.cross_attn
        ]  # (B, H_kv, S, D)
        real = memory.mask.dense(1, S, self.device).expand(B, 1, 1, S)  # a view
        for i in range(B):
            kept = real[i, 0, 0].nonzero()[:, 0]  # (S',): positions without padding
            self._slot_memories[first + i] = SlotMemory(
                [(_by_position(k[i, :, kept]), _by_position(v[i, :, kept])) for k, v in layers]
            )


def make_blocks(model: GPT, cache: KVCache, precision: Precision) -> NativeBlocks | TorchBlocks:
    """Build the fastest blocks for this model and its device."""
    if (library := NativeBlocks.library_for(cache)) is not None:
        return NativeBlocks(library, model, cache, precision)
    return TorchBlocks(model, cache, precision)


def _has_known_options(config: ModelConfig) -> bool:
    """True if all options are known, or at their defaults."""
    return all(getattr(config, name) in values for name, values in CHOICES.items()) and all(
        name in SUPPORTED | IRRELEVANT or getattr(config, name) == field.default
        for name, field in type(config).model_fields.items()
    )


def _is_hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks) or "forward" in vars(module)


def _is_known_block(block: nn.Module) -> bool:
    if type(block) is not Block:
        return False
    norms = [norm for norm in (block.norm_1, block.norm_cross, block.norm_2) if norm is not None]
    attentions = [attention for attention in (block.attn, block.cross_attn) if attention is not None]
    return (
        all(type(norm) in NORMS for norm in norms)
        and all(_is_known_attention(attention) for attention in attentions)
        and type(block.mlp) in (GeluMLP, SwigluMLP)
        and type(block.mlp.fc) is type(block.mlp.proj) is nn.Linear
    )


def _is_known_attention(attention: nn.Module) -> bool:
    return (
        type(attention) is Attention
        and type(attention.sdpa) is ScaledDotProduct
        and type(attention.qkv) is type(attention.proj) is nn.Linear
        and all(type(norm) in (RMSNorm, nn.Identity) for norm in (attention.q_norm, attention.k_norm))
    )


def _by_position(t: Tensor) -> Tensor:
    """Reorder (H_kv, S, D) to (S, H_kv, D), contiguous."""
    return t.transpose(0, 1).contiguous()  # (H_kv, S, D) -> (S, H_kv, D)
