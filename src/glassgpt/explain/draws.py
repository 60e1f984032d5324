"""Counts of draws beside the probabilities that they should follow; what `sampling` measures with.

Not a chapter itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

SIGMAS = 4
CHANCE = 1 - NormalDist().cdf(SIGMAS)
"""How often chance alone exceeds a bound: one time in 32,000."""
FEWEST = 10
"""Expected draws in a cell, at least: with fewer, χ² is no good guide."""


@dataclass(frozen=True)
class Fit:
    """Counts beside the probabilities that they should follow."""

    counts: tuple[int, ...]
    shares: tuple[float, ...]
    """Probabilities, summing to 1."""

    @property
    def chi_square(self) -> float:
        """Σ (counted − expected)² / expected."""
        n = sum(self.counts)
        return sum((c - n * p) ** 2 / (n * p) for c, p in zip(self.counts, self.shares, strict=True))

    @property
    def bound(self) -> float:
        """What χ² of so many counts exceeds by chance one time in 32,000, sought by halving an interval.

        Source: χ² exceeds x with the probability Q(dof / 2, x / 2), the incomplete gamma function.
        """
        half = torch.tensor((len(self.counts) - 1) / 2, dtype=torch.float64)
        low, high = torch.zeros_like(half), half + 1000
        for _ in range(50):
            middle = (low + high) / 2
            above = torch.special.gammaincc(half, middle / 2) > CHANCE
            low, high = (middle, high) if above else (low, middle)
        return high.item()

    @property
    def measured(self) -> list[float]:
        """The counts as parts of their sum."""
        return [count / sum(self.counts) for count in self.counts]


def cells(p: Tensor, n: int, most: int) -> tuple[Tensor, Tensor]:
    """The ids of p (V,) to count one by one, at most `most`, the likeliest first; and the rest, to count as
    one.

    Each cell is expected FEWEST times in n draws, that of the rest, too, unless it can never be drawn.
    """
    ids = p.argsort(descending=True)
    count = min(most, int((p * n >= FEWEST).sum()))
    while count and 0 < p[ids[count:]].sum() * n < FEWEST:
        count -= 1
    return ids[:count], ids[count:]
