"""The quick decoder: a GPT with its weights laid out for writing, its slots in one cache, one pass a token.

It computes what `GPT.forward` computes, for texts of different lengths at once, without modules between the
kernels and nothing kept for a backward pass. Nobody can look inside or edit: decoder.py has the readable one.
Here R is the number of rows, the new tokens of all texts together: B · T.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glassgpt.generate.decoder import Decoder, Ids, Known, Rows, exchange
from glassgpt.generate.fast.native_blocks import NativeBlocks
from glassgpt.generate.fast.torch_blocks import TorchBlocks
from glassgpt.generate.fast.weights import Precision, pack
from glassgpt.models import GPT, Captioner, Seq2Seq
from glassgpt.nn import Block, KVCache, Memory


class PackedDecoder(Decoder):
    """Slots of a GPT, with or without a memory to look at.

    precision: how the weights are kept. Raises UserError as `check_precision`.
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
        places = torch.arange(self.config.block_size, device=self.device)
        self.added = None if model.wpe is None else model.wpe(places)  # (block_size, C)
        self._known: list[Known | None] = [None] * max_batch

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
            attentions = [part for part in (block.attn, block.cross_attn) if part is not None]
            matrices += [part for each in attentions for part in (each.qkv, each.proj)]
            matrices += [block.mlp.fc, block.mlp.proj]
        return type(model.wte) is nn.Embedding and all(type(matrix) is nn.Linear for matrix in matrices)

    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        h = self._states(first, tokens)  # (B · T, C)
        return self.lm_head(h).view(len(tokens), len(tokens[0]), -1)  # (B, T, V)

    def read(self, slot: int, tokens: Ids) -> Tensor:
        return self.lm_head(self._states(slot, [tokens])[-1:])[0]

    def _states(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        """States (R, C) after the last norm; the tokens are then part of the slots' texts."""
        texts = self.texts[first : first + len(tokens)]
        rows = Rows(first, [len(text) for text in texts], len(tokens[0]))
        S = max(rows.past) + rows.T
        assert S <= self.max_len, f"{S} tokens in a slot for {self.max_len}"
        x = self._embed(texts, tokens, rows)  # (R, C)
        h = self.blocks(x, rows, [known for known in self._known[first : first + len(tokens)] if known])
        for text, new in zip(texts, tokens, strict=True):
            text.extend(new)
        return h

    def _tensor(self, ids: list[int]) -> Tensor:
        return torch.tensor(ids, device=self.device)

    def _embed(self, texts: list[list[int]], tokens: Sequence[Ids], rows: Rows) -> Tensor:
        """(R, C): tokens, the runs that end with them, and their places."""
        x = torch.embedding(self.wte, self._tensor([id for row in tokens for id in row]))
        if (ngrams := self.gpt.ngrams) is not None:
            n = ngrams.order - 1
            seen = [
                [-1] * max(0, n - len(text)) + text[-n:] + list(row)
                for text, row in zip(texts, tokens, strict=True)
            ]
            T = len(tokens[0])
            x = x + ngrams(torch.tensor(seen, device=self.device))[:, -T:].flatten(0, 1)
        return x if self.added is None else x.add_(torch.embedding(self.added, self._tensor(rows.places)))

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
            self._known[first] = None
            return
        B, S = memory.states.shape[:2]
        blocks = [block for block in self.gpt.blocks if isinstance(block, Block)]
        layers = [
            block.cross_attn.key_value(memory.states) for block in blocks if block.cross_attn
        ]  # (B, H_kv, S, D)
        real = memory.mask.dense(1, S, self.device).expand(B, 1, 1, S)
        for i in range(B):
            kept = real[i, 0, 0].nonzero()[:, 0]
            self._known[first + i] = Known(
                [
                    (k[i, :, kept].transpose(0, 1).contiguous(), v[i, :, kept].transpose(0, 1).contiguous())
                    for k, v in layers
                ]
            )


def make_blocks(model: GPT, cache: KVCache, precision: Precision) -> NativeBlocks | TorchBlocks:
    """The quickest blocks that there are for this model and its device."""
    if (library := NativeBlocks.library_for(cache)) is not None:
        return NativeBlocks(library, model, cache, precision)
    return TorchBlocks(model, cache, precision)
