"""The decoder interface: a model with slots for several sequences.

Each slot holds one sequence and its KV cache. Two implementations: `ModelDecoder` (decoder.py) calls the
model itself and works for every model; `PackedDecoder` (fast/decoder.py) is the fast one. Tests compare the
two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from glassgpt.models import Model
from glassgpt.nn import Memory

Ids = Sequence[int]
T = TypeVar("T")


class Decoder(ABC):
    """A model with slots 0 … max_batch − 1.

    `texts[i]` holds the ids in slot i's cache, at most `max_len`.
    """

    def __init__(self, model: Model, max_batch: int, max_len: int | None = None) -> None:
        self.model, self.max_batch = model, max_batch
        self.max_len = max_len or model.config.block_size
        self.texts: list[list[int]] = [[] for _ in range(max_batch)]
        self.memories: list[Memory | None] = [None] * max_batch

    @abstractmethod
    def forward(self, first: int, tokens: Sequence[Ids]) -> Tensor:
        """Append T tokens to each slot from `first` on; return logits (B, T, V)."""

    @abstractmethod
    def prefill(self, slot: int, tokens: Ids) -> Tensor:
        """Append tokens to one slot; return logits (V,) after the last of them."""

    @abstractmethod
    def copy(self, source: int, target: int, n: int) -> None:
        """Replace one slot's text by the first n tokens of another's."""

    def swap(self, a: int, b: int) -> None:
        """Exchange two slots."""
        exchange(self.texts, a, b)
        exchange(self.memories, a, b)

    @abstractmethod
    def select(self, rows: Ids) -> None:
        """Replace each slot i by slot rows[i]; rows may repeat, as beams do."""

    def set_memory(self, first: int, memory: Memory | None) -> None:
        """Empty the slots from `first` on, and give each a sequence of the memory."""
        n = 1 if memory is None else len(memory.states)
        for i in range(n):
            self.truncate(first + i, 0)
            self.memories[first + i] = memory.select(_row(i, memory)) if memory and n > 1 else memory

    def truncate(self, slot: int, n: int) -> None:
        """Drop all but the first n tokens of a slot."""
        del self.texts[slot][n:]

    def room(self, slot: int) -> int:
        """Return the number of tokens that still fit in a slot."""
        return self.max_len - len(self.texts[slot])


def exchange(items: list[T], a: int, b: int) -> None:
    """Swap two items of a list."""
    items[a], items[b] = items[b], items[a]


def common_prefix(a: Ids, b: Ids) -> int:
    """Return the length of the common prefix of two texts.

    >>> common_prefix([1, 2, 3], [1, 2, 4, 5]), common_prefix([1], [1, 2])
    (2, 1)
    """
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _row(i: int, memory: Memory) -> Tensor:
    return torch.tensor([i], device=memory.states.device)
