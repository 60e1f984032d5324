"""A counted model that fills gaps: what a masked symbol is, from up to two symbols on each side of it.

The baseline of a masked-token encoder, as ngram.py is of a model that goes from left to right. It knows
symbol ids, not text, and it is no encoder: it never sees what is more than two places away.

A gap's visible neighbours make its context. The context is shortened one neighbour at a time, the least
useful first, and modified Kneser–Ney smoothing interpolates: below the longest context, what counts is
how many different values the dropped neighbour takes. (How often a row occurs, instead, costs 0.09 nats
a character more on tinyshakespeare.)
"""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.counting import Estimate, Floats, Indices, Keys, estimate, run_lengths
from glassgpt.diagnose.ngram import find

REACH = 2
"""Neighbours on each side."""
MAX_CHOICE = 1 << 20
"""Which neighbours to drop first is chosen on so many symbols at most, from the end of the text."""

Offsets = tuple[int, ...]
"""Neighbours as distances from the gap, the least useful first: (2, −2, −1, 1)."""


class Rung(NamedTuple):
    """Rows (context, then symbol) of one length and their contexts, both sorted, and what they contribute."""

    rows: Keys
    contexts: Keys
    estimate: Estimate


class TwoSided:
    """Predicts symbols of a text from their neighbours, as counted in another.

    The probabilities of all `n_vocab` symbols in one place sum to 1 and none is 0: what the counts leave
    over is in the end spread evenly over the vocabulary. Tables are made when a set of visible neighbours
    first occurs; there are at most 16 sets. All take 2 s for a text of a million characters.

    >>> model = TwoSided(np.array([0, 1, 2] * 50), n_vocab=4)
    >>> gap = np.array([False, True, False])
    >>> model.probabilities(np.array([0, 1, 2]), places=np.array([1]), hidden=gap).round(2).tolist()
    [0.99]
    """

    def __init__(self, ids: NDArray[np.integer], n_vocab: int) -> None:
        """Count `ids`, (N,) with N ≥ 1, each below `n_vocab`.

        Over 7,000 different symbols, fewer neighbours are used at once: rows must fit into 64 bits.
        """
        seen = np.flatnonzero(np.bincount(ids, minlength=n_vocab))
        self.n_vocab = n_vocab
        self.base = len(seen) + 1
        self.digits = np.zeros(n_vocab, dtype=np.uint64)  # 0: never counted
        self.digits[seen] = np.arange(1, self.base)
        self.max_neighbours = 2 * REACH
        while self.base ** (self.max_neighbours + 1) >= 2**64:
            self.max_neighbours -= 1
        self._text = self._digits_of(ids)
        self._ladders: dict[Offsets, list[Rung]] = {}
        self.order = self._choose_order()

    def probabilities(
        self, ids: NDArray[np.integer], places: NDArray[np.integer], hidden: NDArray[np.bool_]
    ) -> Floats:
        """The probability of `ids[place]` at each place, given those of its neighbours that are visible.

        ids: (N,), each below `n_vocab`; places: (P,), indices into it; hidden: (N,), True where the symbol
        must not be looked at. What lies outside the text and what was never counted are invisible, too.
        Whether the place itself is hidden makes no difference. Returns (P,).
        """
        text = self._digits_of(ids)
        places = places.astype(np.intp)
        visible = (text > 0) & ~np.pad(hidden, REACH)
        patterns = np.zeros(len(places), dtype=np.intp)
        for bit, offset in enumerate(self.order):
            patterns |= visible[places + REACH + offset].astype(np.intp) << bit
        result = np.empty(len(places))
        for pattern in np.unique(patterns).tolist():
            chosen = patterns == pattern
            neighbours = tuple(offset for bit, offset in enumerate(self.order) if pattern >> bit & 1)
            neighbours = neighbours[max(0, len(neighbours) - self.max_neighbours) :]
            if neighbours not in self._ladders:
                counted = np.arange(len(self._text) - 2 * REACH)
                self._ladders[neighbours] = self._count(self._text, counted, neighbours)
            result[chosen] = self._predict(self._ladders[neighbours], text, places[chosen], neighbours)
        return result

    def _digits_of(self, ids: NDArray[np.integer]) -> Keys:
        """(N + 2 · REACH,): with emptiness, which is digit 0 as well, on both sides."""
        return np.pad(self.digits[ids], REACH)

    def _choose_order(self) -> Offsets:
        """The order that predicts the last tenth of the text best where all neighbours are visible."""
        text = self._text[-MAX_CHOICE - 2 * REACH :]
        places = np.arange(len(text) - 2 * REACH)
        n_held_out = len(places) // 10
        if not n_held_out:
            return next(orders(REACH))
        losses: dict[Offsets, float] = {}
        for order in orders(REACH):
            used = order[-self.max_neighbours :]
            ladder = self._count(text, places[: -n_held_out - REACH], used)  # no neighbour is held out
            probabilities = self._predict(ladder, text, places[-n_held_out:], used)
            losses[order] = -float(np.log(probabilities).mean())
        return min(losses, key=losses.__getitem__)

    def _count(self, text: Keys, places: Indices, neighbours: Offsets) -> list[Rung]:
        """The rungs from all of these neighbours down to none."""
        rows = self._keys(text, places, neighbours)
        ladder = []
        for length in range(len(neighbours) + 1, 0, -1):
            keys = rows % np.uint64(self.base**length)  # each longer row once, less its first neighbour
            keys.sort()
            rows, counts = run_lengths(keys)
            contexts, sizes = run_lengths(rows // np.uint64(self.base))
            owners = np.repeat(np.arange(len(contexts)), sizes)
            ladder.append(Rung(rows, contexts, estimate(counts, owners, len(contexts))))
        return ladder

    def _predict(self, ladder: list[Rung], text: Keys, places: Indices, neighbours: Offsets) -> Floats:
        keys = self._keys(text, places, neighbours)
        shorter = np.full(len(places), 1 / self.n_vocab)
        for length, rung in enumerate(reversed(ladder), start=1):
            rows = keys % np.uint64(self.base**length)
            contexts = find(rung.contexts, rows // np.uint64(self.base))
            shorter = rung.estimate(find(rung.rows, rows), contexts, shorter)
        return shorter

    def _keys(self, text: Keys, places: Indices, neighbours: Offsets) -> Keys:
        """(P,): the neighbours, then the symbol, as digits of one number; `text` has its empty sides."""
        keys = np.zeros(len(places), dtype=np.uint64)
        for offset in (*neighbours, 0):
            keys = keys * np.uint64(self.base) + text[places + REACH + offset]
        return keys


def orders(reach: int) -> Iterator[Offsets]:
    """Every order in which neighbours can be dropped, on each side the farther one first.

    >>> list(orders(1))
    [(-1, 1), (1, -1)]
    """
    offsets = [offset for offset in range(-reach, reach + 1) if offset]
    for order in permutations(offsets):
        left, right = [o for o in order if o < 0], [o for o in order if o > 0]
        if left == sorted(left) and right == sorted(right, reverse=True):
            yield order
