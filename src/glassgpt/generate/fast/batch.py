"""Inputs of the fast blocks: new tokens and memories of several slots.

R is the number of rows, the new tokens of all slots together: B · T.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TokenBatch:
    """T new tokens for each of B neighboring slots.

    Row i · T + t is for position past[i] + t of slot first + i.
    """

    first: int
    past: Sequence[int]
    """(B,): number of cached tokens of each slot."""
    T: int

    @property
    def slots(self) -> list[int]:
        """(R,): slot of each row."""
        return [self.first + i for i in range(len(self.past)) for _ in range(self.T)]

    @property
    def positions(self) -> list[int]:
        """(R,): position of each row in its slot's text."""
        return [p + t for p in self.past for t in range(self.T)]


@dataclass(frozen=True, eq=False)
class SlotMemory:
    """Keys and values of one slot's memory, without padding."""

    layers: list[tuple[Tensor, Tensor]]
    """Keys and values of each layer, (S, H_kv, D) each, contiguous."""

    @property
    def S(self) -> int:
        """Length of the memory."""
        return len(self.layers[0][0])
