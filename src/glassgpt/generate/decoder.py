"""The readable decoder, and the choice between it and the fast one.

`ModelDecoder` calls the model itself, one slot after the other. It serves every model, and all models with a
recorder or an edit attached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import Tensor

from glassgpt.device import memory_of
from glassgpt.errors import UserError
from glassgpt.generate.fast import PackedDecoder, Precision, check_precision
from glassgpt.generate.slots import Decoder, Ids, exchange
from glassgpt.language import N_
from glassgpt.models import GPT, Model
from glassgpt.nn import Memory


@contextmanager
def eval_mode(model: Model) -> Iterator[None]:
    """Switch dropout off inside the block; restore the model's mode afterwards."""
    if not model.training:  # walking over all modules takes as long as a block of a small model
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


def make_decoder(
    model: Model, max_batch: int, max_len: int | None = None, precision: Precision = "float32"
) -> Decoder:
    """Build the fast decoder for a supported model, else a `ModelDecoder`.

    `PackedDecoder.supports` decides. Raises UserError as `check_precision` and `check_ram`.
    """
    check_precision(precision, model.device)
    check_ram(model, max_batch, max_len)
    try:
        if isinstance(model, GPT) and PackedDecoder.supports(model):
            return PackedDecoder(model, max_batch, max_len, precision)
        return ModelDecoder(model, max_batch, max_len)
    except RuntimeError as error:  # torch has no type for the RAM
        if "allocate" not in str(error):
            raise
        raise _too_large(model, max_batch, max_len, N_("that is not free now")) from error


def check_ram(model: Model, max_batch: int, max_len: int | None = None) -> None:
    """Raise UserError if a model and the KV cache of so many texts exceed the memory of the device."""
    limit = memory_of(model.device)
    if _needed(model, max_batch, max_len) > limit:
        raise _too_large(
            model, max_batch, max_len, N_("this process may use {memory}", memory=f"{limit / 1e9:,.1f} GB")
        )


def _needed(model: Model, max_batch: int, max_len: int | None) -> int:
    return model.cache_bytes(max_batch, max_len) + sum(p.nbytes for p in model.parameters())


def _too_large(model: Model, max_batch: int, max_len: int | None, limit: str) -> UserError:
    needed, cache = _needed(model, max_batch, max_len), model.cache_bytes(max_batch, max_len)
    return UserError(
        "generating {max_batch:,} texts at once needs {needed:,.1f} GB ({cache:,.1f} GB of it for the keys "
        "and values of {max_len:,} tokens each), and {limit}. Generate fewer at once (lower `max_batch` or "
        "`best_of`), or use a model with a smaller `block_size`.",
        max_batch=max_batch,
        needed=needed / 1e9,
        cache=cache / 1e9,
        max_len=max_len or model.config.block_size,
        limit=limit,
    )


class ModelDecoder(Decoder):
    """The model itself, one slot at a time, with its KV cache."""

    def __init__(self, model: Model, max_batch: int, max_len: int | None = None) -> None:
        super().__init__(model, max_batch, max_len)
        self.caches = [model.new_cache(1, self.max_len) for _ in range(max_batch)]

    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        """See `Decoder.forward`."""
        return torch.cat([self.model.head(self._states(first + i, ids)) for i, ids in enumerate(tokens)])

    def prefill(self, slot: int, tokens: Ids) -> Tensor:
        """See `Decoder.prefill`."""
        return self.model.head(self._states(slot, tokens)[:, -1])[0]

    def _states(self, slot: int, tokens: Ids) -> Tensor:
        """Compute the states (1, T, C) of new tokens."""
        cache, past = self.caches[slot], self.texts[slot]
        context = list(tokens) if cache else [*past, *tokens]
        if cache is not None:
            cache.pos = len(past)
        ids = torch.tensor([context], device=self.model.device)  # (1, T), or (1, past + T) without a cache
        h = self.model.trunk(ids, memory=self.memories[slot], cache=cache)
        past.extend(tokens)
        return h[:, -len(tokens) :]

    def copy(self, source: int, target: int, n: int) -> None:
        """See `Decoder.copy`."""
        self.texts[target] = self.texts[source][:n]
        self.memories[target] = self.memories[source]
        self.caches[target] = deepcopy(self.caches[source])

    def swap(self, a: int, b: int) -> None:
        """See `Decoder.swap`."""
        super().swap(a, b)
        exchange(self.caches, a, b)

    def select(self, rows: Ids) -> None:
        """See `Decoder.select`."""
        old = [(list(self.texts[row]), self.memories[row], deepcopy(self.caches[row])) for row in rows]
        for i, each in enumerate(old):
            self.texts[i], self.memories[i], self.caches[i] = each

    def set_memory(self, first: int, memory: Memory | None) -> None:
        """See `Decoder.set_memory`."""
        super().set_memory(first, memory)
        for i in range(first, first + (1 if memory is None else len(memory.states))):
            self.caches[i] = self.model.new_cache(1, self.max_len)  # the old one holds the old memory's keys
