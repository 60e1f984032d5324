"""A counted model that fills gaps: what a masked symbol is, from up to two symbols on each side of it.

The baseline of a masked-token encoder, as ngram.py is of a model that goes from left to right. It knows
symbol ids, not text, and it is no encoder: it never sees what is more than two places away.

A gap's visible neighbors make its context. The context is shortened one neighbor at a time, the least
useful first, and modified Kneser–Ney smoothing interpolates: below the longest context, what counts is
how many different values the dropped neighbor takes. (How often a row occurs, instead, costs 0.09 nats
a character more on tinyshakespeare.)
"""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.kneser_ney import Estimate, Floats, Indices, Keys, estimate, run_lengths
from glassgpt.diagnose.ngram import find

REACH = 2
"""Neighbors on each side."""
MAX_CHOICE = 1 << 20
"""Which neighbors to drop first is chosen on so many symbols at most, from the end of the text."""

Offsets = tuple[int, ...]
"""Neighbors as distances from the gap, the least useful first: (2, −2, −1, 1)."""


class Rung(NamedTuple):
    """Rows (context, then symbol) of one length and their contexts, both sorted, and what they contribute."""

    rows: Keys
    contexts: Keys
    estimate: Estimate


class BidirectionalNGram:
    """Predicts symbols of a text from their neighbors, as counted in another.

    The probabilities of all `n_vocab` symbols in one place sum to 1 and none is 0: what the counts leave
    over is in the end spread evenly over the vocabulary. Tables are made when a set of visible neighbors
    first occurs; there are at most 16 sets. All take 2 s for a text of a million characters.

    >>> model = BidirectionalNGram(np.array([0, 1, 2] * 50), n_vocab=4)
    >>> gap = np.array([False, True, False])
    >>> model.probabilities(np.array([0, 1, 2]), places=np.array([1]), hidden=gap).round(2).tolist()
    [0.99]
    """

    def __init__(self, ids: NDArray[np.integer], n_vocab: int) -> None:
        """Count `ids`, (N,) with N ≥ 1, each below `n_vocab`.

        Over 7,000 different symbols, fewer neighbors are used at once: rows must fit into 64 bits.
        """
        seen = np.flatnonzero(np.bincount(ids, minlength=n_vocab))
        self.n_vocab = n_vocab
        self.base = len(seen) + 1
        self.digits = np.zeros(n_vocab, dtype=np.uint64)  # 0: never counted
        self.digits[seen] = np.arange(1, self.base)
        self.max_neighbors = 2 * REACH
        while self.base ** (self.max_neighbors + 1) >= 2**64:
            self.max_neighbors -= 1
        self._text = self._digits_of(ids)
        self._ladders: dict[Offsets, list[Rung]] = {}
        self.order = self._choose_order()

    def probabilities(
        self, ids: NDArray[np.integer], places: NDArray[np.integer], hidden: NDArray[np.bool_]
    ) -> Floats:
        """The probability of `ids[place]` at each place, given those of its neighbors that are visible.

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
            neighbors = tuple(offset for bit, offset in enumerate(self.order) if pattern >> bit & 1)
            neighbors = neighbors[max(0, len(neighbors) - self.max_neighbors) :]
            if neighbors not in self._ladders:
                counted = np.arange(len(self._text) - 2 * REACH)
                self._ladders[neighbors] = self._count(self._text, counted, neighbors)
            result[chosen] = self._predict(self._ladders[neighbors], text, places[chosen], neighbors)
        return result

    def _digits_of(self, ids: NDArray[np.integer]) -> Keys:
        """(N + 2 · REACH,): with emptiness, which is digit 0 as well, on both sides."""
        return np.pad(self.digits[ids], REACH)

    def _choose_order(self) -> Offsets:
        """The order that predicts the last tenth of the text best where all neighbors are visible."""
        text = self._text[-MAX_CHOICE - 2 * REACH :]
        places = np.arange(len(text) - 2 * REACH)
        n_held_out = len(places) // 10
        if not n_held_out:
            return next(orders(REACH))
        losses: dict[Offsets, float] = {}
        for order in orders(REACH):
            used = order[-self.max_neighbors :]
            ladder = self._count(text, places[: -n_held_out - REACH], used)  # no neighbor is held out
            probabilities = self._predict(ladder, text, places[-n_held_out:], used)
            losses[order] = -float(np.log(probabilities).mean())
        return min(losses, key=losses.__getitem__)

    def _count(self, text: Keys, places: Indices, neighbors: Offsets) -> list[Rung]:
        """The rungs from all of these neighbors down to none."""
        rows = self._keys(text, places, neighbors)
        ladder = []
        for length in range(len(neighbors) + 1, 0, -1):
            keys = rows % np.uint64(self.base**length)  # each longer row once, less its first neighbor
            keys.sort()
            rows, counts = run_lengths(keys)
            contexts, sizes = run_lengths(rows // np.uint64(self.base))
            owners = np.repeat(np.arange(len(contexts)), sizes)
            ladder.append(Rung(rows, contexts, estimate(counts, owners, len(contexts))))
        return ladder

    def _predict(self, ladder: list[Rung], text: Keys, places: Indices, neighbors: Offsets) -> Floats:
        keys = self._keys(text, places, neighbors)
        shorter = np.full(len(places), 1 / self.n_vocab)
        for length, rung in enumerate(reversed(ladder), start=1):
            rows = keys % np.uint64(self.base**length)
            contexts = find(rung.contexts, rows // np.uint64(self.base))
            shorter = rung.estimate(find(rung.rows, rows), contexts, shorter)
        return shorter

    def _keys(self, text: Keys, places: Indices, neighbors: Offsets) -> Keys:
        """(P,): the neighbors, then the symbol, as digits of one number; `text` has its empty sides."""
        keys = np.zeros(len(places), dtype=np.uint64)
        for offset in (*neighbors, 0):
            keys = keys * np.uint64(self.base) + text[places + REACH + offset]
        return keys


def orders(reach: int) -> Iterator[Offsets]:
    """Every order in which neighbors can be dropped, on each side the farther one first.

    >>> list(orders(1))
    [(-1, 1), (1, -1)]
    """
    offsets = [offset for offset in range(-reach, reach + 1) if offset]
    for order in permutations(offsets):
        left, right = [o for o in order if o < 0], [o for o in order if o > 0]
        if left == sorted(left) and right == sorted(right, reverse=True):
            yield order
