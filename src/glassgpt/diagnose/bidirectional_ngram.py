"""Bidirectional n-grams: a masked symbol from two neighbors on each side.

The baseline of a masked-token encoder, as ngram.py is that of a left-to-right model. It knows symbol ids, not
text, and sees nothing beyond two positions.

The visible neighbors of a masked symbol are its context. The model backs off by dropping one neighbor at a
time, the least useful first, and interpolates by modified Kneser–Ney smoothing: below the longest context,
it counts the distinct values of the dropped neighbor. (Raw counts there cost 0.09 nats per character more
on tinyshakespeare.)
"""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glassgpt.diagnose.kneser_ney import (
    Floats,
    Indices,
    Interpolation,
    Keys,
    find,
    ngram_keys,
    run_lengths,
    smooth,
)

REACH = 2
"""Neighbors on each side."""
MAX_CHOICE = 1 << 20
"""Choose the order of backoff on at most so many symbols, from the end of the text."""

Offsets = tuple[int, ...]
"""Neighbors as distances from the masked symbol, the least useful first: (2, −2, −1, 1)."""


class BackoffLevel(NamedTuple):
    """N-grams and their contexts, as sorted keys, and the probabilities.

    An n-gram is (index of its context, symbol). A context is (index of the context without its least useful
    neighbor, among those of the level below; that neighbor).
    """

    keys: Keys
    contexts: Keys
    interpolation: Interpolation


class BidirectionalNGram:
    """Predicts symbols from their neighbors on both sides, by the counts of a text.

    The probabilities of all `n_vocab` symbols at a position sum to 1, and none is 0: the lowest level is
    interpolated with a uniform distribution. Counts are made when a set of visible neighbors first occurs.
    There are at most 16 sets; all together take 2 s for a text of a million characters.

    >>> model = BidirectionalNGram(np.array([0, 1, 2] * 50), n_vocab=4)
    >>> gap = np.array([False, True, False])
    >>> model.probabilities(np.array([0, 1, 2]), positions=np.array([1]), masked=gap).round(2).tolist()
    [0.99]
    """

    def __init__(self, ids: NDArray[np.integer], n_vocab: int) -> None:
        """Count the symbols `ids`, (N,) with N ≥ 1, each below `n_vocab`."""
        seen = np.flatnonzero(np.bincount(ids, minlength=n_vocab))
        self.n_vocab = n_vocab
        self.base = len(seen) + 1
        self.digits = np.zeros(n_vocab, dtype=np.uint64)  # 0: never seen
        self.digits[seen] = np.arange(1, self.base)
        self._text = self._digits_of(ids)
        self._levels: dict[Offsets, list[BackoffLevel]] = {}
        self.order = self._choose_order()

    def probabilities(
        self, ids: NDArray[np.integer], positions: NDArray[np.integer], masked: NDArray[np.bool_]
    ) -> Floats:
        """Return the probability of `ids[position]` at each position, given its visible neighbors.

        ids: (N,), each below `n_vocab`. positions: (P,), indices into it. masked: (N,), True for symbols
        that must not be seen. Symbols outside the text or never counted are invisible, too. The mask at the
        position itself makes no difference. Returns (P,).
        """
        text = self._digits_of(ids)
        positions = positions.astype(np.intp)
        visible = (text > 0) & ~np.pad(masked, REACH)  # (N + 2 · REACH,)
        patterns = np.zeros(len(positions), dtype=np.intp)  # (P,): the visible neighbors as bits
        for bit, offset in enumerate(self.order):
            patterns |= visible[positions + REACH + offset].astype(np.intp) << bit
        result = np.empty(len(positions))
        for pattern in np.unique(patterns).tolist():
            chosen = patterns == pattern
            neighbors = tuple(offset for bit, offset in enumerate(self.order) if pattern >> bit & 1)
            if neighbors not in self._levels:
                everywhere = np.arange(len(self._text) - 2 * REACH)
                self._levels[neighbors] = self._count(self._text, everywhere, neighbors)
            result[chosen] = self._predict(self._levels[neighbors], text, positions[chosen], neighbors)
        return result

    def _digits_of(self, ids: NDArray[np.integer]) -> Keys:
        """Return the digits, padded by zeros on both sides: (N + 2 · REACH,)."""
        return np.pad(self.digits[ids], REACH)

    def _choose_order(self) -> Offsets:
        """Choose the backoff order with the lowest loss on the last tenth, unmasked."""
        text = self._text[-MAX_CHOICE - 2 * REACH :]
        positions = np.arange(len(text) - 2 * REACH)
        n_held_out = len(positions) // 10
        if not n_held_out:
            return next(drop_orders(REACH))
        losses: dict[Offsets, float] = {}
        for order in drop_orders(REACH):
            levels = self._count(text, positions[: -n_held_out - REACH], order)  # no neighbor is held out
            probabilities = self._predict(levels, text, positions[-n_held_out:], order)
            losses[order] = -float(np.log(probabilities).mean())
        return min(losses, key=losses.__getitem__)

    def _count(self, text: Keys, positions: Indices, neighbors: Offsets) -> list[BackoffLevel]:
        """Count the levels of backoff, from no neighbor up to all of these."""
        contexts = [np.zeros(1, dtype=np.uint64)]  # of each level, from no neighbor on
        context_of = np.zeros(len(positions), dtype=np.intp)
        for offset in reversed(neighbors):
            keys = ngram_keys(context_of, text[positions + REACH + offset], self.base)
            distinct, context_of = np.unique(keys, return_inverse=True)
            contexts.append(distinct)
        ngrams = ngram_keys(context_of, text[positions + REACH], self.base)
        levels = []
        for level in reversed(contexts):
            ngrams.sort()
            ngrams, counts = run_lengths(ngrams)
            owner, symbols = np.divmod(ngrams, np.uint64(self.base))
            probabilities = smooth(counts, owner.astype(np.intp), len(level))
            levels.append(BackoffLevel(ngrams, level, probabilities))
            # Each n-gram once, without its least useful neighbor.
            shorter = (level[owner.astype(np.intp)] // np.uint64(self.base)).astype(np.intp)
            ngrams = ngram_keys(shorter, symbols, self.base)
        return levels[::-1]

    def _predict(
        self, levels: list[BackoffLevel], text: Keys, positions: Indices, neighbors: Offsets
    ) -> Floats:
        symbols = text[positions + REACH]
        contexts = np.zeros(len(positions), dtype=np.intp)
        lower = np.full(len(positions), 1 / self.n_vocab)
        for level, offset in zip(levels, (None, *reversed(neighbors)), strict=True):
            if offset is not None:
                contexts = find(level.contexts, contexts, text[positions + REACH + offset], self.base)
            lower = level.interpolation(find(level.keys, contexts, symbols, self.base), contexts, lower)
        return lower


def drop_orders(reach: int) -> Iterator[Offsets]:
    """Yield every order to drop neighbors in, on each side the farther one first.

    >>> list(drop_orders(1))
    [(-1, 1), (1, -1)]
    """
    offsets = [offset for offset in range(-reach, reach + 1) if offset]
    for order in permutations(offsets):
        left, right = [o for o in order if o < 0], [o for o in order if o > 0]
        if left == sorted(left) and right == sorted(right, reverse=True):
            yield order
