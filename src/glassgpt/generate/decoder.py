"""What writes: a model with slots, each of which holds one text and what was computed for it.

Two implementations, one contract. `ModelDecoder` calls the model as it is, one slot after the other: it is
the readable one, works for every model, and is taken where somebody watches or edits the model. packed.py has
the quick one. Tests hold one against the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from glassgpt.models import Model
from glassgpt.nn import Memory

Ids = Sequence[int]
T = TypeVar("T")


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """No dropout meanwhile; afterwards the model is in the mode that it was in."""
    if not model.training:  # going through all modules takes as long as a block of a small model
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


@dataclass(frozen=True)
class Rows:
    """T new tokens of neighboring slotseach; row i · T + t is for place past[i] + t of slot first + i."""

    first: int
    past: Sequence[int]
    T: int

    @property
    def slots(self) -> list[int]:
        """Of each row."""
        return [self.first + i for i in range(len(self.past)) for _ in range(self.T)]

    @property
    def places(self) -> list[int]:
        """Of each row."""
        return [p + t for p in self.past for t in range(self.T)]


@dataclass(frozen=True, eq=False)
class Known:
    """Of what a slot looks at: keys and values by layer, (S, H_kv, D) each, side by side; no padding."""

    layers: list[tuple[Tensor, Tensor]]

    @property
    def S(self) -> int:
        """How many there are to look at."""
        return len(self.layers[0][0])


class Decoder(ABC):
    """Slots 0 … max_batch − 1. `texts[i]` are the tokens that slot i has read, at most `max_len`."""

    def __init__(self, model: Model, max_batch: int, max_len: int | None = None) -> None:
        self.model, self.max_batch = model, max_batch
        self.max_len = max_len or model.config.block_size
        self.texts: list[list[int]] = [[] for _ in range(max_batch)]
        self.memories: list[Memory | None] = [None] * max_batch

    @abstractmethod
    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        """Let slots first, first + 1, … each read its next T tokens; logits (B, T, V) of those after them."""

    @abstractmethod
    def read(self, slot: int, tokens: Ids) -> Tensor:
        """Let one slot read on; only the logits (V,) after the last of the tokens."""

    @abstractmethod
    def copy(self, source: int, target: int, n: int) -> None:
        """Make the first n tokens of one slot the whole text of another."""

    def swap(self, a: int, b: int) -> None:
        """Let two slots change places."""
        exchange(self.texts, a, b)
        exchange(self.memories, a, b)

    @abstractmethod
    def select(self, rows: Ids) -> None:
        """Slot i goes on as slot rows[i] stood (rows may repeat: beams)."""

    def look_at(self, first: int, memory: Memory | None) -> None:
        """What slots first, first + 1, … look at, one for each sequence of the memory; they start anew."""
        n = 1 if memory is None else len(memory.states)
        for i in range(n):
            self.truncate(first + i, 0)
            self.memories[first + i] = memory.select(_row(i, memory)) if memory and n > 1 else memory

    def truncate(self, slot: int, n: int) -> None:
        """Forget all but the first n tokens of a slot."""
        del self.texts[slot][n:]

    def room(self, slot: int) -> int:
        """How many tokens a slot can still read."""
        return self.max_len - len(self.texts[slot])


class ModelDecoder(Decoder):
    """The model as it stands, one slot at a time; with a cache where it has one."""

    def __init__(self, model: Model, max_batch: int, max_len: int | None = None) -> None:
        super().__init__(model, max_batch, max_len)
        self.caches = [model.new_cache(1, self.max_len) for _ in range(max_batch)]

    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        return torch.cat([self.model.head(self._states(first + i, ids)) for i, ids in enumerate(tokens)])

    def read(self, slot: int, tokens: Ids) -> Tensor:
        return self.model.head(self._states(slot, tokens)[:, -1])[0]

    def _states(self, slot: int, tokens: Ids) -> Tensor:
        """(1, T, C) of the new tokens."""
        cache, past = self.caches[slot], self.texts[slot]
        seen = list(tokens) if cache else [*past, *tokens]
        if cache is not None:
            cache.pos = len(past)
        ids = torch.tensor([seen], device=self.model.device)  # (1, T)
        h = self.model.trunk(ids, memory=self.memories[slot], cache=cache)
        past.extend(tokens)
        return h[:, -len(tokens) :]

    def copy(self, source: int, target: int, n: int) -> None:
        self.texts[target] = self.texts[source][:n]
        self.memories[target] = self.memories[source]
        self.caches[target] = deepcopy(self.caches[source])

    def swap(self, a: int, b: int) -> None:
        super().swap(a, b)
        exchange(self.caches, a, b)

    def select(self, rows: Ids) -> None:
        old = [(list(self.texts[row]), self.memories[row], deepcopy(self.caches[row])) for row in rows]
        for i, each in enumerate(old):
            self.texts[i], self.memories[i], self.caches[i] = each

    def look_at(self, first: int, memory: Memory | None) -> None:
        super().look_at(first, memory)
        for i in range(first, first + (1 if memory is None else len(memory.states))):
            self.caches[i] = self.model.new_cache(1, self.max_len)  # it keeps what it knew of the old one


def exchange(items: list[T], a: int, b: int) -> None:
    """Let two items of a list change places."""
    items[a], items[b] = items[b], items[a]


def _row(i: int, memory: Memory) -> Tensor:
    return torch.tensor([i], device=memory.states.device)
