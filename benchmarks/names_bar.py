"""Are sampled names new, and do they look like names? Measured against a list and a counted trigram of it."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from names import NAMES

MIN_NEW, MAX_NATS, MIN_P = 0.6, 0.3, 0.01
HELD_OUT = 0.1
WEIGHT = 3.0
"""Imaginary counts of the shorter context behind each count."""


class NamesBar(NamedTuple):
    """Figures of sampled names."""

    n_names: int
    new: float
    """Share that does not stand in the list."""
    nats: float
    """Mean of the trigram's score of the samples, nats per character."""
    held_out_nats: float
    p_first_letters: float
    """Of a χ² test that the first letters are those of the list."""

    @property
    def is_met(self) -> bool:
        """True if all three bars are met."""
        alike = abs(self.nats - self.held_out_nats) <= MAX_NATS
        return self.new >= MIN_NEW and alike and self.p_first_letters >= MIN_P

    def line(self) -> str:
        """Return the figures in a line."""
        scores = f"{self.nats:.2f} nats/char, held-out names {self.held_out_nats:.2f}"
        letters = f"first letters p = {self.p_first_letters:.2f}"
        mark = "" if self.is_met else "  MISSED"
        return f"{self.n_names} names: {self.new:.0%} new, {scores}, {letters}{mark}"


class Trigram:
    """Counts of characters after two others, smoothed by those after one and none."""

    def __init__(self, names: Iterable[str]) -> None:
        self.counts, self.totals = Counter[str](), Counter[str]()
        for name in names:
            text = f"\n\n{name}\n"
            for i in range(2, len(text)):
                for context in (text[i - 2 : i], text[i - 1], ""):
                    self.counts[context + text[i] if context else text[i]] += 1
                    self.totals[context] += 1
        self.n_characters = sum(len(each) == 1 for each in self.counts)

    def nats(self, name: str) -> float:
        """Return the mean loss of a name's characters and its end."""
        text = f"\n\n{name}\n"
        return -sum(math.log(self._p(text[i - 2 : i], text[i])) for i in range(2, len(text))) / (
            len(name) + 1
        )

    def _p(self, context: str, character: str) -> float:
        shorter = self._p(context[1:], character) if context else 1 / (self.n_characters + 1)
        return (self.counts[context + character] + WEIGHT * shorter) / (self.totals[context] + WEIGHT)


def measure(sampled: Sequence[str], names: Sequence[str] = NAMES) -> NamesBar:
    """Compare samples with the list. A tenth of it is held out from the trigram."""
    shuffled = random.Random(1).sample(list(names), len(names))
    cut = int(HELD_OUT * len(names))
    trigram = Trigram(shuffled[cut:])
    nats, held_out = (sum(map(trigram.nats, each)) / len(each) for each in (sampled, shuffled[:cut]))
    new = sum(name not in set(names) for name in sampled) / len(sampled)
    return NamesBar(len(sampled), new, nats, held_out, same_letters(sampled, names))


def same_letters(sampled: Sequence[str], names: Sequence[str]) -> float:
    """Return p of a χ² test of the first letters; rare letters, with fewer than 5 expected, are one class."""
    listed, found = Counter(name[0] for name in names), Counter(name[0] for name in sampled)
    expected = {letter: len(sampled) * n / len(names) for letter, n in listed.items()}
    common = [letter for letter, n in expected.items() if n >= 5]
    observed = [*(found[letter] for letter in common), len(sampled) - sum(found[letter] for letter in common)]
    wanted = [*(expected[letter] for letter in common), sum(n for n in expected.values() if n < 5)]
    chi2 = sum((o - e) ** 2 / e for o, e in zip(observed, wanted, strict=True) if e)
    half = torch.tensor([(len(wanted) - 1) / 2, chi2 / 2], dtype=torch.float64)
    return float(torch.special.gammaincc(half[0], half[1]))
