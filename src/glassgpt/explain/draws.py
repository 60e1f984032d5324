"""Counts of draws and their probabilities, for the chapter `sampling`."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import torch
from torch import Tensor

SIGMAS = 4
CHANCE = 1 - NormalDist().cdf(SIGMAS)
"""Probability to exceed a bound by chance: 1 in 32,000."""
FEWEST = 10
"""Minimum of expected draws in a cell; χ² is not reliable with fewer."""


@dataclass(frozen=True)
class Fit:
    """Counts with their probabilities."""

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
        """Bound that χ² exceeds by chance 1 time in 32,000, by bisection.

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
        """The counts as shares of their sum."""
        return [count / sum(self.counts) for count in self.counts]


def cells(p: Tensor, n: int, most: int) -> tuple[Tensor, Tensor]:
    """Split the ids of p (V,) into cells of their own and a rest.

    At most `most` ids have their own cell, the most probable first. Each cell, the rest included, has at
    least FEWEST expected draws of n, unless its probability is 0.
    """
    ids = p.argsort(descending=True)
    count = min(most, int((p * n >= FEWEST).sum()))
    while count and 0 < p[ids[count:]].sum() * n < FEWEST:
        count -= 1
    return ids[:count], ids[count:]
